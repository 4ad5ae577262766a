"""Requests to our own services: which operation, with which parameters, and the answer's form.

Three protocols carry the same shapes: JSON 1.0 and 1.1 (``X-Amz-Target``), Smithy RPC v2 CBOR
(``/service/X/operation/Y``) and Query (form fields in, XML out). Clients choose by SDK and version.
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from typing import Any

from localcloud.protocol import validation
from localcloud.protocol.aws_json import JsonProtocol
from localcloud.protocol.cbor import CborProtocol
from localcloud.protocol.errors import WireError
from localcloud.protocol.query import QueryProtocol
from localcloud.protocol.rest import RestAdapter
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

WireProtocol = JsonProtocol | CborProtocol | QueryProtocol

_CBOR_PATH = re.compile(r"^/service/(?P<service>[^/]+)/operation/(?P<operation>[^/]+)/?$")
_READ_ONLY_PREFIXES = ("Describe", "Get", "List", "Search", "Query")
_MAX_INFLATED_BYTES = 64 << 20


def is_read_only(operation: str) -> bool:
    return operation.startswith(_READ_ONLY_PREFIXES)


class ProtocolAdapter:
    """Everything about one service's wire form, out of botocore's model of it."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.model = _load_model(service)
        metadata = self.model.metadata
        self._target_prefix: str = metadata["targetPrefix"]
        self._signing_name: str = self.model.signing_name
        self._version: str = metadata["apiVersion"]
        self._is_query_compatible = "awsQueryCompatible" in metadata
        self._protocols: list[str] = list(metadata["protocols"])

    def claims(self, request: WireRequest) -> bool:
        """Whether the request is for this service: by signature, else by what it says itself."""
        signed_for = request.signing_service
        if signed_for is not None:
            return signed_for == self._signing_name
        if request.header("x-amz-target").startswith(self._target_prefix + "."):
            return True
        found = _CBOR_PATH.match(request.raw_path)
        if found is not None:
            return found["service"] == self._target_prefix
        return "query" in self._protocols and _version(request) == self._version

    def protocol(self, request: WireRequest) -> WireProtocol:
        if request.header("smithy-protocol") == "rpc-v2-cbor" or _CBOR_PATH.match(request.raw_path):
            return CborProtocol()
        if request.header("x-amz-target") or "query" not in self._protocols:
            return JsonProtocol(request.header("content-type"))
        return QueryProtocol(str(self.model.metadata.get("xmlNamespace", "")))

    def parse(self, protocol: WireProtocol, request: WireRequest) -> tuple[Any, dict[str, Any]]:
        """The operation's model and its parameters, checked against the service model.

        Raises:
            ServiceError: what AWS answers to an unknown operation or to parameters it refuses.
        """
        plain = _inflated(request)
        operation = self._operation(protocol, plain)
        shape = operation.input_shape
        if shape is None:
            return operation, {}
        params = protocol.parse(plain, shape)
        if self._is_query_compatible:
            validation.check_query(shape, params)
        else:
            validation.check_json(shape, params)
        return operation, params

    def render(
        self, protocol: WireProtocol, operation: Any, answer: dict[str, Any], request_id: str
    ) -> WireAnswer:
        return protocol.render(operation, answer, request_id)

    def render_error(
        self, protocol: WireProtocol, error: ServiceError, request_id: str
    ) -> WireAnswer:
        return protocol.render_error(self._wire_error(error), request_id)

    def _operation(self, protocol: WireProtocol, request: WireRequest) -> Any:
        match protocol:
            case CborProtocol():
                found = _CBOR_PATH.match(request.raw_path)
                name = found["operation"] if found else ""
            case JsonProtocol():
                name = request.header("x-amz-target").rpartition(".")[2]
            case QueryProtocol():
                name = protocol.action(request)
        if name in self.model.operation_names:
            return self.model.operation_model(name)
        if isinstance(protocol, QueryProtocol):
            raise ServiceError(
                "InvalidAction", f"Could not find operation {name} for version {self._version}"
            )
        raise ServiceError("UnknownOperationException", f"The operation {name!r} is not known")

    def _wire_error(self, error: ServiceError) -> WireError:
        """The error with both its names: the shape's, and the code of the Query protocol."""
        for shape in self.model.error_shapes:
            code = shape.metadata.get("error", {}).get("code", shape.name)
            if error.code in (shape.name, code):
                return WireError(error, shape.name, code, shape, self._is_query_compatible)
        return WireError(error, error.code, error.code, None, self._is_query_compatible)


Adapter = ProtocolAdapter | RestAdapter


def adapter_of(service: str) -> Adapter:
    """The adapter for a service by the protocol of its model."""
    if _load_model(service).metadata["protocol"] == "rest-json":
        return RestAdapter(service)
    return ProtocolAdapter(service)


@cache
def _load_model(service: str) -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model(service)


def _version(request: WireRequest) -> str:
    fields = request.form or request.query
    return fields.get("Version", [""])[0]


def _inflated(request: WireRequest) -> WireRequest:
    """The request with its body unpacked (clients may gzip what the model allows)."""
    encoding = request.header("content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return request
    if encoding != "gzip":
        raise ServiceError(
            "SerializationException",
            f"the content encoding {encoding!r} is not supported; use gzip",
        )
    try:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        body = inflater.decompress(request.body, _MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise ServiceError("SerializationException", f"the body is not gzip: {error}") from None
    if inflater.unconsumed_tail or not inflater.eof:
        raise ServiceError(
            "SerializationException",
            f"the body is cut short or larger than {_MAX_INFLATED_BYTES} bytes when unpacked",
        )
    return WireRequest(request.method, request.target, request.headers, body)

"""REST JSON: parameters in path, query, headers and body (Lambda), by botocore's service model."""

# The dispatcher decides the arguments; this protocol has no variants.
# ruff: noqa: ARG002

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from localcloud.protocol import validation
from localcloud.protocol.aws_json import (
    read_json_scalar,
    read_value,
    write_json_scalar,
    write_value,
)
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

_LABEL = re.compile(r"\{(\w+)\+?\}")


class RestAdapter:
    """The same to the dispatcher as :class:`localcloud.protocol.adapter.ProtocolAdapter`."""

    def __init__(self, service: str) -> None:
        import botocore.session

        self.service = service
        self.model: Any = botocore.session.Session().get_service_model(service)
        self._signing_name: str = self.model.signing_name
        self._routes = [_Route(self.model.operation_model(n)) for n in self.model.operation_names]

    def claims(self, request: WireRequest) -> bool:
        """By signature; an unsigned request is never for a REST service of ours."""
        return request.signing_service == self._signing_name

    def protocol(self, request: WireRequest) -> str:
        return "rest-json"

    def parse(self, protocol: Any, request: WireRequest) -> tuple[Any, dict[str, Any]]:
        """The operation's model and its checked parameters.

        Raises:
            ServiceError: no such operation, or parameters that AWS refuses.
        """
        for route in self._routes:
            labels = route.match(request)
            if labels is not None:
                params = _params(route.operation.input_shape, labels, request)
                validation.check_json(route.operation.input_shape, params)
                return route.operation, params
        raise ServiceError(
            "UnknownOperationException", f"no operation at {request.method} {request.path}", 404
        )

    def render(
        self, protocol: Any, operation: Any, answer: dict[str, Any], request_id: str
    ) -> WireAnswer:
        status = int(operation.http.get("responseCode", 200))
        headers = [("x-amzn-RequestId", request_id)]
        shape = operation.output_shape
        body: dict[str, Any] = {}
        payload: str | None = None if shape is None else shape.serialization.get("payload")
        for name, member in ({} if shape is None else shape.members).items():
            value = answer.get(name)
            place = member.serialization.get("location")
            if value is None:
                continue
            if place == "statusCode":
                status = int(value)
            elif place == "header":
                headers.append((member.serialization.get("name", name), str(value)))
            elif name != payload:
                body[member.serialization.get("name", name)] = write_value(
                    member, value, write_json_scalar
                )
        if payload is not None:
            headers.append(("Content-Type", "application/json"))
            return WireAnswer(status, headers, answer.get(payload) or b"")
        if status == 204:
            return WireAnswer(status, headers)
        headers.append(("Content-Type", "application/json"))
        return WireAnswer(status, headers, json.dumps(body).encode())

    def render_error(self, protocol: Any, error: ServiceError, request_id: str) -> WireAnswer:
        kind = "User" if error.status < 500 else "Service"
        body = {"Type": kind, "message": error.message, "Message": error.message, **error.fields}
        headers = [
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", error.code),
        ]
        return WireAnswer(error.status, headers, json.dumps(body).encode())


class _Route:
    """The method and path of one operation."""

    def __init__(self, operation: Any) -> None:
        self.operation = operation
        self._method: str = operation.http["method"]
        path = str(operation.http["requestUri"]).partition("?")[0].rstrip("/")
        parts = _LABEL.split(path)
        pattern = "".join(
            f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)
        )
        self._path = re.compile(pattern + "/?")

    def match(self, request: WireRequest) -> dict[str, str] | None:
        found = self._path.fullmatch(request.raw_path)
        if found is None or request.method != self._method:
            return None
        return {name: unquote(text) for name, text in found.groupdict().items()}


def _params(shape: Any, labels: dict[str, str], request: WireRequest) -> dict[str, Any]:
    params: dict[str, Any] = {}
    payload = shape.serialization.get("payload")
    body = {} if payload else _body(request)
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                params[name] = labels[wire]
            case "querystring":
                texts = request.query.get(wire)
                if texts:
                    params[name] = texts if member.type_name == "list" else _typed(member, texts[0])
            case "header":
                text = request.header(wire.lower())
                if text:
                    params[name] = text
            case _ if name == payload:
                params[name] = request.body
            case _:
                if body.get(wire) is not None:
                    params[name] = read_value(member, body[wire], name, read_json_scalar)
    return params


def _body(request: WireRequest) -> dict[str, Any]:
    try:
        value: Any = json.loads(request.body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ServiceError("InvalidRequestContentException", "Could not parse request body.")
    return value


def _typed(member: Any, text: str) -> Any:
    match member.type_name:
        case "boolean":
            return text.lower() == "true"
        case "integer" | "long":
            return int(text) if text.lstrip("-").isdecimal() else text
        case _:
            return text

"""How requests with one head are answered: found out once, and kept with the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from inference import codecs, v2
from inference.codecs import Decoded
from inference.decoding.numbers import NumberReader, Part, with_matrix
from inference.errors import RequestError
from inference.messages import Head
from inference.predictor import Predictor

PREDICT_ROUTES = {"/invocations": "invocations", "/predict": "predict"}
QUICK_TYPES = frozenset({"", "application/json"})

Decode = Callable[[bytes], tuple[Decoded, Any]]
Encode = Callable[[list[Any], Any], bytes]


def _reads_nothing(_body: bytes) -> Part | None:
    return None


def encode_json(predictions: list[Any], _tag: Any) -> bytes:
    return orjson.dumps({"predictions": predictions})


class Plan:
    """Decoders, encoder and the response's head for one kind of request.

    ``read`` is the quick decoder, which knows when to leave a body to ``decode``, the careful one.
    ``template`` makes a response's bytes from the request id's two halves, and the body's length
    and bytes.
    """

    __slots__ = ("answer_type", "decode", "encode", "read", "reader", "route", "template")

    def __init__(self, route: str, answer_type: str, decode: Decode, encode: Encode) -> None:
        self.route = route
        self.answer_type = answer_type
        self.decode = decode
        self.encode = encode
        self.read: Callable[[bytes], Part | None] = _reads_nothing
        self.reader: str | None = None
        self.template = b""


class Planner:
    """Makes plans for one loaded model."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.is_matrix = predictor.engine.takes_matrix
        is_read = self.is_matrix and NumberReader.reads(predictor.signature)
        self.reader = NumberReader(predictor.signature) if is_read else None
        index = predictor.index
        self.identity = (("X-Model-Name", index.model), ("X-Model-Version", index.version))

    def plan(self, head: Head) -> Plan:
        """For a POST to a path of predictions.

        Raises:
            RequestError: what the head asks for cannot be answered.
        """
        if head.headers.get("content-encoding", "identity") != "identity":
            raise RequestError(415, "the body is encoded; send it as it is")
        plan = self._v2(head) if head.path.startswith("/v2/") else self._own(head)
        plan.template = self._template(plan.answer_type)
        return plan

    def _own(self, head: Head) -> Plan:
        answer_type = codecs.accepted(head.headers.get("accept", ""))
        given = head.headers.get("content-type", "")

        def decode(body: bytes) -> tuple[Decoded, Any]:
            return self._whole(codecs.decode(self.predictor.signature, given, body)), None

        def encode(predictions: list[Any], _tag: Any) -> bytes:
            return codecs.encode(answer_type, predictions)

        is_json = answer_type == codecs.JSON
        plan = Plan(
            PREDICT_ROUTES[head.path], answer_type, decode, encode_json if is_json else encode
        )
        plan.reader = _reader(given)
        if self.reader is not None and plan.reader is not None:
            plan.read = getattr(self.reader, plan.reader)
        return plan

    def _v2(self, head: Head) -> Plan:
        index = self.predictor.index
        if not is_model(head.path, self.predictor):
            raise RequestError(404, f"there is the model {index.model}, version {index.version}")

        def decode(body: bytes) -> tuple[Decoded, Any]:
            decoded, request_id = v2.decode(self.predictor.signature, body)
            return self._whole(decoded), request_id

        def encode(predictions: list[Any], tag: Any) -> bytes:
            return orjson.dumps(v2.encode(index, predictions, tag))

        return Plan("v2", codecs.JSON, decode, encode)

    def _whole(self, decoded: Decoded) -> Decoded:
        return with_matrix(self.predictor.signature, decoded) if self.is_matrix else decoded

    def _template(self, answer_type: str) -> bytes:
        lines = [
            "HTTP/1.1 200 OK",
            f"Content-Type: {answer_type}",
            *(f"{name}: {value}" for name, value in self.identity),
        ]
        fixed = "\r\n".join(lines).encode("latin-1", "replace").replace(b"%", b"%%")
        return fixed + b"\r\nX-Request-Id: %b%08x\r\nContent-Length: %d\r\n\r\n%b"


def _reader(content_type: str) -> str | None:
    """Which of the quick decoders reads such bodies."""
    kind, parameters = codecs.media_type(content_type)
    if parameters.get("charset", "utf-8") not in codecs.CHARSETS:
        return None
    if kind in QUICK_TYPES:
        return "json"
    header = parameters.get("header")
    if kind != codecs.CSV or header not in (None, "absent"):
        return None
    return "csv" if header is None else "csv_rows"


def is_model(path: str, predictor: Predictor) -> bool:
    """``/v2/models/NAME[/versions/VERSION][/ready|/infer]`` of what is served."""
    index = predictor.index
    parts = path.strip("/").split("/")[1:]
    named = parts[:-1] if parts and parts[-1] in ("ready", "infer") else parts
    whole = ["models", index.model, "versions", index.version]
    return named in (whole, whole[:2])


def is_prediction(head: Head) -> bool:
    path = head.path
    return head.method == "POST" and (
        path in PREDICT_ROUTES or (path.startswith("/v2/") and path.endswith("/infer"))
    )

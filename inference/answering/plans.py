"""How requests with one head are answered: found out once, and kept with the head."""

from __future__ import annotations

from collections.abc import Callable

from inference.decoding.media import CHARSETS, media_type
from inference.decoding.numbers import NumberReader
from inference.decoding.simd import Part
from inference.errors import RequestError, shown
from inference.formats import codecs, v2
from inference.formats.codecs import Decoded, Predictions
from inference.formats.strict_json import LARGE_BYTES
from inference.http.messages import Head
from inference.predictor import Predictor

PREDICT_ROUTES = {"/invocations": "invocations", "/predict": "predict"}
QUICK_TYPES = frozenset({"", "application/json"})

Decode = Callable[[bytes], Decoded]
Encode = Callable[[Decoded, Predictions], bytes]


def _reads_nothing(_body: bytes | bytearray) -> Part | None:
    return None


class Plan:
    """Decoders, encoder and the response's head for one kind of request.

    ``read`` is the quick decoder, which leaves what it does not understand to ``decode``, the
    careful one; ``reader`` says to ``LargeReader`` what such bodies are. ``template`` makes a
    response's bytes from the request id's two halves, and the body's length and bytes.
    """

    __slots__ = (
        *("answer_type", "decode", "encode", "is_json", "read", "reader", "route", "template"),
    )

    def __init__(self, route: str, answer_type: str, decode: Decode, encode: Encode) -> None:
        self.route = route
        self.answer_type = answer_type
        self.decode = decode
        self.encode = encode
        self.is_json = answer_type == codecs.JSON
        self.read: Callable[[bytes | bytearray], Part | None] = _reads_nothing
        self.reader: str | None = None
        self.template = b""


class Planner:
    """Makes plans for one loaded model; ``is_batch``: for SageMaker's batch transform."""

    def __init__(self, predictor: Predictor, *, is_batch: bool = False) -> None:
        self.predictor = predictor
        self.is_batch = is_batch
        is_read = predictor.engine.takes_matrix and NumberReader.reads(predictor.signature)
        self.reader = NumberReader(predictor.signature, LARGE_BYTES) if is_read else None
        index = predictor.index
        self.identity = (("X-Model-Name", index.model), ("X-Model-Version", index.version))

    def plan(self, head: Head) -> Plan:
        """For a POST to a path of predictions.

        Raises:
            RequestError: what the head asks for cannot be answered.
        """
        if head.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
            raise RequestError(415, "the body is encoded; send it as it is")
        plan = self._v2(head) if head.path.startswith("/v2/") else self._own(head)
        plan.template = self._template(plan.answer_type)
        return plan

    def _own(self, head: Head) -> Plan:
        given, batch = head.headers.get("content-type", ""), self.is_batch
        answer_type = codecs.accepted(head.headers.get("accept", ""), given, batch=batch)
        signature, index = self.predictor.signature, self.predictor.index
        plan = Plan(
            PREDICT_ROUTES[head.path],
            answer_type,
            lambda body: codecs.decode(signature, given, body, batch=batch),
            lambda decoded, values: codecs.answer(index, answer_type, decoded, values),
        )
        plan.reader = _reader(given)
        if self.reader is not None and plan.reader is not None:
            plan.read = getattr(self.reader, plan.reader)
        return plan

    def _v2(self, head: Head) -> Plan:
        signature, index = self.predictor.signature, self.predictor.index
        if not is_model(head.path, self.predictor):
            raise RequestError(404, f"there is the model {index.model}, version {index.version}")
        kind, parameters = media_type(head.headers.get("content-type", ""))
        if kind not in QUICK_TYPES:
            raise RequestError(415, f"content type is {shown(kind)}; V2 takes {codecs.JSON}")
        codecs.refuse_charset(parameters)
        answer_type = codecs.accepted(head.headers.get("accept", ""))
        plan = Plan(
            "v2",
            answer_type,
            lambda body: v2.decode(signature, body)[0],
            lambda decoded, values: codecs.answer(index, answer_type, decoded, values),
        )
        plan.reader = "v2"
        return plan

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
    kind, parameters = media_type(content_type)
    if parameters.get("charset", "utf-8") not in CHARSETS:
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

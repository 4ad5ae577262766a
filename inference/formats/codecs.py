"""Request bodies to columns, predictions to response bodies. Pure; bad input is a RequestError.

One format a file in ``decoding``; this is the door to all of them.
"""

from __future__ import annotations

from contracts.package import ArchiveIndex
from inference.decoding import arrow, csv_bodies, json_bodies, json_lines, parquet
from inference.decoding.decoded import Decoded, V2Request
from inference.decoding.media import (
    ARROW,
    CHARSETS,
    CSV,
    JSON,
    JSON_LINES,
    LINES,
    PARQUET,
    accepted,
    media_type,
)
from inference.decoding.streaming import CHUNK_ROWS, RowStream
from inference.errors import RequestError, shown
from inference.formats import v2
from inference.formats.encoding import AnswerStream, Predictions, encode, listed, to_json
from inference.formats.signature import Signature

__all__ = [
    "CSV", "JSON", "JSON_LINES", "AnswerStream", "Decoded", "Predictions", "RowStream",
    "V2Request", "accepted", "answer", "can_stream", "decode", "encode", "media_type", "stream",
]  # fmt: skip
UNDERSTOOD = f"{JSON}, {CSV}, {JSON_LINES}, {min(ARROW)} or {max(ARROW)}"


def decode(signature: Signature, content_type: str, body: bytes, *, batch: bool = False) -> Decoded:
    """A body by its Content-Type; nothing said means JSON, as MLflow's clients send it.

    ``batch``: it is a chunk of a file of SageMaker's batch transform.
    """
    kind, parameters = media_type(content_type)
    if kind in ARROW:
        return arrow.decode(signature, body)
    if kind in PARQUET:
        return parquet.decode(signature, body)
    refuse_charset(parameters)
    if kind in ("", JSON):
        return json_bodies.decode(signature, body)
    if kind == CSV:
        return csv_bodies.decode(signature, body, parameters.get("header"), batch=batch)
    if kind in LINES:
        return json_lines.decode(signature, body)
    raise RequestError(415, f"content type is {shown(kind)}; {UNDERSTOOD} is needed")


def can_stream(content_type: str) -> bool:
    """Whether bodies of this type are rows that can be taken as they come."""
    kind, _ = media_type(content_type)
    return kind == CSV or kind in LINES


def stream(
    signature: Signature,
    content_type: str,
    *,
    batch: bool = False,
    chunk_rows: int = CHUNK_ROWS,
) -> RowStream:
    """A decoder for a body of any length that takes it piece by piece: CSV or JSON lines."""
    kind, parameters = media_type(content_type)
    refuse_charset(parameters)
    if kind == CSV:
        header = parameters.get("header")
        return csv_bodies.CsvStream(signature, header, batch=batch, chunk_rows=chunk_rows)
    if kind in LINES:
        return json_lines.JsonLinesStream(signature, chunk_rows)
    raise RequestError(
        415, f"content type is {shown(kind)}; of a body without a limit only {CSV} and "
        f"{JSON_LINES} can be taken",
    )  # fmt: skip


def answer(index: ArchiveIndex, kind: str, decoded: Decoded, predictions: Predictions) -> bytes:
    """The response body of type ``kind``; a V2 request gets V2's JSON."""
    if decoded.v2 is None or kind != JSON:
        return encode(kind, predictions)
    return to_json(v2.encode(index, listed(predictions), decoded.v2.id, decoded.v2.outputs))


def refuse_charset(parameters: dict[str, str]) -> None:
    """Text is UTF-8, whatever else a content type says."""
    charset = parameters.get("charset", "utf-8")
    if charset not in CHARSETS:
        raise RequestError(415, f"charset is {shown(charset)}; utf-8 is needed")

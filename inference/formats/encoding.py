"""Predictions to response bodies: JSON, CSV (RFC 4180) and JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, cast

import orjson

from inference.decoding.media import CSV, LINES

# So many digits may be more than 64 bits hold.
_DIGITS, LONGEST = bytes.maketrans(b"123456789", b"0" * 9), b"0" * 19
# One JSON value a row: a list, or an array of float64, C-contiguous.
Predictions = list[Any] | Any


def listed(predictions: Predictions) -> list[Any]:
    """The same as a list."""
    return predictions if isinstance(predictions, list) else predictions.tolist()


def encode(kind: str, predictions: Predictions) -> bytes:
    """``{"predictions": [...]}``; a value a line; or CSV without a header, a line a row.

    NaN is null, in CSV an empty cell. CSV ends its lines with LF, as SageMaker splits them.
    """
    if kind == CSV:
        return "".join([_csv_line(item) for item in listed(predictions)]).encode()
    if kind in LINES:
        return b"".join([to_json(item) + b"\n" for item in listed(predictions)])
    return b'{"predictions":' + to_json(predictions) + b"}"


class AnswerStream:
    """The same bytes as :func:`encode` gives, for predictions that come in chunks."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._is_first = True

    def chunk(self, predictions: Predictions) -> bytes:
        """The bytes of the next predictions."""
        if self._kind == CSV or self._kind in LINES:
            return encode(self._kind, predictions)
        if len(predictions) == 0:
            return b""
        start = b'{"predictions":[' if self._is_first else b","
        self._is_first = False
        return start + to_json(predictions)[1:-1]

    def end(self) -> bytes:
        """The bytes after the last predictions."""
        if self._kind == CSV or self._kind in LINES:
            return b""
        return b'{"predictions":[]}' if self._is_first else b"]}"


def to_json(value: Any) -> bytes:
    """JSON of any size of whole number; what is not finite is null."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # whole numbers beyond 64 bits
        return json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False).encode()


def from_json(body: bytes | bytearray) -> Any:
    """JSON that we wrote, with whole numbers of any size: orjson makes floats of long ones."""
    if LONGEST in body.translate(_DIGITS):
        return json.loads(body)
    return orjson.loads(body)


def _finite(value: Any) -> Any:
    """The same with null for what is not finite."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_line(item: Any) -> str:
    if type(item) is float:  # most answers are one number
        return f"{item!r}\n" if math.isfinite(item) else '""\n'
    line = ",".join([_cell(value) for value in _flat(item)])
    return f"{line}\n" if line else '""\n'  # a blank line would be no row


def _flat(item: Any) -> Iterator[Any]:
    """The cells of a row: an object's values and a list's items, whatever is in them too."""
    if isinstance(item, dict):
        item = list(cast("dict[str, Any]", item).values())
    if isinstance(item, list):
        for value in cast("list[Any]", item):
            yield from _flat(value)
    else:
        yield item


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value) if math.isfinite(value) else ""
        case str() if any(mark in value for mark in ',"\r\n'):
            return '"' + value.replace('"', '""') + '"'
        case _:
            return str(value)

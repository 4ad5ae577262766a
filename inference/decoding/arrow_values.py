"""Values of Arrow's record batches: buffers to Python values, each length checked first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from inference.decoding.arrow_schema import (
    BOOL,
    BUFFERS,
    DATE,
    FLOAT,
    INT,
    LARGE_UTF8,
    NULL,
    TIMESTAMP,
    UTF8,
    UTF8_VIEW,
    Field,
)
from inference.decoding.flatbuffers import MalformedError, Table
from inference.errors import RequestError, shown

UNDERSTOOD = "int, floating point, bool, utf8, date, timestamp, null, or a dictionary of these"
# Views may share text, so a few bytes could stand for gigabytes.
MAX_SHARING = 4


@dataclass(frozen=True)
class Column:
    """One column's length and buffers; ``views``: the buffers that its views point into."""

    rows: int
    buffers: list[bytes]
    views: list[bytes]


@dataclass(frozen=True)
class Batch:
    """A record batch: how many rows, and the places of its columns' buffers in ``data``."""

    rows: int
    nodes: list[tuple[int, int]]
    places: list[tuple[int, int]]
    view_counts: list[int]
    data: bytes

    @staticmethod
    def of(header: Table, data: bytes) -> Batch:
        if header.table(3) is not None:
            raise RequestError(
                400, "the Arrow body is compressed; write it without, for example with "
                "pyarrow.ipc.IpcWriteOptions(compression=None)",
            )  # fmt: skip
        rows = header.number(0, "q")
        if rows < 0:
            raise MalformedError("a batch has fewer than no rows")
        return Batch(rows, header.pairs(1), header.pairs(2), header.longs(4), data)

    def columns(self, fields: list[Field]) -> Iterator[tuple[Field, Column]]:
        node = place = view = 0
        for field in fields:
            counts = self.view_counts[view : view + field.views]
            extra = sum(counts)
            end = place + field.buffers + extra
            if node >= len(self.nodes) or end > len(self.places) or min(counts, default=0) < 0:
                raise MalformedError("a batch lacks buffers")
            if self.nodes[node][0] != self.rows:
                raise MalformedError("a column has not as many rows as its batch")
            buffers = [self._buffer(*at) for at in self.places[place:end]]
            own = len(buffers) - extra
            yield field, Column(self.rows, buffers[:own], buffers[own:])
            node, place, view = node + field.nodes, end, view + field.views

    def _buffer(self, at: int, size: int) -> bytes:
        if at < 0 or size < 0 or at + size > len(self.data):
            raise MalformedError("a buffer lies outside of its batch")
        return self.data[at : at + size]


def of_dictionary(field: Field) -> Field:
    """The field of the values in ``field``'s dictionary, which only plain types can be."""
    views = int(field.kind == UTF8_VIEW)
    return replace(field, dictionary=None, nodes=1, buffers=BUFFERS[field.kind], views=views)


def values(field: Field, column: Column, dictionaries: dict[int, list[Any]]) -> list[Any]:
    """The column's values; null is None."""
    if field.dictionary is not None:
        found = _from_dictionary(field, column, dictionaries)
    else:
        found = _plain(field, column)
    bits = column.buffers[0] if column.buffers else b""
    if not bits or not column.rows:
        return found
    valid = _bits(bits, column.rows)
    if valid.all():
        return found
    return [v if ok else None for v, ok in zip(found, valid.tolist(), strict=True)]


def _plain(field: Field, column: Column) -> list[Any]:
    kind, rows = field.kind, column.rows
    if kind == NULL:
        return [None] * rows
    if kind in (INT, FLOAT):
        return _array(column.buffers[1], field.dtype, rows).tolist()
    if kind == BOOL:
        return _bits(column.buffers[1], rows).tolist()
    if kind in (DATE, TIMESTAMP):
        return _times(_array(column.buffers[1], field.dtype, rows), field.unit)
    if kind in (UTF8, LARGE_UTF8):
        return _texts(column, "<i4" if kind == UTF8 else "<i8")
    if kind == UTF8_VIEW:
        return _viewed(column)
    raise RequestError(
        400, f"column {shown(field.name)} is of Arrow's type {field.kind_name}; "
        f"{UNDERSTOOD} is needed",
    )  # fmt: skip


def _array(buffer: bytes, dtype: str, count: int) -> Any:
    if count * np.dtype(dtype).itemsize > len(buffer):
        raise MalformedError("a buffer is shorter than its rows")
    return np.frombuffer(buffer, dtype, count)


def _bits(buffer: bytes, count: int) -> Any:
    if count > 8 * len(buffer):
        raise MalformedError("a buffer is shorter than its rows")
    raw = np.frombuffer(buffer, np.uint8)
    return np.unpackbits(raw, count=count, bitorder="little").astype(bool)


def _times(raw: Any, unit: str) -> list[Any]:
    """Times as datetime, to the microsecond; what no datetime holds stays a number, and is bad."""
    with np.errstate(over="ignore"):
        ticks = {"D": 1, "s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}[unit]
        if unit == "ns":
            return (raw // 1000).astype("datetime64[us]").tolist()
        seconds = raw.astype("float64") / ticks * (86_400 if unit == "D" else 1)
        if len(raw) and np.abs(seconds).max() > 1e11:
            return raw.tolist()
        return raw.astype("int64").astype(f"datetime64[{unit}]").astype("datetime64[us]").tolist()


def _texts(column: Column, dtype: str) -> list[str]:
    _, raw_offsets, data = column.buffers
    if not column.rows:
        return []
    offsets = _array(raw_offsets, dtype, column.rows + 1)
    if offsets[0] < 0 or offsets[-1] > len(data) or (np.diff(offsets) < 0).any():
        raise MalformedError("text lies outside of its buffer")
    ends = offsets.tolist()
    return [_text(data[a:b]) for a, b in pairwise(ends)]


def _viewed(column: Column) -> list[str]:
    """Text of at most 12 bytes in the view itself, longer text where the view points to."""
    raw = column.buffers[1]
    lengths = _array(raw, "<i4", 4 * column.rows).reshape(-1, 4)
    total = int(lengths[:, 0].astype("int64").sum())
    if (lengths < 0).any() and (lengths[:, 0] < 0).any():
        raise MalformedError("text is shorter than nothing")
    if total > MAX_SHARING * (len(raw) + sum(map(len, column.views))):
        raise MalformedError("its text is far longer than its buffers")
    found: list[str] = []
    for row, (size, _, buffer, offset) in enumerate(lengths.tolist()):
        if size <= 12:
            found.append(_text(raw[16 * row + 4 : 16 * row + 4 + size]))
        elif 0 <= buffer < len(column.views) and 0 <= offset <= len(column.views[buffer]) - size:
            found.append(_text(column.views[buffer][offset : offset + size]))
        else:
            raise MalformedError("text lies outside of its buffer")
    return found


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MalformedError(f"text is not UTF-8: {shown(raw)}") from None


def _from_dictionary(field: Field, column: Column, dictionaries: dict[int, list[Any]]) -> list[Any]:
    words = dictionaries.get(-1 if field.dictionary is None else field.dictionary)
    if words is None and column.rows:
        raise MalformedError("a dictionary is missing")
    indices = _array(column.buffers[1], field.index_dtype, column.rows).tolist()
    bits = column.buffers[0]
    valid = _bits(bits, column.rows).tolist() if bits else [True] * column.rows
    found: list[Any] = []
    for index, ok in zip(indices, valid, strict=True):
        if ok and not 0 <= index < len(words or []):
            raise MalformedError("a value lies outside of its dictionary")
        found.append(words[index] if ok and words else None)
    return found

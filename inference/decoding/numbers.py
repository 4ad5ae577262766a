"""The quick way from a body to rows, for signatures of numbers alone: bytes to a float64 matrix.

What is not understood in full (null, text, a name twice, another width, an integer that float64
does not hold) is left to the careful decoder, which alone words the errors. What is understood
has the very values that the careful decoder gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import itemgetter
from struct import Struct
from typing import Any, cast

import numpy as np
import orjson
import simdjson

from inference.decoding.csv_numbers import CsvNumbers
from inference.decoding.large_json import may_have_endless_lists
from inference.decoding.simd import PROBLEMS, Documents, Part
from inference.formats.signature import FLOAT_LIMITS, INT_RANGES, Column, Signature

EXACT = 2.0**53
ROW_FORMS = ("instances", "dataframe_records", "inputs")
INSTANCES, SPACE = b'{"instances":', ord(" ")
# From so many on numpy counts them several times as fast as Python.
MANY_BYTES = 1 << 14

Read = Callable[[bytes], "Part | None"]


class NumberReader:
    """Reads bodies for one signature of numbers; not to be used by two threads at once.

    A part is the number of rows and a buffer of so many rows of float64, in column order. Parts
    go through :meth:`matrix` and :meth:`fits` before a model sees them. Rows that are objects take
    far longer than others: in bodies of more than ``object_bytes`` they are not read.
    """

    def __init__(self, signature: Signature, object_bytes: float = math.inf) -> None:
        self._object_bytes = object_bytes
        columns = signature.columns
        self.names = tuple(column.name for column in columns)
        self.width = len(columns)
        self._known = frozenset(self.names)
        self._booleans = [i for i, c in enumerate(columns) if c.kind == "boolean"]
        self._pack = Struct(f"{self.width}d")
        self._pick: Callable[[dict[str, Any]], tuple[Any, ...]] = (
            itemgetter(*self.names) if self.width > 1 else lambda row: (row[self.names[0]],)
        )
        integers = [(i, *_exact(c)) for i, c in enumerate(columns) if c.kind == "integer"]
        self._integers = [list(values) for values in zip(*integers, strict=True)]
        floats = [
            (i, FLOAT_LIMITS[c.form])
            for i, c in enumerate(columns)
            if c.kind == "number" and c.form in FLOAT_LIMITS
        ]
        self._limits = [list(values) for values in zip(*floats, strict=True)]
        self.is_bounded = bool(self._integers or self._limits)
        self._documents = Documents()
        csv = CsvNumbers(self.names, self._documents, has_names=signature.tensor is None)
        # True and false are no numbers, and other decoders' to read.
        self.csv: Read = _reads_nothing if self._booleans else csv.read
        self.csv_rows: Read = _reads_nothing if self._booleans else csv.read_rows

    @staticmethod
    def reads(signature: Signature) -> bool:
        """Whether every column holds numbers, or true and false; and no name holds a NUL."""
        return bool(signature.columns) and all(
            column.kind in ("number", "integer", "boolean") and "\0" not in column.name
            for column in signature.columns
        )

    # --- JSON

    def json(self, body: bytes) -> Part | None:
        """``instances`` and the other forms of rows; ``inputs`` of columns; ``dataframe_split``."""
        if body[:1] != b"{" or may_have_endless_lists(body):
            return None
        try:
            if self._booleans:
                return self._objects(body)
            if body[:13] == INSTANCES and body.rfind(b":") == 12:
                last = body.rfind(b"[")
                if last == 14 or (last == 15 and body[13] == SPACE):
                    # One list in a list, and no other name or list: a single row.
                    rows = self._documents.parse(body)["instances"]
                    if len(rows) == 1 and len(rows[0]) == self.width:
                        return 1, rows.as_buffer(of_type="d")
                    return None
            return self._any_form(body)
        except PROBLEMS:
            return None

    def _any_form(self, body: bytes) -> Part | None:
        document = self._documents.parse(body)
        if len(document) != 1:
            return None
        for form in ROW_FORMS:
            if (rows := document.get(form)) is not None:
                break
        else:
            return self._split(body, document["dataframe_split"])
        if isinstance(rows, simdjson.Object):
            return self._columns(body, rows) if form == "inputs" else None
        if len(rows) == 0:
            return None
        if isinstance(rows[0], simdjson.Object):
            del document, rows  # a parser with living documents parses no other one
            return self._objects(body)
        return self._array(body, rows) if body.find(b":") == body.rfind(b":") else None

    def _array(self, body: bytes, rows: Any, other_lists: int = 0) -> Part | None:
        """A list of flat lists: as many brackets as rows, each as wide as the signature."""
        count, width = len(rows), self.width
        is_flat = _count(body, b"[") == count + 1 + other_lists
        if not is_flat or set(map(len, rows)) != {width}:
            return None
        return count, rows.as_buffer(of_type="d")

    def _split(self, body: bytes, split: Any) -> Part | None:
        rows = split["data"]
        if len(split) == 1:
            return self._array(body, rows) if body.count(b":") == 2 else None
        given = tuple(split["columns"].as_list())
        lists = len(split) - 1
        if lists > 2 or (lists == 2 and not isinstance(split["index"], simdjson.Array)):
            return None
        if body.count(b":") != lists + 2 or len(given) != self.width:
            return None
        part = self._array(body, rows, lists)
        if part is None or given == self.names:
            return part
        if frozenset(given) != self._known:
            return None
        order = [given.index(name) for name in self.names]
        return part[0], np.ascontiguousarray(self._rows(part[1])[:, order])

    def _columns(self, body: bytes, columns: Any) -> Part | None:
        """An object of flat lists of one length, one for every column."""
        width = self.width
        if len(columns) != width or body.count(b":") != width + 1 or body.count(b"[") != width:
            return None
        parts = [np.frombuffer(columns[name].as_buffer(of_type="d")) for name in self.names]
        count = len(parts[0])
        if count == 0 or any(len(part) != count for part in parts):
            return None
        return count, np.ascontiguousarray(np.stack(parts, axis=1))

    def _objects(self, body: bytes) -> Part | None:
        """A list of objects, or of lists where booleans need their types looked at."""
        if len(body) > self._object_bytes:
            return None
        document = orjson.loads(body)
        if len(document) != 1:
            return None
        form, rows = document.popitem()
        if form not in ROW_FORMS or not isinstance(rows, list) or not rows:
            return None
        rows = cast("list[Any]", rows)
        colons = body.count(b":") - 1
        if isinstance(rows[0], dict):
            if colons != len(rows) * self.width:
                return None
            rows = [self._pick(row) for row in cast("list[dict[str, Any]]", rows)]
        elif colons:
            return None
        pack, plain = self._pack.pack, len(self._booleans)
        parts: list[bytes] = []
        for row in rows:
            kinds = list(map(type, row))
            if kinds.count(bool) != plain or any(kinds[i] is not bool for i in self._booleans):
                return None
            parts.append(pack(*row))
        return len(rows), b"".join(parts)

    # --- parts

    def _rows(self, values: Any) -> Any:
        return np.frombuffer(values).reshape(-1, self.width)

    def matrix(self, parts: list[Any]) -> Any:
        """The values of several parts below one another: float64 of shape (rows, columns)."""
        return self._rows(parts[0] if len(parts) == 1 else b"".join(parts))

    def fits(self, matrix: Any) -> bool:
        """Whether all values lie in their columns' ranges, and integers are whole and exact."""
        if self._integers:
            columns, low, above = self._integers
            values = matrix[:, columns]
            is_whole = (values >= low) & (values < above) & (values % 1.0 == 0.0)
            if not is_whole.all() or (np.signbit(values) & (values == 0.0)).any():
                return False  # -0.0 is no integer
        if self._limits:
            columns, limits = self._limits
            return bool((abs(matrix[:, columns]) <= limits).all())
        return True


def _count(body: bytes, byte: bytes) -> int:
    if len(body) < MANY_BYTES:
        return body.count(byte)
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == byte[0]))


def _reads_nothing(_body: bytes) -> Part | None:
    return None


def _exact(column: Column) -> tuple[float, float]:
    """The column's range, as far as float64 holds every integer of it."""
    low, above = INT_RANGES[column.form or "int64"]
    return max(float(low), 1.0 - EXACT), min(float(above), EXACT)

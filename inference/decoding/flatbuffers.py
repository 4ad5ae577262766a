"""Tables in flatbuffers, as Arrow's metadata is written; every place is checked before it is read.

https://flatbuffers.dev/internals/: a table starts with the distance back to its vtable, which says
where in the table each field is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


class MalformedError(ValueError):
    """The bytes are no such table."""


@dataclass(frozen=True)
class Table:
    """One table in ``data``, at ``at``."""

    data: bytes
    at: int

    @staticmethod
    def root(data: bytes) -> Table:
        return Table(data, _read(data, 0, "I"))

    def number(self, field: int, form: str, default: int = 0) -> int:
        """A scalar; ``form`` as in ``struct``."""
        at = self._place(field)
        return default if at is None else _read(self.data, at, form)

    def text(self, field: int) -> str:
        at = self._place(field)
        if at is None:
            return ""
        at += _read(self.data, at, "I")
        size = _read(self.data, at, "I")
        raw = self.data[at + 4 : at + 4 + size]
        if len(raw) != size:
            raise MalformedError("text is cut short")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise MalformedError("text is not UTF-8") from None

    def table(self, field: int) -> Table | None:
        at = self._place(field)
        return None if at is None else Table(self.data, at + _read(self.data, at, "I"))

    def tables(self, field: int) -> list[Table]:
        start, count = self._vector(field, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self.data, at + _read(self.data, at, "I")) for at in places]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structs of two longs."""
        start, count = self._vector(field, 16)
        return list(struct.iter_unpack("<qq", self.data[start : start + 16 * count]))

    def longs(self, field: int) -> list[int]:
        start, count = self._vector(field, 8)
        return [n for (n,) in struct.iter_unpack("<q", self.data[start : start + 8 * count])]

    def _vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        at = self._place(field)
        if at is None:
            return 0, 0
        at += _read(self.data, at, "I")
        count = _read(self.data, at, "I")
        if at + 4 + count * item_bytes > len(self.data):
            raise MalformedError("a list is cut short")
        return at + 4, count

    def _place(self, field: int) -> int | None:
        vtable = self.at - _read(self.data, self.at, "i")
        if 4 + 2 * field >= _read(self.data, vtable, "H"):
            return None
        offset = _read(self.data, vtable + 4 + 2 * field, "H")
        return self.at + offset if offset else None


def _read(data: bytes, at: int, form: str) -> int:
    if at < 0:
        raise MalformedError("a place lies outside")
    try:
        return struct.unpack_from("<" + form, data, at)[0]
    except struct.error:
        raise MalformedError("a place lies outside") from None

"""The quick way from CSV of plain numbers to a float64 matrix: read as JSON, by simdjson.

What CSV alone knows (quotes, empty cells, other spellings) is no JSON, and left to the careful
decoder, which has the very same values for the rest.
"""

from __future__ import annotations

import numpy as np

from inference.decoding.large_json import may_have_endless_lists
from inference.decoding.simd import KEPT_BYTES, PROBLEMS, Documents, Part

# Between lines, where there are many.
MARKED_BYTES = 1 << 16
MARK = b",3e99,"


class CsvNumbers:
    """Lines of plain numbers, each spelled as JSON spells them.

    ``has_names``: whether rows may come under the columns' names.
    """

    def __init__(self, names: tuple[str, ...], documents: Documents, *, has_names: bool) -> None:
        self._names = names
        self._width = len(names)
        self._documents = documents
        sorted_names = sorted(name.encode() for name in names)
        # Columns named by numbers; an array's columns have no names that anybody would send.
        is_like_row = has_names and all(map(_begins_with_number, sorted_names))
        self._may_be_header = sorted_names if is_like_row else []

    def read(self, body: bytes) -> Part | None:
        """Rows, and their names or none in the first line; None where the careful decoder may."""
        if b"\r" in body:
            body = body.replace(b"\r\n", b"\n")
        if not _begins_with_number(body):
            begin = self._end_of_header(body)
            return self._read(body, begin) if begin else None
        if self._may_be_header and self._is_header(body):
            return None
        return self._read(body)

    def read_rows(self, body: bytes) -> Part | None:
        """As :meth:`read`, for a body that is said to have no header."""
        if b"\r" in body:
            body = body.replace(b"\r\n", b"\n")
        return self._read(body) if _begins_with_number(body) else None

    def _read(self, body: bytes, begin: int = 0) -> Part | None:
        end = len(body) - body.endswith(b"\n")
        if end <= begin or body.find(b"[", begin) >= 0 or b"\r" in body:
            return None
        is_quicker_marked = MARKED_BYTES <= len(body) <= KEPT_BYTES
        try:
            part = self._marked(body, begin, end) if is_quicker_marked else None
            part = part or self._lines(body[begin:end])
        except PROBLEMS:
            return None
        # JSON's -0 is an integer and has no sign, CSV's has.
        if (
            part is not None
            and body.find(b"-0", begin) >= 0
            and not np.frombuffer(part[1]).all()
            and body.count(b"-0", begin) != body.count(b"-0.", begin)
        ):
            return None
        return part

    def _lines(self, body: bytes) -> Part | None:
        """Each line a list."""
        if may_have_endless_lists(body, b"\n"):
            return None
        rows = self._documents.parse(b"[[%b]]" % body.replace(b"\n", b"],["))
        if set(map(len, rows)) != {self._width}:
            return None
        return len(rows), rows.as_buffer(of_type="d")

    def _marked(self, body: bytes, begin: int, end: int) -> Part | None:
        """All lines one list, which is quicker for many, with a mark after each but the last.

        As many marks as line ends, each where a row ends: so no cell is one, and no line has
        another width.
        """
        marked = memoryview(body.replace(b"\n", MARK))
        longer = len(MARK) - 1
        before, after = longer * (begin > 0), longer * (end < len(body))
        marks = (len(marked) - len(body) - before - after) // longer
        rows = marked[begin + before : len(marked) - (len(body) - end) - after]
        document = self._documents.parse(b"".join((b"[", rows, MARK[:-1], b"]")))
        values = np.frombuffer(document.as_buffer(of_type="d"))
        if len(values) != (marks + 1) * (self._width + 1):
            return None
        is_mark = values == float(MARK[1:-1])
        is_at_end = is_mark[self._width :: self._width + 1]
        if np.count_nonzero(is_mark) != marks + 1 or not is_at_end.all():
            return None
        return marks + 1, np.ascontiguousarray(values.reshape(marks + 1, -1)[:, :-1])

    def _end_of_header(self, body: bytes) -> int:
        """Where the rows begin, behind the columns' names; 0 where the first line is another."""
        end = body.find(b"\n")
        try:
            is_header = end >= 0 and tuple(body[:end].decode().split(",")) == self._names
        except UnicodeDecodeError:
            return 0
        return end + 1 if is_header else 0

    def _is_header(self, body: bytes) -> bool:
        """Whether the first line, of numbers, holds the columns' names in any order."""
        end = body.find(b"\n")
        cells = (body if end < 0 else body[:end]).split(b",")
        return sorted(cells) == self._may_be_header


def _begins_with_number(text: bytes) -> bool:
    return text[:1].isdigit() or text.startswith(b"-")

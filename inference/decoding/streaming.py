"""Bodies that are decoded while they come: cut into lines, and these into chunks of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from inference.decoding.decoded import Decoded
from inference.errors import RequestError
from inference.formats.signature import Signature
from inference.http.limits import MAX_BODY_BYTES

# A row as large as a whole real-time request is no row.
MAX_RECORD_BYTES = MAX_BODY_BYTES
CHUNK_ROWS = 1000


class RowStream(ABC):
    """Fed the pieces of a body, it gives the rows that are complete, in chunks.

    However the body is cut into pieces, the rows are the same. It holds at most ``chunk_rows``
    rows, one piece and one row that is not complete. Row numbers in errors count from the body's
    first row. ``chunk_rows`` None: all rows come at the end, as one chunk.

    Raises:
        RequestError: from ``feed`` and ``end``; the stream must not be used after it.
    """

    def __init__(self, signature: Signature, chunk_rows: int | None = CHUNK_ROWS) -> None:
        self.signature = signature
        self.rows_given = 0
        self._chunk_rows = chunk_rows
        self._rows: list[list[Any]] = []
        self._row_bytes = 0
        self._tail = bytearray()
        self._offset = 0

    def feed(self, piece: bytes) -> list[Decoded]:
        """The chunks that are full after ``piece``; often none."""
        at = piece.rfind(b"\n") + 1
        if not at:
            self._tail += piece
            self._refuse_long(len(self._tail))
            return []
        lines = bytes(self._tail) + piece[:at]
        self._tail = bytearray(piece[at:])
        return self._take(lines, is_last=False)

    def rest(self) -> list[Decoded]:
        """The rows that are complete, though they fill no chunk."""
        return [self._flush(len(self._rows))] if self._rows else []

    def end(self) -> list[Decoded]:
        """The last chunks; a last line needs no line end."""
        chunks = self._take(bytes(self._tail), is_last=True)
        self._tail.clear()
        if self._rows or (self._chunk_rows is None and not chunks):
            chunks.append(self._flush(len(self._rows)))
        return chunks

    def _take(self, lines: bytes, *, is_last: bool) -> list[Decoded]:
        chunks: list[Decoded] = []
        self._row_bytes += len(lines)
        try:
            self._read(lines, is_last=is_last)
        except RequestError:
            if self._rows:
                self._flush(len(self._rows))  # what is wrong in a row before comes first
            raise
        self._offset += len(lines)
        while self._chunk_rows is not None and len(self._rows) >= self._chunk_rows:
            chunks.append(self._flush(self._chunk_rows))
        return chunks

    def _flush(self, rows: int) -> Decoded:
        data, self._rows = self._rows[:rows], self._rows[rows:]
        decoded = self._decode(data, self._row_bytes)
        if self.rows_given:
            decoded = replace(decoded, first_row=self.rows_given)
        if not self._rows:
            self._row_bytes = 0
        self.rows_given += rows
        return decoded

    @property
    def is_at_row(self) -> bool:
        """Whether a row in the signature's order, or a header, comes next, and nothing is held."""
        return not (self._tail or self._rows)

    @property
    def has_begun(self) -> bool:
        """Whether no header can come any more."""
        return self.rows_given > 0

    def skip(self, decoded: Decoded, body_bytes: int) -> Decoded:
        """The same rows with their numbers, where others decoded what comes next."""
        numbered = replace(decoded, first_row=self.rows_given)
        self.rows_given += decoded.rows
        self._offset += body_bytes
        return numbered

    @property
    def held_bytes(self) -> int:
        """How much of a row that is not complete has come."""
        return len(self._tail)

    @property
    def _number(self) -> int:
        """The number of the row that comes next."""
        return self.rows_given + len(self._rows)

    def _refuse_long(self, size: int) -> None:
        if self._chunk_rows is not None and size > MAX_RECORD_BYTES:
            raise RequestError(
                413, f"row {self._number} has more than {MAX_RECORD_BYTES} bytes; a row that "
                "long cannot be taken",
            )  # fmt: skip

    @abstractmethod
    def _read(self, lines: bytes, *, is_last: bool) -> None:
        """Append the rows in ``lines``, each ended by a line end but perhaps the last line's."""

    @abstractmethod
    def _decode(self, data: list[list[Any]], body_bytes: int) -> Decoded:
        """Checked columns of these rows; the first of them has the number ``rows_given``."""


def whole(stream: RowStream, body: bytes) -> Decoded:
    """A body that is there in full, by a stream whose ``chunk_rows`` is None."""
    stream.feed(body)
    (decoded,) = stream.end()
    return decoded

"""CSV (RFC 4180): a row a record, in the signature's order or as a header says."""

from __future__ import annotations

import csv
import io
from operator import itemgetter
from typing import Any

from inference.decoding.decoded import Decoded, absent, from_columns, refuse_repeated, refuse_width
from inference.decoding.streaming import CHUNK_ROWS, MAX_RECORD_BYTES, RowStream, whole
from inference.errors import RequestError, shown
from inference.formats.signature import Signature, from_texts
from inference.formats.strict_json import BYTE_ORDER_MARK

HEADERS = ("present", "absent")
# Python's own limit is 128 KiB a cell; ours is one a row, and one a body.
csv.field_size_limit(MAX_RECORD_BYTES)


class CsvStream(RowStream):
    """CSV as it comes; the header is looked for once.

    ``header``: what the content type says of it. ``batch``: the body is one of several chunks of a
    file, of which the first alone has the header.
    """

    def __init__(
        self,
        signature: Signature,
        header: str | None = None,
        *,
        batch: bool = False,
        chunk_rows: int | None = CHUNK_ROWS,
    ) -> None:
        super().__init__(signature, chunk_rows)
        if header is not None and header not in HEADERS:
            raise RequestError(400, f"header is {shown(header)}; present or absent is needed")
        self._header = header
        self._batch = batch
        self._names: list[str] | None = None
        self._ignored = 0
        self._held: list[str] = []
        self._held_size = self._tried = 0
        self._quoted = False

    @property
    def is_at_row(self) -> bool:
        in_order = self._names is None or self._names == self.signature.names
        return super().is_at_row and not self._held and in_order

    @property
    def has_begun(self) -> bool:
        return self._names is not None

    def skip(self, decoded: Decoded, body_bytes: int) -> Decoded:
        self._names = self.signature.names
        return super().skip(decoded, body_bytes)

    @property
    def held_bytes(self) -> int:
        return super().held_bytes + self._held_size

    def _read(self, lines: bytes, *, is_last: bool) -> None:
        if not self._offset:
            lines = lines.removeprefix(BYTE_ORDER_MARK)
        try:
            text = lines.decode()
        except UnicodeDecodeError as error:
            at = self._offset + error.start
            raise RequestError(400, f"the CSV is not UTF-8 (byte {at})") from None
        self._held += io.StringIO(text, newline="")
        self._held_size += len(text)
        self._quoted |= '"' in text
        # A record that was not complete can only end with a quote, and is looked at again when
        # it has doubled, so that a long one costs no more than twice its length.
        is_worth_it = self._quoted and self._held_size > 2 * self._tried
        if is_last or is_worth_it or not self._tried or self._held_size > MAX_RECORD_BYTES:
            self._parse(is_last=is_last)
        if is_last and self._names is None and self._header != "absent":
            raise RequestError(
                400, f"the body is empty; rows of {self.signature.listed} are needed"
            )

    def _parse(self, *, is_last: bool) -> None:
        reader = csv.reader(iter(self._held), strict=True)
        done = 0
        try:
            for record in reader:
                done = reader.line_num
                # Most records by far are rows of the right width.
                if self._names is not None and len(record) == len(self._names):
                    self._rows.append(record)
                else:
                    self._record(record)
        except csv.Error as error:
            if is_last or "unexpected end" not in str(error):
                raise RequestError(
                    400, f"row {self._number}: the body is not CSV: {error}"
                ) from None
        self._held = self._held[done:]
        self._held_size = self._tried = sum(map(len, self._held))
        self._quoted = False
        self._refuse_long(self._held_size)

    def _record(self, record: list[str]) -> None:
        # A blank line is a row only where a row may be one empty cell.
        if not record:
            if len(self.signature.columns) != 1:
                return
            record = [""]
        if self._names is None:
            self._names = self.signature.names
            if self._is_header(record):
                self._begin(record)
                return
            if self._header is None:
                _explain_header(self.signature, record)
        if self._names is self.signature.names:
            refuse_width(self.signature, self._number, record, "cells")
        elif len(record) != len(self._names):
            raise RequestError(
                400, f"row {self._number} has {len(record)} cells; the header names "
                f"{len(self._names)}",
            )  # fmt: skip
        self._rows.append(record)

    def _is_header(self, first: list[str]) -> bool:
        """A first line is a header if it is said to be, or holds exactly the signature's names."""
        signature = self.signature
        is_names = sorted(first) == sorted(signature.names)
        if self._batch and self._header != "absent":
            is_said = self._header == "present" and signature.known < set(first)
            if is_said or (is_names and signature.tensor is None and first != signature.names):
                raise RequestError(
                    400, "in a batch the header must be exactly the model's columns in their "
                    "order, since later chunks have none; needed is "
                    f"{signature.listed}",
                )  # fmt: skip
            return is_names and (signature.tensor is None or self._header == "present")
        if self._header is not None:
            return self._header == "present"
        return signature.tensor is None and is_names

    def _begin(self, names: list[str]) -> None:
        refuse_repeated(names)
        strange = set(names) - self.signature.known
        for column in self.signature.columns:
            if not column.nullable and column.name not in names:
                raise absent(self.signature, column.name, strange)
        self._names = names
        self._ignored = len(strange)

    def _decode(self, data: list[list[Any]], body_bytes: int) -> Decoded:
        names = self._names or self.signature.names
        position = {name: itemgetter(i) for i, name in enumerate(names)}
        given = {
            column.name: from_texts(column, list(map(position[column.name], data)))
            for column in self.signature.columns
            if column.name in position
        }
        found = from_columns(self.signature, given, len(data), body_bytes, self.rows_given)
        ignored, self._ignored = self._ignored, 0
        return Decoded(found.columns, found.rows, ignored=ignored)


def _explain_header(signature: Signature, first: list[str]) -> None:
    """A first line that is mostly names is a header that went wrong: say in which column.

    One of numbers alone is a row, though columns may have such names.
    """
    known = signature.known
    is_header = 2 * sum(name in known for name in first) > len(first)
    if not is_header or signature.tensor is not None or all(map(_is_number, first)):
        return
    refuse_repeated(first)
    strange = [name for name in first if name not in known]
    for column in signature.columns:
        if column.name not in first:
            raise absent(signature, column.name, strange)
    raise RequestError(
        400, f"the first line names {shown(strange[0])}, which the model does not know; say "
        "text/csv; header=present to have it ignored",
    )  # fmt: skip


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def decode(
    signature: Signature, body: bytes, header: str | None = None, *, batch: bool = False
) -> Decoded:
    """The whole body at once."""
    return whole(CsvStream(signature, header, batch=batch, chunk_rows=None), body)

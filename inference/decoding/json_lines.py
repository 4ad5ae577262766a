"""JSON lines: a row a line, as an object or as a list in the signature's order."""

from __future__ import annotations

from typing import Any, cast

from inference.decoding.decoded import (
    Decoded,
    absent,
    from_columns,
    kind_of,
    refuse_width,
)
from inference.decoding.streaming import RowStream, whole
from inference.errors import RequestError
from inference.formats import strict_json
from inference.formats.signature import Signature


class JsonLinesStream(RowStream):
    """JSON lines as they come; lines of white space are no rows."""

    _strange: frozenset[str] = frozenset()
    _counted = 0

    def _read(self, lines: bytes, *, is_last: bool) -> None:  # noqa: ARG002 CSV's
        if not self._offset:
            lines = lines.removeprefix(strict_json.BYTE_ORDER_MARK)
        for line in lines.split(b"\n"):
            self._refuse_long(len(line))
            if not line or line.isspace():
                continue
            try:
                value = strict_json.parse(line)
            except RequestError as error:
                raise RequestError(error.status, f"row {self._number}: {error}") from None
            self._rows.append(self._row(value))

    def _row(self, value: Any) -> list[Any]:
        if isinstance(value, list):
            row = cast("list[Any]", value)
            refuse_width(self.signature, self._number, row, "values")
            return row
        if not isinstance(value, dict):
            raise RequestError(
                400, f"row {self._number} is {kind_of(value)}; an object or a list is needed"
            )
        record = cast("dict[str, Any]", value)
        row = [record.get(name) for name in self.signature.names]
        if len(record) != len(row) or record.keys() != self.signature.known:
            self._strange |= record.keys() - self.signature.known
            for column in self.signature.columns:
                if not column.nullable and column.name not in record:
                    strange = record.keys() - self.signature.known
                    why = absent(self.signature, column.name, strange)
                    raise RequestError(400, f"row {self._number}: {why}")
        return row

    def _decode(self, data: list[list[Any]], body_bytes: int) -> Decoded:
        given = {name: [row[i] for row in data] for i, name in enumerate(self.signature.names)}
        found = from_columns(self.signature, given, len(data), body_bytes, self.rows_given)
        ignored = len(self._strange) - self._counted
        self._counted = len(self._strange)
        return Decoded(found.columns, found.rows, ignored=ignored)


def decode(signature: Signature, body: bytes) -> Decoded:
    """The whole body at once."""
    return whole(JsonLinesStream(signature, None), body)

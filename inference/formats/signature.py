"""The columns of a request: what each may hold, and how a value becomes the model's. Pure."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from inference.errors import RequestError, shown
from inference.formats.params import Params

# Formats of JSON schema, and numpy's names where the model takes an array.
INT_RANGES = {f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)} | {
    f"uint{bits}": (0, 2**bits) for bits in (8, 16, 32, 64)
}
FLOAT_LIMITS = {"float16": 65504.0, "float": 3.4028234663852886e38}
FLOAT_LIMITS["float32"] = FLOAT_LIMITS["float"]
MAX_FLOAT = sys.float_info.max
# What pandas' datetime64[ns] holds.
FIRST_YEAR, LAST_YEAR = 1678, 2261
MAX_LISTED = 600
# How most bodies of CSV spell them; any case of letters will do.
BOOLEANS = {"true": True, "false": False, "True": True, "False": False}


@dataclass(frozen=True)
class Column:
    """One column of the signature; ``kind`` is JSON schema's type, ``form`` its format."""

    name: str
    kind: str
    form: str
    nullable: bool

    @property
    def wanted(self) -> str:
        """What the column takes, as an error says it."""
        names = {"number": "a finite number", "boolean": "true or false"}
        if self.form == "date-time":
            return f"a date and time in ISO 8601, of the years {FIRST_YEAR} to {LAST_YEAR},"
        if self.kind == "integer":
            low, above = INT_RANGES[self.form or "int64"]
            return f"a whole number from {low} to {above - 1}"
        return names.get(self.kind, "text")


@dataclass(frozen=True)
class Signature:
    """The model's input: columns in order; ``tensor`` is a numpy dtype where it takes an array.

    ``params``: what may come beside the rows.
    """

    columns: tuple[Column, ...]
    tensor: str | None
    params: Params = field(default_factory=Params)

    @cached_property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @staticmethod
    def from_schema(schema: dict[str, Any], params: Params | None = None) -> Signature:
        """From the JSON schema of one row in ``slipway.json``."""
        properties: dict[str, Any] = schema["properties"]
        tensor: str | None = schema.get("x-tensor")
        return Signature(
            tuple(
                Column(
                    name,
                    properties[name]["type"],
                    tensor or properties[name].get("format", ""),
                    bool(properties[name].get("nullable", False)),
                )
                for name in schema["x-columns"]
            ),
            tensor,
            params or Params(),
        )

    def __contains__(self, name: object) -> bool:
        return name in self.known

    @cached_property
    def known(self) -> frozenset[str]:
        """The columns' names."""
        return frozenset(self.names)

    @cached_property
    def listed(self) -> str:
        """The columns' names, as an error lists them; of very many the first ones."""
        text = ", ".join(self.names)
        if len(text) <= MAX_LISTED:
            return text
        return f"{text[:MAX_LISTED].rpartition(', ')[0]}, … ({len(self.columns)} in all)"


def checked(column: Column, values: list[Any], first_row: int = 0) -> list[Any]:
    """The column's values as the model takes them; the first bad one is an error that names it."""
    fitting = _all_fit(column, values)
    if fitting is not None:
        return fitting
    take = _TAKERS[column.form if column.form == "date-time" else column.kind]
    result: list[Any] = []
    for row, value in enumerate(values, first_row):
        taken = _null(column, row) if is_null(value) else take(value, column)
        if taken is _BAD:
            raise RequestError(
                400, f"row {row}, column {column.name!r}: {shown(value)} came; "
                f"{column.wanted} is needed",
            )  # fmt: skip
        result.append(taken)
    return result


def _all_fit(column: Column, values: list[Any]) -> list[Any] | None:
    """The values, where a look at the whole column tells that each is good; None if it does not."""
    kinds = set(map(type, values))
    match column.kind:
        case "number" if kinds <= {float} and column.form not in FLOAT_LIMITS:
            return None if any(map(math.isinf, values)) else values
        case "integer" if kinds == {int}:
            low, above = INT_RANGES[column.form or "int64"]
            return values if low <= min(values) and max(values) < above else None
        case "boolean" if kinds <= {bool}:
            return values
        case "string" if kinds <= {str} and column.form != "date-time":
            return values
        case _:
            return None


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _null(column: Column, row: int) -> Any:
    if column.kind == "number":
        return math.nan
    if column.nullable:
        return math.nan if column.kind == "integer" else None
    raise RequestError(
        400, f"row {row}, column {column.name!r}: null came; {column.wanted} is needed"
    )


class _Bad:
    """Marks a value that does not fit its column."""


_BAD = _Bad()


def _number(value: Any, column: Column) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _BAD
    try:
        number = float(value)
    except OverflowError:
        return _BAD
    return number if abs(number) <= FLOAT_LIMITS.get(column.form, MAX_FLOAT) else _BAD


def _integer(value: Any, column: Column) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _BAD
    if isinstance(value, float) and not value.is_integer():
        return _BAD
    low, above = INT_RANGES[column.form or "int64"]
    return int(value) if low <= int(value) < above else _BAD


def _boolean(value: Any, _column: Column) -> Any:
    return value if isinstance(value, bool) else _BAD


def _text(value: Any, _column: Column) -> Any:
    return value if isinstance(value, str) else _BAD


def _datetime(value: Any, _column: Column) -> Any:
    if not isinstance(value, str | dt.datetime):
        return _BAD
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        if moment.tzinfo is not None:
            # The model's columns have no time zone, so what has one means UTC.
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return _BAD
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else _BAD


_TAKERS: dict[str, Callable[[Any, Column], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _text,
    "date-time": _datetime,
}


def from_texts(column: Column, cells: list[str]) -> list[Any]:
    """A column's CSV cells as the JSON values that they spell."""
    if column.kind in ("number", "integer"):
        spelled = "".join(cells)
        # Python would read 1_000 as a number, and digits of any script.
        if spelled.isascii() and "_" not in spelled:
            try:
                return list(map(int if column.kind == "integer" else float, cells))
            except ValueError:  # an empty cell, a whole number spelled 5.0, or no number
                pass
    elif column.kind == "string":
        return [cell or None for cell in cells] if column.nullable else cells
    elif column.kind == "boolean" and BOOLEANS.keys() >= set(cells):
        return [BOOLEANS[cell] for cell in cells]
    return [from_text(column, cell) for cell in cells]


def from_text(column: Column, cell: str) -> Any:
    """A CSV cell as the JSON value that it spells; an empty cell is null."""
    if cell == "" and not (column.kind == "string" and not column.nullable):
        return None
    match column.kind:
        case "number" | "integer" if cell.isascii() and "_" not in cell:
            for spelled in (int, float) if column.kind == "integer" else (float,):
                try:
                    return spelled(cell)
                except ValueError:
                    continue
            return cell
        case "boolean":
            return {"true": True, "false": False}.get(cell.lower(), cell)
        case _:
            return cell

"""What every format decodes to: the signature's columns, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.errors import RequestError, shown
from inference.formats.signature import Signature, checked

# Values that any body may ask for, and beyond that as many as its bytes could spell: packed bits
# and columns that are absent cost no bytes, but each of their values costs memory.
FREE_VALUES = 1_000_000
VALUES_PER_BYTE = 3


@dataclass(frozen=True)
class V2Request:
    """What a V2 request says beside its tensors: its id, and which outputs it wants (all: none)."""

    id: str | None = None
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """Checked columns in the signature's order, and how many rows they have.

    ``matrix``: the same as a C-contiguous float64 array of shape (rows, columns), where every
    column holds numbers that float64 holds exactly; null is NaN. It may stand without columns.
    ``ignored``: how many columns came that the model does not know. ``v2``: set where the body was
    a V2 request, which is answered in V2's form. ``first_row``: the number of the first row, in
    the body that these are a part of. ``params``: what the model is given beside the rows; None
    where it takes its defaults.
    """

    columns: dict[str, list[Any]]
    rows: int
    matrix: Any = None
    ignored: int = 0
    v2: V2Request | None = None
    first_row: int = 0
    params: dict[str, Any] | None = None


def from_columns(
    signature: Signature,
    given: Mapping[str, list[Any]],
    rows: int,
    body_bytes: int,
    first_row: int = 0,
    unknown: Iterable[str] = (),
) -> Decoded:
    """Columns by name; nullable ones may be absent, and what the model does not know is counted.

    ``unknown``: further names that came, whose values nobody needs.
    """
    refuse_bomb(signature, rows, body_bytes)
    strange = {*unknown, *(name for name in given if name not in signature)}
    columns: dict[str, list[Any]] = {}
    for column in signature.columns:
        values = given.get(column.name)
        if values is None:
            if not column.nullable:
                raise absent(signature, column.name, strange)
            values = [None] * rows
        columns[column.name] = checked(column, values, first_row)
    return Decoded(columns, rows, ignored=len(strange))


def from_rows(
    signature: Signature, data: list[list[Any]], body_bytes: int, first_row: int = 0
) -> Decoded:
    """Rows in the signature's order, each as wide as it."""
    refuse_bomb(signature, len(data), body_bytes)
    return Decoded(
        {
            column.name: checked(column, [row[i] for row in data], first_row)
            for i, column in enumerate(signature.columns)
        },
        len(data),
    )


def refuse_bomb(signature: Signature, rows: int, body_bytes: int) -> None:
    """Refuse a small body that stands for more values than its bytes could ever spell."""
    values = rows * len(signature.columns)
    allowed = max(FREE_VALUES, VALUES_PER_BYTE * body_bytes)
    if values > allowed:
        raise RequestError(
            413, f"{rows} rows of {len(signature.columns)} columns came in {body_bytes} bytes; "
            f"at most {allowed} values are taken from so few bytes; send fewer rows at once",
        )  # fmt: skip


def absent(signature: Signature, name: str, strange: Iterable[str] = ()) -> RequestError:
    """The error for a column that is needed and did not come, with what came in its place."""
    text = f"column {name!r} is missing; needed are {signature.listed}"
    if came := sorted(strange)[:3]:
        text += f"; {', '.join(shown(n) for n in came)} came, which the model does not know"
    return RequestError(400, text)


def refuse_repeated(names: Iterable[str]) -> None:
    """A column that came twice has two values, and nobody knows which is meant."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(400, f"column {shown(name)} came more than once; once is allowed")
        seen.add(name)


def refuse_width(signature: Signature, number: int, row: list[Any], unit: str) -> None:
    """A row by position has exactly one value a column."""
    width = len(signature.columns)
    if len(row) != width:
        raise RequestError(
            400, f"row {number} has {len(row)} {unit}; {width} are needed, in the order "
            f"{signature.listed}",
        )  # fmt: skip


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")

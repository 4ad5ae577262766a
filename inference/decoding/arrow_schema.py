"""Arrow's schema message: which columns come, of which types, in how many buffers.

https://arrow.apache.org/docs/format/Columnar.html and Schema.fbs; the numbers are its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.decoding.flatbuffers import MalformedError, Table

MAX_FIELDS = 10_000
MAX_DEPTH = 16

NULL, INT, FLOAT, BINARY, UTF8, BOOL, DATE, TIMESTAMP = 1, 2, 3, 4, 5, 6, 8, 10
LARGE_UTF8, UTF8_VIEW, BINARY_VIEW = 20, 24, 23
NAMES = (
    "none", "null", "int", "floating point", "binary", "utf8", "bool", "decimal", "date", "time",
    "timestamp", "interval", "list", "struct", "union", "fixed size binary", "fixed size list",
    "map", "duration", "large binary", "large utf8", "large list", "run end encoded", "binary view",
    "utf8 view", "list view", "large list view",
)  # fmt: skip
# Buffers of a type itself; its children's come after them.
BUFFERS = {
    NULL: 0, INT: 2, FLOAT: 2, BINARY: 3, UTF8: 3, BOOL: 2, 7: 2, DATE: 2, 9: 2, TIMESTAMP: 2,
    11: 2, 12: 2, 13: 1, 15: 2, 16: 1, 17: 2, 18: 2, 19: 3, LARGE_UTF8: 3, 21: 2, BINARY_VIEW: 2,
    UTF8_VIEW: 2, 25: 3, 26: 3,
}  # fmt: skip
FLOATS = {0: "<f2", 1: "<f4", 2: "<f8"}
MILLISECOND = 1
UNITS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Field:
    """A column: ``dtype`` is numpy's, for types of fixed size; ``unit`` a time's.

    ``dictionary``: the id of its values' dictionary, into which ``dtype`` numbers point;
    ``kind`` and ``value_dtype`` are then the dictionary's.
    """

    name: str
    kind: int
    dtype: str
    unit: str
    dictionary: int | None
    index_dtype: str
    nodes: int
    buffers: int
    views: int

    @property
    def kind_name(self) -> str:
        return NAMES[self.kind] if self.kind < len(NAMES) else f"number {self.kind}"


def fields_of(schema: Table) -> list[Field]:
    """The columns of a schema message."""
    if schema.number(0, "h"):
        raise MalformedError("it is big-endian; little-endian is needed")
    budget = [MAX_FIELDS]
    return [_field(table, budget, 0) for table in schema.tables(1)]


def _field(table: Table, budget: list[int], depth: int) -> Field:
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise MalformedError(f"it has more than {MAX_FIELDS} fields")
    kind = table.number(2, "B")
    of = table.table(3)
    encoding = table.table(4)
    if kind not in BUFFERS or of is None:
        raise MalformedError(f"a column is of Arrow's type {kind}, which is not understood")
    dictionary, index_dtype, children = None, "", list[Field]()
    if encoding is not None:
        index = encoding.table(1)
        dictionary = encoding.number(0, "q")
        index_dtype = "<i4" if index is None else _int(index)
    else:
        children = [_field(child, budget, depth + 1) for child in table.tables(5)]
    own = 2 if dictionary is not None else BUFFERS[kind]
    return Field(
        name=table.text(0),
        kind=kind,
        dtype=_dtype(kind, of),
        unit=_unit(kind, of),
        dictionary=dictionary,
        index_dtype=index_dtype,
        nodes=1 + sum(child.nodes for child in children),
        buffers=own + sum(child.buffers for child in children),
        views=int(dictionary is None and kind in (UTF8_VIEW, BINARY_VIEW))
        + sum(child.views for child in children),
    )


def _int(of: Table) -> str:
    bits = of.number(0, "i")
    if bits not in (8, 16, 32, 64):
        raise MalformedError(f"it has whole numbers of {bits} bits")
    return f"<{'i' if of.number(1, 'B') else 'u'}{bits // 8}"


def _dtype(kind: int, of: Table) -> str:
    match kind:
        case 2:
            return _int(of)
        case 3:
            precision = of.number(0, "h")
            if precision not in FLOATS:
                raise MalformedError(f"it has numbers of precision {precision}")
            return FLOATS[precision]
        case 8:
            return "<i8" if of.number(0, "h", MILLISECOND) else "<i4"
        case 10:
            return "<i8"
        case _:
            return ""


def _unit(kind: int, of: Table) -> str:
    if kind == DATE:
        return "ms" if of.number(0, "h", MILLISECOND) else "D"
    if kind == TIMESTAMP:
        unit = of.number(0, "h")
        if not 0 <= unit < len(UNITS):
            raise MalformedError(f"it has times of unit {unit}")
        return UNITS[unit]
    return ""

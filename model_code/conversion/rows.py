"""Rows to compare a conversion on: drawn around what the model knows, or made to find edges."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = Any
Values = dict[str, list[Any]]
NEVER_SEEN = "never seen before"
EDGES = (0.0, 1e30, -1e30, 16_777_217.0, -16_777_219.0, 9_007_199_254_740_991.0)
INTEGER_BITS = {"int8": 7, "int16": 15, "int32": 31, "uint8": 8, "uint16": 16, "uint32": 32}
MAX_TURNS = 20_000


@dataclass
class Hints:
    """What a model tells of each column: numbers around which it decides, and known categories."""

    numbers: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    categories: dict[int, list[Any]] = field(default_factory=dict[int, list[Any]])

    def add(self, column: int, values: Any) -> None:
        finite = [float(value) for value in np.ravel(values) if np.isfinite(value)]
        self.numbers.setdefault(column, []).extend(finite)


@dataclass(frozen=True)
class Column:
    """One column of the signature with its hints."""

    name: str
    kind: str
    form: str
    is_nullable: bool
    numbers: tuple[float, ...]
    categories: tuple[Any, ...]

    @property
    def largest(self) -> float:
        """The largest number that the column may hold."""
        if self.kind == "integer":
            return float(2 ** INTEGER_BITS.get(self.form, 53) - 1)
        return 3.4e38 if self.form in {"float", "float32"} else 1.7e308

    @property
    def smallest(self) -> float:
        return 0.0 if self.form.startswith("uint") else -self.largest

    def fit(self, value: float) -> Any:
        """The value as the column takes it."""
        value = min(max(value, self.smallest), self.largest)
        return round(value) if self.kind == "integer" else value


def columns_of(schema: dict[str, Any], hints: Hints, points: dict[int, Array]) -> list[Column]:
    """The signature's columns with what the model and its trees tell of them."""
    found: list[Column] = []
    for place, name in enumerate(schema["x-columns"]):
        described = schema["properties"][name]
        turns = np.asarray(points.get(place, ()), dtype=np.float64)
        some = turns[:: max(1, len(turns) // 200)].tolist()
        found.append(
            Column(
                name,
                described["type"],
                schema.get("x-tensor") or described.get("format", ""),
                bool(described.get("nullable")),
                tuple(hints.numbers.get(place, [])) + tuple(some),
                tuple(hints.categories.get(place, [])),
            )
        )
    return found


def drawn(columns: list[Column], count: int, seed: int, *, is_positive: bool = False) -> Values:
    """Plausible rows: within what the model knows of each column, nothing missing or unseen."""
    source = random.Random(seed)
    rows = {column.name: [_draw(column, source) for _ in range(count)] for column in columns}
    if is_positive:
        for column in columns:
            if column.kind in {"number", "integer"}:
                rows[column.name] = [abs(value) for value in rows[column.name]]
    return rows


def _draw(column: Column, source: random.Random) -> Any:
    if column.form == "date-time":
        day, hour = source.randint(1, 28), source.randint(0, 23)
        return f"{source.randint(1990, 2030)}-{source.randint(1, 12):02}-{day:02}T{hour:02}:00:00"
    if column.kind == "boolean":
        return source.random() < 0.5
    if column.categories and (column.kind == "string" or source.random() < 0.95):
        return source.choice(column.categories)
    if column.kind == "string":
        return source.choice(("a", "b", "some text", "Zürich"))
    low, high = (min(column.numbers), max(column.numbers)) if column.numbers else (-3.0, 3.0)
    way = source.random()
    if column.numbers and way < 0.2:
        return column.fit(source.choice(column.numbers))
    if way < 0.9:
        return column.fit(low + (high - low) * source.random())
    middle, width = (low + high) / 2, (high - low) or abs(high) or 1.0
    return column.fit(source.gauss(middle, 2 * width))


def edges(columns: list[Column], base: dict[str, Any]) -> dict[str, Values]:
    """Rows that differ from ``base`` in one column each, by what is special about them."""
    made: dict[str, Values] = {}
    for column in columns:
        for what, value in _specials(column):
            values = made.setdefault(what, {other.name: [] for other in columns})
            for name, cells in values.items():
                cells.append(value if name == column.name else base[name])
    return made


def _specials(column: Column) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if column.is_nullable or column.kind == "number":
        found.append(("a null", None))
    if column.form == "date-time" or column.kind == "boolean":
        return found
    if column.kind == "string":
        return [*found, ("an empty text", ""), ("a category never seen", NEVER_SEEN)]
    found += [
        (f"{value:g} in one column", column.fit(value))
        for value in EDGES
        if column.smallest <= value <= column.largest
    ]
    if column.categories:
        found.append(("a category never seen", column.fit(-987_654.0)))
    return found


def turns(columns: list[Column], points: dict[int, Array], bases: Values) -> Values:
    """Every threshold of a tree and its two float32 neighbours, each in some row.

    A row holds one of every column that has any left; where a tree has more than MAX_TURNS for a
    column, as many evenly among them.
    """
    series: dict[str, list[Any]] = {}
    for place, column in enumerate(columns):
        values = np.asarray(points.get(place, ()), dtype=np.float64)
        values = values[np.abs(values) < min(column.largest, 3e38)]
        if len(values) and column.kind in {"number", "integer"}:
            values = values[
                np.linspace(0, len(values) - 1, min(len(values), MAX_TURNS)).astype(int)
            ]
            if column.kind == "integer":
                around = np.unique(np.concatenate([np.floor(values), np.ceil(values)]))
            else:
                around = _with_neighbours(values)
            series[column.name] = [column.fit(float(value)) for value in around]
    count = max((len(values) for values in series.values()), default=0)
    source = random.Random(7)
    result: Values = {}
    for column in columns:
        given = series.get(column.name)
        plain = bases[column.name]
        if given is None:
            result[column.name] = [plain[i % len(plain)] for i in range(count)]
        else:
            source.shuffle(given)
            result[column.name] = [given[i % len(given)] for i in range(count)]
    return result


def _with_neighbours(values: Array) -> Array:
    """Each value, as float32, and the float32 below and above; and as it is."""
    narrow = values.astype(np.float32)
    infinity = np.float32(np.inf)
    around = [narrow, np.nextafter(narrow, -infinity), np.nextafter(narrow, infinity)]
    return np.unique(np.concatenate([values, *(part.astype(np.float64) for part in around)]))

"""Asks engines for answers to rows of which some may make them fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inference.engines.frames import FrameEngine
from inference.errors import RequestError
from inference.formats.codecs import Decoded, Predictions
from inference.formats.encoding import listed
from inference.formats.signature import Signature, checked
from scripts.proving.compare import Failed

Ask = Callable[[Decoded], Predictions]


@dataclass(frozen=True)
class Group:
    """Rows of one kind, as the server would have decoded them."""

    what: str
    rows: Decoded


def decoded(signature: Signature, values: dict[str, list[Any]]) -> Decoded:
    """Values as a request would carry them, as the server hands them on."""
    columns = {c.name: checked(c, values[c.name]) for c in signature.columns}
    return with_matrix(signature, columns)


def with_matrix(signature: Signature, columns: dict[str, list[Any]]) -> Decoded:
    """The columns, and the matrix where all of them are numbers."""
    import numpy as np

    count = len(next(iter(columns.values())))
    if any(column.kind == "string" for column in signature.columns):
        return Decoded(columns, count)
    matrix = np.array(list(columns.values()), dtype=np.float64).T
    return Decoded(columns, count, np.ascontiguousarray(matrix))


def part(rows: Decoded, start: int, end: int) -> Decoded:
    columns = {name: values[start:end] for name, values in rows.columns.items()}
    matrix = None if rows.matrix is None else rows.matrix[start:end]
    return Decoded(columns, end - start, matrix)


def acceptable(signature: Signature, values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Without the rows that the server refuses before any model sees them."""
    count = len(next(iter(values.values())))
    kept = [row for row in range(count) if _is_acceptable(signature, values, row)]
    return {name: [cells[row] for row in kept] for name, cells in values.items()}


def _is_acceptable(signature: Signature, values: dict[str, list[Any]], row: int) -> bool:
    try:
        for column in signature.columns:
            checked(column, [values[column.name][row]])
    except RequestError:
        return False
    return True


def ask(engine: Ask, rows: Decoded) -> list[Any]:
    """An answer for every row, Failed where the row makes the engine raise.

    All at once where none does; else halves, so that few bad rows cost few calls.
    """
    if rows.rows == 0:
        return []
    try:
        answers = engine(rows)
    except Exception as error:  # noqa: BLE001 a model may raise anything
        if rows.rows == 1:
            return [Failed(f"{type(error).__name__}: {error}"[:200])]
        middle = rows.rows // 2
        return [
            *ask(engine, part(rows, 0, middle)),
            *ask(engine, part(rows, middle, rows.rows)),
        ]
    if len(answers) != rows.rows:
        raise ValueError(f"{len(answers)} answers for {rows.rows} rows")
    return listed(answers)


def one_by_one(engine: Ask, rows: Decoded) -> list[Any]:
    """Every row alone, as a request with one row."""
    return [ask(engine, part(rows, row, row + 1))[0] for row in range(rows.rows)]


def merges(engine: Ask, rows: Decoded) -> bool:
    """Whether every row has the same answer alone, with a few and with all others, to the digit."""
    whole = ask(engine, rows)
    few = [
        answer
        for start in range(0, rows.rows, 7)
        for answer in ask(engine, part(rows, start, min(start + 7, rows.rows)))
    ]
    alone = one_by_one(engine, rows)
    return all(
        repr(one) == repr(other) == repr(third)
        for one, other, third in zip(whole, few, alone, strict=True)
    )


class Native:
    """The model itself, called as the server would call it; each set of rows is asked once."""

    def __init__(
        self, signature: Signature, call: Callable[[Any], Any], null: Any = math.nan
    ) -> None:
        self.engine = FrameEngine("native", signature, call, merges=False, null=null)
        self._known: list[tuple[Decoded, list[Any]]] = []

    def __call__(self, rows: Decoded) -> list[Any]:
        """An answer for every row, Failed where the model raises."""
        for known, answers in self._known:
            if known is rows:
                return answers
        answers = ask(self.engine, rows)
        self._known.append((rows, answers))
        return answers

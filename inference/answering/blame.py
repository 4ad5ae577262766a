"""Whose fault it is that a model raised: the input's, down to row, column and value, or its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inference.errors import ModelFailedError, RequestError, shown
from inference.formats.codecs import Decoded
from inference.formats.signature import Signature, is_null

MAX_REASON = 500
MAX_WORD = 64
# A search that would take longer names what it has found so far.
SEARCH_SECONDS = 0.5
SEARCH_CALLS = 256

Call = Callable[[Decoded], list[Any]]


class Blame:
    """Asks the model about parts of an input that it failed on.

    ``probes`` are rows that a sound model is expected to score. One request that was scored
    becomes another such row, since a model with strict categories may refuse every made-up one.
    """

    def __init__(self, call: Call, signature: Signature, probes: list[Decoded]) -> None:
        self._call = call
        self._signature = signature
        self._probes = probes
        self._good: Decoded | None = None

    def note_good(self, decoded: Decoded) -> None:
        if self._good is None and decoded.params is None:
            self._good = row_of(decoded, 0)

    def find(self, decoded: Decoded, problem: Exception) -> Exception:
        """The error for the client: the input's where any probe is still scored."""
        text = reason(problem)
        good = next((probe for probe in self._sound() if self._passes(probe)), None)
        if good is None:
            failed = ModelFailedError(f"the model failed: {text}")
            failed.__cause__ = problem
            return failed
        if decoded.params is not None and not self._passes(replace(good, params=decoded.params)):
            return RequestError(400, f"the model refuses these params: {text}")
        budget = _Budget()
        row = self._first_bad_row(decoded, budget)
        if row is None:
            return RequestError(400, f"the model refuses these rows together: {text}")
        number = decoded.first_row + row
        return RequestError(400, self._named(row_of(decoded, row), number, good, budget, text))

    def _sound(self) -> list[Decoded]:
        return [*([] if self._good is None else [self._good]), *self._probes]

    def _passes(self, decoded: Decoded) -> bool:
        try:
            self._call(decoded)
        except Exception:  # noqa: BLE001 a model may raise anything
            return False
        return True

    def _first_bad_row(self, decoded: Decoded, budget: _Budget) -> int | None:
        """By halves; None where no half fails by itself."""
        start, end = 0, decoded.rows
        while end - start > 1:
            middle = (start + end) // 2
            if not budget.takes():
                return None
            if not self._passes(rows_of(decoded, start, middle)):
                end = middle
            elif not self._passes(rows_of(decoded, middle, end)):
                start = middle
            else:
                return None
        return start

    def _named(self, row: Decoded, number: int, good: Decoded, budget: _Budget, text: str) -> str:
        """The row, and the first column with whose value out of a sound row it passes."""
        for position, column in enumerate(self._signature.columns):
            if not budget.takes():
                break
            if self._passes(_with_value(row, good, position, column.name)):
                value = _value(row, position, column.name)
                what = (
                    f"null came; {column.wanted} is needed"
                    if is_null(value)
                    else f"{shown(value)} came"
                )
                return f"row {number}, column {column.name!r}: {what}, and the model says {text}"
        return f"row {number}: the model says {text}"


class _Budget:
    """What one search may cost."""

    def __init__(self) -> None:
        self._calls = SEARCH_CALLS
        self._until = time.monotonic() + SEARCH_SECONDS

    def takes(self) -> bool:
        self._calls -= 1
        return self._calls >= 0 and time.monotonic() < self._until


def reason(problem: BaseException) -> str:
    """What a model raised, or is said of its answer, in one line.

    A word longer than ``MAX_WORD`` is cut: it may be a client's value.
    """
    if isinstance(problem, ModelFailedError):
        return str(problem)
    words = (w if len(w) <= MAX_WORD else f"{w[: MAX_WORD - 3]}..." for w in str(problem).split())
    return f"{type(problem).__name__}: {' '.join(words)[:MAX_REASON]}"


def row_of(decoded: Decoded, number: int) -> Decoded:
    return rows_of(decoded, number, number + 1)


def rows_of(decoded: Decoded, start: int, end: int) -> Decoded:
    """Some rows, as their own values: what they came from may be used again."""
    columns = {name: values[start:end] for name, values in decoded.columns.items()}
    matrix = None if decoded.matrix is None else decoded.matrix[start:end].copy()
    return Decoded(columns, end - start, matrix, params=decoded.params)


def _value(row: Decoded, position: int, name: str) -> Any:
    if name in row.columns:
        return row.columns[name][0]
    return row.matrix[0, position].item()


def _with_value(row: Decoded, good: Decoded, position: int, name: str) -> Decoded:
    columns = dict(row.columns)
    if name in columns:
        columns[name] = [_value(good, position, name)]
    matrix = None
    if row.matrix is not None:
        matrix = row.matrix.copy()
        matrix[0, position] = _value(good, position, name)
    return Decoded(columns, 1, matrix, params=row.params)

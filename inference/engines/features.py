"""From checked columns to the numbers that a converted model works on, each row by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contracts.engine import Block, EngineFile, Lookup
from inference.errors import shown
from inference.formats.codecs import Decoded
from inference.formats.signature import Signature, is_null

Array = Any
Arrays = dict[str, Any]


def _filled(x: Array, values: Array) -> Array:
    return np.where(np.isnan(x), values, x)


_WITH_ARRAY: dict[str, Callable[[Array, Array], Array]] = {
    "fill": _filled,
    "sub": np.subtract,
    "div": np.divide,
    "mul": np.multiply,
    "add": np.add,
    "least": np.maximum,
    "most": np.minimum,
}
_ALONE: dict[str, Callable[[Array], Array]] = {
    "float32": lambda x: x.astype(np.float32).astype(np.float64),
    "is_missing": lambda x: np.isnan(x).astype(np.float64),
    "log1p": np.log1p,
    "expm1": np.expm1,
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "square": np.square,
    "abs": np.abs,
}


class UnknownValueError(ValueError):
    """A value came that the model never saw and was told to refuse."""


class Features:
    """Makes float64 features: those of numbers as one matrix, those of looked-up values by table.

    ``takes_matrix``: every column of the signature is a number, so that ``Decoded.matrix`` does.
    """

    def __init__(self, signature: Signature, file: EngineFile, arrays: Arrays) -> None:
        kinds = {column.kind for column in signature.columns}
        self.takes_matrix = "string" not in kinds
        self._names = signature.names
        used = sorted({column for block in file.blocks for column in block.columns})
        self._used = used
        self._used_names = [self._names[column] for column in used]
        self._is_whole = used == list(range(len(self._names)))
        place = {column: i for i, column in enumerate(used)}
        self._blocks = [
            _Block([place[c] for c in block.columns], block, arrays, number, len(used))
            for number, block in enumerate(file.blocks)
        ]
        self._is_raw = all(block.is_raw for block in self._blocks) and len(self._blocks) < 2
        self._lookups = [
            (_Table(self._names[lookup.column], lookup), arrays[f"lookup{number}"])
            for number, lookup in enumerate(file.lookups)
        ]

    def numbers(self, decoded: Decoded) -> Array:
        """The features of the blocks, as float64 of shape (rows, features); C-contiguous."""
        raw = self._raw(decoded)
        if self._is_raw:
            return raw
        with np.errstate(all="ignore"):  # a feature that is not finite is the model's to refuse
            if len(self._blocks) == 1:
                return self._blocks[0](raw)
            return np.concatenate([block(raw) for block in self._blocks], axis=1)

    def looked_up(self, decoded: Decoded) -> list[Array]:
        """For every lookup, its table's rows, as float64 of shape (rows, width of the table)."""
        return [table[codes(self._column(decoded, codes.name))] for codes, table in self._lookups]

    def all(self, decoded: Decoded) -> Array:
        """Both side by side."""
        numbers = self.numbers(decoded)
        if not self._lookups:
            return numbers
        return np.concatenate([numbers, *self.looked_up(decoded)], axis=1)

    def _raw(self, decoded: Decoded) -> Array:
        if decoded.matrix is not None:
            return decoded.matrix if self._is_whole else decoded.matrix[:, self._used]
        columns = decoded.columns
        if decoded.rows == 1:
            row = [columns[name][0] for name in self._used_names]
            return np.array(row, dtype=np.float64).reshape(1, -1)
        raw = np.empty((decoded.rows, len(self._used)), dtype=np.float64)
        for i, name in enumerate(self._used_names):
            raw[:, i] = columns[name]
        return raw

    def _column(self, decoded: Decoded, name: str) -> Sequence[Any]:
        if decoded.matrix is not None and self.takes_matrix:
            return decoded.matrix[:, self._names.index(name)].tolist()
        return decoded.columns[name]


class _Block:
    """Picks columns and takes each through the same steps."""

    def __init__(
        self, places: list[int], block: Block, arrays: Arrays, number: int, width: int
    ) -> None:
        self._places = None if places == list(range(width)) else np.array(places)
        self._steps: list[Callable[[Array], Array]] = [
            _step(name, arrays.get(f"block{number}.{i}")) for i, name in enumerate(block.steps)
        ]

    @property
    def is_raw(self) -> bool:
        """Whether it hands on what it is given."""
        return self._places is None and not self._steps

    def __call__(self, raw: Array) -> Array:
        x = raw if self._places is None else raw.take(self._places, axis=1)
        for step in self._steps:
            x = step(x)
        return x


def _step(name: str, values: Array | None) -> Callable[[Array], Array]:
    if name in _ALONE:
        return _ALONE[name]
    call = _WITH_ARRAY[name]
    if values is None:
        raise ValueError(f"step {name} has no values")
    return lambda x: call(x, values)


class _Table:
    """The table row of each value of a column."""

    def __init__(self, name: str, lookup: Lookup) -> None:
        self.name = name
        self._codes: dict[Any, int] = {key: i for i, key in enumerate(lookup.keys)}
        self._missing = lookup.missing
        self._unknown = lookup.unknown

    def __call__(self, values: Sequence[Any]) -> list[int]:
        codes = self._codes
        found: list[int] = []
        for row, value in enumerate(values):
            code = codes.get(value)
            if code is None:
                code = self._missing if is_null(value) else self._unknown
                if code is None:
                    raise UnknownValueError(
                        f"row {row}, column {self.name!r}: {shown(value)} came, which the model "
                        "never saw and refuses"
                    )
            found.append(code)
        return found

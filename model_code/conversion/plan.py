"""Features of a model, each as a function of one column: what preprocessing comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from contracts.engine import STEPS_ALONE, Block, Lookup
from model_code.errors import ModelCodeError

Array = Any
Steps = tuple[tuple[str, float], ...]


class NotConvertibleError(ModelCodeError):
    """The model has a part that no engine of ours has; the message says which."""


@dataclass(frozen=True)
class Number:
    """A column of numbers after some elementwise steps; a step without a value has 0."""

    column: int
    steps: Steps = ()


@dataclass(frozen=True)
class Text:
    """A column of text as it came; ``null`` is what the model is given for one.

    NaN or None, or the text that it was filled with.
    """

    column: int
    null: str | float | None = math.nan


@dataclass(frozen=True, eq=False)
class Looked:
    """One number for each known value of a column.

    ``values`` has one more than ``keys`` for a null and one more for any other value, where these
    are taken at all.
    """

    column: int
    keys: tuple[Any, ...]
    values: Array
    takes_missing: bool
    takes_unknown: bool


Feature = Number | Text | Looked


@dataclass(frozen=True)
class Frame:
    """What one part of a model hands to the next; ``is_float32`` as numpy would have it."""

    features: tuple[Feature, ...]
    is_float32: bool = False

    def pick(self, places: Sequence[int]) -> Frame:
        return replace(self, features=tuple(self.features[place] for place in places))

    def then(self, name: str, values: Sequence[float] | None = None) -> Frame:
        """Every feature after one more step, with a value each."""
        given = [0.0] * len(self.features) if values is None else [float(v) for v in values]
        features = tuple(
            _after(feature, name, value, self.is_float32)
            for feature, value in zip(self.features, given, strict=True)
        )
        return replace(self, features=features)


def _after(feature: Feature, name: str, value: float, is_float32: bool) -> Feature:
    steps: Steps = ((name, value), ("float32", 0.0)) if is_float32 else ((name, value),)
    match feature:
        case Number():
            return replace(feature, steps=(*feature.steps, *steps))
        case Looked():
            return replace(feature, values=run_steps(steps, feature.values))
        case Text():
            raise NotConvertibleError(f"{name} on a column of text")


def run_steps(steps: Steps, values: Array) -> Array:
    """The steps on float64 values, as the server takes them."""
    x = np.asarray(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        for name, value in steps:
            x = _run_step(name, value, x)
    return x


def _run_step(name: str, value: float, x: Array) -> Array:
    if name in _BINARY:
        return _BINARY[name](x, value)
    match name:
        case "fill":
            return np.where(np.isnan(x), value, x)
        case "float32":
            return x.astype(np.float32).astype(np.float64)
        case "is_missing":
            return np.isnan(x).astype(np.float64)
        case _:
            return getattr(np, name)(x)


_BINARY: dict[str, Callable[[Array, float], Array]] = {
    "sub": np.subtract,
    "div": np.divide,
    "mul": np.multiply,
    "add": np.add,
    "least": np.maximum,
    "most": np.minimum,
}


def backwards(steps: Steps, values: Array) -> Array:
    """Values of the column that come out of the steps near ``values``; for rows that test them."""
    x = np.asarray(values, dtype=np.float64)
    inverse = {"sub": "add", "add": "sub", "mul": "div", "div": "mul"}
    inverse |= {"log1p": "expm1", "expm1": "log1p", "log": "exp", "exp": "log"}
    inverse |= {"sqrt": "square", "square": "sqrt"}
    with np.errstate(all="ignore"):
        for name, value in reversed(steps):
            if name in inverse:
                x = _run_step(inverse[name], value, x)
    return x[np.isfinite(x)]


@dataclass(frozen=True)
class Layout:
    """A frame as the server makes it: blocks, then tables; ``order``: which feature is where."""

    blocks: tuple[Block, ...]
    lookups: tuple[Lookup, ...]
    arrays: dict[str, Array]
    tables: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]


def lay_out(frame: Frame) -> Layout:
    """Group numbers by their steps, and looked-up values by column and keys."""
    groups: dict[tuple[str, ...], list[int]] = {}
    tables: dict[tuple[Any, ...], list[int]] = {}
    for place, feature in enumerate(frame.features):
        match feature:
            case Number():
                groups.setdefault(tuple(name for name, _ in feature.steps), []).append(place)
            case Looked():
                keys = tuple((type(key).__name__, key) for key in feature.keys)
                same = (feature.column, keys, feature.takes_missing, feature.takes_unknown)
                tables.setdefault(same, []).append(place)
            case Text():
                raise NotConvertibleError("a column of text reaches the model unencoded")
    arrays: dict[str, Array] = {}
    blocks: list[Block] = []
    for number, (steps, places) in enumerate(groups.items()):
        members = [frame.features[place] for place in places]
        numbers = [member for member in members if isinstance(member, Number)]
        blocks.append(Block(tuple(member.column for member in numbers), steps))
        for i, name in enumerate(steps):
            if name not in STEPS_ALONE:
                values = [member.steps[i][1] for member in numbers]
                arrays[f"block{number}.{i}"] = np.array(values, dtype=np.float64)
    lookups: list[Lookup] = []
    for number, places in enumerate(tables.values()):
        looked = [f for place in places if isinstance(f := frame.features[place], Looked)]
        lookups.append(_lookup(looked[0]))
        arrays[f"lookup{number}"] = np.column_stack([feature.values for feature in looked])
    order = [place for places in (*groups.values(), *tables.values()) for place in places]
    grouped = tuple(tuple(places) for places in tables.values())
    return Layout(tuple(blocks), tuple(lookups), arrays, grouped, tuple(order))


def _lookup(feature: Looked) -> Lookup:
    known = len(feature.keys)
    missing = known if feature.takes_missing else None
    unknown = known + int(feature.takes_missing) if feature.takes_unknown else None
    return Lookup(feature.column, feature.keys, missing, unknown)

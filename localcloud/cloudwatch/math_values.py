"""The three kinds of value in metric math, and the operators on them. Pure.

A scalar without value (the average of nothing) is NaN; it makes no points.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Points = dict[int, float]
Operation = Callable[[float, float], float]


@dataclass(frozen=True)
class Labelled:
    """One time series of an array, under the id or label that it came with."""

    label: str
    points: Points


Value = float | Points | tuple[Labelled, ...]

ARITHMETIC: Mapping[str, Operation] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}
LOGIC: Mapping[str, Operation] = {
    "||": lambda a, b: float(bool(a) or bool(b)),
    "&&": lambda a, b: float(bool(a) and bool(b)),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
}
OPERATORS: Mapping[str, Operation] = {**ARITHMETIC, **LOGIC}


class MathTypeError(Exception):
    """An operator or function does not take these kinds of value."""


def kind_of(value: Value) -> str:
    """The kind as AWS's messages name it."""
    if isinstance(value, dict):
        return "TimeSeries"
    return "Array[TimeSeries]" if isinstance(value, tuple) else "Scalar"


def combine(symbol: str, a: Value, b: Value) -> Value:
    """Point by point, as the user guide's "Metric math syntax and functions" has it.

    Where only one of two series has a point, the other counts as 0; where the result is no number
    (x/0), the point is dropped.
    """
    if isinstance(a, tuple) and isinstance(b, tuple):
        raise MathTypeError(
            f"Unsupported operand type(s) for {symbol}: '[{kind_of(a)}, {kind_of(b)}]'"
        )
    if isinstance(a, tuple):
        return tuple(Labelled(x.label, _as_points(combine(symbol, x.points, b))) for x in a)
    if isinstance(b, tuple):
        return tuple(Labelled(x.label, _as_points(combine(symbol, a, x.points))) for x in b)
    function = OPERATORS[symbol]
    if isinstance(a, dict) and isinstance(b, dict):
        return _pairs(function, {t: (a.get(t, 0.0), b.get(t, 0.0)) for t in sorted({*a, *b})})
    if isinstance(a, dict):
        assert not isinstance(b, dict)
        return _pairs(function, {t: (v, b) for t, v in a.items()})
    if isinstance(b, dict):
        return _pairs(function, {t: (a, v) for t, v in b.items()})
    return number(function, a, b)


def number(function: Operation, a: float, b: float) -> float:
    """``function(a, b)``; NaN where it has no value."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    try:
        value = function(a, b)
    except (ZeroDivisionError, OverflowError, ValueError):
        return math.nan
    # A negative number to a fractional power is complex.
    if isinstance(value, complex) or not math.isfinite(value):
        return math.nan
    return float(value)


def mapped(function: Callable[[float], float], value: Value) -> Value:
    """``function`` of every point; a point where it has no value is dropped."""
    if isinstance(value, tuple):
        return tuple(Labelled(x.label, _as_points(mapped(function, x.points))) for x in value)
    if isinstance(value, dict):
        return _pairs(lambda a, _: function(a), {t: (v, 0.0) for t, v in value.items()})
    return number(lambda a, _: function(a), value, 0.0)


def _pairs(function: Operation, pairs: Mapping[int, tuple[float, float]]) -> Points:
    found = {t: number(function, a, b) for t, (a, b) in pairs.items()}
    return {t: value for t, value in found.items() if not math.isnan(value)}


def _as_points(value: Value) -> Points:
    assert isinstance(value, dict)
    return value

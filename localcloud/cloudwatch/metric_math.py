"""GetMetricData's expressions: a parser and an evaluator over time series. Pure, no ``eval``."""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.service import ServiceError

Points = dict[int, float]
# A number, one series, or several (METRICS()).
Value = float | Points | list[Points]
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|"
    r"(?P<text>'[^']*'|\"[^\"]*\")|(?P<op><=|>=|==|!=|&&|\|\||[-+*/^()<>,\[\]]))"
)
_BINARY: list[dict[str, Callable[[float, float], float]]] = [
    {"||": lambda a, b: float(bool(a) or bool(b))},
    {"&&": lambda a, b: float(bool(a) and bool(b))},
    {"==": lambda a, b: float(a == b), "!=": lambda a, b: float(a != b)},
    {
        "<": lambda a, b: float(a < b),
        "<=": lambda a, b: float(a <= b),
        ">": lambda a, b: float(a > b),
        ">=": lambda a, b: float(a >= b),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv},
    {"^": operator.pow},
]


def refuse(expression: str, why: str) -> ServiceError:
    return ServiceError("ValidationError", f"Error in expression '{expression}': {why}")


@dataclass
class Context:
    """What an expression can see: the other queries' values, the periods asked for."""

    expression: str
    values: Callable[[str], Value]
    metric_ids: list[str]
    times: list[int]
    period: int


def evaluate(context: Context) -> Value:
    """The value of ``context.expression``."""
    parser = _Parser(context)
    value = parser.binary(0)
    parser.expect_end()
    return value


class _Parser:
    """Recursive descent that computes as it reads."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.tokens: list[tuple[str, str]] = []
        text, position = context.expression, 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise refuse(text, f"unexpected character at position {position}")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind]))
            position = match.end()
        self.position = 0

    def peek(self) -> str | None:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise refuse(self.context.expression, "it ends too early")
        token = self.tokens[self.position]
        if wanted is not None and token[1] != wanted:
            raise refuse(self.context.expression, f"'{token[1]}' where '{wanted}' is needed")
        self.position += 1
        return token

    def expect_end(self) -> None:
        if self.peek() is not None:
            raise refuse(self.context.expression, f"unexpected '{self.peek()}'")

    def binary(self, level: int) -> Value:
        if level == len(_BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while (symbol := self.peek()) in _BINARY[level]:
            self.take()
            right = self.binary(level if symbol == "^" else level + 1)
            left = self.apply(_BINARY[level][str(symbol)], left, right)
        return left

    def unary(self) -> Value:
        if self.peek() == "-":
            self.take()
            return self.apply(operator.mul, -1.0, self.unary())
        return self.primary()

    def primary(self) -> Value:
        kind, text = self.take()
        if kind == "number":
            return float(text)
        if text == "(":
            value = self.binary(0)
            self.take(")")
            return value
        if text == "[":
            return self.array()
        if kind != "name":
            raise refuse(self.context.expression, f"unexpected '{text}'")
        if self.peek() == "(":
            return self.call(text)
        return self.context.values(text)

    def array(self) -> list[Points]:
        items = [self.series(self.binary(0))]
        while self.peek() == ",":
            self.take()
            items.append(self.series(self.binary(0)))
        self.take("]")
        return items

    def series(self, value: Value) -> Points:
        if isinstance(value, dict):
            return value
        raise refuse(self.context.expression, "an array holds time series")

    def call(self, name: str) -> Value:
        self.take("(")
        arguments: list[Any] = []
        while self.peek() != ")":
            if self.tokens[self.position : self.position + 1] and (
                self.peek() in ("REPEAT", "LINEAR") or self.tokens[self.position][0] == "text"
            ):
                arguments.append(self.take()[1].strip("'\""))
            else:
                arguments.append(self.binary(0))
            if self.peek() == ",":
                self.take()
        self.take(")")
        function = _FUNCTIONS.get(name.upper())
        if function is None:
            raise refuse(self.context.expression, f"unknown function '{name}'")
        try:
            return function(self.context, *arguments)
        except TypeError:
            raise refuse(self.context.expression, f"{name} does not take these arguments") from None

    def apply(self, function: Callable[[float, float], float], a: Value, b: Value) -> Value:
        return combine(self.context, function, a, b)


def combine(
    context: Context, function: Callable[[float, float], float], a: Value, b: Value
) -> Value:
    """Point by point; a point that either side lacks, or that has no value (x/0), is missing."""
    if isinstance(a, list) or isinstance(b, list):
        left = a if isinstance(a, list) else None
        right = b if isinstance(b, list) else None
        size = len(left if left is not None else right or [])
        pairs = [(left[i] if left else a, right[i] if right else b) for i in range(size)]
        made = [combine(context, function, x, y) for x, y in pairs]
        return [m for m in made if isinstance(m, dict)]
    if isinstance(a, dict) or isinstance(b, dict):
        times = set(a if isinstance(a, dict) else b)  # pyright: ignore[reportArgumentType]
        times &= set(b if isinstance(b, dict) else times)
        found: Points = {}
        for t in sorted(times):
            value = _safe(function, a[t] if isinstance(a, dict) else a,
                          b[t] if isinstance(b, dict) else b)  # fmt: skip
            if value is not None:
                found[t] = value
        return found
    value = _safe(function, a, b)
    if value is None:
        raise refuse(context.expression, "it has no value")
    return value


def _safe(function: Callable[[float, float], float], a: Any, b: Any) -> float | None:
    try:
        value = function(a, b)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return float(value) if math.isfinite(value) else None


def _each(function: Callable[[float], float]) -> Callable[..., Value]:
    def applied(context: Context, value: Value) -> Value:
        return combine(context, lambda a, _: function(a), value, 0.0)

    return applied


def _reduce(function: Callable[[list[float]], float]) -> Callable[..., Value]:
    """Of one series: a number. Of several: a series, point by point."""

    def reduced(_context: Context, value: Value) -> Value:
        if isinstance(value, list):
            times = sorted({t for points in value for t in points})
            return {t: function([p[t] for p in value if t in p]) for t in times}
        if isinstance(value, dict):
            return function(list(value.values())) if value else {}
        return value

    return reduced


def _stddev(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


def _fill(context: Context, value: Value, filler: Any) -> Value:
    if isinstance(value, list):
        filled = [_fill(context, points, filler) for points in value]
        return [f for f in filled if isinstance(f, dict)]
    if not isinstance(value, dict):
        return value
    result: Points = {}
    last: float | None = None
    for t in context.times:
        if t in value:
            last = value[t]
            result[t] = last
        elif isinstance(filler, dict):
            if t in filler:
                result[t] = filler[t]
        elif filler == "REPEAT":
            if last is not None:
                result[t] = last
        elif filler == "LINEAR":
            between = _linear(value, t)
            if between is not None:
                result[t] = between
        else:
            result[t] = float(filler)
    return result


def _linear(points: Points, t: int) -> float | None:
    before = max((x for x in points if x < t), default=None)
    after = min((x for x in points if x > t), default=None)
    if before is None or after is None:
        return None
    share = (t - before) / (after - before)
    return points[before] + (points[after] - points[before]) * share


def _if(context: Context, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    if isinstance(condition, int | float):
        chosen = then if condition else otherwise
        return {} if chosen is None else chosen
    if isinstance(condition, list):
        raise refuse(context.expression, "IF takes one condition")
    result: Points = {}
    for t, flag in condition.items():
        chosen = then if flag else otherwise
        value = chosen.get(t) if isinstance(chosen, dict) else chosen
        if isinstance(value, int | float):
            result[t] = float(value)
    return result


def _metrics(context: Context, needle: str = "") -> Value:
    found = [context.values(i) for i in context.metric_ids if needle in i]
    return [f for f in found if isinstance(f, dict)]


def _steps(points: Value, function: Callable[[float, float, int], float]) -> Value:
    if not isinstance(points, dict):
        return {}
    times = sorted(points)
    pairs = itertools.pairwise(times)
    return {b: function(points[a], points[b], b - a) for a, b in pairs}


def _rate(_context: Context, points: Value) -> Value:
    return _steps(points, lambda a, b, seconds: (b - a) / seconds)


def _diff(_context: Context, points: Value) -> Value:
    return _steps(points, lambda a, b, _: b - a)


def _diff_time(_context: Context, points: Value) -> Value:
    return _steps(points, lambda _a, _b, seconds: float(seconds))


def _running_sum(_context: Context, points: Value) -> Value:
    total = 0.0
    result: Points = {}
    if isinstance(points, dict):
        for t in sorted(points):
            total += points[t]
            result[t] = total
    return result


def _period(context: Context, _points: Value) -> Value:
    return float(context.period)


def _time_series(context: Context, value: Value) -> Value:
    if not isinstance(value, int | float):
        raise refuse(context.expression, "TIME_SERIES takes a number")
    return dict.fromkeys(context.times, float(value))


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "ABS": _each(abs),
    "CEIL": _each(math.ceil),
    "FLOOR": _each(math.floor),
    "LOG": _each(math.log),
    "LOG10": _each(math.log10),
    "SUM": _reduce(sum),
    "AVG": _reduce(lambda v: sum(v) / len(v)),
    "MIN": _reduce(min),
    "MAX": _reduce(max),
    "STDDEV": _reduce(_stddev),
    "FILL": _fill,
    "IF": _if,
    "METRICS": _metrics,
    "RATE": _rate,
    "DIFF": _diff,
    "DIFF_TIME": _diff_time,
    "RUNNING_SUM": _running_sum,
    "PERIOD": _period,
    "TIME_SERIES": _time_series,
}

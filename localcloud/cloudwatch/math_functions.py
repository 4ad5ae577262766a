"""The functions of metric math (user guide, "Functions supported for metric math"). Pure.

A function gets the request's :class:`Scope` and values, and raises ``TypeError`` or
:class:`MathTypeError` for what it does not take.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.cloudwatch.math_values import (
    Labelled,
    MathTypeError,
    Points,
    Value,
    kind_of,
    mapped,
)

SeriesFunction = Callable[[Points], Points]


@dataclass(frozen=True)
class Scope:
    """The periods that the request covers (their starts) and their length in seconds."""

    times: range
    period: int


def _wants(name: str, value: Value) -> MathTypeError:
    return MathTypeError(f"{name} does not take a {kind_of(value)}")


def _point_by_point(function: Callable[[float], float]) -> Callable[..., Value]:
    def applied(_scope: Scope, value: Value) -> Value:
        return mapped(function, value)

    return applied


def _reduce(
    function: Callable[[list[float]], float], missing_is_zero: bool = False
) -> Callable[..., Value]:
    """Of one series: a number. Of several: a series, point by point."""

    def reduced(_scope: Scope, value: Value) -> Value:
        if isinstance(value, dict):
            return function(list(value.values())) if value else math.nan
        if not isinstance(value, tuple):
            raise _wants("the function", value)
        times = sorted({t for x in value for t in x.points})
        if missing_is_zero:
            return {t: function([x.points.get(t, 0.0) for x in value]) for t in times}
        return {t: function([x.points[t] for x in value if t in x.points]) for t in times}

    return reduced


def _per_series(function: Callable[[Scope, Points], Points]) -> Callable[..., Value]:
    def applied(scope: Scope, value: Value) -> Value:
        if isinstance(value, tuple):
            return tuple(Labelled(x.label, function(scope, x.points)) for x in value)
        if not isinstance(value, dict):
            raise _wants("the function", value)
        return function(scope, value)

    return applied


def _average(values: list[float]) -> float:
    return sum(values) / len(values)


def _stddev(values: list[float]) -> float:
    mean = _average(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


def _steps(function: Callable[[float, float, int], float]) -> Callable[..., Value]:
    """Of each value and the one before it, with the seconds between them."""

    def stepped(_scope: Scope, points: Points) -> Points:
        pairs = itertools.pairwise(sorted(points))
        return {b: function(points[a], points[b], b - a) for a, b in pairs}

    return _per_series(stepped)


def _running_sum(_scope: Scope, points: Points) -> Points:
    times = sorted(points)
    return dict(zip(times, itertools.accumulate(points[t] for t in times), strict=True))


def _by_time(function: Callable[[dt.datetime], float]) -> Callable[..., Value]:
    def dated(scope: Scope, _points: Points) -> Points:
        return {t: function(dt.datetime.fromtimestamp(t, dt.UTC)) for t in scope.times}

    return _per_series(dated)


def _fill(scope: Scope, value: Value, filler: Any) -> Value:
    def filled(scope: Scope, points: Points) -> Points:
        times = [t for t in scope.times if t not in points]
        match filler:
            case "REPEAT":
                made = {t: _before(points, t) for t in times}
            case "LINEAR":
                made = {t: _between(points, t) for t in times}
            case dict():
                made = {t: filler.get(t) for t in times}
            case int() | float():
                made = {t: None if math.isnan(filler) else filler for t in times}
            case _:
                raise MathTypeError("FILL takes a number, a time series, REPEAT or LINEAR")
        new = {t: v for t, v in made.items() if v is not None}
        return dict(sorted({**points, **new}.items()))

    return _per_series(filled)(scope, value)


def _before(points: Points, t: int) -> float | None:
    return points[max(x for x in points if x < t)] if any(x < t for x in points) else None


def _between(points: Points, t: int) -> float | None:
    before = max((x for x in points if x < t), default=None)
    after = min((x for x in points if x > t), default=None)
    if before is None or after is None:
        return None
    share = (t - before) / (after - before)
    return points[before] + (points[after] - points[before]) * share


def _if(_scope: Scope, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    """A true point without a point in ``then`` is 0; a false one without one is dropped."""
    for value in (condition, then, otherwise):
        if isinstance(value, tuple):
            raise _wants("IF", value)
    if not isinstance(condition, dict):
        chosen = then if condition and not math.isnan(_scalar(condition)) else otherwise
        return {} if chosen is None else chosen
    result: Points = {}
    for t, flag in condition.items():
        chosen = then if flag else otherwise
        value = chosen.get(t, 0.0 if flag else None) if isinstance(chosen, dict) else chosen
        if isinstance(value, int | float) and not math.isnan(value):
            result[t] = float(value)
    return result


def _scalar(value: Value) -> float:
    if isinstance(value, dict | tuple):
        raise _wants("the function", value)
    return value


def _array(value: Value) -> tuple[Labelled, ...]:
    if not isinstance(value, tuple):
        raise _wants("the function", value)
    return value


def _time_series(scope: Scope, value: Value) -> Value:
    number = _scalar(value)
    return {} if math.isnan(number) else dict.fromkeys(scope.times, number)


def _sort(
    scope: Scope, value: Value, function: str, order: str, limit: float | None = None
) -> Value:
    if function not in ("AVG", "MIN", "MAX", "SUM") or order not in ("ASC", "DESC"):
        raise MathTypeError("SORT takes AVG, MIN, MAX or SUM, and ASC or DESC")
    by = FUNCTIONS[function]
    filled = [x for x in _array(value) if x.points]
    empty = [x for x in _array(value) if not x.points]
    ordered = sorted(filled, key=lambda x: _scalar(by(scope, x.points)), reverse=order == "DESC")
    return tuple([*ordered, *empty][: None if limit is None else int(limit)])


def _slice(_scope: Scope, value: Value, start: float, end: float | None = None) -> Value:
    return _array(value)[int(start) : None if end is None else int(end)]


def _metric_count(_scope: Scope, value: Value) -> Value:
    return float(len(_array(value)))


def _remove_empty(_scope: Scope, value: Value) -> Value:
    return tuple(x for x in _array(value) if x.points)


def _pick(index: int) -> Callable[..., Value]:
    def picked(_scope: Scope, value: Value) -> Value:
        array = _array(value)
        return array[index].points if array else {}

    return picked


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "ABS": _point_by_point(abs),
    "CEIL": _point_by_point(math.ceil),
    "FLOOR": _point_by_point(math.floor),
    "LOG": _point_by_point(math.log),
    "LOG10": _point_by_point(math.log10),
    "SUM": _reduce(sum),
    "AVG": _reduce(_average, missing_is_zero=True),
    "MIN": _reduce(min),
    "MAX": _reduce(max),
    "STDDEV": _reduce(_stddev),
    "DATAPOINT_COUNT": _reduce(lambda values: float(len(values))),
    "METRIC_COUNT": _metric_count,
    "FILL": _fill,
    "IF": _if,
    "RATE": _steps(lambda a, b, seconds: (b - a) / seconds),
    "DIFF": _steps(lambda a, b, _: b - a),
    "DIFF_TIME": _steps(lambda _a, _b, seconds: float(seconds)),
    "RUNNING_SUM": _per_series(_running_sum),
    "TIME_SERIES": _time_series,
    "REMOVE_EMPTY": _remove_empty,
    "FIRST": _pick(0),
    "LAST": _pick(-1),
    "SLICE": _slice,
    "SORT": _sort,
    "MINUTE": _by_time(lambda t: t.minute),
    "HOUR": _by_time(lambda t: t.hour),
    "DAY": _by_time(lambda t: t.isoweekday()),
    "DATE": _by_time(lambda t: t.day),
    "MONTH": _by_time(lambda t: t.month),
    "YEAR": _by_time(lambda t: t.year),
    "EPOCH": _by_time(lambda t: t.timestamp()),
}
# Words that a function takes as they are, and functions that answer for a whole account.
WORDS = frozenset({"REPEAT", "LINEAR", "ASC", "DESC", "AVG", "MIN", "MAX", "SUM"})
NOT_OFFERED = frozenset(
    {
        "ANOMALY_DETECTION_BAND",
        "DB_PERF_INSIGHTS",
        "INSIGHT_RULE_METRIC",
        "LAMBDA",
        "SEARCH",
        "SERVICE_QUOTA",
    }
)

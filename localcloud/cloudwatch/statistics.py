"""CloudWatch's statistics over the samples of one period. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.service import ServiceError


@dataclass(frozen=True)
class StatisticSet:
    """A publisher's own summary; its samples are not known one by one."""

    count: float
    total: float
    minimum: float
    maximum: float


@dataclass
class Samples:
    """The samples of one period: exact values with their counts, and summaries."""

    values: dict[float, float] = field(default_factory=dict[float, float])
    sets: list[StatisticSet] = field(default_factory=list[StatisticSet])

    def add(self, value: float, count: float = 1.0) -> None:
        self.values[value] = self.values.get(value, 0.0) + count

    def merge(self, other: Samples) -> None:
        for value, count in other.values.items():
            self.add(value, count)
        self.sets.extend(other.sets)

    @property
    def count(self) -> float:
        return sum(self.values.values()) + sum(s.count for s in self.sets)

    @property
    def total(self) -> float:
        return sum(v * n for v, n in self.values.items()) + sum(s.total for s in self.sets)


_BASIC: dict[str, Callable[[Samples], float]] = {
    "SampleCount": lambda s: s.count,
    "Sum": lambda s: s.total,
    "Average": lambda s: s.total / s.count,
    "Minimum": lambda s: min([*s.values, *(x.minimum for x in s.sets)]),
    "Maximum": lambda s: max([*s.values, *(x.maximum for x in s.sets)]),
}
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_RANGE = re.compile(r"(PR|TC|TS|TM|WM)\(([^:]*):([^:]*)\)")
_SHORT = re.compile(r"(tm|wm|tc|ts)(\d{1,2}(?:\.\d+)?)")


def check(statistic: str) -> None:
    """Refuse a statistic that CloudWatch does not know."""
    known = statistic in _BASIC or statistic == "IQM"
    patterns = (_PERCENTILE, _RANGE, _SHORT)
    if not known and not any(p.fullmatch(statistic) for p in patterns):
        raise ServiceError("InvalidParameterValue", f"Statistic {statistic} is not supported.")


def compute(statistic: str, samples: Samples) -> float | None:
    """The statistic's value; None without samples, or for a percentile of summaries."""
    if samples.count <= 0:
        return None
    if statistic in _BASIC:
        return _BASIC[statistic](samples)
    ordered = _ordered(samples)
    if ordered is None:
        return None
    if match := _PERCENTILE.fullmatch(statistic):
        return percentile(ordered, float(match[1]))
    if statistic == "IQM":
        return _in_range("TM", ordered, "25%", "75%")
    if match := _RANGE.fullmatch(statistic):
        return _in_range(match[1], ordered, match[2], match[3])
    if match := _SHORT.fullmatch(statistic):
        return _in_range(match[1].upper(), ordered, "", f"{match[2]}%")
    check(statistic)
    return None


Ordered = list[tuple[float, float]]


def _ordered(samples: Samples) -> Ordered | None:
    """Values with counts in order; a summary counts only where its one value is known."""
    values = dict(samples.values)
    for summary in samples.sets:
        if summary.minimum != summary.maximum and summary.count != 1:
            return None
        values[summary.minimum] = values.get(summary.minimum, 0.0) + summary.count
    return sorted(values.items())


def percentile(ordered: Ordered, percent: float) -> float:
    """Linear interpolation between the closest ranks, as numpy's default does."""
    count = sum(n for _, n in ordered)
    rank = (count - 1) * percent / 100
    low = int(rank)
    below, above = _at(ordered, low), _at(ordered, min(low + 1, count - 1))
    return below + (above - below) * (rank - low)


def _at(ordered: Ordered, index: float) -> float:
    seen = 0.0
    for value, count in ordered:
        seen += count
        if index < seen:
            return value
    return ordered[-1][0]


def _in_range(kind: str, ordered: Ordered, low: str, high: str) -> float | None:
    """PR, TC, TS, TM, WM over ``(low, high]``; bounds are values, or percents of the samples."""
    lower, upper = _bound(ordered, low, 0.0), _bound(ordered, high, 100.0)
    total = sum(n for _, n in ordered)
    inside = [
        (v, n) for v, n in ordered if (lower is None or v > lower) and (upper is None or v <= upper)
    ]
    count = sum(n for _, n in inside)
    match kind:
        case "PR":
            return 100.0 * count / total
        case "TC":
            return count
        case "TS":
            return sum(v * n for v, n in inside)
        case "TM":
            return sum(v * n for v, n in inside) / count if count else None
        case _:
            clamped = sum(_clamp(v, lower, upper) * n for v, n in ordered)
            return clamped / total


def _bound(ordered: Ordered, text: str, open_percent: float) -> float | None:
    if not text:
        return None
    try:
        if not text.endswith("%"):
            return float(text)
        percent = float(text[:-1])
    except ValueError:
        raise ServiceError("InvalidParameterValue", f"{text!r} is no bound.") from None
    return None if percent == open_percent else percentile(ordered, percent)


def _clamp(value: float, lower: float | None, upper: float | None) -> float:
    value = value if lower is None else max(value, lower)
    return value if upper is None else min(value, upper)


def describe(samples: Samples, statistics: list[str]) -> dict[str, Any]:
    """Several statistics at once, for GetMetricStatistics; absent where there is no value."""
    found = {name: compute(name, samples) for name in statistics}
    return {name: value for name, value in found.items() if value is not None}

"""CloudWatch's statistics over the samples of one period. Pure.

Source: the user guide, "CloudWatch statistics definitions". Percentages go by rank: p99 is "the
maximum value of the remaining 99%" and tm99 "the average of the remaining 99%".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.cloudwatch.samples import Ordered, Samples
from localcloud.service import ServiceError

BASIC: dict[str, Callable[[Samples], float]] = {
    "SampleCount": lambda s: s.count,
    "Sum": lambda s: s.total,
    "Average": lambda s: s.total / s.count,
    "Minimum": lambda s: min([*s.values, *(x.minimum for x in s.sets)]),
    "Maximum": lambda s: max([*s.values, *(x.maximum for x in s.sets)]),
}
_PERCENT = r"\d{1,2}(?:\.\d{1,10})?|100(?:\.0{1,10})?"
_NUMBER = r"\d+(?:\.\d{1,10})?"
_SHORT = re.compile(rf"(p|tm|wm|tc|ts)({_PERCENT})")
_BOUND = rf"(?:{_NUMBER})?%?"
_RANGE = re.compile(rf"(PR|TC|TS|TM|WM)\(({_BOUND}):({_BOUND})\)")


@dataclass(frozen=True)
class Bound:
    """One edge of a range: a percentage of the samples by rank, or a value; None is open."""

    number: float
    is_percent: bool

    def is_below(self, other: Bound) -> bool:
        return self.is_percent == other.is_percent and self.number < other.number


@dataclass(frozen=True)
class Extended:
    """A statistic that needs raw data points: ``kind`` over ``(low, high]``."""

    kind: str
    low: Bound | None
    high: Bound | None


def parse(name: str) -> Extended | None:
    """The extended statistic that ``name`` means; None for a basic one.

    Raises:
        ServiceError: CloudWatch knows no such statistic.
    """
    if name in BASIC:
        return None
    if name == "IQM":
        return Extended("TM", Bound(25.0, True), Bound(75.0, True))
    if match := _SHORT.fullmatch(name):
        return Extended(match[1].upper(), None, Bound(float(match[2]), True))
    match = _RANGE.fullmatch(name)
    if match is None:
        raise _unknown(name)
    low, high = _bound(name, match[2]), _bound(name, match[3])
    if low is None and high is None:
        raise _unknown(name)
    if match[1] == "PR" and any(b is not None and b.is_percent for b in (low, high)):
        raise _unknown(name)
    if low is not None and high is not None and not low.is_below(high):
        raise _unknown(name)
    return Extended(match[1], low, high)


def check(name: str) -> None:
    """Refuse a statistic that CloudWatch does not know."""
    parse(name)


def compute(name: str, samples: Samples) -> float | None:
    """The statistic's value; None without samples, or where it needs raw data points."""
    if samples.count <= 0:
        return None
    extended = parse(name)
    if extended is None:
        return BASIC[name](samples)
    ordered = samples.ordered()
    if ordered is None:
        return None
    if extended.kind == "P":
        assert extended.high is not None
        return percentile(ordered, extended.high.number)
    return _in_range(extended, ordered)


def percentile(ordered: Ordered, percent: float) -> float:
    """The largest value that is left when the highest (100 − percent) % are taken away."""
    count = sum(n for _, n in ordered)
    keep = count - _share(count, 100.0 - percent)
    seen = 0.0
    for value, n in ordered:
        seen += n
        if seen >= keep:
            return value
    return ordered[-1][0]


def _in_range(wanted: Extended, ordered: Ordered) -> float | None:
    total = sum(n for _, n in ordered)
    if wanted.kind == "WM":
        return sum(v * n for v, n in _clamped(wanted, ordered)) / total
    inside = _trimmed(wanted, ordered)
    count = sum(n for _, n in inside)
    match wanted.kind:
        case "PR":
            return 100.0 * count / total
        case "TC":
            return count
        case "TS":
            return sum(v * n for v, n in inside)
        case _:
            return sum(v * n for v, n in inside) / count if count else None


def _trimmed(wanted: Extended, ordered: Ordered) -> Ordered:
    """What is left: by value in ``(low, high]``, by percentage without the outer ranks."""
    total = sum(n for _, n in ordered)
    first, last = 0.0, total
    kept = ordered
    for bound, is_low in ((wanted.low, True), (wanted.high, False)):
        if bound is None:
            continue
        if not bound.is_percent:
            kept = [(v, n) for v, n in kept if (v > bound.number) == is_low]
        elif is_low:
            first = _share(total, bound.number)
        else:
            last = total - _share(total, 100.0 - bound.number)
    return kept if (first, last) == (0.0, total) else _ranks(kept, first, last)


def _ranks(ordered: Ordered, first: float, last: float) -> Ordered:
    kept: Ordered = []
    start = 0.0
    for value, n in ordered:
        count = min(start + n, last) - max(start, first)
        if count > 0:
            kept.append((value, count))
        start += n
    return kept


def _clamped(wanted: Extended, ordered: Ordered) -> Ordered:
    low, high = (
        percentile(ordered, b.number) if b is not None and b.is_percent else b and b.number
        for b in (wanted.low, wanted.high)
    )
    lower = -math.inf if low is None else low
    upper = math.inf if high is None else high
    return [(min(max(v, lower), upper), n) for v, n in ordered]


def _share(count: float, percent: float) -> float:
    """How many whole samples ``percent`` of ``count`` are; never one too few by rounding."""
    return math.floor(count * percent / 100.0 + 1e-9)


def _bound(name: str, text: str) -> Bound | None:
    if not text:
        return None
    number = text.removesuffix("%")
    if not number:
        raise _unknown(name)
    bound = Bound(float(number), text.endswith("%"))
    if bound.is_percent and bound.number > 100:
        raise _unknown(name)
    return bound


def _unknown(name: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValue",
        f"The value {name} for parameter ExtendedStatistics is not supported; use p90, tm90, "
        "tc90, ts90, wm90, IQM, PR(n:m), or TM, TC, TS, WM with (n:m) or (n%:m%).",
    )

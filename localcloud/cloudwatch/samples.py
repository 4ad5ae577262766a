"""The samples of one period of one metric, and how they are made smaller when they grow old. Pure.

Below AWS calls a "raw data point" a value; a publisher's own summary (a statistic set) is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

# Values of an old period are gathered in bins of this relative width.
BIN_WIDTH = 0.01
EXACT_VALUES = 128

Ordered = list[tuple[float, float]]


@dataclass(frozen=True)
class StatisticSet:
    """A publisher's own summary; its samples are not known one by one."""

    count: float
    total: float
    minimum: float
    maximum: float

    @property
    def value(self) -> float | None:
        """The one value that all its samples have; None when they differ."""
        same = self.minimum == self.maximum
        return self.minimum if same and self.total == self.minimum * self.count else None


@dataclass
class Samples:
    """The samples of one period: exact values with their counts, and summaries."""

    values: dict[float, float] = field(default_factory=dict[float, float])
    sets: list[StatisticSet] = field(default_factory=list[StatisticSet])

    def add(self, value: float, count: float = 1.0) -> None:
        self.values[value] = self.values.get(value, 0.0) + count

    def add_set(self, summary: StatisticSet) -> None:
        """Summaries whose samples are unknown become one, so that they never pile up."""
        if summary.value is not None:
            self.add(summary.value, summary.count)
        elif not self.sets:
            self.sets.append(summary)
        else:
            self.sets[0] = _joined(self.sets[0], summary)

    def merge(self, other: Samples) -> None:
        for value, count in other.values.items():
            self.add(value, count)
        for summary in other.sets:
            self.add_set(summary)

    @property
    def count(self) -> float:
        return sum(self.values.values()) + sum(s.count for s in self.sets)

    @property
    def total(self) -> float:
        return sum(v * n for v, n in self.values.items()) + sum(s.total for s in self.sets)

    def ordered(self) -> Ordered | None:
        """Values with counts in order; None where percentiles and their like do not exist.

        CloudWatch needs raw data points for them, none of which is negative (its user guide,
        "Requirements to use percentiles, trimmed mean, and some other statistics").
        """
        if self.sets or any(v < 0 for v in self.values):
            return None
        return sorted(self.values.items())


def compacted(samples: Samples) -> Samples:
    """Many values as few: count, sum, minimum and maximum stay, others move by 1 % at most."""
    if len(samples.values) <= EXACT_VALUES:
        return samples
    ordered = sorted(samples.values.items())
    bins: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for value, count in ordered[1:-1]:
        bins.setdefault(_bin(value), []).append((value, count))
    result = Samples(sets=list(samples.sets))
    for value, count in (ordered[0], ordered[-1]):
        result.add(value, count)
    for members in bins.values():
        count = sum(n for _, n in members)
        result.add(sum(v * n for v, n in members) / count, count)
    return result


def _bin(value: float) -> tuple[int, int]:
    if value == 0:
        return 0, 0
    return (1 if value > 0 else -1), math.floor(math.log(abs(value)) / math.log1p(BIN_WIDTH))


def _joined(a: StatisticSet, b: StatisticSet) -> StatisticSet:
    return StatisticSet(
        a.count + b.count,
        a.total + b.total,
        min(a.minimum, b.minimum),
        max(a.maximum, b.maximum),
    )

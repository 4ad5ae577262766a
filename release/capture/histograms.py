"""Bins for predictions, by number or by label, and how many of a minute fall into each."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from release.capture.records import Scalar

MAX_LABELS = 20
NUMERIC_BINS = 10


@dataclass(frozen=True)
class Bins:
    """``edges``: upper edges, included; or ``labels``, each a bin. One of the two is empty.

    Behind both stand two more: what is above the last edge (none where there are labels), and
    what fits nowhere: labels of others, numbers that are none.
    """

    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.labels) + 1 if self.labels else len(self.edges) + 2

    def index(self, value: Scalar) -> int:
        other = self.count - 1
        if self.labels:
            text = label_of(value)
            return self.labels.index(text) if text in self.labels else other
        if not isinstance(value, float) or math.isnan(value):
            return other
        return bisect_left(self.edges, value)

    def names(self) -> tuple[str, ...]:
        """How a person would call each bin."""
        if self.labels:
            return (*self.labels, "other")
        return (
            *(f"≤ {edge:g}" for edge in self.edges),
            f"> {self.edges[-1]:g}" if self.edges else "any number",
            "no number",
        )


def label_of(value: Scalar) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def counted(bins: Bins, values: Iterable[Scalar]) -> tuple[int, ...]:
    counts = [0] * bins.count
    for value in values:
        counts[bins.index(value)] += 1
    return tuple(counts)


def choose(values: Iterable[Scalar]) -> Bins | None:
    """Bins from live's predictions: labels where there are few, else tenths of the numbers.

    None where there are no predictions yet.
    """
    seen = list(values)
    if not seen:
        return None
    numbers = sorted(v for v in seen if isinstance(v, float) and math.isfinite(v))
    frequent = Counter(label_of(v) for v in seen)
    is_numeric = len(numbers) > len(seen) / 2
    if not is_numeric or (len(frequent) <= MAX_LABELS and _are_whole(numbers)):
        ordered = sorted(frequent.items(), key=lambda item: (-item[1], item[0]))
        return Bins(labels=tuple(sorted(label for label, _ in ordered[:MAX_LABELS])))
    tenths = [
        numbers[min(len(numbers) - 1, math.ceil(i * len(numbers) / NUMERIC_BINS) - 1)]
        for i in range(1, NUMERIC_BINS)
    ]
    return Bins(edges=tuple(dict.fromkeys(tenths)))


def _are_whole(numbers: list[float]) -> bool:
    return all(v.is_integer() for v in numbers)

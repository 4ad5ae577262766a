"""Logarithms of e-values: their means without overflow, and the interval shown beside a rate."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from release.gates.verdicts import Estimate

Z_95 = 1.959964


def log_mean(logs: Sequence[float]) -> float:
    """log of the mean of exponentials."""
    return log_sum(logs) - math.log(len(logs))


def log_sum(logs: Sequence[float]) -> float:
    """log of the sum of exponentials; -inf for a sum of zeros."""
    top = max(logs)
    if top == -math.inf:
        return top
    exp = math.exp
    return top + math.log(sum([exp(x - top) for x in logs]))


def wilson(bad: int, requests: int) -> Estimate:
    """A rate with its 95 % band (Wilson 1927); the whole range where nothing was counted."""
    if not requests:
        return Estimate(bad, 0, 0.0, 0.0, 1.0)
    rate = min(1.0, bad / requests)
    z2 = Z_95 * Z_95 / requests
    middle = (rate + z2 / 2) / (1 + z2)
    half = Z_95 / (1 + z2) * math.sqrt(rate * (1 - rate) / requests + z2 / (4 * requests))
    return Estimate(bad, requests, rate, max(0.0, middle - half), min(1.0, middle + half))


class UsualRates:
    """Which minutes are usual: at most twice the median rate so far plus three sigma."""

    def __init__(self) -> None:
        self._rates: list[float] = []

    def admits(self, bad: int, requests: int) -> bool:
        """Whether ``bad`` of ``requests`` is usual; the first minute always is."""
        rates = self._rates
        if not rates:
            return True
        middle = len(rates) // 2
        median = rates[middle] if len(rates) % 2 else (rates[middle - 1] + rates[middle]) / 2
        expected = 2 * median * requests
        return bad <= expected + 3 * math.sqrt(max(expected, 1.0))

    def add(self, bad: int, requests: int) -> None:
        insort(self._rates, bad / requests if requests else 0.0)

"""Logarithms of e-values without overflow, and which minutes are usual."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from math import exp


def log_mean(logs: Sequence[float]) -> float:
    """log of the mean of exponentials."""
    return log_sum(logs) - math.log(len(logs))


def log_sum(logs: Sequence[float]) -> float:
    """log of the sum of exponentials; -inf for a sum of zeros."""
    top = max(logs)
    if top == -math.inf:
        return top
    return top + math.log(sum([exp(x - top) for x in logs]))


class UsualRates:
    """Which minutes are usual: at most twice the median rate so far plus three sigma."""

    def __init__(self) -> None:
        self._rates: list[float] = []

    def copy(self) -> UsualRates:
        other = UsualRates()
        other._rates = self._rates.copy()
        return other

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

"""What a gate will be able to tell: how many requests a step needs before it can pass."""

from __future__ import annotations

import math

from contracts.release_manifest import Step
from release.gates.counts import errors_of
from release.gates.passing import PassTally
from release.gates.thresholds import PASS_AT
from release.gates.verdicts import CountedMinute
from release.observation import VariantMinute

MINUTES = 10
MOST = 1 << 34


def requests_to_pass(share: float, step: Step, rate: float = 0.0) -> int | None:
    """Requests to both variants until a candidate as good as live passes, in expectation.

    ``rate`` is the bad share of both. None where that many requests can never tell: no points are
    tolerated and nothing is bad, so there is no ratio to see.
    """

    def passes(requests: int) -> bool:
        return log_pass(requests, share, step, rate) >= math.log(PASS_AT)

    low, high = 0, 1
    while not passes(high):
        low, high = high, high * 2
        if high > MOST:
            return None
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def log_pass(requests: int, share: float, step: Step, rate: float) -> float:
    """log e after ``requests`` that come in ten equal minutes and are bad at ``rate``."""
    tally = PassTally(0, step.tolerance, errors_of)
    each = requests / MINUTES
    live, candidate = each * (1 - share), each * share
    for at in range(MINUTES):
        minute = CountedMinute(
            at * 60.0,
            0,
            share,
            # Expected counts are no whole numbers; the tally only multiplies and adds.
            VariantMinute(live, live * rate, None),  # pyright: ignore[reportArgumentType]
            VariantMinute(candidate, candidate * rate, None),  # pyright: ignore[reportArgumentType]
        )
        tally.extend(minute)
    return tally.log_e

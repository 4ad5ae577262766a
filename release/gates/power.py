"""What a gate will be able to tell: how many requests a step needs before it can pass."""

from __future__ import annotations

import math

from contracts.release_manifest import Step
from release.gates.counts import errors_of
from release.gates.passing import PassTally
from release.gates.thresholds import PASS_AT
from release.gates.verdicts import CountedMinute
from release.observation import VariantMinute

MINUTE, MINUTES = 60.0, 10
MOST = 1 << 34


def requests_to_pass(
    share: float, step: Step, rate: float = 0.0, bad_luck: float = 0.0
) -> int | None:
    """Requests to both variants until a candidate as good as live passes.

    ``rate`` is the bad share of both; ``bad_luck`` by how many standard deviations the difference
    of their bad shares is seen to the candidate's disadvantage (0: in expectation). None where no
    number of requests can tell: no points are tolerated and nothing is bad, so there is no ratio.
    """

    def passes(requests: int) -> bool:
        return log_pass(requests, share, step, rate, bad_luck) >= math.log(PASS_AT)

    low, high = 0, 1
    while not passes(high):
        low, high = high, high * 2
        if high > MOST:
            return None
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def log_pass(requests: int, share: float, step: Step, rate: float, bad_luck: float = 0.0) -> float:
    """log e after ``requests`` that come in ten equal minutes and are bad at ``rate``."""
    tally = PassTally(0, step.tolerance, errors_of)
    live, candidate = requests * (1 - share), requests * share
    # The standard deviation of the difference of the shares, borne by each according to its part.
    spread = bad_luck * math.sqrt(rate * (1 - rate) / (1 / candidate + 1 / live)) if rate else 0.0
    candidate_bad = min(candidate, rate * candidate + spread)
    live_bad = max(0.0, rate * live - spread)
    for at in range(MINUTES):
        # Expected counts are no whole numbers; the tally only multiplies and adds.
        of_live = VariantMinute(live / MINUTES, live_bad / MINUTES, None)  # pyright: ignore[reportArgumentType]
        of_candidate = VariantMinute(candidate / MINUTES, candidate_bad / MINUTES, None)  # pyright: ignore[reportArgumentType]
        tally.extend(CountedMinute(at * MINUTE, 0, share, of_live, of_candidate))
    return tally.log_e

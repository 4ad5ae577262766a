"""What the gates will be able to tell at a given traffic, before any of it has come.

The gates' own e-values at the counts that are to be expected of a candidate as good as live; with
``SURE_SIGMAS`` more bad requests than expected, so that about 99 of 100 such candidates pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from contracts.release_manifest import Tolerance
from release.gates import PASS_AT
from release.gates.passing import BETS
from release.gates.passing import FRACTIONS as PASS_RATIOS

SURE_SIGMAS = 2.5
MOST_REQUESTS = 1 << 40
_PRECISION = 0.005


@dataclass(frozen=True)
class Excluded:
    """The smallest ratio and the fewest points that are excluded; None: not even the largest."""

    ratio: float | None
    points: float | None


def log_pass(
    tolerance: Tolerance, share: float, requests: float, rate: float, sigmas: float = 0.0
) -> float:
    """log of the pass e-value to be expected after ``requests`` to both variants.

    Args:
        share: the candidate's share of the requests, a fraction.
        rate: the share of bad requests of both variants, a fraction.
        sigmas: by how many standard deviations the candidate's bad requests exceed their share.
    """
    relative = _log_ratio(tolerance.ratio, share, requests, rate, sigmas)
    absolute = _log_points(tolerance.points / 100, share, requests, rate, sigmas)
    return _log_mean([relative, absolute])


def requests_needed(
    tolerance: Tolerance, share: float, rate: float, sigmas: float = 0.0
) -> int | None:
    """Requests to both variants until the tolerance is excluded; None where no number is enough."""
    goal = math.log(PASS_AT)

    def passes(requests: int) -> bool:
        return log_pass(tolerance, share, requests, rate, sigmas) >= goal

    return _smallest(passes)


def excluded(share: float, requests: float, rate: float) -> Excluded:
    """What each half of the pass rule excludes alone after ``requests`` to both variants."""
    goal = math.log(2 * PASS_AT - 1)

    def by_ratio(ratio: float) -> bool:
        return _log_ratio(ratio, share, requests, rate, SURE_SIGMAS) >= goal

    def by_points(points: float) -> bool:
        return _log_points(points / 100, share, requests, rate, SURE_SIGMAS) >= goal

    return Excluded(_least(by_ratio, 1.01, 1000.0), _least(by_points, 0.001, 100.0))


def _bad(share: float, requests: float, rate: float, sigmas: float) -> tuple[float, float]:
    """Bad requests of candidate and live; those of both together are as expected."""
    bad = requests * rate
    of_candidate = bad * share + sigmas * math.sqrt(bad * share * (1 - share))
    of_candidate = min(bad, of_candidate)
    return of_candidate, bad - of_candidate


def _log_ratio(ratio: float, share: float, requests: float, rate: float, sigmas: float) -> float:
    of_candidate, of_live = _bad(share, requests, rate, sigmas)

    def probability(r: float) -> float:
        return share * r / (share * r + 1 - share)

    null = probability(ratio)
    return _log_mean(
        [
            of_candidate * math.log(p / null) + of_live * math.log((1 - p) / (1 - null))
            for p in (probability(r * ratio) for r in PASS_RATIOS)
        ]
    )


def _log_points(points: float, share: float, requests: float, rate: float, sigmas: float) -> float:
    of_candidate, of_live = _bad(share, requests, rate, sigmas)
    good = requests - of_candidate - of_live
    logs: list[float] = []
    for bet in BETS:
        stake = bet * share
        logs.append(
            of_candidate * math.log1p(stake * (points - 1 / share))
            + of_live * math.log1p(stake * (points + 1 / (1 - share)))
            + good * math.log1p(stake * points)
        )
    return _log_mean(logs)


def _smallest(passes: Callable[[int], bool]) -> int | None:
    high = 1
    while not passes(high):
        high *= 2
        if high > MOST_REQUESTS:
            return None
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _least(passes: Callable[[float], bool], low: float, high: float) -> float | None:
    """The least value that passes, on a log scale."""
    if not passes(high):
        return None
    if passes(low):
        return low
    while high / low > 1 + _PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _log_mean(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))

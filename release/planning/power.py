"""What the gates will be able to tell at a given traffic, before any of it has come.

The gates' own evidence at the counts that are to be expected of a candidate as good as live; with
``SURE_SIGMAS`` of bad luck, so that about 99 of 100 such candidates pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from contracts.release_manifest import Step, Tolerance
from release.gates import PASS_AT, requests_to_pass
from release.gates.power import log_pass

SURE_SIGMAS = 2.8
# The requests of a minute do not come at exactly the configured share: so many more make up for it.
_UNEVEN = 1.1
_PRECISION = 0.01


@dataclass(frozen=True)
class Excluded:
    """The smallest ratio and the fewest points that are excluded; None: not even the largest."""

    ratio: float | None
    points: float | None


def requests_needed(
    tolerance: Tolerance, share: float, rate: float, sigmas: float = 0.0
) -> int | None:
    """Requests to both variants until the tolerance is excluded; None where no number is enough.

    Args:
        share: the candidate's share of the requests, a fraction.
        rate: the share of bad requests of both variants, a fraction.
        sigmas: how unlucky the candidate is, in standard deviations.
    """
    needed = requests_to_pass(share, _step(tolerance), rate, sigmas)
    return math.ceil(needed * _UNEVEN) if needed is not None and sigmas else needed


def passes(
    tolerance: Tolerance, share: float, requests: float, rate: float, sigmas: float = 0.0
) -> bool:
    """Whether the tolerance is excluded after ``requests`` to both variants."""
    if requests < 1:
        return False
    counted = int(requests / _UNEVEN if sigmas else requests)
    evidence = log_pass(max(1, counted), share, _step(tolerance), rate, sigmas)
    return evidence >= math.log(PASS_AT)


def points_needed(tolerance: Tolerance, share: float, requests: float, rate: float) -> float | None:
    """The fewest tolerated points with which an unlucky good candidate still passes, to 0.1."""

    def is_enough(points: float) -> bool:
        wider = Tolerance(tolerance.ratio, points)
        return passes(wider, share, requests, rate, SURE_SIGMAS)

    least = _least(is_enough, 0.001, 100.0)
    return None if least is None else math.ceil(least * 10 - 1e-9) / 10


def excluded(share: float, requests: float, rate: float) -> Excluded:
    """What each half of the tolerance could be, alone, after ``requests`` to both variants."""

    def by_ratio(ratio: float) -> bool:
        return passes(Tolerance(ratio, 0.0), share, requests, rate, SURE_SIGMAS)

    def by_points(points: float) -> bool:
        return passes(Tolerance(1.0, points), share, requests, rate, SURE_SIGMAS)

    return Excluded(_least(by_ratio, 1.01, 1000.0), _least(by_points, 0.001, 100.0))


def _step(tolerance: Tolerance) -> Step:
    return Step(50.0, tolerance, 0.0, math.inf)


def _least(is_enough: Callable[[float], bool], low: float, high: float) -> float | None:
    """The least value that is enough, on a log scale."""
    if not is_enough(high):
        return None
    if is_enough(low):
        return low
    while high / low > 1 + _PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high

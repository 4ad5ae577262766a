"""The counts of one minute that a gate compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from release.gates.verdicts import CountedMinute
from release.observation import VariantMinute


class Counts(NamedTuple):
    """Requests of both variants, and the bad ones among them."""

    live: int
    candidate: int
    live_bad: int
    candidate_bad: int


Read = Callable[[CountedMinute], Counts | None]


def errors_of(minute: CountedMinute) -> Counts | None:
    """Errors; None in a minute without one of the two."""
    return _counts(minute, minute.live.errors, minute.candidate.errors)


def slow_of(minute: CountedMinute) -> Counts | None:
    """Slow answers; None in a minute in which CloudWatch counted none of either variant."""
    return _counts(minute, minute.live.slow, minute.candidate.slow)


def _counts(minute: CountedMinute, live: int | None, candidate: int | None) -> Counts | None:
    requests = _requests(minute.live), _requests(minute.candidate)
    if live is None or candidate is None or not all(requests):
        return None
    # Retries and late metrics may stamp more errors than requests on a minute.
    bad = min(max(live, 0), requests[0]), min(max(candidate, 0), requests[1])
    return Counts(*requests, *bad)


def _requests(variant: VariantMinute) -> int:
    return max(0, variant.requests)

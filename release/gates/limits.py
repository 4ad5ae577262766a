"""Absolute limits on the candidate alone: Bernoulli likelihood ratios against the limit."""

from __future__ import annotations

import math

from release.gates.numerics import log_mean
from release.gates.verdicts import CountedMinute, Estimate

ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
FRACTIONS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.85)


class LimitTally:
    """log e of "at most ``limit``" over all minutes, and of "at least ``excluded``" in one step."""

    def __init__(self, metric: str, limit: float, index: int, excluded: float) -> None:
        self._metric = metric
        self._limit = limit
        self._fail = _logs(limit, [r * limit / (1 - limit + r * limit) for r in ODDS])
        self._all_bad = self._all = 0
        self.aim(index, excluded)

    def aim(self, index: int, excluded: float) -> None:
        self._index = index
        self._excluded = excluded
        self._pass = _logs(excluded, [f * excluded for f in FRACTIONS])
        self._bad = self._requests = 0

    def extend(self, minute: CountedMinute) -> None:
        candidate = minute.candidate
        bad = candidate.errors if self._metric == "errors" else candidate.slow
        if bad is None or candidate.requests <= 0:
            return
        bad = min(max(bad, 0), candidate.requests)
        self._all_bad += bad
        self._all += candidate.requests
        if minute.step == self._index:
            self._bad += bad
            self._requests += candidate.requests

    @property
    def of_release(self) -> Estimate:
        return Estimate(self._all_bad, self._all)

    @property
    def of_step(self) -> Estimate:
        return Estimate(self._bad, self._requests)

    @property
    def log_fail(self) -> float:
        if self._limit <= 0:
            return math.inf if self._all_bad else 0.0
        return _log_e(self._fail, self._all_bad, self._all)

    @property
    def log_pass(self) -> float:
        """Certain where nothing is tolerated and nothing was bad, or where all is tolerated."""
        if not self._requests:
            return 0.0
        if self._excluded <= 0:
            return -math.inf if self._bad else math.inf
        if self._excluded >= 1:
            return math.inf
        return _log_e(self._pass, self._bad, self._requests)


def _logs(null: float, others: list[float]) -> list[tuple[float, float]]:
    if not 0 < null < 1:
        return []
    return [(math.log(p / null), math.log((1 - p) / (1 - null))) for p in others]


def _log_e(table: list[tuple[float, float]], bad: int, requests: int) -> float:
    if not table:
        return 0.0
    return log_mean([bad * of_bad + (requests - bad) * of_good for of_bad, of_good in table])

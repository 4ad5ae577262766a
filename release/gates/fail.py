"""Fail: is the candidate's bad share more than ``allow`` times live's?

Given the requests of a minute, each bad one is the candidate's with probability
n_c·a/(n_c·a + n_l) at ratio a = ``allow``, whatever made requests bad. The e-value is a mixture
over ratios r of products over minutes of Binomial(y_c; p_r)/Binomial(y_c; p_a), never reset during
a release. Two such, over all minutes and over those of usual badness, are averaged: the first finds
sudden breakage, the second keeps its power where bad minutes hit both variants alike.
"""

from __future__ import annotations

import math
from operator import add

from release.gates.counts import Counts, Read
from release.gates.hypergeometric import log_moments
from release.gates.numerics import UsualRates, log_sum
from release.gates.verdicts import CountedMinute

# Times `allow`. Slight damage takes longest to see, so it gets the larger share of the mixture.
SHARES = {
    1.25: 0.2,
    1.5: 0.24,
    2.0: 0.18,
    3.0: 0.12,
    4.5: 0.08,
    7.0: 0.06,
    12.0: 0.04,
    20.0: 0.03,
    35.0: 0.02,
    60.0: 0.02,
    100.0: 0.01,
}
RATIOS = tuple(SHARES)
LOG_WEIGHTS = tuple(math.log(share) for share in SHARES.values())
LOG_RATIOS = tuple(math.log(r) for r in RATIOS)
# Above this share of bad requests the binomial wastes power: labels are drawn without replacement.
DENSE = 0.1


class FailTally:
    """log e of "at most ``allow`` times as bad", extended minute by minute."""

    def __init__(self, allow: float, read: Read) -> None:
        self._allow = allow
        self._read = read
        self._ratios = tuple(r * allow for r in RATIOS)
        self._usual_rates = UsualRates()
        self._every = list(LOG_WEIGHTS)
        self._usual = list(LOG_WEIGHTS)
        self.measured = 0
        self.live = self.candidate = self.live_bad = self.candidate_bad = 0

    def extend(self, minute: CountedMinute) -> None:
        counts = self._read(minute)
        if counts is None:
            return
        self.measured += 1
        self.live += counts.live
        self.candidate += counts.candidate
        self.live_bad += counts.live_bad
        self.candidate_bad += counts.candidate_bad
        bad, total = counts.live_bad + counts.candidate_bad, counts.live + counts.candidate
        is_usual = self._usual_rates.admits(bad, total)
        self._usual_rates.add(bad, total)
        if not bad:
            return
        factors = self._factors(counts)
        self._every = list(map(add, self._every, factors))
        if is_usual:
            self._usual = list(map(add, self._usual, factors))

    @property
    def log_e(self) -> float:
        return log_sum((log_sum(self._every), log_sum(self._usual))) - math.log(2)

    def _factors(self, counts: Counts) -> list[float]:
        """log factor of each ratio."""
        live, candidate, live_bad, bad_candidate = counts
        bad = live_bad + bad_candidate
        if self._allow == 1 and bad > DENSE * (live + candidate):
            moments = log_moments(candidate, live, bad, RATIOS)
            return [bad_candidate * r - m for r, m in zip(LOG_RATIOS, moments, strict=True)]
        null = math.log(candidate * self._allow + live)
        log = math.log
        return [
            bad_candidate * log_ratio + bad * (null - log(candidate * ratio + live))
            for ratio, log_ratio in zip(self._ratios, LOG_RATIOS, strict=True)
        ]

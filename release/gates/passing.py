"""Pass: is the candidate shown to be within the step's tolerance, anew at each step?

The null is "worse by the tolerance's ratio and by its points" (the tolerance is whichever is
larger), so a bet that holds against either one is a fair bet. The e-value is the wealth of one fund
that is spread over three strategies:

- ratios: the binomial likelihood of a smaller ratio over that of the tolerance, only over minutes
  whose live bad count is usual. Shared bad minutes pull the ratio towards 1 and would let a worse
  candidate pass. Choosing by live's own count is safe: the bet grows in that count, so to leave out
  the minutes in which it is large can only lower the wealth that a worse candidate makes.
- points: each request bets on bad·(1{candidate}/w - 1{live}/(1-w)), w the candidate's share of the
  minute's requests; its mean is the difference of the two bad shares. It needs no rate of live's.
  Given the counts of requests the product has mean at most 1 (arithmetic and geometric means); for
  labels drawn at random that holds whatever the requests have in common, bursts and clumps alike,
  for every factor falls in its label and labels of fixed numbers are negatively associated.
- the guide: before each minute, the one bet of both kinds that would grow fastest if the candidate
  were as good as live is at live's rate so far. A bet may depend on anything that came before.

Every minute each strategy hands a little of its wealth to the guide, which so recovers from a bad
minute; moving wealth between strategies is fair too.
"""

from __future__ import annotations

import math
from operator import add

from contracts.release_manifest import Tolerance
from release.gates.counts import Counts, Read
from release.gates.numerics import UsualRates, log_sum
from release.gates.verdicts import CountedMinute

FRACTIONS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)  # ratios bet on, times the tolerance's
BETS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
LARGEST_BET = 0.97
GUIDE, EQUAL, RATIOS = 0.65, 0.15, 0.08  # shares of the fund; the points' grid has the rest
EQUAL_ALONE = 0.6
HANDED_ON = 0.01
LOG_HANDED_ON, LOG_KEPT = math.log(HANDED_ON), math.log1p(-HANDED_ON)
# Live's rate before anything was seen: half a bad request in fifty.
PRIOR_BAD, PRIOR_REQUESTS = 0.5, 50.0


class PassTally:
    """log e of "worse by more than the tolerance", over the minutes of one step."""

    def __init__(self, index: int, tolerance: Tolerance, read: Read) -> None:
        self._index = index
        self._read = read
        self._ratio = tolerance.ratio
        self._points = tolerance.points / 100
        self._usual_rates = UsualRates()
        self._seen_bad, self._seen = PRIOR_BAD, PRIOR_REQUESTS
        self._set_fund()
        self.log_e = 0.0
        self.log_ratio_e = self.log_points_e = -math.inf
        self.measured = 0
        self.live = self.candidate = self.live_bad = self.candidate_bad = 0

    def _set_fund(self) -> None:
        """Who starts with which share; what cannot win starts with nothing."""
        has_ratio, has_points = self._ratio > 1, self._points > 0
        fractions: list[tuple[float, float]] = []
        if has_ratio:
            equal, grid = (EQUAL, RATIOS) if has_points else (EQUAL_ALONE, 1 - EQUAL_ALONE)
            fractions = [(1 / self._ratio, equal)]
            fractions += [(f, grid / len(FRACTIONS)) for f in FRACTIONS]
        spent = sum(share for _, share in fractions)
        guide = GUIDE if has_points else 0.0
        self._bets = BETS if has_points else ()
        rest = 1 - spent - guide
        self._log_fractions = [(f * self._ratio, math.log(f)) for f, _ in fractions]
        self._relative = [math.log(share) for _, share in fractions]
        self._absolute = [math.log(rest / len(BETS)) for _ in self._bets]
        # What the strategies but the guide have left of what they made, after what was handed on.
        self._kept = 0.0
        self._guide = math.log(guide) if guide else -math.inf
        self._can_win = bool(fractions or self._bets)

    def anew(self, index: int, tolerance: Tolerance) -> PassTally:
        """The tally of the next step: its own evidence, but live's past."""
        other = PassTally(index, tolerance, self._read)
        other._usual_rates = self._usual_rates.copy()
        other._seen_bad, other._seen = self._seen_bad, self._seen
        return other

    @property
    def excludes_by_ratio(self) -> bool:
        """Whether the ratio, rather than the points, is what the evidence excludes."""
        return self.log_ratio_e > self.log_points_e

    def extend(self, minute: CountedMinute) -> None:
        counts = self._read(minute)
        if counts is None:
            return
        is_usual = self._usual_rates.admits(counts.live_bad, counts.live)
        if minute.step == self._index and self._can_win:
            self._bet(counts, is_usual)
        self._usual_rates.add(counts.live_bad, counts.live)
        self._seen_bad += counts.live_bad
        self._seen += counts.live

    def _bet(self, counts: Counts, is_usual: bool) -> None:
        self.measured += 1
        self.live += counts.live
        self.candidate += counts.candidate
        self.live_bad += counts.live_bad
        self.candidate_bad += counts.candidate_bad
        self._guide += self._guided(counts, is_usual)
        bad = counts.live_bad + counts.candidate_bad
        if is_usual and bad:
            factors = self._ratio_factors(counts)
            self._relative = list(map(add, self._relative, factors))
        if self._bets:
            factors = self._points_factors(counts)
            self._absolute = list(map(add, self._absolute, factors))
        self._settle()

    def _settle(self) -> None:
        """Add up the fund, and hand a little of everyone's wealth to the guide."""
        kept = self._kept
        self.log_ratio_e = kept + log_sum(self._relative) if self._relative else -math.inf
        self.log_points_e = kept + log_sum(self._absolute) if self._absolute else -math.inf
        self.log_e = log_sum((self.log_ratio_e, self.log_points_e, self._guide))
        if self._guide > -math.inf:
            self._kept += LOG_KEPT
            self._guide = log_sum((self._guide + LOG_KEPT, LOG_HANDED_ON + self.log_e))

    def _ratio_factors(self, counts: Counts) -> list[float]:
        live, candidate, live_bad, candidate_bad = counts
        bad = live_bad + candidate_bad
        null = math.log(candidate * self._ratio + live)
        log = math.log
        return [
            candidate_bad * log_fraction + bad * (null - log(candidate * ratio + live))
            for ratio, log_fraction in self._log_fractions
        ]

    def _points_factors(self, counts: Counts) -> list[float]:
        """log factor of each bet."""
        live, candidate, live_bad, candidate_bad = counts
        good = live + candidate - live_bad - candidate_bad
        share, points, log1p = candidate / (live + candidate), self._points, math.log1p
        of_live = share * (points + 1 / (1 - share))
        of_good = share * points
        if not live_bad and not candidate_bad:
            return [good * log1p(bet * of_good) for bet in self._bets]
        of_candidate = of_good - 1
        return [
            good * log1p(bet * of_good)
            + candidate_bad * log1p(bet * of_candidate)
            + live_bad * log1p(bet * of_live)
            for bet in self._bets
        ]

    # --- the guide

    def _guided(self, counts: Counts, is_usual: bool) -> float:
        """log factor of the bet that promises most at live's rate so far."""
        if self._guide == -math.inf:
            return 0.0
        live, candidate, live_bad, candidate_bad = counts
        share = candidate / (live + candidate)
        rate = min(0.999, self._seen_bad / self._seen)
        bet = best_bet(rate, share, self._points)
        of_candidate, of_live, of_good = points_logs(bet, share, self._points)
        by_points = rate * (share * of_candidate + (1 - share) * of_live) + (1 - rate) * of_good
        bad = live_bad + candidate_bad
        if self._ratio > 1:
            log_ratio = math.log(self._ratio)
            gain = math.log1p(share * (self._ratio - 1))
            if rate * (gain - share * log_ratio) > by_points:
                if not is_usual:
                    return 0.0
                spread = math.log((candidate * self._ratio + live) / (candidate + live))
                return bad * spread - candidate_bad * log_ratio
        good = live + candidate - bad
        return candidate_bad * of_candidate + live_bad * of_live + good * of_good


def points_logs(bet: float, share: float, points: float) -> tuple[float, float, float]:
    """log(1 + λ(d - X)), λ = bet·w, X the candidate's bad request, live's, or a good one."""
    stake = bet * share
    return (
        math.log1p(stake * points - bet),
        math.log1p(stake * (points + 1 / (1 - share))),
        math.log1p(stake * points),
    )


def best_bet(rate: float, share: float, points: float) -> float:
    """The bet that grows fastest when both variants are bad at ``rate`` (small rates).

    The root of d = p·c(1+κ)/((1-c)(1+cκ)), κ = w/(1-w): the derivative of the expected logarithm.
    """
    kappa = share / (1 - share)
    linear = rate * (1 + kappa) - points * (kappa - 1)
    square = 4 * kappa * points * points
    root = math.sqrt(linear * linear + square)
    if linear > 0:
        return min(LARGEST_BET, 2 * points / (linear + root))
    return min(LARGEST_BET, (root - linear) / (2 * kappa * points))

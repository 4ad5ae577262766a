"""Predictions: do candidate and live answer differently, by more than a total-variation distance?

Counts over the gate's bins, from data capture. For a set S of bins and any centre μ, a request pays
X = (1{in S} - μ)·(1{candidate}/w - 1{live}/(1-w)), w the candidate's share of the minute's captured
answers; its mean is P_c(S) - P_l(S), and the largest of these over S is the distance. Products of
1 ± λ(X - d) have mean at most 1 under the null given the counts of the minute (the inequality of
arithmetic and geometric means), so bets may follow the past (Waudby-Smith and Ramdas, JRSS B 2024;
for two samples Turner, Ly and Grünwald 2024).

- Fail at distance d: the set and the centre are those that the earlier minutes suggest.
- Pass at distance d: every set of bins must be excluded. Were the distance d, one set's wealth
  would be a fair game's, so the poorest one's is at most that, and no correction for their number
  is needed. With centre 1/2 the log wealth is a sum over bins: the poorest set is found bin by bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from release.gates.numerics import log_mean
from release.gates.verdicts import CountedMinute

FAIL_BETS = (0.05, 0.1, 0.2, 0.4, 0.7)
PASS_BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
MIN_CENTRE = 0.02
Histograms = tuple[tuple[int, ...], tuple[int, ...]]


def histograms(minute: CountedMinute) -> Histograms | None:
    """Live's and the candidate's counts; None where one of the two has none, or other bins."""
    live, candidate = minute.live.predictions, minute.candidate.predictions
    if live is None or candidate is None or len(live) != len(candidate):
        return None
    return (live, candidate) if sum(live) and sum(candidate) else None


class ShiftTotals:
    """Counts of each bin over the minutes so far."""

    def __init__(self) -> None:
        self.live: list[int] = []
        self.candidate: list[int] = []
        self.measured = 0

    def fits(self, bins: int) -> bool:
        return not self.measured or len(self.live) == bins

    def add(self, live: Sequence[int], candidate: Sequence[int]) -> None:
        if not self.measured:
            self.live, self.candidate = [0] * len(live), [0] * len(candidate)
        self.measured += 1
        self.live = [a + b for a, b in zip(self.live, live, strict=True)]
        self.candidate = [a + b for a, b in zip(self.candidate, candidate, strict=True)]

    @property
    def distance(self) -> float:
        """The empirical total-variation distance: biased upwards, for people only."""
        live, candidate = sum(self.live), sum(self.candidate)
        if not live or not candidate:
            return 0.0
        pairs = zip(self.live, self.candidate, strict=True)
        return sum(abs(c / candidate - v / live) for v, c in pairs) / 2


class ShiftFailTally:
    """log e of "at most ``distance`` apart", over all minutes of a release."""

    def __init__(self, distance: float) -> None:
        self._distance = distance
        self._logs = [0.0] * len(FAIL_BETS)
        self.totals = ShiftTotals()
        self.log_e = 0.0

    def extend(self, minute: CountedMinute) -> None:
        found = histograms(minute)
        if found is None or not self.totals.fits(len(found[0])):
            return
        self._bet(*found)
        self.totals.add(*found)

    def _bet(self, live: Sequence[int], candidate: Sequence[int]) -> None:
        inside, centre = self._suggested(len(live))
        live_in = sum(n for n, is_in in zip(live, inside, strict=True) if is_in)
        candidate_in = sum(n for n, is_in in zip(candidate, inside, strict=True) if is_in)
        live_all, candidate_all = sum(live), sum(candidate)
        share = candidate_all / (live_all + candidate_all)
        largest = 1 / (self._distance + max(centre / share, (1 - centre) / (1 - share)))
        for i, bet in enumerate(FAIL_BETS):
            stake = bet * largest
            base = 1 - stake * self._distance
            self._logs[i] += (
                candidate_in * math.log(base + stake * (1 - centre) / share)
                + (candidate_all - candidate_in) * math.log(base - stake * centre / share)
                + live_in * math.log(base - stake * (1 - centre) / (1 - share))
                + (live_all - live_in) * math.log(base + stake * centre / (1 - share))
            )
        self.log_e = log_mean(self._logs)

    def _suggested(self, bins: int) -> tuple[list[bool], float]:
        """The bins in which the candidate had more so far, and the share that both had there."""
        half = [2 * i >= bins for i in range(bins)]
        if not self.totals.measured:
            return half, 0.5
        live, candidate = self.totals.live, self.totals.candidate
        ratio = sum(candidate) / sum(live)
        inside = [c > v * ratio for v, c in zip(live, candidate, strict=True)]
        if not any(inside):
            inside = half
        both = [v + c for v, c in zip(live, candidate, strict=True)]
        share = sum(n for n, is_in in zip(both, inside, strict=True) if is_in) / sum(both)
        return inside, min(1 - MIN_CENTRE, max(MIN_CENTRE, share))


class ShiftPassTally:
    """log e of "``distance`` apart or more", over the minutes of one step."""

    def __init__(self, index: int, distance: float) -> None:
        self._index = index
        self._distance = distance
        self._inside: list[list[float]] = []
        self._outside: list[list[float]] = []
        self.totals = ShiftTotals()
        self.log_e = 0.0

    def extend(self, minute: CountedMinute) -> None:
        found = histograms(minute)
        if minute.step != self._index or found is None or not self.totals.fits(len(found[0])):
            return
        self.totals.add(*found)
        live, candidate = found
        if not self._inside:
            self._inside = [[0.0] * len(live) for _ in PASS_BETS]
            self._outside = [[0.0] * len(live) for _ in PASS_BETS]
        share = sum(candidate) / (sum(live) + sum(candidate))
        for i, bet in enumerate(PASS_BETS):
            self._add(i, bet * 2 * min(share, 1 - share), share, found)
        poorest = [
            sum(map(min, inside, outside))
            for inside, outside in zip(self._inside, self._outside, strict=True)
        ]
        self.log_e = log_mean(poorest)

    def _add(self, at: int, stake: float, share: float, found: Histograms) -> None:
        base = 1 + stake * self._distance
        up, down = stake / (2 * share), stake / (2 * (1 - share))
        candidate_in, live_in = math.log(base - up), math.log(base + down)
        candidate_out, live_out = math.log(base + up), math.log(base - down)
        pairs = list(zip(*found, strict=True))
        self._inside[at] = [
            x + c * candidate_in + v * live_in
            for x, (v, c) in zip(self._inside[at], pairs, strict=True)
        ]
        self._outside[at] = [
            x + c * candidate_out + v * live_out
            for x, (v, c) in zip(self._outside[at], pairs, strict=True)
        ]

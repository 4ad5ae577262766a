"""Sample ratio: does the candidate get the share of requests that its weight says?"""

from __future__ import annotations

import math

from release.gates.numerics import log_mean
from release.gates.verdicts import Answer, CountedMinute, GateVerdict

SKEWED_AT = 1000.0
ODDS = (0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0)  # of the candidate, times the configured


class SkewTally:
    """log e of "the configured share", over the minutes of one step."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._logs = [0.0] * len(ODDS)
        self._tables: dict[float, list[tuple[float, float]]] = {}
        self.live = self.candidate = 0
        self.share = 0.0

    def extend(self, minute: CountedMinute) -> None:
        if minute.step != self._index:
            return
        live, candidate = minute.live.requests, minute.candidate.requests
        self.live += live
        self.candidate += candidate
        self.share = minute.share
        self._logs = [
            x + candidate * of_candidate + live * of_live
            for x, (of_candidate, of_live) in zip(
                self._logs, self._table(minute.share), strict=True
            )
        ]

    @property
    def log_e(self) -> float:
        return log_mean(self._logs)

    def _table(self, share: float) -> list[tuple[float, float]]:
        table = self._tables.get(share)
        if table is None:
            odds = [share / (1 - share) * factor for factor in ODDS]
            shares = [o / (1 + o) for o in odds]
            table = [(math.log(s / share), math.log((1 - s) / (1 - share))) for s in shares]
            self._tables[share] = table
        return table


def judge_skew(tally: SkewTally) -> list[GateVerdict]:
    """Holds while the candidate's requests do not come at its configured share."""
    if tally.log_e < math.log(SKEWED_AT):
        return []
    got = tally.candidate / (tally.candidate + tally.live)
    text = (
        f"candidate got {got:.1%} of the requests, its weight says {tally.share:.1%}: "
        "clients that pin a variant make the comparison unfair"
    )
    return [GateVerdict("sample ratio", Answer.HOLD, text)]

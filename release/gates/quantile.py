"""Latency by percentile: what is left where CloudWatch does not count answers over a limit.

Whether ModelLatency offers the statistics PR and TC is not documented (facts 5). A percentile is
one number a minute, so this is a rule of thumb on minutes and no e-process.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from contracts.release_manifest import LatencyGate
from release.gates.verdicts import Answer, CountedMinute, GateVerdict
from release.gates.wording import milliseconds

MIN_MINUTES = 3


def judge_latency(gate: LatencyGate, of_step: Iterable[CountedMinute]) -> GateVerdict:
    """Fails when the candidate's p95 is too slow in most minutes, and in three at least."""
    measured = [(m.candidate.p95_us, m.live.p95_us) for m in of_step]
    pairs = [(c, v) for c, v in measured if c is not None and v is not None]
    slow = sum(c > max(gate.over_us, gate.allow * v) for c, v in pairs)
    if not pairs:
        return GateVerdict("latency", Answer.HOLD, "no latency measured yet")
    candidate, live = median(c for c, _ in pairs), median(v for _, v in pairs)
    p95 = f"p95 {milliseconds(candidate)} against {milliseconds(live)}"
    limit = f"limit {milliseconds(gate.over_us)} or ×{gate.allow:g}"
    return judge_minutes("latency", p95, slow, len(pairs), limit)


def judge_minutes(name: str, what: str, slow: int, measured: int, limit: str) -> GateVerdict:
    text = f"{what}, too slow in {slow} of {measured} minutes"
    is_mostly_slow = slow > measured / 2
    if measured < MIN_MINUTES:
        return GateVerdict(name, Answer.HOLD, f"{text} ({MIN_MINUTES} are needed)")
    if is_mostly_slow and slow >= MIN_MINUTES:
        return GateVerdict(name, Answer.FAIL, f"{text} ({limit})")
    if is_mostly_slow:
        return GateVerdict(name, Answer.HOLD, text)
    return GateVerdict(name, Answer.PASS, what)

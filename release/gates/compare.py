"""The statistical gates: errors, share of slow answers, predictions, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from contracts.release_manifest import (
    ErrorGate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    Step,
)
from release.gates import wording
from release.gates.counts import Read, errors_of, slow_of
from release.gates.fail import FailTally
from release.gates.limits import LimitTally
from release.gates.numerics import wilson
from release.gates.passing import PassTally
from release.gates.quantile import judge_latency, judge_minutes
from release.gates.shift import ShiftFailTally, ShiftPassTally
from release.gates.tally import tallied
from release.gates.thresholds import FAIL_AT, PASS_AT
from release.gates.verdicts import Answer, CountedMinute, Evidence, GateVerdict

LARGEST_SHIFT = 0.5
NO_COUNTS = "CloudWatch counts no answers over a limit, decided by p95"
P95 = "p95"
Minutes = tuple[CountedMinute, ...]


@dataclass(frozen=True)
class Context:
    """What the gates of one step are judged by; ``gate_count`` of them can fail by chance."""

    index: int
    step: Step
    minutes: Minutes
    gate_count: int

    @property
    def fail_at(self) -> float:
        return math.log(FAIL_AT * max(1, self.gate_count))

    @property
    def pass_at(self) -> float:
        return math.log(PASS_AT)

    def of_step(self) -> list[CountedMinute]:
        return [m for m in self.minutes if m.step == self.index]


def judge_errors(gate: ErrorGate, context: Context) -> GateVerdict:
    return _judge_counts("errors", "errors", gate.allow, errors_of, context)


def judge_slow(gate: LatencyGate, context: Context) -> GateVerdict:
    """By the share of answers over the limit; by p95 where CloudWatch offers no such count."""
    if not any(slow_of(m) is not None for m in context.minutes[-1:]) and not _counts_slow(context):
        verdict = judge_latency(gate, context.of_step())
        if verdict.evidence is None and any(m.live.p95_us is not None for m in context.minutes):
            return GateVerdict("latency", verdict.answer, f"{verdict.text}; {NO_COUNTS}")
        return verdict
    what = f"slower than {wording.milliseconds(gate.over_us)}:"
    return _judge_counts("latency", what, gate.allow, slow_of, context)


def _counts_slow(context: Context) -> bool:
    return any(slow_of(m) is not None for m in context.minutes)


def _judge_counts(name: str, what: str, allow: float, read: Read, context: Context) -> GateVerdict:
    """Fail over all minutes of the release, pass over those of this step."""
    index, tolerance = context.index, context.step.tolerance
    fail = tallied(("fail", name, allow), lambda: FailTally(allow, read), context.minutes)
    key = ("pass", name, index, tolerance)
    passed = tallied(key, lambda: PassTally(index, tolerance, read), context.minutes)
    has_failed = fail.log_e >= context.fail_at
    shown = fail if has_failed else passed
    evidence = Evidence(
        fail.log_e,
        passed.log_e,
        context.fail_at,
        context.pass_at,
        wilson(shown.live_bad, shown.live),
        wilson(shown.candidate_bad, shown.candidate),
    )
    rates = (
        f"{what} {wording.rate(shown.candidate_bad, shown.candidate)} against "
        f"{wording.rate(shown.live_bad, shown.live)}"
    )
    if has_failed:
        answer, text = Answer.FAIL, f"{rates}, e = {wording.power(fail.log_e)}"
    elif not passed.measured:
        answer, text = Answer.HOLD, f"{name}: no settled minute of both variants yet"
    elif passed.log_e >= context.pass_at:
        excluded = wording.excluded(tolerance, by_ratio=passed.excludes_by_ratio)
        answer = Answer.PASS
        text = f"{rates}, {excluded} excluded, e = {wording.power(passed.log_e)}"
    else:
        answer = Answer.HOLD
        text = f"{rates}, not sure yet (e = {wording.power(passed.log_e)} of {PASS_AT:g})"
    return GateVerdict(name, answer, text, evidence=evidence)


def judge_predictions(gate: PredictionGate, context: Context) -> GateVerdict:
    """Fails above ``max_shift``; passes when that times the step's ratio is excluded."""
    index = context.index
    excluded = min(LARGEST_SHIFT, gate.max_shift * max(1.0, context.step.tolerance.ratio))
    fail = tallied(
        ("shift fail", gate.max_shift), lambda: ShiftFailTally(gate.max_shift), context.minutes
    )
    passed = tallied(
        ("shift pass", index, excluded), lambda: ShiftPassTally(index, excluded), context.minutes
    )
    evidence = Evidence(fail.log_e, passed.log_e, context.fail_at, context.pass_at)
    if fail.log_e >= context.fail_at:
        text = (
            f"predictions shifted by {wording.percent(fail.totals.distance)} (limit "
            f"{wording.percent(gate.max_shift)}), e = {wording.power(fail.log_e)}"
        )
        return GateVerdict("predictions", Answer.FAIL, text, evidence=evidence)
    if not passed.totals.measured:
        text = "predictions: none captured of both variants yet"
        return GateVerdict("predictions", Answer.HOLD, text, evidence=evidence)
    seen = f"predictions shifted by {wording.percent(passed.totals.distance)}"
    e_value = wording.power(passed.log_e)
    if passed.log_e >= context.pass_at:
        text = f"{seen}, {wording.percent(excluded)} excluded, e = {e_value}"
        return GateVerdict("predictions", Answer.PASS, text, evidence=evidence)
    text = f"{seen}, not sure yet (e = {e_value} of {PASS_AT:g})"
    return GateVerdict("predictions", Answer.HOLD, text, evidence=evidence)


def judge_limit(gate: LimitGate, context: Context) -> GateVerdict:
    """Fails above the limit; passes when it is shown not to be passed by the step's tolerance."""
    if gate.metric == P95:
        return _judge_p95_limit(gate, context)
    tolerance = context.step.tolerance
    largest = max(gate.at_most * tolerance.ratio, gate.at_most + tolerance.points / 100)
    key = ("limit", gate.metric, gate.at_most, context.index, largest)
    tally = tallied(
        key,
        lambda: LimitTally(gate.metric, gate.at_most, context.index, largest),
        context.minutes,
    )
    log_fail, log_pass = tally.log_fail, tally.log_pass
    evidence = Evidence(
        log_fail,
        log_pass,
        context.fail_at,
        context.pass_at,
        None,
        wilson(tally.bad, tally.requests),
    )
    name = f"limit of {gate.metric}"
    limit = f"limit {wording.percent(gate.at_most)}"
    rate = f"{gate.metric} {wording.rate(tally.bad, tally.requests)}"
    if log_fail >= context.fail_at:
        text = f"{gate.metric} {wording.percent(tally.all_rate)} ({limit}), e = "
        return GateVerdict(name, Answer.FAIL, f"{text}{wording.power(log_fail)}", evidence=evidence)
    if not tally.measured:
        text = f"{name}: no settled minute of the candidate yet"
        return GateVerdict(name, Answer.HOLD, text, evidence=evidence)
    if log_pass >= context.pass_at:
        return GateVerdict(name, Answer.PASS, f"{rate} ({limit})", evidence=evidence)
    text = f"{rate} ({limit}), not sure yet (e = {wording.power(log_pass)} of {PASS_AT:g})"
    return GateVerdict(name, Answer.HOLD, text, evidence=evidence)


def _judge_p95_limit(gate: LimitGate, context: Context) -> GateVerdict:
    measured = [m.candidate.p95_us for m in context.of_step() if m.candidate.p95_us is not None]
    if not measured:
        return GateVerdict("limit of p95", Answer.HOLD, "limit of p95: no latency measured yet")
    slow = sum(value > gate.at_most for value in measured)
    what = f"p95 {wording.milliseconds(median(measured))}"
    limit = f"limit {wording.milliseconds(gate.at_most)}"
    return judge_minutes("limit of p95", what, slow, len(measured), limit)

"""The statistical gates: errors, share of slow answers, predictions, limits.

Each judge takes in minutes one by one, and keeps its verdict until there is a new one.
"""

from __future__ import annotations

from statistics import median

from contracts.release_manifest import (
    ErrorGate,
    Gate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    Step,
    Tolerance,
)
from release.gates import wording
from release.gates.counts import Read, errors_of, slow_of
from release.gates.fail import FailTally
from release.gates.limits import LimitTally
from release.gates.passing import PassTally
from release.gates.quantile import judge_latency, judge_minutes
from release.gates.shift import ShiftFailTally, ShiftPassTally
from release.gates.thresholds import Bars
from release.gates.verdicts import Answer, CountedMinute, Estimate, Evidence, GateVerdict

LARGEST_SHIFT = 0.5
NO_COUNTS = "CloudWatch counts no answers over the limit, so p95 decides"


class Judge:
    """One gate after the minutes so far."""

    def __init__(self) -> None:
        self._kept: tuple[Bars, GateVerdict] | None = None

    def aim(self, index: int, step: Step) -> None:
        self._kept = None
        self._aim(index, step)

    def extend(self, minute: CountedMinute) -> None:
        self._kept = None
        self._extend(minute)

    def verdict(self, bars: Bars) -> GateVerdict:
        if self._kept is None or self._kept[0] != bars:
            self._kept = (bars, self._judge(bars))
        return self._kept[1]

    def _aim(self, index: int, step: Step) -> None:
        raise NotImplementedError

    def _extend(self, minute: CountedMinute) -> None:
        raise NotImplementedError

    def _judge(self, bars: Bars) -> GateVerdict:
        raise NotImplementedError


def judge_of(gate: Gate, index: int, step: Step) -> Judge | None:
    """The judge of a statistical gate; None for a gate that others decide."""
    match gate:
        case ErrorGate():
            return CountsJudge("errors", "errors", gate.allow, errors_of, index, step)
        case LatencyGate():
            return LatencyJudge(gate, index, step)
        case PredictionGate():
            return ShiftJudge(gate, index, step)
        case LimitGate(metric="p95"):
            return P95LimitJudge(gate, index)
        case LimitGate():
            return LimitJudge(gate, index, step)
        case _:
            return None


class CountsJudge(Judge):
    """Bad requests of both variants: fail over the release, pass over the step."""

    def __init__(
        self, name: str, what: str, allow: float, read: Read, index: int, step: Step
    ) -> None:
        super().__init__()
        self._name, self._what = name, what
        self._fail = FailTally(allow, read)
        self._pass = PassTally(index, step.tolerance, read)
        self._tolerance = step.tolerance

    @property
    def has_counts(self) -> bool:
        return self._fail.measured > 0

    def _aim(self, index: int, step: Step) -> None:
        self._pass = self._pass.anew(index, step.tolerance)
        self._tolerance = step.tolerance

    def _extend(self, minute: CountedMinute) -> None:
        self._fail.extend(minute)
        self._pass.extend(minute)

    def _judge(self, bars: Bars) -> GateVerdict:
        log_fail, log_pass = self._fail.log_e, self._pass.log_e
        shown = self._fail if log_fail >= bars.failing else self._pass
        live = Estimate(shown.live_bad, shown.live)
        candidate = Estimate(shown.candidate_bad, shown.candidate)
        evidence = Evidence(log_fail, log_pass, bars.failing, bars.passing, live, candidate)
        percent, power = wording.percent, wording.power
        rates = f"{self._what} {percent(candidate.rate)} against {percent(live.rate)}"
        if shown is self._fail:
            answer, text = Answer.FAIL, f"{rates}, e = {power(log_fail)}"
        elif not self._pass.measured:
            answer, text = Answer.HOLD, f"{self._name}: no settled minute of both variants yet"
        elif log_pass >= bars.passing and log_fail >= bars.suspect:
            answer = Answer.HOLD
            text = f"{rates}, looks worse so far (e = {power(log_fail)})"
        elif log_pass >= bars.passing:
            what = wording.excluded(self._tolerance, by_ratio=self._pass.excludes_by_ratio)
            answer, text = Answer.PASS, f"{rates}, {what} excluded, e = {power(log_pass)}"
        else:
            answer = Answer.HOLD
            text = f"{rates}, not sure yet (e = {power(log_pass)} of {bars.needed:g})"
        return GateVerdict(self._name, answer, text, evidence=evidence)


class LatencyJudge(Judge):
    """The share of answers over the limit; p95 as long as CloudWatch counts none."""

    def __init__(self, gate: LatencyGate, index: int, step: Step) -> None:
        super().__init__()
        self._gate, self._index = gate, index
        what = f"slower than {wording.milliseconds(gate.over_us)}:"
        self._counts = CountsJudge("latency", what, gate.allow, slow_of, index, step)
        self._minutes: list[CountedMinute] = []

    def _aim(self, index: int, step: Step) -> None:
        self._index, self._minutes = index, []
        self._counts.aim(index, step)

    def _extend(self, minute: CountedMinute) -> None:
        self._counts.extend(minute)
        if minute.step == self._index:
            self._minutes.append(minute)

    def _judge(self, bars: Bars) -> GateVerdict:
        if self._counts.has_counts:
            return self._counts.verdict(bars)
        verdict = judge_latency(self._gate, self._minutes)
        if not any(m.live.p95_us is not None for m in self._minutes):
            return verdict
        return GateVerdict("latency", verdict.answer, f"{verdict.text}; {NO_COUNTS}")


class ShiftJudge(Judge):
    """Predictions: fails above ``max_shift``, passes when that times the step's ratio is excluded.

    As with errors there is a band between what fails and what a step must exclude.
    """

    def __init__(self, gate: PredictionGate, index: int, step: Step) -> None:
        super().__init__()
        self._limit = gate.max_shift
        self._fail = ShiftFailTally(gate.max_shift)
        self._pass = self._aimed(index, step)

    def _aimed(self, index: int, step: Step) -> ShiftPassTally:
        ratio = max(1.0, step.tolerance.ratio)
        self._excluded = max(self._limit, min(LARGEST_SHIFT, self._limit * ratio))
        return ShiftPassTally(index, self._excluded)

    def _aim(self, index: int, step: Step) -> None:
        self._pass = self._aimed(index, step)

    def _extend(self, minute: CountedMinute) -> None:
        self._fail.extend(minute)
        self._pass.extend(minute)

    def _judge(self, bars: Bars) -> GateVerdict:
        log_fail, log_pass = self._fail.log_e, self._pass.log_e
        evidence = Evidence(log_fail, log_pass, bars.failing, bars.passing)
        percent, power = wording.percent, wording.power
        if log_fail >= bars.failing:
            answer = Answer.FAIL
            text = (
                f"predictions shifted by {percent(self._fail.totals.distance)} "
                f"(limit {percent(self._limit)}), e = {power(log_fail)}"
            )
        elif not self._pass.totals.measured:
            answer, text = Answer.HOLD, "predictions: none captured of both variants yet"
        elif log_pass >= bars.passing:
            answer = Answer.PASS
            text = (
                f"predictions shifted by {percent(self._pass.totals.distance)}, "
                f"{percent(self._excluded)} excluded, e = {power(log_pass)}"
            )
        else:
            answer = Answer.HOLD
            text = (
                f"predictions shifted by {percent(self._pass.totals.distance)}, "
                f"not sure yet (e = {power(log_pass)} of {bars.needed:g})"
            )
        return GateVerdict("predictions", answer, text, evidence=evidence)


class LimitJudge(Judge):
    """The candidate alone: fails above the limit, passes within the step's tolerance of it."""

    def __init__(self, gate: LimitGate, index: int, step: Step) -> None:
        super().__init__()
        self._gate = gate
        self._tally = LimitTally(gate.metric, gate.at_most, index, self._largest(step.tolerance))

    def _largest(self, tolerance: Tolerance) -> float:
        at_most = self._gate.at_most
        return max(at_most * max(1.0, tolerance.ratio), at_most + tolerance.points / 100)

    def _aim(self, index: int, step: Step) -> None:
        self._tally.aim(index, self._largest(step.tolerance))

    def _extend(self, minute: CountedMinute) -> None:
        self._tally.extend(minute)

    def _judge(self, bars: Bars) -> GateVerdict:
        tally, metric = self._tally, self._gate.metric
        log_fail, log_pass = tally.log_fail, tally.log_pass
        name, limit = f"limit of {metric}", f"limit {wording.percent(self._gate.at_most)}"
        has_failed = log_fail >= bars.failing
        shown = tally.of_release if has_failed else tally.of_step
        evidence = Evidence(log_fail, log_pass, bars.failing, bars.passing, None, shown)
        text = f"{metric} {wording.percent(shown.rate)} ({limit})"
        if has_failed:
            answer, text = Answer.FAIL, f"{text}, e = {wording.power(log_fail)}"
        elif not shown.requests:
            answer, text = Answer.HOLD, f"{name}: no settled minute of the candidate yet"
        elif log_pass >= bars.passing:
            answer = Answer.PASS
        else:
            answer = Answer.HOLD
            text = f"{text}, not sure yet (e = {wording.power(log_pass)} of {bars.needed:g})"
        return GateVerdict(name, answer, text, evidence=evidence)


class P95LimitJudge(Judge):
    """The candidate's p95, minute by minute: no e-process, see ``quantile``."""

    def __init__(self, gate: LimitGate, index: int) -> None:
        super().__init__()
        self._gate, self._index = gate, index
        self._values: list[float] = []

    def _aim(self, index: int, step: Step) -> None:  # noqa: ARG002 - the limit is absolute
        self._index, self._values = index, []

    def _extend(self, minute: CountedMinute) -> None:
        value = minute.candidate.p95_us
        if minute.step == self._index and value is not None:
            self._values.append(value)

    def _judge(self, bars: Bars) -> GateVerdict:  # noqa: ARG002 - no e-process
        name = "limit of p95"
        if not self._values:
            return GateVerdict(name, Answer.HOLD, f"{name}: no latency measured yet")
        slow = sum(value > self._gate.at_most for value in self._values)
        what = f"p95 {wording.milliseconds(median(self._values))}"
        limit = f"limit {wording.milliseconds(self._gate.at_most)}"
        return judge_minutes(name, what, slow, len(self._values), limit)

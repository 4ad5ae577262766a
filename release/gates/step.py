"""The verdict on a step: any fail wins, all must pass, dry runs only report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from contracts.release_manifest import (
    AlarmGate,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    Step,
)
from release.gates import wording
from release.gates.judges import judge_of
from release.gates.outside import judge_alarm, judge_alarms, judge_hook
from release.gates.skew import judge_skew
from release.gates.tally import tallied
from release.gates.thresholds import bars
from release.gates.verdicts import (
    Answer,
    CountedMinute,
    GateVerdict,
    HookAnswer,
    StepVerdict,
)

# Gates that compare the variants: unfair where the requests are not drawn by weight.
COMPARING = (ErrorGate, LatencyGate, PredictionGate)
BY_CHANCE = (*COMPARING, LimitGate)
NO_HOOKS: Mapping[str, HookAnswer] = {}


def count_by_chance(gates: Sequence[Gate]) -> int:
    """The gates that can fail a good version by chance: they share the false alarms allowed."""
    return sum(isinstance(gate, BY_CHANCE) and not gate.dry_run for gate in gates)


def judge_step(
    index: int,
    step: Step,
    gates: Sequence[Gate],
    minutes: Sequence[CountedMinute],
    alarms: Mapping[str, str],
    seconds: float,
    hooks: Mapping[str, HookAnswer] = NO_HOOKS,
    beside: int = 0,
) -> StepVerdict:
    """The verdict after ``seconds`` of baking at this step's weight.

    ``beside``: how many other tests of the release can fail a good version by chance.

    ``alarms`` are the states of all alarms that matter: those that a gate names are that gate's,
    the others may not ring.
    """
    gates = tuple(gates)
    tally = tallied(gates, index, step, tuple(minutes), judge_of)
    needed = bars(count_by_chance(gates) + beside, step, seconds)
    verdicts: list[GateVerdict] = []
    for gate, judge in zip(gates, tally.judges, strict=True):
        if judge is not None:
            verdict = judge.verdict(needed)
        elif isinstance(gate, AlarmGate):
            verdict = judge_alarm(gate, alarms)
        elif isinstance(gate, HookGate):
            verdict = judge_hook(gate, hooks)
        else:
            raise AssertionError(f"no judge for {gate}")
        verdicts.append(replace(verdict, dry_run=True) if gate.dry_run else verdict)
    if any(isinstance(gate, COMPARING) and not gate.dry_run for gate in gates):
        verdicts += judge_skew(tally.skew)
    named = {gate.alarm for gate in gates if isinstance(gate, AlarmGate)}
    others = {name: state for name, state in alarms.items() if name not in named}
    if others:
        verdicts.append(judge_alarms(others))
    return _combined(verdicts, step, seconds)


def _combined(verdicts: list[GateVerdict], step: Step, seconds: float) -> StepVerdict:
    answers = {v.answer for v in verdicts if not v.dry_run}
    if Answer.FAIL in answers:
        return StepVerdict(Answer.FAIL, tuple(verdicts))
    if seconds < step.bake_min_seconds:
        wait = f"bakes {wording.duration(step.bake_min_seconds)} at least"
        verdicts = [*verdicts, GateVerdict("bake", Answer.HOLD, wait)]
        answers.add(Answer.HOLD)
    answer = Answer.HOLD if Answer.HOLD in answers else Answer.PASS
    return StepVerdict(answer, tuple(verdicts))

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
from release.gates.compare import (
    Context,
    judge_errors,
    judge_limit,
    judge_predictions,
    judge_slow,
)
from release.gates.outside import judge_alarm, judge_alarms, judge_hook
from release.gates.skew import SkewTally, judge_skew
from release.gates.tally import tallied
from release.gates.thresholds import FAIL_AT, PASS_AT
from release.gates.verdicts import (
    Answer,
    CountedMinute,
    GateVerdict,
    HookAnswer,
    StepVerdict,
)

__all__ = ["FAIL_AT", "PASS_AT", "judge_step"]

# Gates that compare the variants: unfair where the requests are not drawn by weight.
COMPARING = (ErrorGate, LatencyGate, PredictionGate)
BY_CHANCE = (*COMPARING, LimitGate)
NO_HOOKS: Mapping[str, HookAnswer] = {}


def judge_step(
    index: int,
    step: Step,
    gates: Sequence[Gate],
    minutes: Sequence[CountedMinute],
    alarms: Mapping[str, str],
    seconds: float,
    hooks: Mapping[str, HookAnswer] = NO_HOOKS,
) -> StepVerdict:
    """The verdict after ``seconds`` of baking at this step's weight.

    ``alarms`` are the states of all alarms that matter: those that a gate names are that gate's,
    the others may not ring.
    """
    by_chance = sum(isinstance(gate, BY_CHANCE) and not gate.dry_run for gate in gates)
    context = Context(index, step, tuple(minutes), by_chance)
    verdicts = [_judge_gate(gate, context, alarms, hooks) for gate in gates]
    if any(isinstance(gate, COMPARING) and not gate.dry_run for gate in gates):
        skew = tallied(("skew", index), lambda: SkewTally(index), context.minutes)
        verdicts += judge_skew(skew)
    named = {gate.alarm for gate in gates if isinstance(gate, AlarmGate)}
    others = {name: state for name, state in alarms.items() if name not in named}
    if others:
        verdicts.append(judge_alarms(others))
    deciding = [v for v in verdicts if not v.dry_run]
    if any(v.answer is Answer.FAIL for v in deciding):
        return StepVerdict(Answer.FAIL, tuple(verdicts))
    if seconds < step.bake_min_seconds:
        wait = f"bakes {wording.duration(step.bake_min_seconds)} at least"
        bake = GateVerdict("bake", Answer.HOLD, wait)
        verdicts.append(bake)
        deciding.append(bake)
    holding = any(v.answer is Answer.HOLD for v in deciding)
    return StepVerdict(Answer.HOLD if holding else Answer.PASS, tuple(verdicts))


def _judge_gate(
    gate: Gate, context: Context, alarms: Mapping[str, str], hooks: Mapping[str, HookAnswer]
) -> GateVerdict:
    match gate:
        case ErrorGate():
            verdict = judge_errors(gate, context)
        case LatencyGate():
            verdict = judge_slow(gate, context)
        case PredictionGate():
            verdict = judge_predictions(gate, context)
        case LimitGate():
            verdict = judge_limit(gate, context)
        case AlarmGate():
            verdict = judge_alarm(gate, alarms)
        case HookGate():
            verdict = judge_hook(gate, hooks)
    return replace(verdict, dry_run=True) if gate.dry_run else verdict

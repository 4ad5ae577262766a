"""What others decide and a step only combines: CloudWatch alarms and the owner's hooks."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.release_manifest import AlarmGate, HookGate
from release.gates.verdicts import Answer, GateVerdict, HookAnswer

ANSWERS = {"pass": Answer.PASS, "fail": Answer.FAIL, "not_enough_data": Answer.HOLD}


def judge_alarms(alarms: Mapping[str, str]) -> GateVerdict:
    """Any in ALARM fails; one that is gone or has no data is not healthy, and holds."""
    ringing = sorted(name for name, state in alarms.items() if state == "ALARM")
    if ringing:
        return GateVerdict("alarms", Answer.FAIL, f"alarm {', '.join(ringing)}")
    unsure = sorted(f"{name} is {state}" for name, state in alarms.items() if state != "OK")
    if unsure:
        return GateVerdict("alarms", Answer.HOLD, f"alarm {', '.join(unsure)}")
    return GateVerdict("alarms", Answer.PASS, f"{len(alarms)} alarms OK")


def judge_alarm(gate: AlarmGate, alarms: Mapping[str, str]) -> GateVerdict:
    state = alarms.get(gate.alarm, "missing")
    name = f"alarm {gate.alarm}"
    match state:
        case "ALARM":
            return GateVerdict(name, Answer.FAIL, name)
        case "OK":
            return GateVerdict(name, Answer.PASS, f"{name} OK")
        case _:
            return GateVerdict(name, Answer.HOLD, f"{name} is {state}")


def judge_hook(gate: HookGate, hooks: Mapping[str, HookAnswer]) -> GateVerdict:
    """A hook that has not answered, or answered something else, is not a pass."""
    name = f"hook {gate.name}"
    told = hooks.get(gate.name)
    if told is None:
        return GateVerdict(name, Answer.HOLD, f"{name} has not answered")
    answer = ANSWERS.get(told.answer)
    if answer is None:
        text = f"{name} answered {told.answer!r:.60}; pass, fail or not_enough_data is needed"
        return GateVerdict(name, Answer.HOLD, text)
    what = {
        Answer.PASS: "passed",
        Answer.FAIL: "failed",
        Answer.HOLD: "has not enough data",
    }[answer]
    return GateVerdict(
        name, answer, f"{name} {what}: {told.text}" if told.text else f"{name} {what}"
    )

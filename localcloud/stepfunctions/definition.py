"""Whether a text is a state machine that AWS accepts and this cloud can run. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from localcloud import jsonpath
from localcloud.stepfunctions.choice import COMPARISONS

Definition = dict[str, Any]
INTEGRATIONS = frozenset(
    {
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::states:startExecution",
        "arn:aws:states:::sns:publish",
        "arn:aws:states:::sqs:sendMessage",
        "arn:aws:states:::events:putEvents",
    }
)
FUNCTION_ARN = re.compile(r"arn:aws[\w-]*:lambda:[\w-]+:\d{12}:function:[\w-]+(:[\w$-]+)?")
_FLOW = {"Type", "Comment", "InputPath", "OutputPath", "QueryLanguage"}
_ENDS = {"Next", "End"}
_RESULT = {"Parameters", "ResultSelector", "ResultPath"}
_FIELDS: dict[str, set[str]] = {
    "Pass": _FLOW | _ENDS | {"Result", "ResultPath", "Parameters"},
    "Task": _FLOW
    | _ENDS
    | _RESULT
    | {"Resource", "Retry", "Catch", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds"},
    "Wait": _FLOW | _ENDS | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Choice": _FLOW | {"Choices", "Default"},
    "Succeed": _FLOW,
    "Fail": {"Type", "Comment", "QueryLanguage", "Error", "Cause", "ErrorPath", "CausePath"},
}
_NOT_RUN = ("Parallel", "Map")
_TOP = {"Comment", "StartAt", "States", "TimeoutSeconds", "Version", "QueryLanguage"}
_PATHS = ("InputPath", "OutputPath", "SecondsPath", "TimestampPath", "TimeoutSecondsPath")
MAX_NAME = 80


@dataclass(frozen=True)
class Problem:
    """One diagnostic of ValidateStateMachineDefinition."""

    code: str
    message: str
    location: str


def problems(text: str) -> list[Problem]:
    """Everything that keeps the text from being run; empty when nothing does."""
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        return [Problem("INVALID_JSON_DESCRIPTION", f"Invalid JSON: {error}", "")]
    if not isinstance(value, dict):
        return [Problem("SCHEMA_VALIDATION_FAILED", "The definition is no JSON object", "/")]
    return list(_check(cast("Definition", value)))


def _check(machine: Definition) -> Iterator[Problem]:
    for name in sorted(machine.keys() - _TOP):
        yield _schema(f"Field '{name}' is not supported", f"/{name}")
    states: Any = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield _schema("Field 'States' is required and must hold a state", "/States")
        return
    start = machine.get("StartAt")
    if start not in states:
        yield _missing("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {start}", "/StartAt")
    yield from _language(machine, "")
    for name, state in cast("dict[str, Any]", states).items():
        where = f"/States/{name}"
        if len(name) > MAX_NAME:
            yield _schema(f"A state's name has at most {MAX_NAME} characters", where)
        if not isinstance(state, dict):
            yield _schema("A state is a JSON object", where)
            continue
        yield from _check_state(cast("dict[str, Any]", state), where, set(states))
    reached = _reached(start, states)
    for name in states:
        if name not in reached:
            text = f'State "{name}" is not reachable.'
            yield _missing("MISSING_TRANSITION_TARGET", text, f"/States/{name}")


def _check_state(state: dict[str, Any], where: str, names: set[str]) -> Iterator[Problem]:
    kind = state.get("Type")
    if kind in _NOT_RUN:
        yield _schema(f"the local cloud does not run {kind} states", f"{where}/Type")
        return
    if kind not in _FIELDS:
        yield _schema(f"Field 'Type' is no type of a state: {kind!r}", f"{where}/Type")
        return
    yield from _language(state, where)
    for name in sorted(state.keys() - _FIELDS[kind]):
        yield _schema(f"Field '{name}' is not supported in a {kind} state", f"{where}/{name}")
    if "Next" in _FIELDS[kind] and ("Next" in state) == (state.get("End") is True):
        yield _schema("Exactly one of 'Next' and 'End' is required", where)
    for target in targets(state):
        if target not in names:
            text = f"Missing 'Next' target: {target}"
            yield _missing("MISSING_TRANSITION_TARGET", text, where)
    for name in _PATHS:
        if isinstance(state.get(name), str):
            yield from _path(state[name], f"{where}/{name}")
    if isinstance(state.get("ResultPath"), str):
        yield from _path(state["ResultPath"], f"{where}/ResultPath", definite=True)
    match kind:
        case "Task":
            yield from _check_task(state, where)
        case "Wait":
            yield from _check_wait(state, where)
        case "Choice":
            yield from _check_choices(state, where)
        case _:
            return


def _check_task(state: dict[str, Any], where: str) -> Iterator[Problem]:
    resource = state.get("Resource")
    if not isinstance(resource, str):
        yield _schema("Field 'Resource' is required", f"{where}/Resource")
    elif resource not in INTEGRATIONS and not FUNCTION_ARN.fullmatch(resource):
        yield _schema(
            f"the local cloud does not run the resource {resource}; it runs Lambda functions by "
            f"their ARN and {', '.join(sorted(INTEGRATIONS))}",
            f"{where}/Resource",
        )
    for field, needed in (("Retry", "ErrorEquals"), ("Catch", "ErrorEquals")):
        rules: Any = state.get(field, [])
        for i, rule in enumerate(rules if isinstance(rules, list) else []):
            errors = rule.get(needed) if isinstance(rule, dict) else None
            place = f"{where}/{field}[{i}]"
            if not isinstance(errors, list) or not errors:
                yield _schema(f"Field '{needed}' is required", place)
            elif "States.ALL" in errors and (len(errors) > 1 or i < len(rules) - 1):
                yield _schema("States.ALL must stand alone and last", place)
            if field == "Catch" and isinstance(rule, dict) and "Next" not in rule:
                yield _schema("Field 'Next' is required", place)


def _check_wait(state: dict[str, Any], where: str) -> Iterator[Problem]:
    given = [n for n in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath") if n in state]
    if len(given) != 1:
        yield _schema(
            "Exactly one of Seconds, SecondsPath, Timestamp, TimestampPath is required", where
        )
    seconds = state.get("Seconds", 0)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= 99_999_999:
        yield _schema("'Seconds' must be a whole number from 0 to 99999999", f"{where}/Seconds")


def _check_choices(state: dict[str, Any], where: str) -> Iterator[Problem]:
    rules: Any = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        yield _schema("Field 'Choices' is required and must hold a rule", f"{where}/Choices")
        return
    for i, rule in enumerate(rules):
        place = f"{where}/Choices[{i}]"
        if not isinstance(rule, dict) or "Next" not in rule:
            yield _schema("A choice rule needs 'Next'", place)
        else:
            yield from _check_rule(cast("dict[str, Any]", rule), place)


def _check_rule(rule: dict[str, Any], where: str) -> Iterator[Problem]:
    for name in ("And", "Or"):
        for i, inner in enumerate(rule.get(name, [])):
            yield from _check_rule(inner, f"{where}/{name}[{i}]")
    if "Not" in rule:
        yield from _check_rule(rule["Not"], f"{where}/Not")
    found = [key for key in rule if key in COMPARISONS | {"And", "Or", "Not"}]
    if len(found) != 1:
        yield _schema("A rule holds exactly one comparison, And, Or or Not", where)
    elif found[0] in COMPARISONS:
        if not isinstance(rule.get("Variable"), str):
            yield _schema("Field 'Variable' is required", where)
        else:
            yield from _path(rule["Variable"], f"{where}/Variable")


def targets(state: dict[str, Any]) -> list[str]:
    """The states that may follow."""
    found = [state[name] for name in ("Next", "Default") if name in state]
    for field in ("Choices", "Catch"):
        rules: Any = state.get(field, [])
        found += [r["Next"] for r in rules if isinstance(r, dict) and "Next" in r]
    return [str(name) for name in found]


def _reached(start: Any, states: dict[str, Any]) -> set[str]:
    seen: set[str] = set()
    waiting = [str(start)]
    while waiting:
        name = waiting.pop()
        state = states.get(name)
        if name not in seen and isinstance(state, dict):
            seen.add(name)
            waiting += targets(cast("dict[str, Any]", state))
    return seen


def _language(holder: dict[str, Any], where: str) -> Iterator[Problem]:
    if holder.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield _schema("the local cloud runs QueryLanguage JSONPath only", f"{where}/QueryLanguage")


def _path(path: str, where: str, definite: bool = False) -> Iterator[Problem]:
    if path.startswith("States."):
        return
    try:
        plain = path.removeprefix("$") if path.startswith("$$") else path
        if definite and not jsonpath.is_definite(plain):
            yield _schema(f"{path!r} is no reference path", where)
        jsonpath.parse(plain)
    except jsonpath.PathError as error:
        yield _schema(str(error), where)


def _schema(message: str, where: str) -> Problem:
    return Problem("SCHEMA_VALIDATION_FAILED", message, where)


def _missing(code: str, message: str, where: str) -> Problem:
    return Problem(code, message, where)

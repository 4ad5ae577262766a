"""The Amazon States Language: takes an execution from event to event. No clock, no I/O."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.stepfunctions import choice, data
from localcloud.stepfunctions.errors import StateError
from localcloud.stepfunctions.execution import (
    FAILED,
    SUCCEEDED,
    TIMED_OUT,
    Execution,
    HistoryFullError,
)

State = dict[str, Any]
DETAILS = {"truncated": False}
# A loop without a wait must not hold up the others for ever.
MAX_STATES_AT_ONCE = 200
_UNCATCHABLE = ("States.DataLimitExceeded", "States.Runtime")


@dataclass(frozen=True)
class WaitUntil:
    """Nothing happens before this simulated time."""

    due: float


@dataclass(frozen=True)
class RunTask:
    """The resource is to be called; the answer goes to :func:`finish` with the same turn."""

    resource: str
    parameters: Any
    timeout_seconds: float | None
    turn: int


@dataclass(frozen=True)
class Again:
    """There is more to do at once."""


@dataclass(frozen=True)
class Done:
    """It has ended."""


Effect = WaitUntil | RunTask | Again | Done


def begin(execution: Execution, now: float) -> None:
    """The first event."""
    execution.add(
        "ExecutionStarted",
        now,
        "executionStarted",
        input=execution.input,
        inputDetails=DETAILS,
        roleArn=execution.role,
    )


def advance(execution: Execution, now: float) -> Effect:
    """Go on as far as possible, and say what is to happen outside."""
    try:
        for _ in range(MAX_STATES_AT_ONCE):
            if not execution.is_running:
                return Done()
            if execution.deadline is not None and now >= execution.deadline:
                execution.end(TIMED_OUT, now, "States.Timeout", None)
                return Done()
            effect = _step(execution, now)
            if effect is not None:
                return effect
    except HistoryFullError:
        return Done()
    return Again()


def finish(execution: Execution, turn: int, answer: Any | StateError, now: float) -> None:
    """Take a task's answer; one that comes after its state has ended is dropped."""
    if not execution.is_running or execution.turn != turn or execution.phase != "task":
        return
    state = _state(execution)
    try:
        if isinstance(answer, StateError):
            _task_event(execution, state, "Failed", now, error=answer.error, cause=answer.cause)
            _failed(execution, state, answer, now)
            return
        text = json.dumps(answer)
        _task_event(execution, state, "Succeeded", now, output=text, outputDetails=DETAILS)
        context = execution.context()
        try:
            result = data.output(state, execution.data, answer, context)
        except StateError as error:
            _failed(execution, state, error, now)
            return
        _leave(execution, state, result, now)
    except HistoryFullError:
        return


def _state(execution: Execution) -> State:
    return execution.definition["States"][execution.state]


def _step(execution: Execution, now: float) -> Effect | None:
    state = _state(execution)
    kind = state["Type"]
    if execution.phase == "task":
        # Only a restart of the cloud comes here; the runner answers for the task that is lost.
        return Done()
    if execution.phase in ("wait", "retry"):
        due = execution.due or 0.0
        if now < due:
            limit = execution.deadline
            return WaitUntil(due if limit is None else min(due, limit))
        execution.due = None
        if execution.phase == "wait":
            return _guarded(execution, state, now, _leave_wait)
    else:
        execution.entered = now
        text = json.dumps(execution.data)
        execution.add(
            f"{kind}StateEntered",
            now,
            "stateEntered",
            name=execution.state,
            input=text,
            inputDetails=DETAILS,
        )
    return _guarded(execution, state, now, _RUN[kind])


def _guarded(execution: Execution, state: State, now: float, run: Any) -> Effect | None:
    try:
        return run(execution, state, now)
    except StateError as error:
        _failed(execution, state, error, now)
        return None


def _run_pass(execution: Execution, state: State, now: float) -> None:
    context = execution.context()
    chosen = data.effective_input(state, execution.data, context)
    result = state.get("Result", chosen)
    _leave(execution, state, data.output(state, execution.data, result, context), now)


def _run_succeed(execution: Execution, state: State, now: float) -> None:
    _leave(execution, state, data.passed(state, execution.data, execution.context()), now)


def _run_fail(execution: Execution, state: State, now: float) -> None:
    context = execution.context()

    def text(name: str) -> str | None:
        if f"{name}Path" in state:
            return str(data.resolve(state[f"{name}Path"], execution.data, context))
        return state.get(name)

    execution.end(FAILED, now, text("Error"), text("Cause"))


def _run_choice(execution: Execution, state: State, now: float) -> None:
    context = execution.context()
    chosen = data.resolve(state.get("InputPath") or "$", execution.data, context)
    target = choice.next_state(state, chosen, context)
    result = data.passed(state, execution.data, context)
    _leave(execution, {**state, "Next": target}, result, now)


def _run_wait(execution: Execution, state: State, now: float) -> Effect | None:
    chosen = data.resolve(state.get("InputPath") or "$", execution.data, execution.context())
    execution.due = _due(state, chosen, execution.context(), now)
    execution.phase = "wait"
    return None


def _due(state: State, value: Any, context: dict[str, Any], now: float) -> float:
    if "Seconds" in state:
        return now + float(state["Seconds"])
    if "SecondsPath" in state:
        seconds = data.resolve(state["SecondsPath"], value, context)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise StateError(
                "States.Runtime",
                f"The SecondsPath parameter does not reference a positive number: "
                f"{state['SecondsPath']} == {json.dumps(seconds)}",
            )
        return now + float(seconds)
    text = state.get("Timestamp") or data.resolve(state["TimestampPath"], value, context)
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        raise StateError("States.Runtime", f"{text!r} is no time stamp") from None


def _leave_wait(execution: Execution, state: State, now: float) -> None:
    _leave(execution, state, data.passed(state, execution.data, execution.context()), now)


def _run_task(execution: Execution, state: State, now: float) -> Effect:
    context = execution.context()
    parameters = data.effective_input(state, execution.data, context)
    timeout = state.get("TimeoutSeconds")
    if "TimeoutSecondsPath" in state:
        timeout = data.resolve(state["TimeoutSecondsPath"], execution.data, context)
    text = json.dumps(parameters)
    if _is_function(state):
        limit = {} if timeout is None else {"timeoutInSeconds": int(timeout)}
        execution.add(
            "LambdaFunctionScheduled",
            now,
            "lambdaFunctionScheduled",
            resource=state["Resource"],
            input=text,
            inputDetails=DETAILS,
            **limit,
        )
        execution.add("LambdaFunctionStarted", now)
    else:
        kind, resource = _service(state)
        execution.add(
            "TaskScheduled",
            now,
            "taskScheduled",
            resourceType=kind,
            resource=resource,
            region=execution.arn.split(":")[3],
            parameters=text,
        )
        execution.add("TaskStarted", now, "taskStarted", resourceType=kind, resource=resource)
    execution.phase = "task"
    execution.turn += 1
    return RunTask(
        state["Resource"], parameters, None if timeout is None else float(timeout), execution.turn
    )


def _task_event(execution: Execution, state: State, how: str, now: float, **values: Any) -> None:
    if how == "Failed" and values.get("error") == "States.Timeout":
        how = "TimedOut"
    if _is_function(state):
        execution.add(f"LambdaFunction{how}", now, f"lambdaFunction{how}", **values)
    else:
        kind, resource = _service(state)
        values = {"resourceType": kind, "resource": resource, **values}
        execution.add(f"Task{how}", now, f"task{how}", **values)


def _is_function(state: State) -> bool:
    return ":lambda:" in state["Resource"] and ":states:::" not in state["Resource"]


def _service(state: State) -> tuple[str, str]:
    """``arn:aws:states:::lambda:invoke`` as resource type and resource."""
    kind, _, resource = state["Resource"].partition(":::")[2].partition(":")
    return kind, resource


def _leave(execution: Execution, state: State, output: Any, now: float) -> None:
    text = json.dumps(output)
    execution.add(
        f"{state['Type']}StateExited",
        now,
        "stateExited",
        name=execution.state,
        output=text,
        outputDetails=DETAILS,
    )
    if "Next" in state:
        _go(execution, str(state["Next"]), output)
        return
    execution.add(
        "ExecutionSucceeded", now, "executionSucceeded", output=text, outputDetails=DETAILS
    )
    execution.status, execution.stopped, execution.output = SUCCEEDED, now, text


def _go(execution: Execution, name: str, value: Any) -> None:
    execution.state, execution.data = name, value
    execution.phase, execution.attempts, execution.due = "enter", {}, None


def _failed(execution: Execution, state: State, error: StateError, now: float) -> None:
    """Retry, else catch, else fail."""
    execution.turn += 1
    for i, retrier in enumerate(state.get("Retry", [])):
        if not _catches(retrier, error):
            continue
        used = execution.attempts.get(i, 0)
        if used < int(retrier.get("MaxAttempts", 3)):
            execution.attempts[i] = used + 1
            execution.phase, execution.due = "retry", now + _delay(retrier, used)
            return
        break
    for catcher in state.get("Catch", []):
        if _catches(catcher, error):
            value = {"Error": error.error, "Cause": error.cause}
            try:
                output = data.placed_at(catcher.get("ResultPath", "$"), execution.data, value)
            except StateError as worse:
                execution.end(FAILED, now, worse.error, worse.cause)
                return
            _leave(execution, {**state, "Next": catcher["Next"]}, output, now)
            return
    execution.end(FAILED, now, error.error, error.cause)


def _catches(rule: dict[str, Any], error: StateError) -> bool:
    names: list[str] = rule["ErrorEquals"]
    if error.error in names:
        return True
    if error.error in _UNCATCHABLE:
        return False
    return "States.ALL" in names or (
        "States.TaskFailed" in names and error.error != "States.Timeout"
    )


def _delay(retrier: dict[str, Any], used: int) -> float:
    seconds = float(retrier.get("IntervalSeconds", 1))
    seconds *= float(retrier.get("BackoffRate", 2.0)) ** used
    if "MaxDelaySeconds" in retrier:
        seconds = min(seconds, float(retrier["MaxDelaySeconds"]))
    if retrier.get("JitterStrategy") == "FULL":
        seconds = random.uniform(0.0, seconds)
    return seconds


_RUN: dict[str, Any] = {
    "Pass": _run_pass,
    "Succeed": _run_succeed,
    "Fail": _run_fail,
    "Choice": _run_choice,
    "Wait": _run_wait,
    "Task": _run_task,
}

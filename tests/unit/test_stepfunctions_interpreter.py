"""The states language on plain data: no clock, no threads."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from localcloud.stepfunctions import interpreter
from localcloud.stepfunctions.errors import StateError
from localcloud.stepfunctions.execution import MAX_EVENTS, Execution
from localcloud.stepfunctions.interpreter import Again, Done, RunTask, WaitUntil

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
ARN = "arn:aws:states:us-east-1:123456789012"


def execution(states: dict[str, Any], value: Any = None, **top: Any) -> Execution:
    """An execution of states of which the first is the start."""
    definition = {"StartAt": next(iter(states)), "States": states, **top}
    text = json.dumps({} if value is None else value)
    found = Execution(
        f"{ARN}:execution:m:e", f"{ARN}:stateMachine:m", "m", "e", definition, "role", text, 100.0,
        json.loads(text), definition["StartAt"],
    )  # fmt: skip
    interpreter.begin(found, 100.0)
    return found


def types(found: Execution) -> list[str]:
    return [event["type"] for event in found.events]


def output(states: dict[str, Any], value: Any) -> Any:
    """The output of states that need nothing from outside."""
    found = execution(states, value)
    assert interpreter.advance(found, 100.0) == Done()
    assert found.status == "SUCCEEDED", found.cause
    return json.loads(found.output or "null")


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": FUNCTION, "End": True, **more}


def running(states: dict[str, Any], value: Any = None) -> tuple[Execution, RunTask]:
    found = execution(states, value)
    effect = interpreter.advance(found, 100.0)
    assert isinstance(effect, RunTask)
    return found, effect


def test_data_flow_through_a_pass_state() -> None:
    state = {
        "Type": "Pass",
        "InputPath": "$.in",
        "Parameters": {"a.$": "$.x", "name.$": "$$.Execution.Name", "fixed": [1, {"b.$": "$.x"}]},
        "ResultPath": "$.out.made",
        "OutputPath": "$.out",
        "End": True,
    }
    found = output({"P": state}, {"in": {"x": 5}, "out": {"kept": 1}})
    assert found == {"kept": 1, "made": {"a": 5, "name": "e", "fixed": [1, {"b": 5}]}}


def test_a_path_that_leads_nowhere_fails_the_execution() -> None:
    found = execution({"P": {"Type": "Pass", "InputPath": "$.no", "End": True}})
    interpreter.advance(found, 100.0)
    assert (found.status, found.error) == ("FAILED", "States.Runtime")
    assert "Invalid path '$.no'" in str(found.cause)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("States.Format('{} of {}', $.n, $.list)", "3 of [1,2]"),
        (r"States.Format('\{\} {}', $.n)", "{} 3"),
        ("States.MathAdd($.n, -1)", 2),
        ("States.ArrayGetItem($.list, 1)", 2),
        ("States.ArrayLength(States.Array(1, 'two', null, true))", 4),
        ("States.ArrayRange(1, 5, 2)", [1, 3, 5]),
        ("States.JsonMerge($.a, $.b, false)", {"x": 2, "y": 1}),
        ("States.StringToJson('[1]')", [1]),
        ("States.JsonToString($.a)", '{"x":1,"y":1}'),
        ("States.StringSplit('a.b,c', '.,')", ["a", "b", "c"]),
        ("States.Base64Encode('a')", "YQ=="),
        ("States.ArrayContains($.list, 2)", True),
    ],
)
def test_intrinsic_functions(call: str, expected: Any) -> None:
    state = {"Type": "Pass", "Parameters": {"v.$": call}, "End": True}
    value = {"n": 3, "list": [1, 2], "a": {"x": 1, "y": 1}, "b": {"x": 2}}
    assert output({"P": state}, value) == {"v": expected}


@pytest.mark.parametrize("call", ["States.No(1)", "States.Format('{}')", "States.MathAdd(1"])
def test_a_wrong_intrinsic_fails(call: str) -> None:
    found = execution({"P": {"Type": "Pass", "Parameters": {"v.$": call}, "End": True}})
    interpreter.advance(found, 100.0)
    assert found.error == "States.IntrinsicFailure"


@pytest.mark.parametrize(
    ("rule", "is_met"),
    [
        ({"Variable": "$.n", "NumericGreaterThan": 2}, True),
        ({"Variable": "$.n", "NumericLessThanEquals": 2}, False),
        ({"Variable": "$.n", "NumericEqualsPath": "$.m"}, True),
        ({"Variable": "$.s", "StringEquals": "promoted"}, True),
        ({"Variable": "$.s", "StringMatches": "pro*d"}, True),
        ({"Variable": "$.s", "NumericEquals": 3}, False),
        ({"Variable": "$.no", "IsPresent": False}, True),
        ({"Variable": "$.null", "IsNull": True}, True),
        ({"Variable": "$.t", "TimestampLessThan": "2026-01-02T00:00:00+01:00"}, True),
        ({"Not": {"Variable": "$.b", "BooleanEquals": True}}, False),
        ({"And": [{"Variable": "$.b", "IsBoolean": True}, {"Variable": "$.n", "IsString": True}]},
         False),
        ({"Or": [{"Variable": "$.n", "IsString": True}, {"Variable": "$.b", "IsBoolean": True}]},
         True),
    ],
)  # fmt: skip
def test_choices(rule: dict[str, Any], is_met: bool) -> None:
    value = {"n": 3, "m": 3, "s": "promoted", "null": None, "b": True, "t": "2026-01-01T00:00:00Z"}
    states = {
        "C": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        "Yes": {"Type": "Pass", "Result": True, "End": True},
        "No": {"Type": "Pass", "Result": False, "End": True},
    }
    assert output(states, value) is is_met


def test_no_choice_without_default_fails() -> None:
    rule = {"Variable": "$.n", "NumericEquals": 1, "Next": "P"}
    states = {"C": {"Type": "Choice", "Choices": [rule]}, "P": {"Type": "Succeed"}}
    found = execution(states, {"n": 2})
    interpreter.advance(found, 100.0)
    assert found.error == "States.NoChoiceMatched"


def test_a_wait_ends_at_its_time_and_not_before() -> None:
    found = execution({"W": {"Type": "Wait", "SecondsPath": "$.s", "End": True}}, {"s": 30})
    assert interpreter.advance(found, 100.0) == WaitUntil(130.0)
    assert interpreter.advance(found, 129.9) == WaitUntil(130.0)
    assert interpreter.advance(found, 130.0) == Done()
    assert json.loads(found.output or "") == {"s": 30}


def test_a_task_gets_its_parameters_and_gives_its_result() -> None:
    state = task(
        Parameters={"n.$": "$.n"}, ResultSelector={"r.$": "$.deep.r"}, ResultPath="$.result"
    )
    found, effect = running({"T": state}, {"n": 1})
    assert (effect.resource, effect.parameters) == (FUNCTION, {"n": 1})
    interpreter.finish(found, effect.turn, {"deep": {"r": 2}}, 101.0)
    assert found.status == "SUCCEEDED"
    assert json.loads(found.output or "") == {"n": 1, "result": {"r": 2}}
    assert types(found)[2:5] == [
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
    ]


def test_retries_back_off_then_the_catcher_takes_over() -> None:
    retry = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 4, "MaxAttempts": 2, "BackoffRate": 3}
    catch = {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "End"}
    states = {"T": task(Retry=[retry], Catch=[catch]), "End": {"Type": "Succeed"}}
    found, effect = running(states, {"n": 1})
    now = 100.0
    for pause in (4.0, 12.0):
        interpreter.finish(found, effect.turn, StateError("Flaky", "why"), now)
        assert interpreter.advance(found, now) == WaitUntil(now + pause)
        now += pause
        effect = interpreter.advance(found, now)
        assert isinstance(effect, RunTask)
    interpreter.finish(found, effect.turn, StateError("Flaky", "why"), now)
    assert interpreter.advance(found, now) == Done()
    error = {"Error": "Flaky", "Cause": "why"}
    assert json.loads(found.output or "") == {"n": 1, "error": error}


@pytest.mark.parametrize("name", ["States.Runtime", "States.DataLimitExceeded"])
def test_all_does_not_catch_what_aws_lets_nobody_catch(name: str) -> None:
    catch = {"ErrorEquals": ["States.ALL"], "Next": "End"}
    found, effect = running({"T": task(Catch=[catch]), "End": {"Type": "Succeed"}})
    interpreter.finish(found, effect.turn, StateError(name, "c"), 100.0)
    assert (found.status, found.error) == ("FAILED", name)


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    found, effect = running({"T": task()})
    found.end("ABORTED", 101.0, None, None)
    interpreter.finish(found, effect.turn, {}, 102.0)
    assert found.status == "ABORTED"
    assert types(found)[-1] == "ExecutionAborted"


def test_an_execution_times_out_while_it_waits() -> None:
    states = {"W": {"Type": "Wait", "Seconds": 600, "End": True}}
    found = execution(states, TimeoutSeconds=60)
    assert interpreter.advance(found, 100.0) == WaitUntil(160.0)
    assert interpreter.advance(found, 160.0) == Done()
    assert (found.status, found.error) == ("TIMED_OUT", "States.Timeout")


def test_results_larger_than_awss_limit_fail() -> None:
    found, effect = running({"T": task()})
    interpreter.finish(found, effect.turn, "x" * 262_144, 100.0)
    assert found.error == "States.DataLimitExceeded"


def spin(found: Execution) -> None:
    while interpreter.advance(found, 100.0) == Again():
        pass


def test_a_loop_without_an_end_fails_at_the_25000th_event() -> None:
    found = execution({"P": {"Type": "Pass", "Next": "Q"}, "Q": {"Type": "Pass", "Next": "P"}})
    spin(found)
    assert found.status == "FAILED"
    assert len(found.events) == MAX_EVENTS == 25_000
    assert types(found)[-1] == "ExecutionFailed"
    assert "maximum number of history events (25000)" in str(found.cause)


def test_the_25000th_event_may_end_it_well() -> None:
    found = execution({"S": {"Type": "Succeed"}})
    filler = {"type": "Filler"}
    found.events += [filler] * (MAX_EVENTS - 1 - len(found.events) - 2)
    interpreter.advance(found, 100.0)
    assert found.status == "SUCCEEDED"
    assert len(found.events) == MAX_EVENTS


def test_an_execution_survives_pickling_between_any_two_steps() -> None:
    states = {"W": {"Type": "Wait", "Seconds": 30, "Next": "T"}, "T": task()}
    found = execution(states)
    interpreter.advance(found, 100.0)
    again: Execution = pickle.loads(pickle.dumps(found))
    effect = interpreter.advance(again, 130.0)
    assert isinstance(effect, RunTask)
    once_more: Execution = pickle.loads(pickle.dumps(again))
    interpreter.finish(once_more, effect.turn, {"a": 1}, 131.0)
    assert once_more.status == "SUCCEEDED"
    assert [e["id"] for e in once_more.events] == list(range(1, len(once_more.events) + 1))

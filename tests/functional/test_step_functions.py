"""State machines that really run, on the simulated clock."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud import connect
from tests.functional.conftest import Cloud
from tests.functional.serverless import finished, function, machine, role, unique, until

COUNT = """
def handler(event, context):
    n = event["n"]
    if n == event.get("fails_at"):
        raise KeyError("not yet")
    return {"n": n + 1, "wait": 120, "done": n + 1 >= 3}
"""


def loop(function_arn: str) -> dict[str, Any]:
    """Call, decide, wait, call again: the release controller's shape."""
    return {
        "StartAt": "Advance",
        "States": {
            "Advance": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": function_arn, "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "Next": "Finished?",
            },
            "Finished?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Finished"}],
                "Default": "Bake",
            },
            "Bake": {"Type": "Wait", "SecondsPath": "$.wait", "Next": "Advance"},
            "Finished": {"Type": "Succeed"},
        },
    }


def start(cloud: Cloud, arn: str, value: Any, **options: Any) -> str:
    states = cloud.client("stepfunctions")
    return states.start_execution(stateMachineArn=arn, input=json.dumps(value), **options)[
        "executionArn"
    ]


def types(cloud: Cloud, execution: str) -> list[str]:
    states = cloud.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
    return [event["type"] for page in pages for event in page["events"]]


def test_a_loop_calls_waits_and_ends(cloud: Cloud) -> None:
    arn = machine(cloud, loop(function(cloud, COUNT)))
    execution = start(cloud, arn, {"n": 1})
    found = finished(cloud, execution)
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"]) == {"n": 3, "wait": 120, "done": True}
    took = (found["stopDate"] - found["startDate"]).total_seconds()
    assert took >= 120, "the wait lasts on the simulated clock"
    assert types(cloud, execution)[:9] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ChoiceStateEntered",
        "ChoiceStateExited",
        "WaitStateEntered",
    ]


def test_errors_are_retried_then_caught(cloud: Cloud) -> None:
    arn = function(cloud, COUNT)
    definition = {
        "StartAt": "Call",
        "States": {
            "Call": {
                "Type": "Task",
                "Resource": arn,
                "Retry": [{"ErrorEquals": ["KeyError"], "MaxAttempts": 2, "IntervalSeconds": 10}],
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "No"}],
                "End": True,
            },
            "No": {"Type": "Fail", "ErrorPath": "$.error.Error", "Cause": "gave up"},
        },
    }
    execution = start(cloud, machine(cloud, definition), {"n": 1, "fails_at": 1})
    found = finished(cloud, execution)
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "KeyError", "gave up")
    assert types(cloud, execution).count("LambdaFunctionFailed") == 3


def test_a_loop_hands_over_to_a_successor(cloud: Cloud) -> None:
    name = unique("succession")
    arn = f"arn:aws:states:us-east-1:123456789012:stateMachine:{name}"
    definition = {
        "StartAt": "Last?",
        "States": {
            "Last?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.left", "NumericEquals": 0, "Next": "Done"}],
                "Default": "HandOver",
            },
            "HandOver": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution",
                "Parameters": {
                    "StateMachineArn": arn,
                    "Name": "second",
                    "Input": {"left": 0, "from.$": "$$.Execution.Name"},
                },
                "ResultSelector": {"next.$": "$.ExecutionArn"},
                "End": True,
            },
            "Done": {"Type": "Succeed"},
        },
    }
    assert machine(cloud, definition, name) == arn
    first = finished(cloud, start(cloud, arn, {"left": 1}, name="first"))
    successor = json.loads(first["output"])["next"]
    second = finished(cloud, successor)
    assert json.loads(second["input"]) == {"left": 0, "from": "first"}
    assert second["status"] == "SUCCEEDED"
    listed = cloud.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    assert [e["name"] for e in listed] == ["second", "first"]


def test_names_are_unique_and_executions_can_be_stopped(cloud: Cloud) -> None:
    states = cloud.client("stepfunctions")
    waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86400, "End": True}}}
    arn = machine(cloud, waiting)
    execution = start(cloud, arn, {"a": 1}, name="one")
    assert start(cloud, arn, {"a": 1}, name="one") == execution
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(cloud, arn, {"a": 2}, name="one")
    states.stop_execution(executionArn=execution, error="Stopped", cause="by a test")
    found = finished(cloud, execution)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Stopped", "by a test")
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(cloud, arn, {"a": 1}, name="one")
    assert types(cloud, execution)[-1] == "ExecutionAborted"
    listed = states.list_executions(stateMachineArn=arn, statusFilter="ABORTED")["executions"]
    assert [e["name"] for e in listed] == ["one"]


def test_what_cannot_run_is_refused_when_it_is_made(cloud: Cloud) -> None:
    states = cloud.client("stepfunctions")
    good = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    wrong = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [], "End": True}}}
    with pytest.raises(ClientError, match=r"InvalidDefinition.*does not run Parallel"):
        machine(cloud, wrong)
    with pytest.raises(ClientError, match=r"AccessDeniedException.*authorized to assume"):
        states.create_state_machine(
            name=unique("sm"), definition=json.dumps(good), roleArn=role(cloud, "lambda")
        )
    answer = states.validate_state_machine_definition(definition=json.dumps(wrong))
    assert answer["result"] == "FAIL"
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        start(cloud, "arn:aws:states:us-east-1:123456789012:stateMachine:no", {})


def test_a_wait_goes_on_after_a_kill_and_a_lost_task_is_retried(fresh_cloud: Cloud) -> None:
    slow = function(
        fresh_cloud,
        "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return 'ok'",
        Timeout=60,
    )
    wait = {"Type": "Wait", "Seconds": 1200, "End": True}
    waiting = start(fresh_cloud, machine(fresh_cloud, {"StartAt": "W", "States": {"W": wait}}), {})
    call = {"Type": "Task", "Resource": slow, "End": True}
    calling = start(
        fresh_cloud, machine(fresh_cloud, {"StartAt": "C", "States": {"C": call}}), {"s": 50}
    )
    until(lambda: "LambdaFunctionStarted" in types(fresh_cloud, calling), "the function runs")
    path = fresh_cloud.home / ".slipway/cloud/state/own/stepfunctions.state"
    until(lambda: b"LambdaFunctionStarted" in path.read_bytes(), "it stands on disk")
    daemon = psutil.Process(fresh_cloud.status().pid)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(15)
    assert connect.start(fresh_cloud.home, speed=6000).restored["stepfunctions"] == "ok"
    assert finished(fresh_cloud, waiting)["status"] == "SUCCEEDED"
    lost = finished(fresh_cloud, calling)
    assert (lost["status"], lost["error"]) == ("FAILED", "Lambda.SdkClientException")
    assert "the local cloud ended while this task was running" in lost["cause"]
    connect.reset(fresh_cloud.home)
    assert fresh_cloud.client("stepfunctions").list_state_machines()["stateMachines"] == []

"""The loop that drives a release: invoke, decide, wait, again; in Amazon States Language."""

from __future__ import annotations

import json
from typing import Any

from infra.naming import partition_of

FUNCTION_TIMEOUT_SECONDS = 900
# An execution's history holds 25,000 events. A turn leaves 9: task entered, scheduled, started,
# succeeded and left, choice and wait entered and left; each retry 3: failed, scheduled, started.
MAX_EVENTS, EVENTS_OF_A_TURN, EVENTS_OF_A_RETRY, EVENTS_OF_THE_END = 25_000, 9, 3, 100
# Full jitter: half of the delay on average, so about an hour and a half in all.
MAX_RETRIES = 90
# Even were each turn taken only at its last attempt, a successor takes over in time.
TURNS_PER_EXECUTION = (MAX_EVENTS - EVENTS_OF_THE_END) // (
    EVENTS_OF_A_TURN + EVENTS_OF_A_RETRY * MAX_RETRIES
)
SERVICE_ERRORS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
    # What the function itself raises where AWS does not answer it.
    "UnavailableError",
    "ConflictError",
]
STARTED_ALREADY = [
    "StepFunctions.ExecutionAlreadyExistsException",
    "StepFunctions.ExecutionAlreadyExists",
]


def definition(function_arn: str, topic_arn: str) -> str:
    """The state machine; an execution's input is the function's ``release``."""
    partition = partition_of(function_arn)
    return json.dumps(
        {
            "Comment": "Drives one release of Slipway, from its start to its outcome.",
            "StartAt": "Begin",
            "States": {
                "Begin": {
                    "Type": "Pass",
                    "Parameters": {"release.$": "$", "turn": {"turns": 0}},
                    "Next": "Turn",
                },
                "Turn": _turn(function_arn, partition),
                "Decide": _decide(),
                "Wait": {"Type": "Wait", "SecondsPath": "$.turn.wait_seconds", "Next": "Turn"},
                "HandOver": _hand_over(partition),
                "Stuck": _stuck(topic_arn, partition),
                "Ended": {"Type": "Succeed", "OutputPath": "$.turn"},
                "HandedOver": {"Type": "Succeed"},
                "Refused": {"Type": "Fail", "Error": "Refused", "CausePath": "$.turn.reason"},
                # An error's own name may begin with "States.", which a Fail may not.
                "Failed": {"Type": "Fail", "Error": "Stuck", "CausePath": "$.error.Cause"},
            },
        },
        indent=1,
    )


def _turn(function_arn: str, partition: str) -> dict[str, Any]:
    answers = ("done", "outcome", "wait_seconds", "release_id", "turns", "reason")
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": function_arn,
            "Payload": {"release.$": "$.release", "turns.$": "$.turn.turns"},
        },
        "ResultSelector": {f"{key}.$": f"$.Payload.{key}" for key in answers},
        "ResultPath": "$.turn",
        "TimeoutSeconds": FUNCTION_TIMEOUT_SECONDS + 30,
        "Retry": [
            {
                "ErrorEquals": SERVICE_ERRORS,
                "IntervalSeconds": 2,
                "BackoffRate": 2,
                "MaxDelaySeconds": 120,
                "MaxAttempts": MAX_RETRIES,
                "JitterStrategy": "FULL",
            }
        ],
        "Catch": [_stuck_at("States.ALL")],
        "Next": "Decide",
    }


def _decide() -> dict[str, Any]:
    is_done = {"Variable": "$.turn.done", "BooleanEquals": True}
    is_refused = {"Variable": "$.turn.outcome", "StringEquals": "refused"}
    is_long = {"Variable": "$.turn.turns", "NumericGreaterThanEquals": TURNS_PER_EXECUTION}
    return {
        "Type": "Choice",
        "Choices": [
            {"And": [is_done, is_refused], "Next": "Refused"},
            {**is_done, "Next": "Ended"},
            {**is_long, "Next": "HandOver"},
        ],
        "Default": "Wait",
    }


def _hand_over(partition: str) -> dict[str, Any]:
    """A successor with the same input; its name follows from ours: a second start is the first."""
    name = "States.Format('{}-{}', $.release.name, States.Hash($$.Execution.Name, 'MD5'))"
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::states:startExecution",
        "Parameters": {
            "StateMachineArn.$": "$$.StateMachine.Id",
            "Name.$": name,
            "Input.$": "$.release",
        },
        "ResultPath": None,
        "Retry": [
            {"ErrorEquals": STARTED_ALREADY, "MaxAttempts": 0},
            {
                "ErrorEquals": ["States.TaskFailed"],
                "IntervalSeconds": 5,
                "BackoffRate": 2,
                "MaxDelaySeconds": 120,
                "MaxAttempts": 10,
                "JitterStrategy": "FULL",
            },
        ],
        "Catch": [
            {"ErrorEquals": STARTED_ALREADY, "ResultPath": "$.error", "Next": "HandedOver"},
            _stuck_at("States.ALL"),
        ],
        "Next": "HandedOver",
    }


def _stuck(topic_arn: str, partition: str) -> dict[str, Any]:
    """What serves now goes on serving; a person has to look."""
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::sns:publish",
        "Parameters": {
            "TopicArn": topic_arn,
            "Subject": "Slipway: a release is stuck",
            "Message": {
                "schema_version": 1,
                "source": "slipway",
                "event": "stuck",
                "endpoint.$": "$.release.endpoint",
                "execution.$": "$$.Execution.Id",
                "error.$": "$.error.Error",
                "cause.$": "$.error.Cause",
                "text": (
                    "The loop that drives this release has given up. What serves now goes on "
                    "serving. `slipway release` continues it, `slipway rollback` undoes it."
                ),
            },
        },
        "ResultPath": None,
        "Retry": [
            {
                "ErrorEquals": ["States.TaskFailed"],
                "IntervalSeconds": 2,
                "BackoffRate": 2,
                "MaxAttempts": 5,
            }
        ],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Failed"}],
        "Next": "Failed",
    }


def _stuck_at(error: str) -> dict[str, Any]:
    return {"ErrorEquals": [error], "ResultPath": "$.error", "Next": "Stuck"}

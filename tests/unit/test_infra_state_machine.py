"""The loop of a release: how it decides, waits, hands over, tries again and gives up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.state_machine import TURNS_PER_EXECUTION, definition

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:turn"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:releases"
MACHINE = json.loads(definition(FUNCTION, TOPIC))
STATES: dict[str, Any] = MACHINE["States"]


def at(data: dict[str, Any], path: str) -> Any:
    for key in path.removeprefix("$.").split("."):
        data = data[key]
    return data


def holds(rule: dict[str, Any], data: dict[str, Any]) -> bool:
    if "And" in rule:
        return all(holds(part, data) for part in rule["And"])
    value = at(data, rule["Variable"])
    match next(k for k in rule if k not in ("Variable", "Next")):
        case "BooleanEquals":
            return value is rule["BooleanEquals"]
        case "StringEquals":
            return value == rule["StringEquals"]
        case "NumericGreaterThanEquals":
            return value >= rule["NumericGreaterThanEquals"]
        case other:
            raise AssertionError(other)


def follows(**turn: Any) -> str:
    """The state that follows an answer of the function."""
    data = {"turn": {"done": False, "outcome": "", "turns": 1, "wait_seconds": 5, **turn}}
    choices = STATES["Decide"]["Choices"]
    return next((c["Next"] for c in choices if holds(c, data)), STATES["Decide"]["Default"])


def test_every_state_is_reached_and_every_step_leads_to_a_state() -> None:
    named = {MACHINE["StartAt"]}
    for state in STATES.values():
        named |= {state[key] for key in ("Next", "Default") if key in state}
        named |= {c["Next"] for c in [*state.get("Choices", []), *state.get("Catch", [])]}
        assert ("Next" in state) or state["Type"] in ("Succeed", "Fail", "Choice")

    assert named == set(STATES)


@pytest.mark.parametrize("outcome", ["promoted", "rolled_back", "inconclusive", "compared"])
def test_an_outcome_ends_the_execution(outcome: str) -> None:
    assert follows(done=True, outcome=outcome) == "Ended"
    assert STATES["Ended"] == {"Type": "Succeed", "OutputPath": "$.turn"}


def test_a_release_that_cannot_begin_fails_the_execution_with_the_reason() -> None:
    assert follows(done=True, outcome="refused") == "Refused"
    assert STATES["Refused"] == {
        "Type": "Fail",
        "Error": "Refused",
        "CausePath": "$.turn.reason",
    }


def test_otherwise_it_waits_as_long_as_the_function_says_and_turns_again() -> None:
    assert follows() == "Wait"
    assert STATES["Wait"] == {
        "Type": "Wait",
        "SecondsPath": "$.turn.wait_seconds",
        "Next": "Turn",
    }


def test_it_hands_over_before_its_history_is_full() -> None:
    assert follows(turns=TURNS_PER_EXECUTION - 1) == "Wait"
    assert follows(turns=TURNS_PER_EXECUTION) == "HandOver"
    # Nine events of a turn: five of the task, two of the choice, two of the wait; 3 of a retry.
    retries = STATES["Turn"]["Retry"][0]["MaxAttempts"]
    assert TURNS_PER_EXECUTION * (9 + 3 * retries) < 25_000, "even if every turn needs all of them"
    assert TURNS_PER_EXECUTION > 60, "handing over is the exception"


def test_the_end_wins_over_the_handing_over() -> None:
    assert follows(done=True, outcome="promoted", turns=TURNS_PER_EXECUTION) == "Ended"


def test_the_successor_gets_the_same_input_and_a_name_that_follows_from_ours() -> None:
    hand_over = STATES["HandOver"]

    assert hand_over["Resource"] == "arn:aws:states:::states:startExecution"
    assert hand_over["Parameters"] == {
        "StateMachineArn.$": "$$.StateMachine.Id",
        "Name.$": ("States.Format('{}-{}', $.release.name, States.Hash($$.Execution.Name, 'MD5'))"),
        "Input.$": "$.release",
    }
    started, *_ = hand_over["Catch"]
    assert "StepFunctions.ExecutionAlreadyExistsException" in started["ErrorEquals"]
    assert started["Next"] == hand_over["Next"] == "HandedOver"
    assert hand_over["Retry"][0]["MaxAttempts"] == 0, "what is started is not tried again"


def test_the_function_gets_the_input_and_the_turns_so_far() -> None:
    assert STATES["Begin"]["Parameters"] == {"release.$": "$", "turn": {"turns": 0}}
    assert STATES["Turn"]["Parameters"] == {
        "FunctionName": FUNCTION,
        "Payload": {"release.$": "$.release", "turns.$": "$.turn.turns"},
    }
    assert STATES["Turn"]["TimeoutSeconds"] > 900


@pytest.mark.parametrize(
    "error",
    [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Sandbox.Timedout",
        "States.Timeout",
        "UnavailableError",
    ],
)
def test_what_passes_is_tried_again_with_backoff_and_jitter(error: str) -> None:
    (retry,) = [r for r in STATES["Turn"]["Retry"] if error in r["ErrorEquals"]]

    assert retry["MaxAttempts"] == 90
    assert retry["BackoffRate"] > 1
    assert retry["MaxDelaySeconds"] == 120
    assert retry["JitterStrategy"] == "FULL"


def test_what_does_not_pass_is_told_to_people_and_fails_the_execution() -> None:
    stuck = STATES["Stuck"]

    assert STATES["Turn"]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Stuck"}
    ]
    assert stuck["Resource"] == "arn:aws:states:::sns:publish"
    assert stuck["Parameters"]["TopicArn"] == TOPIC
    assert stuck["Parameters"]["Subject"] == "Slipway: a release is stuck"
    assert stuck["Parameters"]["Message"] == {
        "schema_version": 1,
        "source": "slipway",
        "event": "stuck",
        "endpoint.$": "$.release.endpoint",
        "execution.$": "$$.Execution.Id",
        "error.$": "$.error.Error",
        "cause.$": "$.error.Cause",
        "text": (
            "The loop that drives this release has given up. What serves now goes on serving. "
            "`slipway release` continues it, `slipway rollback` undoes it."
        ),
    }
    assert [c["Next"] for c in stuck["Catch"]] == [stuck["Next"]] == ["Failed"]
    assert STATES["Failed"] == {"Type": "Fail", "Error": "Stuck", "CausePath": "$.error.Cause"}

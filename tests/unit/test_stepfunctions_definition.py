"""Which definitions are accepted, and what is said of the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.stepfunctions.definition import problems

PASS = {"Type": "Pass", "End": True}


def found(states: dict[str, Any], **top: Any) -> str:
    text = json.dumps({"StartAt": next(iter(states)), "States": states, **top})
    return " | ".join(f"{p.code} {p.message} {p.location}" for p in problems(text))


def test_a_good_definition_has_no_problems() -> None:
    states = {
        "T": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "f", "Payload.$": "$"},
            "Retry": [{"ErrorEquals": ["States.ALL"]}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "F"}],
            "Next": "W",
        },
        "W": {"Type": "Wait", "SecondsPath": "$.s", "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "T"}],
              "Default": "F"},
        "F": {"Type": "Fail", "Error": "E"},
    }  # fmt: skip
    assert found(states) == ""


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({"P": {"Type": "Pass"}}, "Exactly one of 'Next' and 'End' is required"),
        ({"P": {"Type": "Pass", "Next": "Q"}}, "TARGET Missing 'Next' target: Q"),
        ({"P": PASS, "Q": PASS}, 'State "Q" is not reachable.'),
        ({"P": {"Type": "Pas", "End": True}}, "no type of a state"),
        ({"P": {**PASS, "Resource": "x"}}, "Field 'Resource' is not supported in a Pass state"),
        ({"P": {**PASS, "ResultPath": "$.a[*]"}}, "no reference path"),
        ({"P": {**PASS, "InputPath": "$.a[?(@.b)]"}}, "cannot evaluate the path"),
        ({"M": {"Type": "Map", "End": True}}, "does not run Map states"),
        ({"W": {"Type": "Wait", "End": True}}, "Exactly one of Seconds, SecondsPath"),
        ({"W": {"Type": "Wait", "Seconds": -1, "End": True}}, "whole number from 0"),
        ({"C": {"Type": "Choice", "Choices": []}}, "must hold a rule"),
        ({"C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "C"}]}},
         "exactly one comparison"),
        ({"T": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": True}},
         "does not run the resource"),
        ({"T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                "Retry": [{"ErrorEquals": ["States.ALL", "A"]}]}}, "stand alone and last"),
        ({"P": {**PASS, "QueryLanguage": "JSONata"}}, "JSONPath only"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(states: dict[str, Any], text: str) -> None:
    assert text in found(states)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"StartAt": "A", "States": {}}'])
def test_what_is_no_state_machine(text: str) -> None:
    assert problems(text)

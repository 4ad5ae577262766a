"""Check and diff of functions, permissions, state machines, rules and targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.provider.check import CheckContext, Failure, check
from localcloud.provider.diff import diff
from localcloud.provider.naming import NameRequest
from localcloud.provider.paths import text
from localcloud.provider.schema import ResourceType, resource_type
from localcloud.provider.tags import TagSettings
from localcloud.provider.values import ARCHIVE, ASSET, UNKNOWN, Asset

FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
MACHINE = "aws:sfn/stateMachine:StateMachine"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
GROUP = "arn:aws:logs:eu-west-1:123456789012:log-group:g"
ROLE = "arn:aws:iam::123456789012:role/r"
GOOD_FUNCTION: dict[str, Any] = {
    "role": ROLE,
    "runtime": "python3.11",
    "handler": "app.handler",
    "code": Asset(ARCHIVE, {"path": "/code", "hash": "1"}),
}
DEFINITION = json.dumps({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}})


def contract(token: str) -> ResourceType:
    found = resource_type(token)
    assert found is not None
    return found


def run(token: str, news: dict[str, Any]) -> tuple[dict[str, Any], list[Failure]]:
    context = CheckContext("eu-west-1", TagSettings(), NameRequest("thing", b"seed"))
    return check(contract(token), news, {}, context)


def failures(token: str, news: dict[str, Any]) -> dict[str, str]:
    return {f.property: f.reason for f in run(token, news)[1]}


def changes(token: str, state: dict[str, Any], news: dict[str, Any]) -> dict[str, bool]:
    """Paths that change, and whether that replaces."""
    return {text(c.path): c.replaces for c in diff(contract(token), state, news, ()).changes}


def test_a_function_gets_name_and_defaults() -> None:
    inputs, found = run(FUNCTION, GOOD_FUNCTION)
    assert found == []
    assert inputs["name"].startswith("thing-")
    assert (inputs["timeout"], inputs["memorySize"], inputs["packageType"]) == (3, 128, "Zip")
    assert inputs["reservedConcurrentExecutions"] == -1


@pytest.mark.parametrize(
    ("more", "name", "reason"),
    [
        ({"code": None}, "code", "exactly one of code, imageUri, s3Bucket"),
        ({"s3Bucket": "b", "s3Key": "k"}, "code", "exactly one of"),
        ({"handler": None}, "handler", "must be set when packageType is Zip"),
        ({"runtime": "python2.0"}, "runtime", "expected one of"),
        ({"timeout": 901}, "timeout", "range (1 - 900)"),
        ({"role": "r"}, "role", "invalid ARN"),
        ({"code": Asset(ASSET, {"text": "x"})}, "code", "an archive is expected"),
        ({"layers": ["x"]}, "layers", "does not emulate"),
        ({"environment": {"variable": {}}}, "environment.variable", "unknown key"),
        ({"tracingConfig": {"mode": "On"}}, "tracingConfig.mode", "expected one of"),
        ({"architectures": ["x86"]}, "architectures[0]", "expected one of"),
        ({"reservedConcurrentExecutions": -2}, "reservedConcurrentExecutions", "at least -1"),
    ],
)
def test_what_a_function_refuses(more: dict[str, Any], name: str, reason: str) -> None:
    news = {k: v for k, v in {**GOOD_FUNCTION, **more}.items() if v is not None}
    assert reason in failures(FUNCTION, news)[name]


def test_what_changes_a_function_and_what_replaces_it() -> None:
    state = {
        **GOOD_FUNCTION,
        "name": "f",
        "timeout": 3,
        "memorySize": 128,
        "packageType": "Zip",
        "codeSha256": "sha",
        "sourceCodeHash": "1",
        "environment": {"variables": {"A": "1"}},
        "tracingConfig": {"mode": "Active"},
    }
    same = {**GOOD_FUNCTION, "name": "f", "environment": {"variables": {"A": "1"}}}
    base = {**same, "timeout": 3, "memorySize": 128, "packageType": "Zip"}
    assert changes(FUNCTION, state, base) == {}
    new_code = Asset(ARCHIVE, {"path": "/code", "hash": "2"})
    assert changes(FUNCTION, state, {**base, "code": new_code}) == {"code": False}
    assert changes(FUNCTION, state, {**base, "name": "g"}) == {"name": True}
    assert changes(FUNCTION, state, {**base, "environment": {"variables": {"A": "2"}}}) == {
        "environment.variables.A": False
    }
    gone = {k: v for k, v in base.items() if k != "environment"}
    assert changes(FUNCTION, state, gone) == {"environment": False}
    assert changes(FUNCTION, {k: v for k, v in state.items() if k != "environment"}, {
        **gone, "environment": {"variables": {}}
    }) == {}  # fmt: skip


def test_everything_of_a_permission_replaces_it() -> None:
    good = {"action": "lambda:InvokeFunction", "function": "f", "principal": "sns.amazonaws.com"}
    inputs, found = run(PERMISSION, good)
    assert found == []
    assert inputs["statementId"].startswith("thing-")
    state = {**inputs, "sourceArn": "arn:aws:sns:eu-west-1:123456789012:t"}
    wanted = {**inputs, "sourceArn": "arn:aws:sns:eu-west-1:123456789012:u"}
    assert changes(PERMISSION, state, wanted) == {"sourceArn": True}
    assert changes(PERMISSION, inputs, {**inputs, "function": UNKNOWN}) == {"function": True}
    assert "does not match" in failures(PERMISSION, {**good, "action": "s3:Get"})["action"]
    both = {**good, "statementId": "a", "statementIdPrefix": "b"}
    assert "conflicts" in failures(PERMISSION, both)["statementId"]
    assert "account id" in failures(PERMISSION, {**good, "sourceAccount": "1"})["sourceAccount"]


@pytest.mark.parametrize(
    ("more", "name", "reason"),
    [
        ({"definition": "{"}, "definition", "INVALID_JSON_DESCRIPTION"),
        ({"definition": '{"StartAt": "A", "States": {"B": {"Type": "Succeed"}}}'}, "definition",
         "MISSING_TRANSITION_TARGET"),
        ({"roleArn": "r"}, "roleArn", "invalid ARN"),
        ({"name": "a b"}, "name", "does not match"),
        ({"publish": True}, "publish", "expected one of"),
        ({"loggingConfiguration": {"logDestination": GROUP}},
         "loggingConfiguration.logDestination", "':*' at its end"),
    ],
)  # fmt: skip
def test_what_a_state_machine_refuses(more: dict[str, Any], name: str, reason: str) -> None:
    found = failures(MACHINE, {"definition": DEFINITION, "roleArn": ROLE, **more})
    assert reason in found[name]


def test_a_definition_is_compared_as_text_and_an_unknown_one_not_at_all() -> None:
    inputs, found = run(MACHINE, {"definition": UNKNOWN, "roleArn": ROLE})
    assert found == []
    state = {**inputs, "definition": DEFINITION, "loggingConfiguration": {"level": "ALL"}}
    spaced = DEFINITION.replace(": ", ":")
    assert changes(MACHINE, state, {**inputs, "definition": spaced}) == {"definition": False}
    assert changes(MACHINE, state, {**inputs, "definition": DEFINITION}) == {}
    express = {**inputs, "definition": DEFINITION, "type": "EXPRESS"}
    assert changes(MACHINE, state, express) == {"type": True}


def test_rules_and_what_they_refuse() -> None:
    inputs, found = run(RULE, {"eventPattern": {"source": ["a"]}})
    assert found == []
    assert inputs["eventPattern"] == '{"source": ["a"]}'
    assert inputs["eventBusName"] == "default"
    assert "must be specified" in failures(RULE, {})["eventPattern"]
    assert "invalid JSON" in failures(RULE, {"eventPattern": "{"})["eventPattern"]
    big = json.dumps({"source": ["x" * 4096]})
    assert "at most 4096" in failures(RULE, {"eventPattern": big})["eventPattern"]
    timed = failures(RULE, {"eventPattern": "{}", "scheduleExpression": "rate(1 hour)"})
    assert "does not emulate" in timed["scheduleExpression"]
    state = {**inputs, "state": "ENABLED", "isEnabled": True, "eventPattern": '{"source":["a"]}'}
    assert changes(RULE, state, inputs) == {}
    assert changes(RULE, state, {**inputs, "state": "DISABLED"}) == {"state": False}
    assert changes(RULE, state, {**inputs, "eventBusName": "other"}) == {"eventBusName": True}


def test_targets_and_what_they_refuse() -> None:
    good = {"rule": "r", "arn": "arn:aws:sns:eu-west-1:123456789012:t"}
    inputs, found = run(TARGET, good)
    assert found == []
    two = {**good, "input": "{}", "inputPath": "$.detail"}
    assert "conflicts with inputPath" in failures(TARGET, two)["input"]
    paths = {"inputTransformer": {"inputTemplate": "x", "inputPaths": {"AWSx": "$"}}}
    found_failures = failures(TARGET, {**good, **paths})
    assert "must not begin with AWS" in found_failures["inputTransformer.inputPaths"]
    assert "does not emulate" in failures(TARGET, {**good, "ecsTarget": {}})["ecsTarget"]
    state = {**inputs, "targetId": "t"}
    assert changes(TARGET, state, inputs) == {}
    assert changes(TARGET, state, {**inputs, "input": "{}"}) == {"input": False}
    assert changes(TARGET, state, {**inputs, "targetId": "u"}) == {"targetId": True}

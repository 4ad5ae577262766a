"""Functions, state machines and rules by the real Pulumi engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation as auto
import pulumi_aws as aws
import pytest

from tests.functional.conftest import Cloud
from tests.functional.provider_stack import ProviderStack
from tests.functional.serverless import until

MakeStack = Callable[..., ProviderStack]
CODE = "from shared import greet\n\ndef handler(event, context):\n    return greet(event)\n"
SHARED = "def greet(event):\n    return {'greeting': GREETING, 'got': event}\nGREETING = 'hello'\n"
REGION = "eu-west-1"


def trust(service: str) -> str:
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def make_stack(cloud: Cloud, tmp_path: Path) -> MakeStack:
    def make(program: Callable[[], None]) -> ProviderStack:
        stack = ProviderStack(cloud.environment(), tmp_path / "stack", program)
        stack.configure(region=REGION)
        return stack

    return make


def write_code(folder: Path, shared: str = SHARED) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(CODE)
    (folder / "shared.py").write_text(shared)
    return folder


def controller(code: pulumi.Archive, settings: dict[str, Any]) -> None:
    """A function in a state machine's loop, started by a rule: a release controller's shape."""
    role = aws.iam.Role("function", assume_role_policy=trust("lambda"))
    function = aws.lambda_.Function(
        "controller",
        role=role.arn,
        runtime="python3.11",
        handler="app.handler",
        code=code,
        timeout=settings.get("timeout", 30),
        environment={"variables": {"MODE": "test"}},
        publish=settings.get("publish", False),
        name=settings.get("name"),
        tags={"t": settings.get("tag", "one")},
    )
    states = aws.iam.Role("states", assume_role_policy=trust("states"))
    definition = {
        "StartAt": "Advance",
        "States": {
            "Advance": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "FUNCTION", "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "End": True,
            }
        },
    }
    machine = aws.sfn.StateMachine(
        "loop",
        role_arn=states.arn,
        definition=function.arn.apply(lambda arn: json.dumps(definition).replace("FUNCTION", arn)),
    )
    rule = aws.cloudwatch.EventRule(
        "started", event_pattern=json.dumps({"source": ["slipway.provider-test"]})
    )
    events = aws.iam.Role("events", assume_role_policy=trust("events"))
    aws.cloudwatch.EventTarget(
        "target",
        rule=rule.name,
        arn=machine.arn,
        role_arn=events.arn,
        input_path="$.detail",
    )
    aws.cloudwatch.EventTarget("direct", rule=rule.name, arn=function.arn)
    aws.lambda_.Permission(
        "allowed",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="events.amazonaws.com",
        source_arn=rule.arn,
    )


def test_a_controller_comes_up_runs_changes_and_goes(
    make_stack: MakeStack, tmp_path: Path, cloud: Cloud
) -> None:
    folder = write_code(tmp_path / "code")
    settings: dict[str, Any] = {}
    stack = make_stack(lambda: controller(pulumi.FileArchive(str(folder)), settings))
    assert stack.preview().changes == {"create": 10}
    assert stack.up().changes == {"create": 10}
    assert stack.preview().changes == {"same": 10}
    assert stack.refresh().changes == {"same": 10}
    assert stack.preview().changes == {"same": 10}

    outputs = stack.outputs("controller")
    assert outputs["name"].startswith("controller-")
    assert outputs["version"] == "$LATEST"
    assert outputs["invokeArn"].endswith(f"{outputs['arn']}/invocations")
    states, events = cloud.client("stepfunctions", REGION), cloud.client("events", REGION)
    machine = stack.outputs("loop")["arn"]
    entry = {"Source": "slipway.provider-test", "DetailType": "t", "Detail": '{"n": 1}'}
    events.put_events(Entries=[entry])
    executions = until(
        lambda: states.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")[
            "executions"
        ],
        "an execution",
    )
    output = states.describe_execution(executionArn=executions[0]["executionArn"])["output"]
    assert json.loads(output) == {"greeting": "hello", "got": {"n": 1}}

    write_code(folder, SHARED.replace("'hello'", "'good day'"))
    planned = stack.preview()
    assert planned.changes == {"same": 9, "update": 1}
    assert planned.details["controller"] == {"code": "update"}
    stack.up()
    assert stack.outputs("controller")["codeSha256"] != outputs["codeSha256"]
    payload = cloud.client("lambda", REGION).invoke(FunctionName=outputs["arn"])["Payload"]
    assert json.loads(payload.read())["greeting"] == "good day"

    settings.update(timeout=60, tag="two", publish=True)
    planned = stack.preview()
    assert planned.details["controller"]["timeout"] == "update"
    stack.up()
    changed = stack.outputs("controller")
    assert (changed["timeout"], changed["version"]) == (60, "1")
    assert changed["qualifiedArn"] == f"{changed['arn']}:1"
    assert changed["tags"] == {"t": "two"}
    assert stack.preview().changes == {"same": 10}

    settings.update(name="provider-test-renamed")
    planned = stack.preview()
    assert planned.details["controller"]["name"] == "update-replace"
    assert set(planned.of("create-replacement")) == {"controller", "allowed"}
    stack.up()
    assert stack.preview().changes == {"same": 10}
    assert stack.destroy().changes == {"delete": 10}
    listed = cloud.client("lambda", REGION).list_functions()["Functions"]
    assert "provider-test-renamed" not in [f["FunctionName"] for f in listed]


def test_drift_is_seen_and_put_right(make_stack: MakeStack, tmp_path: Path, cloud: Cloud) -> None:
    code = pulumi.AssetArchive(
        {"app.py": pulumi.StringAsset(CODE), "shared.py": pulumi.StringAsset(SHARED)}
    )
    stack = make_stack(lambda: controller(code, {}))
    stack.up()
    functions, states, events = (
        cloud.client(n, REGION) for n in ("lambda", "stepfunctions", "events")
    )
    name, rule = stack.outputs("controller")["name"], stack.outputs("started")["name"]
    functions.update_function_configuration(
        FunctionName=name, Timeout=99, Environment={"Variables": {"MODE": "changed"}}
    )
    functions.remove_permission(
        FunctionName=name, StatementId=stack.outputs("allowed")["statementId"]
    )
    other = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    states.update_state_machine(
        stateMachineArn=stack.outputs("loop")["arn"], definition=json.dumps(other)
    )
    events.put_rule(Name=rule, EventPattern='{"source": ["else"]}')
    events.remove_targets(Rule=rule, Ids=[stack.outputs("target")["targetId"]])

    with pytest.raises(auto.CommandError, match="no changes were expected"):
        stack.refresh(preview_only=True, expect_no_changes=True)
    assert stack.refresh().changes == {"same": 5, "update": 3, "delete": 2}
    planned = stack.preview()
    assert planned.changes == {"same": 5, "update": 3, "create": 2}
    assert planned.details["controller"] == {
        "timeout": "update",
        "environment.variables.MODE": "update",
    }
    assert planned.details["loop"] == {"definition": "update"}
    assert planned.details["started"] == {"eventPattern": "update"}
    stack.up()
    assert stack.preview().changes == {"same": 10}
    assert functions.get_function(FunctionName=name)["Configuration"]["Timeout"] == 30
    stack.destroy()


def test_a_preview_refuses_what_cannot_run(make_stack: MakeStack) -> None:
    def program() -> None:
        aws.sfn.StateMachine(
            "wrong",
            role_arn="arn:aws:iam::123456789012:role/r",
            definition=json.dumps({"StartAt": "A", "States": {"B": {"Type": "Succeed"}}}),
        )

    stack = make_stack(program)
    with pytest.raises(auto.CommandError, match="MISSING_TRANSITION_TARGET"):
        stack.preview()

"""CodeBuild projects: what the provider checks and sends, and what the local cloud's do."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from localcloud.provider.resources.codebuild import Project
from tests.unit.test_provider_requests import call_of
from tests.unit.test_provider_serverless import ROLE, changes, failures, run

TOKEN = Project.token
ARN = "arn:aws:codebuild:eu-west-1:123456789012:project/thing"
SOURCE = {"type": "S3", "location": "b/k.zip", "buildspec": "version: 0.2"}
ENVIRONMENT = {
    "type": "LINUX_CONTAINER",
    "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
    "computeType": "BUILD_GENERAL1_SMALL",
    "privilegedMode": True,
    "environmentVariables": [{"name": "A", "value": "1"}],
}
GOOD: dict[str, Any] = {
    "serviceRole": ROLE,
    "source": SOURCE,
    "artifacts": {"type": "NO_ARTIFACTS"},
    "environment": ENVIRONMENT,
    "logsConfig": {"cloudwatchLogs": {"groupName": "g"}},
}


def test_a_project_gets_name_and_defaults() -> None:
    inputs, found = run(TOKEN, GOOD)

    assert found == []
    assert inputs["name"].startswith("thing-")
    assert (inputs["buildTimeout"], inputs["queuedTimeout"]) == (60, 480)
    assert inputs["environment"]["imagePullCredentialsType"] == "CODEBUILD"
    assert inputs["environment"]["environmentVariables"][0]["type"] == "PLAINTEXT"
    assert inputs["logsConfig"]["cloudwatchLogs"]["status"] == "ENABLED"


@pytest.mark.parametrize(
    ("wrong", "path", "reason"),
    [
        ({"serviceRole": "me"}, "serviceRole", "is an invalid ARN"),
        ({"buildTimeout": 4}, "buildTimeout", "in the range (5 - 2160), got 4"),
        ({"queuedTimeout": 481}, "queuedTimeout", "in the range (5 - 480), got 481"),
        ({"name": "-a"}, "name", "'-a' does not match"),
        ({"description": "d" * 256}, "description", "in the range (0 - 255), got 256"),
        ({"source": {**SOURCE, "type": "FTP"}}, "source.type", "expected one of [CODECOMMIT"),
        ({"source": {"location": "b/k"}}, "source.type", "missing required property 'type'"),
        (
            {"environment": {**ENVIRONMENT, "computeType": "HUGE"}},
            "environment.computeType",
            "expected one of [BUILD_GENERAL1_SMALL",
        ),
        ({"cache": {"type": "S3"}}, "cache.location", "is required when type is 'S3'"),
        ({"concurrentBuildLimit": 2}, "concurrentBuildLimit", "does not emulate"),
        ({"encryptionKey": ARN}, "encryptionKey", "does not emulate"),
        ({"projectVisibility": "PUBLIC_READ"}, "projectVisibility", "expected one of [PRIVATE]"),
        ({"privileged": True}, "privileged", "invalid or unknown key"),
    ],
)
def test_a_projects_mistakes_are_told(wrong: dict[str, Any], path: str, reason: str) -> None:
    assert reason in failures(TOKEN, {**GOOD, **wrong})[path]


def test_a_new_name_replaces_and_all_else_is_changed_in_place() -> None:
    state = {**run(TOKEN, {**GOOD, "name": "thing"})[0], "arn": ARN, "encryptionKey": "k"}

    assert changes(TOKEN, state, {**state, "name": "other"}) == {"name": True}
    shorter = {**state, "buildTimeout": 30, "serviceRole": f"{ROLE}2"}
    assert changes(TOKEN, state, shorter) == {"buildTimeout": False, "serviceRole": False}
    spec = {**state, "source": {**SOURCE, "buildspec": "version: 0.3"}}
    assert changes(TOKEN, state, spec) == {"source.buildspec": False}
    without = {name: value for name, value in state.items() if name != "logsConfig"}
    assert changes(TOKEN, state, without) == {}, "a block taken away stays as it is"


def sent(call: Any, stub: Stubber, operation: str, request: dict[str, Any], action: Any) -> None:
    """Runs ``action``, which must send this and nothing else; botocore checks its form."""
    answer = {"project": {"arn": ARN}} if operation != "delete_project" else {}
    stub.add_response(operation, answer, request)
    with stub:
        action(call)
    stub.assert_no_pending_responses()


def test_a_project_without_logs_is_sent_with_the_providers_own() -> None:
    inputs, _ = run(TOKEN, {**GOOD, "name": "thing", "logsConfig": None})
    inputs["tagsAll"] = {"k": "v"}
    plain = {"encryptionDisabled": False, "overrideArtifactName": False}
    call, stub = call_of(Project(), without_defaults(inputs), {}, "")
    environment = {**ENVIRONMENT, "imagePullCredentialsType": "CODEBUILD"}
    request = {
        "name": "thing",
        "source": SOURCE,
        "artifacts": {"type": "NO_ARTIFACTS", **plain},
        "environment": environment
        | {"environmentVariables": [{"name": "A", "value": "1", "type": "PLAINTEXT"}]},
        "serviceRole": ROLE,
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "logsConfig": {
            "cloudWatchLogs": {"status": "ENABLED"},
            "s3Logs": {"status": "DISABLED", "encryptionDisabled": False},
        },
        "tags": [{"key": "k", "value": "v"}],
    }

    sent(call, stub, "create_project", request, Project().create)

    assert call.id == ARN


def without_defaults(value: Any) -> Any:
    """The inputs as the lifecycle hands them on."""
    if isinstance(value, dict):
        return {k: without_defaults(v) for k, v in value.items() if k != "__defaults"}
    if isinstance(value, list):
        return [without_defaults(item) for item in value]
    return value


def test_an_update_sends_what_changed_what_is_gone_and_all_tags() -> None:
    inputs = {**GOOD, "buildTimeout": 30, "tagsAll": {"a": "b"}}
    call, stub = call_of(Project(), inputs, {"name": "thing"}, ARN)
    tags = [{"key": "a", "value": "b"}]
    request = {"name": "thing", "timeoutInMinutes": 30, "vpcConfig": {}, "tags": tags}

    def update(call: Any) -> None:
        Project().update(call, {"buildTimeout", "vpcConfig"})

    sent(call, stub, "update_project", request, update)

    def tag(call: Any) -> None:
        Project().tag(call, {"a": "b"}, [])

    sent(call, stub, "update_project", {"name": "thing", "tags": tags}, tag)


def test_a_project_is_read_and_deleted_by_its_arn() -> None:
    call, stub = call_of(Project(), {}, {}, ARN)
    told = {
        "name": "thing",
        "arn": ARN,
        "source": SOURCE,
        "timeoutInMinutes": 60,
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "g"}},
        "badge": {"badgeEnabled": False},
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "tags": [{"key": "k", "value": "v"}],
    }
    stub.add_response("batch_get_projects", {"projects": [told]}, {"names": [ARN]})
    stub.add_response("batch_get_projects", {"projects": []}, {"names": [ARN]})
    with stub:
        assert Project().read(call) == {
            "name": "thing",
            "arn": ARN,
            "source": SOURCE,
            "buildTimeout": 60,
            "logsConfig": {"cloudwatchLogs": {"status": "ENABLED", "groupName": "g"}},
            "badgeEnabled": False,
            "badgeUrl": "",
            "projectVisibility": "PRIVATE",
            "publicProjectAlias": "",
            "tagsAll": {"k": "v"},
        }
        assert Project().read(call) is None, "it is gone"
    stub = Stubber(call.client())
    sent(call, stub, "delete_project", {"name": ARN}, Project().delete)


# In a process of its own: it changes moto.
LOCAL = """
import boto3, json
from botocore.exceptions import ClientError
from moto import mock_aws
from localcloud import moto_hooks
from localcloud.clock import Clock
from localcloud.moto_codebuild import NO_BUILDS

moto_hooks.install(Clock())

def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return str(error)
    raise AssertionError(f"it was not refused with {code}")

with mock_aws():
    iam = boto3.client("iam")
    def role(name, service):
        allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    own, foreign = role("own", "codebuild.amazonaws.com"), role("foreign", "ec2.amazonaws.com")
    builds = boto3.client("codebuild", "eu-west-1")
    source = {"type": "S3", "location": "b/k.zip"}
    given = dict(
        name="thing",
        source=source,
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"
        },
        tags=[],
    )
    for other in (foreign, own + "2"):
        told = refused("InvalidInputException", builds.create_project, **given, serviceRole=other)
        assert "not authorized to perform: sts:AssumeRole on " + other in told, told
    arn = builds.create_project(**given, serviceRole=own)["project"]["arn"]
    refused("InvalidInputException", builds.update_project, name="thing", serviceRole=foreign)
    refused("ResourceNotFoundException", builds.update_project, name="nothing")
    tags = [{"key": "k", "value": "v"}]
    builds.update_project(name="thing", timeoutInMinutes=7, tags=tags)
    [found] = builds.batch_get_projects(names=[arn])["projects"]
    assert (found["timeoutInMinutes"], found["tags"], found["source"]) == (7, tags, source)
    assert found["serviceRole"] == own

    started = builds.start_build(projectName="thing")["build"]
    [build] = builds.batch_get_builds(ids=[started["id"]])["builds"]
    assert build["buildStatus"] == started["buildStatus"] == "FAILED", "no success is made up"
    [failed] = [p for p in build["phases"] if p.get("phaseStatus") == "FAILED"]
    assert failed["contexts"][0]["message"] == NO_BUILDS
    assert build["source"] == source and "logs" not in build
    assert builds.stop_build(id=started["id"])["build"]["buildStatus"] == "FAILED"

    builds.delete_project(name=arn)
    assert builds.list_projects()["projects"] == []
"""


def test_the_local_cloud_keeps_projects_and_fails_builds_plainly() -> None:
    variables = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test"}
    done = subprocess.run(
        [sys.executable, "-c", LOCAL],
        env={**variables, "AWS_SECRET_ACCESS_KEY": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

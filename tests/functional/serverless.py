"""What the tests of Lambda, Step Functions and deliveries share."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

from tests.functional.conftest import Cloud

PATIENCE_SECONDS = 90.0
# A function that keeps every event in a bucket, so that a test can see it.
RECORDER = """
import json, os, uuid
import boto3

def handler(event, context):
    key = f"{uuid.uuid4()}.json"
    body = json.dumps(event).encode()
    boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=key, Body=body)
    return {"key": key}
"""


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of the condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)
    return found


def zipped(**files: str) -> bytes:
    """A zip with ``name.py`` for each argument."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return stream.getvalue()


def role(cloud: Cloud, service: str) -> str:
    """A new role that the service may assume."""
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = cloud.client("iam")
    made = iam.create_role(RoleName=unique(service), AssumeRolePolicyDocument=document)
    return made["Role"]["Arn"]


def function(cloud: Cloud, code: str, **settings: Any) -> str:
    """A new function whose handler is ``app.handler``; gives its ARN."""
    values: dict[str, Any] = {
        "FunctionName": unique("fn"),
        "Role": role(cloud, "lambda"),
        "Runtime": "python3.11",
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped(app=code)},
    }
    return cloud.client("lambda").create_function(**(values | settings))["FunctionArn"]


def invoke(cloud: Cloud, name: str, event: Any = None, **options: Any) -> dict[str, Any]:
    """Invoke and wait; the answer with its payload read."""
    answer = cloud.client("lambda", read_timeout=60).invoke(
        FunctionName=name, Payload=json.dumps(event), **options
    )
    answer["Payload"] = json.loads(answer["Payload"].read() or b"null")
    return answer


class Recorder:
    """A function that remembers its events, and what it has got."""

    def __init__(self, cloud: Cloud) -> None:
        self._s3 = cloud.client("s3")
        self._lambda = cloud.client("lambda")
        self.bucket = unique("recorded")
        self._s3.create_bucket(Bucket=self.bucket)
        self.arn = function(cloud, RECORDER, Environment={"Variables": {"BUCKET": self.bucket}})

    def allow(self, principal: str, source: str) -> None:
        self._lambda.add_permission(
            FunctionName=self.arn,
            StatementId=unique("allow"),
            Action="lambda:InvokeFunction",
            Principal=principal,
            SourceArn=source,
        )

    def events(self) -> list[dict[str, Any]]:
        keys = self._s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [
            json.loads(self._s3.get_object(Bucket=self.bucket, Key=k["Key"])["Body"].read())
            for k in keys
        ]

    def first(self) -> dict[str, Any]:
        return until(self.events, "an event in the function")[0]


def machine(cloud: Cloud, definition: dict[str, Any], name: str | None = None) -> str:
    """A new state machine; gives its ARN."""
    made = cloud.client("stepfunctions").create_state_machine(
        name=name or unique("sm"),
        definition=json.dumps(definition),
        roleArn=role(cloud, "states"),
    )
    return made["stateMachineArn"]


def finished(cloud: Cloud, execution_arn: str) -> dict[str, Any]:
    """The execution once it has ended."""
    states = cloud.client("stepfunctions")

    def ended() -> dict[str, Any] | None:
        found = states.describe_execution(executionArn=execution_arn)
        return None if found["status"] == "RUNNING" else found

    return until(ended, "the end of the execution")

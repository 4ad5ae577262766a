"""Functions that really run: answers, errors, timeouts, logs, versions, persistence."""

from __future__ import annotations

import base64
import json
import signal
import time

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud import connect
from tests.functional.conftest import Cloud
from tests.functional.serverless import (
    RECORDER,
    Recorder,
    function,
    invoke,
    role,
    unique,
    until,
    zipped,
)

ECHO = """
import logging, os, sys, time

def handler(event, context):
    print("got", event)
    logging.getLogger().warning("careful")
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        sys.exit(event["exit"])
    if "marshal" in event:
        return object()
    if "big" in event:
        return "x" * event["big"]
    return {
        "event": event,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "id": context.aws_request_id,
        "version": context.function_version,
        "left": context.get_remaining_time_in_millis(),
        "group": context.log_group_name,
        "mode": os.environ.get("MODE"),
        "region": os.environ["AWS_REGION"],
        "pid": os.getpid(),
    }
"""


@pytest.fixture(scope="module")
def echo(cloud: Cloud) -> str:
    return function(cloud, ECHO, Environment={"Variables": {"MODE": "test"}})


def test_a_function_gets_its_event_context_and_environment(cloud: Cloud, echo: str) -> None:
    answer = invoke(cloud, echo, {"a": [1, None]})
    found = answer["Payload"]
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert found["event"] == {"a": [1, None]}
    assert found["arn"] == echo
    assert found["name"] == echo.rpartition(":")[2]
    assert found["id"] == answer["ResponseMetadata"]["RequestId"]
    assert 3000 < found["left"] <= 5000
    assert (found["mode"], found["region"]) == ("test", "us-east-1")
    assert found["group"] == f"/aws/lambda/{found['name']}"
    again = invoke(cloud, found["name"], {})
    assert again["Payload"]["pid"] == found["pid"], "the worker stays warm"


def test_what_a_function_raises_is_awss_error_document(cloud: Cloud, echo: str) -> None:
    answer = invoke(cloud, echo, {"raise": "no such wine"}, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    document = answer["Payload"]
    assert document["errorType"] == "ValueError"
    assert document["errorMessage"] == "no such wine"
    assert "in handler" in document["stackTrace"][0]
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "[ERROR] ValueError: no such wine" in log
    assert log.startswith("START RequestId: ")
    assert "REPORT RequestId: " in log


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        ({"exit": 3}, "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ({"marshal": 1}, "Runtime.MarshalError", "Unable to marshal response"),
        ({"big": 7 << 20}, "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload"),
    ],
)
def test_what_the_platform_refuses(
    cloud: Cloud, echo: str, event: dict[str, int], kind: str, text: str
) -> None:
    answer = invoke(cloud, echo, event)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == kind
    assert text in answer["Payload"]["errorMessage"]
    assert "FunctionError" not in invoke(cloud, echo, {})


def test_a_function_that_hangs_is_killed(cloud: Cloud, echo: str) -> None:
    began = time.monotonic()
    answer = invoke(cloud, echo, {"sleep": 60})
    assert time.monotonic() - began < 15
    assert answer["Payload"]["errorType"] == "Sandbox.Timedout"
    assert answer["Payload"]["errorMessage"].endswith("Task timed out after 5.00 seconds")


@pytest.mark.parametrize(
    ("files", "handler", "kind", "text"),
    [
        ({"app": "import localcloud"}, "app.handler", "ImportModuleError", "named 'localcloud'"),
        ({"app": "import numpy"}, "app.handler", "ImportModuleError", "No module named 'numpy'"),
        ({"app": "def handler(:"}, "app.handler", "UserCodeSyntaxError", "Syntax error in module"),
        ({"app": "x = 1"}, "app.handler", "HandlerNotFound", "'handler' missing on module 'app'"),
        ({"app": "x = 1"}, "handler", "MalformedHandlerName", "Bad handler 'handler'"),
    ],
)
def test_only_what_the_zip_and_the_runtime_have_can_be_imported(
    cloud: Cloud, files: dict[str, str], handler: str, kind: str, text: str
) -> None:
    arn = function(cloud, "", Code={"ZipFile": zipped(**files)}, Handler=handler)
    document = invoke(cloud, arn, {})["Payload"]
    assert document["errorType"] == f"Runtime.{kind}"
    assert text in document["errorMessage"]


def test_what_a_function_prints_is_in_its_log_group(cloud: Cloud, echo: str) -> None:
    token = unique("token")
    invoke(cloud, echo, {"token": token})
    logs, group = cloud.client("logs"), f"/aws/lambda/{echo.rpartition(':')[2]}"

    def messages() -> list[str]:
        try:
            return [e["message"] for e in logs.filter_log_events(logGroupName=group)["events"]]
        except ClientError:
            return []

    until(lambda: any(token in m for m in messages()), "the line in the log")
    assert any("[WARNING]" in m and "careful" in m for m in messages())


def test_new_code_and_configuration_take_effect_and_versions_stay(cloud: Cloud) -> None:
    client = cloud.client("lambda")
    arn = unique("versions")
    function(cloud, "def handler(event, context): return 1", FunctionName=arn, Publish=True)
    with pytest.raises(ClientError, match="InvalidParameterValueException"):
        client.update_function_code(FunctionName=f"{arn}:1", ZipFile=zipped(app=ECHO))
    client.update_function_code(FunctionName=arn, ZipFile=zipped(app=ECHO))
    client.update_function_configuration(
        FunctionName=arn, Environment={"Variables": {"MODE": "new"}}, Timeout=9
    )
    assert invoke(cloud, arn, {})["Payload"]["mode"] == "new"
    assert client.publish_version(FunctionName=arn)["Version"] == "2"
    assert client.publish_version(FunctionName=arn)["Version"] == "2", "nothing has changed"
    client.create_alias(FunctionName=arn, Name="stable", FunctionVersion="1")
    assert invoke(cloud, arn, {}, Qualifier="stable")["Payload"] == 1
    found = client.get_function(FunctionName=arn)
    assert found["Configuration"]["Timeout"] == 9
    assert found["Configuration"]["CodeSha256"]
    client.delete_function(FunctionName=arn)
    with pytest.raises(ClientError, match=r"ResourceNotFoundException.*Function not found"):
        client.get_function(FunctionName=arn)


def test_what_aws_or_this_cloud_refuses(cloud: Cloud, echo: str) -> None:
    client, code = cloud.client("lambda"), {"ZipFile": zipped(app=ECHO)}
    good = {"Role": role(cloud, "lambda"), "Runtime": "python3.11", "Handler": "app.handler"}
    name = echo.rpartition(":")[2]
    with pytest.raises(ClientError, match="ResourceConflictException"):
        client.create_function(FunctionName=name, Code=code, **good)
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        client.create_function(
            FunctionName=unique("fn"), Code=code, **{**good, "Role": role(cloud, "states")}
        )
    with pytest.raises(ClientError, match=r"runtime python3.13 does not run in the local cloud"):
        client.create_function(
            FunctionName=unique("fn"), Code=code, **{**good, "Runtime": "python3.13"}
        )
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        client.create_function(FunctionName=unique("fn"), Code={"ZipFile": b"no zip"}, **good)
    with pytest.raises(ClientError, match=r"reserved keys.*AWS_REGION"):
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"AWS_REGION": "x"}}
        )
    with pytest.raises(ClientError, match="RequestTooLargeException"):
        client.invoke(FunctionName=name, Payload=b'"' + b"x" * (6 << 20) + b'"')
    with pytest.raises(ClientError, match="Could not parse request body into json"):
        client.invoke(FunctionName=name, Payload=b"{")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        client.invoke(FunctionName=name)
    client.delete_function_concurrency(FunctionName=name)
    assert client.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_an_async_event_is_retried_and_told_to_its_destination(cloud: Cloud) -> None:
    sqs, client = cloud.client("sqs"), cloud.client("lambda")
    queue = sqs.create_queue(QueueName=unique("failed"))["QueueUrl"]
    arn = function(cloud, "def handler(event, context): raise RuntimeError('never')")
    target = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    client.put_function_event_invoke_config(
        FunctionName=arn,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": target["QueueArn"]}},
    )
    answer = client.invoke(FunctionName=arn, InvocationType="Event", Payload=b'{"n": 1}')
    assert answer["StatusCode"] == 202
    (message,) = until(
        lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"),
        "the record in the queue",
    )
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorType"] == "RuntimeError"


def test_functions_survive_a_kill_and_their_workers_do_not(fresh_cloud: Cloud) -> None:
    arn = function(fresh_cloud, ECHO)
    worker = psutil.Process(invoke(fresh_cloud, arn, {})["Payload"]["pid"])
    daemon = psutil.Process(fresh_cloud.status().pid)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(15)
    worker.wait(15)
    found = connect.start(fresh_cloud.home)
    assert found.restored["lambda"] == "ok"
    assert invoke(fresh_cloud, arn, {"n": 2})["Payload"]["event"] == {"n": 2}
    connect.reset(fresh_cloud.home)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        invoke(fresh_cloud, arn, {})


def test_a_function_uses_the_cloud(cloud: Cloud) -> None:
    recorder = Recorder(cloud)
    assert "boto3" in RECORDER
    invoke(cloud, recorder.arn, {"hello": 1})
    assert recorder.first() == {"hello": 1}

"""What a Task state calls: functions, and a few services."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from localcloud.in_moto import InMoto
from localcloud.lambda_.spec import Outcome
from localcloud.service import ServiceError
from localcloud.stepfunctions.data import checked
from localcloud.stepfunctions.errors import StateError

Params = dict[str, Any]
# Execution that starts another: its ARN, region and the request; gives ARN and time.
Start = Callable[[str, str, Params], tuple[str, datetime]]


class Functions(Protocol):
    """Lambda, as far as a task needs it."""

    def call(
        self, reference: str, region: str, payload: bytes, qualifier: str | None = None
    ) -> tuple[Outcome, str]: ...


class Tasks:
    """Blocks; call it from a thread without any lock."""

    def __init__(self, functions: Functions, aws: InMoto, start: Start) -> None:
        self._functions, self._aws, self._start = functions, aws, start

    def run(self, resource: str, parameters: Any, execution_arn: str) -> Any:
        """The task's result.

        Raises:
            StateError: what the service or the function failed with.
        """
        region = execution_arn.split(":")[3]
        if ":::" not in resource:
            return self._invoke(resource, region, parameters, None)[0]
        service = resource.partition(":::")[2].partition(":")[0]
        try:
            match resource.partition(":::")[2]:
                case "lambda:invoke":
                    return self._lambda(region, parameters)
                case "states:startExecution":
                    return self._execution(execution_arn, region, parameters)
                case "sns:publish":
                    return self._publish(region, parameters)
                case "sqs:sendMessage":
                    body = _text(parameters.get("MessageBody"))
                    params = {**parameters, "MessageBody": body}
                    return _with_metadata(self._aws.json("sqs", region, "SendMessage", params))
                case _:
                    return self._events(region, parameters)
        except ServiceError as error:
            raise _service_error(service, error) from None
        except (KeyError, AttributeError, TypeError) as error:
            raise StateError(
                "States.Runtime", f"the parameters of {resource} do not fit: {error!r}"
            ) from None

    def _lambda(self, region: str, parameters: Params) -> Params:
        name = str(parameters["FunctionName"])
        if parameters.get("InvocationType", "RequestResponse") != "RequestResponse":
            raise StateError("States.Runtime", "lambda:invoke waits for the function's answer")
        payload = parameters.get("Payload", {})
        result, version = self._invoke(name, region, payload, parameters.get("Qualifier"))
        return _with_metadata({"ExecutedVersion": version, "Payload": result, "StatusCode": 200})

    def _invoke(
        self, reference: str, region: str, payload: Any, qualifier: str | None
    ) -> tuple[Any, str]:
        try:
            outcome, version = self._functions.call(
                reference, region, json.dumps(payload).encode(), qualifier
            )
        except ServiceError as error:
            raise _service_error("lambda", error) from None
        if outcome.failed:
            document = json.loads(outcome.payload)
            raise StateError(str(document.get("errorType", "Unknown")), outcome.payload.decode())
        return checked(json.loads(outcome.payload), state_output=True), version

    def _execution(self, execution_arn: str, region: str, parameters: Params) -> Params:
        request = {"stateMachineArn": parameters["StateMachineArn"]}
        if "Input" in parameters:
            request["input"] = _text(parameters["Input"])
        if "Name" in parameters:
            request["name"] = parameters["Name"]
        arn, started = self._start(execution_arn, region, request)
        return _with_metadata({"ExecutionArn": arn, "StartDate": started.timestamp()})

    def _publish(self, region: str, parameters: Params) -> Params:
        params = {
            name: _text(parameters[name])
            for name in ("TopicArn", "Message", "Subject", "MessageGroupId")
            if name in parameters
        }
        answer = self._aws.query("sns", region, "Publish", params)
        found = answer.partition("<MessageId>")[2].partition("</MessageId>")[0]
        return _with_metadata({"MessageId": found})

    def _events(self, region: str, parameters: Params) -> Params:
        entries = [{**e, "Detail": _text(e.get("Detail", {}))} for e in parameters["Entries"]]
        answer = self._aws.json("events", region, "PutEvents", {"Entries": entries})
        if answer.get("FailedEntryCount"):
            raise StateError("EventBridge.FailedEntry", json.dumps(answer))
        return _with_metadata(answer)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _with_metadata(answer: Params) -> Params:
    request_id = str(uuid.uuid4())
    return {
        **answer,
        "SdkHttpMetadata": {"HttpStatusCode": 200, "AllHttpHeaders": {}, "HttpHeaders": {}},
        "SdkResponseMetadata": {"RequestId": request_id},
    }


def _service_error(service: str, error: ServiceError) -> StateError:
    titles = {"lambda": "Lambda", "states": "StepFunctions", "sns": "SNS", "sqs": "Sqs"}
    title = titles.get(service, "EventBridge")
    code = error.code if error.code.endswith("Exception") else f"{error.code}Exception"
    return StateError(
        f"{title}.{code}",
        f"{error.message} (Service: {title}, Status Code: {error.status}, "
        f"Request ID: {uuid.uuid4()})",
    )

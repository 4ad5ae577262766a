"""Lambda of the local cloud, as the front sees it and as other services call it."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.clock import Clock
from localcloud.in_moto import InMoto
from localcloud.lambda_ import policies
from localcloud.lambda_.asynchronous import AsyncEvent, AsyncQueue
from localcloud.lambda_.control import Control
from localcloud.lambda_.logs import LogWriter
from localcloud.lambda_.packages import Packages
from localcloud.lambda_.runtime import Runtime
from localcloud.lambda_.settings import Settings
from localcloud.lambda_.spec import MAX_EVENT_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, Outcome
from localcloud.lambda_.store import Store
from localcloud.service import ACCOUNT_ID, RequestContext, S3Access, ServiceError

log = logging.getLogger(__name__)
Params = dict[str, Any]
# What the state on disk looks like; another number is not read.
STATE_FORMAT = 1
Send = Callable[[str, str, bytes], None]


class StateFormatError(Exception):
    """The state on disk was written by another version."""


class Lambda:
    """See :class:`localcloud.service.OwnService`; an invocation holds no lock."""

    name = "lambda"

    def __init__(
        self, clock: Clock, folder: Path, s3: S3Access, aws: InMoto, cloud: dict[str, str]
    ) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._store = Store()
        self._packages = Packages(folder)
        self._logs = LogWriter(aws, clock)
        self._runtime = Runtime(clock, self._packages, self._logs, cloud)
        self._queue = AsyncQueue(clock, self._invoke_event, self._tell)
        self._send: Send | None = None
        control = Control(self._store, self._packages, s3, aws)
        self._operations = control.operations | Settings(self._store).operations

    def connect(self, send: Send) -> None:
        """``send`` delivers what destinations get: target ARN, source ARN, JSON."""
        self._send = send

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        if operation == "Invoke":
            return self._invoke(params, context)
        method = self._operations.get(operation)
        if method is None:
            raise ServiceError(
                "UnknownOperationException", f"The local cloud does not offer {operation}."
            )
        with self._lock:
            return method(params, context)

    def call(
        self, reference: str, region: str, payload: bytes, qualifier: str | None = None
    ) -> tuple[Outcome, str]:
        """Run a function for Step Functions: the outcome and the version that ran.

        Raises:
            ServiceError: unknown function, throttled, payload too large.
        """
        _check_payload(payload, MAX_PAYLOAD_BYTES)
        with self._lock:
            function, found = self._store.find(reference, region, qualifier)
            spec = function.spec(found)
        return self._runtime.invoke(spec, payload, str(uuid.uuid4())), spec.version

    def deliver(self, arn: str, payload: bytes, service: str, source_arn: str) -> None:
        """Queue an event from another service, if the function's policy lets that one.

        Without a ``service`` a role allows it (a destination of another function).

        Raises:
            ServiceError: unknown function, or no permission.
        """
        with self._lock:
            function, qualifier = self._store.find(arn, "")
            statements = list(function.policies.get(qualifier or "", []))
        if service and not policies.allows(
            statements, service, "lambda:InvokeFunction", source_arn, ACCOUNT_ID
        ):
            raise ServiceError(
                "AccessDeniedException",
                f"{service} may not invoke {arn} for {source_arn}: the function's policy has no "
                "permission for it (aws.lambda_.Permission)",
                403,
            )
        self._enqueue(arn, function.region, None, payload, str(uuid.uuid4()))

    def snapshot(self) -> bytes:
        with self._lock:
            return pickle.dumps((STATE_FORMAT, self._store.functions))

    def restore(self, data: bytes) -> None:
        found = pickle.loads(data)
        if found[0] != STATE_FORMAT:
            raise StateFormatError("another version of the local cloud wrote it")
        with self._lock:
            self._store.functions.clear()
            self._store.functions.update(found[1])
            self._packages.keep_only(self._store.codes())

    def reset(self) -> None:
        with self._lock:
            self._store.functions.clear()
            self._queue.clear()
            self._runtime.clear()
            self._packages.keep_only(set())

    def close(self) -> None:
        self._queue.close()
        self._runtime.close()
        self._logs.close()

    def _invoke(self, params: Params, context: RequestContext) -> Params:
        reference, qualifier = params["FunctionName"], params.get("Qualifier")
        payload: bytes = params.get("Payload") or b"{}"
        kind = params.get("InvocationType") or "RequestResponse"
        _check_payload(payload, MAX_EVENT_PAYLOAD_BYTES if kind == "Event" else MAX_PAYLOAD_BYTES)
        _check_json(payload)
        with self._lock:
            function, qualifier = self._store.find(reference, context.region, qualifier)
            spec = function.spec(qualifier)
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            self._enqueue(reference, context.region, qualifier, payload, context.request_id)
            return {"StatusCode": 202}
        outcome = self._runtime.invoke(
            spec, payload, context.request_id, params.get("ClientContext") or ""
        )
        answer: Params = {
            "StatusCode": 200,
            "Payload": outcome.payload,
            "ExecutedVersion": spec.version,
        }
        if outcome.failed:
            answer["FunctionError"] = "Unhandled"
        if params.get("LogType") == "Tail":
            answer["LogResult"] = base64.b64encode(outcome.log_tail).decode()
        return answer

    def _enqueue(
        self, reference: str, region: str, qualifier: str | None, payload: bytes, request_id: str
    ) -> None:
        with self._lock:
            function, qualifier = self._store.find(reference, region, qualifier)
            arn = function.qualified(qualifier)
            settings = dict(function.invoke_configs.get(qualifier or "$LATEST", {}))
            letters = function.config(qualifier).get("DeadLetterConfig") or {}
        settings["dead_letters"] = letters.get("TargetArn", "")
        event = AsyncEvent(arn, region, payload, request_id, self._clock.timestamp(), settings)
        self._queue.put(event)

    def _invoke_event(self, event: AsyncEvent) -> Outcome:
        with self._lock:
            function, qualifier = self._store.find(event.reference, event.region)
            spec = function.spec(qualifier)
        return self._runtime.invoke(spec, event.payload, event.request_id)

    def _tell(self, event: AsyncEvent, condition: str, outcome: Outcome, kind: str) -> None:
        """Hand the record of an invocation that has ended to the function's destination."""
        destination = (event.settings.get("DestinationConfig") or {}).get(kind) or {}
        if kind == "OnFailure":
            log.warning("%s: %s: %s", event.reference, condition, outcome.payload[:500].decode())
            if event.settings["dead_letters"] and self._send is not None:
                self._send(event.settings["dead_letters"], event.reference, event.payload)
        if destination.get("Destination") and self._send is not None:
            record = _record(event, condition, outcome, self._clock)
            self._send(destination["Destination"], event.reference, json.dumps(record).encode())


def _record(event: AsyncEvent, condition: str, outcome: Outcome, clock: Clock) -> Params:
    context: Params = {"statusCode": 200, "executedVersion": "$LATEST"}
    if outcome.failed:
        context["functionError"] = "Unhandled"
    return {
        "version": "1.0",
        "timestamp": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": event.reference,
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": json.loads(event.payload),
        "responseContext": context,
        "responsePayload": json.loads(outcome.payload),
    }


def _check_payload(payload: bytes, limit: int) -> None:
    if len(payload) > limit:
        raise ServiceError(
            "RequestTooLargeException",
            f"{len(payload)} byte payload is too large for the RequestResponse invocation type "
            f"(limit {limit} bytes)",
            413,
        )


def _check_json(payload: bytes) -> None:
    try:
        json.loads(payload)
    except ValueError as error:
        raise ServiceError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
        ) from None

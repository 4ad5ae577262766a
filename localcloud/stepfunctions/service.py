"""Step Functions of the local cloud, as the front sees it."""

from __future__ import annotations

import json
import logging
import pickle
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.clock import Clock
from localcloud.in_moto import InMoto
from localcloud.service import ACCOUNT_ID, RequestContext, ServiceError
from localcloud.stepfunctions import interpreter
from localcloud.stepfunctions.catalog import Catalog, Machine, check_name, invalid, page
from localcloud.stepfunctions.errors import StateError
from localcloud.stepfunctions.execution import ABORTED, Execution
from localcloud.stepfunctions.runner import Runner
from localcloud.stepfunctions.tasks import Functions, Tasks

log = logging.getLogger(__name__)
Params = dict[str, Any]
STATE_FORMAT = 1
PRINCIPAL = "states.amazonaws.com"
MAX_INPUT_BYTES = 262_144
# AWS keeps what has ended for 90 days; here the last ones of each machine are kept.
KEPT_EXECUTIONS = 500


class StateFormatError(Exception):
    """The state on disk was written by another version."""


class StepFunctions:
    """See :class:`localcloud.service.OwnService`."""

    name = "stepfunctions"

    def __init__(
        self, clock: Clock, functions: Functions, aws: InMoto, on_change: Callable[[], None]
    ) -> None:
        self._clock, self._aws, self._on_change = clock, aws, on_change
        self._lock = threading.RLock()
        self._catalog = Catalog(self._end_all)
        self._executions: dict[str, Execution] = {}
        # An execution that has ended never changes: it is pickled once.
        self._ended: dict[str, bytes] = {}
        self._runner = Runner(clock, self._lock, self._executions.get, self._changed)
        self._runner.start(Tasks(functions, aws, self._start_from))
        self._operations: dict[str, Callable[[Params, RequestContext], Params]] = {
            **self._catalog.operations,
            "StartExecution": self._start,
            "StopExecution": self._stop,
            "DescribeExecution": self._describe_execution,
            "DescribeStateMachineForExecution": self._describe_for_execution,
            "ListExecutions": self._list_executions,
            "GetExecutionHistory": self._history,
        }

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        method = self._operations.get(operation)
        if method is None:
            raise ServiceError(
                "UnknownOperationException", f"The local cloud does not offer {operation}."
            )
        if operation in ("CreateStateMachine", "UpdateStateMachine"):
            self._check_role(params.get("roleArn"))
        with self._lock:
            return method(params, context)

    def start(self, machine_arn: str, region: str, input_text: str, name: str | None) -> str:
        """Start an execution for another service; gives its ARN.

        Raises:
            ServiceError: what StartExecution refuses.
        """
        params = {"stateMachineArn": machine_arn, "input": input_text}
        if name is not None:
            params["name"] = name
        context = RequestContext(ACCOUNT_ID, region, str(uuid.uuid4()), self._clock.now())
        with self._lock:
            arn = str(self._start(params, context)["executionArn"])
        self._on_change()
        return arn

    # executions

    def _start(self, params: Params, context: RequestContext) -> Params:
        machine = self._catalog.get(params["stateMachineArn"])
        name = params.get("name") or str(uuid.uuid4())
        check_name(name)
        text = params.get("input", "{}")
        value = _parsed(text)
        arn = f"{machine.arn.replace(':stateMachine:', ':execution:')}:{name}"
        found = self._executions.get(arn)
        if found is not None:
            if found.is_running and found.input == text:
                return {"executionArn": arn, "startDate": _moment(found.started)}
            raise invalid("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        steps = json.loads(machine.definition)
        now = context.now.timestamp()
        execution = Execution(
            arn,
            machine.arn,
            machine.name,
            name,
            steps,
            machine.role,
            text,
            now,
            value,
            steps["StartAt"],
        )
        interpreter.begin(execution, now)
        self._executions[arn] = execution
        machine.executions.append(arn)
        self._forget_old(machine)
        self._runner.wake(arn)
        return {"executionArn": arn, "startDate": context.now}

    def _start_from(self, execution_arn: str, region: str, request: Params) -> tuple[str, datetime]:
        now = self._clock.now()
        arn = self.start(
            request["stateMachineArn"], region, request.get("input", "{}"), request.get("name")
        )
        log.info("%s started %s", execution_arn, arn)
        return arn, now

    def _stop(self, params: Params, context: RequestContext) -> Params:
        execution = self._execution(params["executionArn"])
        if execution.is_running:
            execution.end(
                ABORTED, context.now.timestamp(), params.get("error"), params.get("cause")
            )
        return {"stopDate": _moment(execution.stopped or 0.0)}

    def _describe_execution(self, params: Params, _context: RequestContext) -> Params:
        execution = self._execution(params["executionArn"])
        return {
            **_summary(execution),
            "input": execution.input,
            "inputDetails": {"included": True},
            "output": execution.output,
            "outputDetails": None if execution.output is None else {"included": True},
            "error": execution.error,
            "cause": execution.cause,
            "redriveStatus": "NOT_REDRIVABLE",
        }

    def _describe_for_execution(self, params: Params, context: RequestContext) -> Params:
        execution = self._execution(params["executionArn"])
        found = self._catalog.describe({"stateMachineArn": execution.machine_arn}, context)
        names = ("stateMachineArn", "name", "roleArn", "loggingConfiguration", "revisionId")
        return {
            **{k: found[k] for k in names},
            "definition": json.dumps(execution.definition),
            "updateDate": found["creationDate"],
        }

    def _list_executions(self, params: Params, _context: RequestContext) -> Params:
        machine = self._catalog.get(params["stateMachineArn"])
        wanted = params.get("statusFilter")
        found = [self._executions[arn] for arn in reversed(machine.executions)]
        chosen = [_summary(e) for e in found if wanted in (None, e.status)]
        return page(chosen, "executions", params)

    def _history(self, params: Params, _context: RequestContext) -> Params:
        events = self._execution(params["executionArn"]).events
        ordered = list(reversed(events)) if params.get("reverseOrder") else list(events)
        if params.get("includeExecutionData") is False:
            ordered = [_without_data(event) for event in ordered]
        return page(ordered, "events", params)

    # state

    def snapshot(self) -> bytes:
        with self._lock:
            found: list[bytes] = []
            for arn, execution in self._executions.items():
                blob = self._ended.get(arn) or pickle.dumps(execution)
                if not execution.is_running:
                    self._ended[arn] = blob
                found.append(blob)
            return pickle.dumps((STATE_FORMAT, self._catalog.machines, found))

    def restore(self, data: bytes) -> None:
        """Waits go on; a task that was running has failed, and its Retry and Catch decide."""
        found = pickle.loads(data)
        if found[0] != STATE_FORMAT:
            raise StateFormatError("another version of the local cloud wrote it")
        executions: list[Execution] = [pickle.loads(blob) for blob in found[2]]
        now = self._clock.timestamp()
        with self._lock:
            self._catalog.machines.update(found[1])
            for execution in executions:
                self._executions[execution.arn] = execution
                if not execution.is_running:
                    continue
                if execution.phase == "task":
                    lost = StateError(
                        "Lambda.SdkClientException",
                        "the local cloud ended while this task was running",
                    )
                    interpreter.finish(execution, execution.turn, lost, now)
                self._runner.wake(execution.arn)

    def reset(self) -> None:
        with self._lock:
            self._catalog.machines.clear()
            self._executions.clear()
            self._ended.clear()

    def close(self) -> None:
        self._runner.close()

    def _end_all(self, machine: Machine, now: datetime) -> None:
        """Running executions end with their machine, as they do on AWS, only at once."""
        for arn in machine.executions:
            execution = self._executions[arn]
            if execution.is_running:
                execution.end(ABORTED, now.timestamp(), None, "state machine deleted")

    def _changed(self, execution: Execution) -> None:
        self._ended.pop(execution.arn, None)
        self._on_change()

    def _forget_old(self, machine: Machine) -> None:
        ended = [a for a in machine.executions if not self._executions[a].is_running]
        for arn in ended[: max(0, len(ended) - KEPT_EXECUTIONS)]:
            machine.executions.remove(arn)
            self._ended.pop(arn, None)
            del self._executions[arn]

    def _execution(self, arn: str) -> Execution:
        found = self._executions.get(arn)
        if found is None:
            raise invalid("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return found

    def _check_role(self, role: str | None) -> None:
        if role is not None and not self._aws.trusted(role, PRINCIPAL):
            raise invalid(
                "AccessDeniedException",
                f"Neither the global service principal {PRINCIPAL}, nor the regional one is "
                "authorized to assume the provided role.",
            )


def _parsed(text: str) -> Any:
    if len(text.encode()) > MAX_INPUT_BYTES:
        raise invalid("InvalidExecutionInput", f"the input is larger than {MAX_INPUT_BYTES} bytes")
    try:
        return json.loads(text)
    except ValueError as error:
        raise invalid(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'"
        ) from None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _summary(execution: Execution) -> Params:
    return {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _moment(execution.started),
        "stopDate": None if execution.stopped is None else _moment(execution.stopped),
        "redriveCount": 0,
    }


def _without_data(event: Params) -> Params:
    hidden = ("input", "output", "parameters")
    return {
        key: {k: v for k, v in value.items() if k not in hidden}
        if isinstance(value, dict)
        else value
        for key, value in event.items()
    }

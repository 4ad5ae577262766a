"""Runs functions: a worker for an event, its answer, its errors as AWS words them, its log."""

from __future__ import annotations

import base64
import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from localcloud.clock import Clock
from localcloud.lambda_ import spec as specs
from localcloud.lambda_.logs import LogWriter, stream_name
from localcloud.lambda_.packages import Packages
from localcloud.lambda_.pool import Pool
from localcloud.lambda_.process import Worker, WorkerExitedError, WorkerTimedOutError
from localcloud.lambda_.spec import FunctionSpec, Outcome

log = logging.getLogger(__name__)


class Runtime:
    """``cloud`` are the variables that point boto3 in a function at this cloud."""

    def __init__(
        self, clock: Clock, packages: Packages, logs: LogWriter, cloud: dict[str, str]
    ) -> None:
        self._clock, self._packages, self._logs = clock, packages, logs
        self._cloud = cloud
        self._pool = Pool(self._start)

    def invoke(
        self, spec: FunctionSpec, event: bytes, request_id: str, client_context: str = ""
    ) -> Outcome:
        """Run the function and wait for it; its own failures are outcomes.

        Raises:
            ServiceError: throttled.
        """
        worker = self._pool.acquire(spec)
        began = time.monotonic()
        try:
            outcome = self._run(spec, worker, event, request_id, client_context)
        except BaseException:
            self._pool.discard(spec, worker)
            raise
        text = _framed(spec, request_id, outcome.log, time.monotonic() - began)
        self._logs.write(spec.region, spec.log_group, worker.log_stream, text)
        return Outcome(outcome.payload, outcome.failed, text)

    def clear(self) -> None:
        self._pool.clear()

    def close(self) -> None:
        self._pool.close()

    def _start(self, spec: FunctionSpec) -> Worker:
        folder = self._packages.unpacked(spec.code)
        stream = stream_name(self._clock.now(), spec.version)
        variables = specs.environment(
            spec, self._cloud, str(folder), str(self._packages.runtime()), stream
        )
        return Worker(variables, folder, stream)

    def _run(
        self, spec: FunctionSpec, worker: Worker, event: bytes, request_id: str, context: str
    ) -> Outcome:
        order: dict[str, Any] = {
            "request_id": request_id,
            "arn": spec.arn,
            "event": event.decode("utf-8") or "{}",
            "client_context": json.loads(base64.b64decode(context)) if context else None,
        }
        try:
            answer, text = worker.invoke(order, spec.timeout_seconds)
        except WorkerTimedOutError:
            self._pool.discard(spec, worker)
            message = f"Task timed out after {spec.timeout_seconds:.2f} seconds"
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            text = f"{worker.log_so_far()}{stamp} {request_id} {message}\n"
            full = f"RequestId: {request_id} Error: {message}"
            return specs.failure("Sandbox.Timedout", full, text)
        except WorkerExitedError as error:
            self._pool.discard(spec, worker)
            how = f"signal: {-error.code}" if error.code < 0 else f"exit status {error.code}"
            full = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
            return specs.failure("Runtime.ExitError", full, f"{worker.log_so_far()}{full}\n")
        self._pool.release(spec, worker)
        return Outcome(str(answer["payload"]).encode(), bool(answer["error"]), text)


def _framed(spec: FunctionSpec, request_id: str, text: str, seconds: float) -> str:
    """The log of an invocation between the lines that the platform writes."""
    took = seconds * 1000
    body = text if not text or text.endswith("\n") else f"{text}\n"
    return (
        f"START RequestId: {request_id} Version: {spec.version}\n{body}"
        f"END RequestId: {request_id}\n"
        f"REPORT RequestId: {request_id}\tDuration: {took:.2f} ms\t"
        f"Billed Duration: {int(took) + 1} ms\tMemory Size: {spec.memory} MB\n"
    )

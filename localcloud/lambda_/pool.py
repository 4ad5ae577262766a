"""The warm workers of all functions: one invocation each at a time, reused, ended when idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from localcloud.lambda_.process import Worker
from localcloud.lambda_.spec import FunctionSpec
from localcloud.service import ServiceError

IDLE_SECONDS = 300.0
MAX_WORKERS = 32
_Key = tuple[str, str, str]


class Pool:
    """``start`` makes a worker for a spec; a new revision of a function gets new workers."""

    def __init__(self, start: Callable[[FunctionSpec], Worker]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._idle: dict[_Key, list[Worker]] = {}
        self._busy: dict[str, int] = {}
        self._running: set[Worker] = set()
        self._is_closed = False

    def acquire(self, spec: FunctionSpec) -> Worker:
        """A worker of the caller's own until :meth:`release` or :meth:`discard`.

        Raises:
            ServiceError: ``TooManyRequestsException``.
        """
        key = (spec.arn, spec.version, spec.revision)
        ended: list[Worker] = []
        with self._lock:
            busy = self._busy.get(spec.name, 0)
            limit = MAX_WORKERS if spec.reserved is None else min(spec.reserved, MAX_WORKERS)
            if self._is_closed or busy >= limit:
                raise _throttled(spec.reserved is not None)
            self._busy[spec.name] = busy + 1
            worker = self._take(key, ended)
        for old in ended:
            old.kill()
        if worker is None:
            try:
                worker = self._start(spec)
            except BaseException:
                self._free(spec)
                raise
        with self._lock:
            self._running.add(worker)
        return worker

    def release(self, spec: FunctionSpec, worker: Worker) -> None:
        """Keep the worker warm for the next invocation."""
        worker.idle_since = time.monotonic()
        with self._lock:
            self._running.discard(worker)
            is_kept = not self._is_closed and worker.is_alive
            if is_kept:
                key = (spec.arn, spec.version, spec.revision)
                self._idle.setdefault(key, []).append(worker)
        self._free(spec)
        if not is_kept:
            worker.kill()

    def discard(self, spec: FunctionSpec, worker: Worker) -> None:
        """End a worker that timed out, crashed or misbehaved."""
        with self._lock:
            self._running.discard(worker)
        self._free(spec)
        worker.kill()

    def close(self) -> None:
        """End all workers; nothing starts any more."""
        self._end_all(closing=True)

    def clear(self) -> None:
        """End all workers."""
        self._end_all(closing=False)

    def _end_all(self, closing: bool) -> None:
        with self._lock:
            self._is_closed |= closing
            workers = [w for found in self._idle.values() for w in found] + list(self._running)
            self._idle.clear()
        for worker in workers:
            worker.kill()

    def _take(self, key: _Key, ended: list[Worker]) -> Worker | None:
        """An idle worker of exactly this revision; others of the function, and old ones, end."""
        now = time.monotonic()
        for other in list(self._idle):
            workers = self._idle[other]
            is_old = other[:2] == key[:2] and other != key
            stale = [
                w for w in workers if is_old or now - w.idle_since > IDLE_SECONDS or not w.is_alive
            ]
            ended += stale
            self._idle[other] = [w for w in workers if w not in stale]
            if not self._idle[other]:
                del self._idle[other]
        found = self._idle.get(key)
        return found.pop() if found else None

    def _free(self, spec: FunctionSpec) -> None:
        with self._lock:
            self._busy[spec.name] = max(0, self._busy.get(spec.name, 0) - 1)


def _throttled(is_reserved: bool) -> ServiceError:
    reason = (
        "ReservedFunctionConcurrentInvocationLimitExceeded"
        if is_reserved
        else "ConcurrentInvocationLimitExceeded"
    )
    return ServiceError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        429,
        {"Reason": reason, "retryAfterSeconds": "1"},
    )

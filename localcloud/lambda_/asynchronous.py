"""Asynchronous invocations: queued, tried up to three times, then told to a destination.

The queue is in memory: events that wait when the daemon ends are lost, and the log says how many.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from localcloud.clock import Clock
from localcloud.lambda_.spec import Outcome
from localcloud.service import ServiceError

log = logging.getLogger(__name__)

DEFAULT_RETRIES = 2
DEFAULT_AGE_SECONDS = 21_600
# Simulated: AWS waits one minute before the second attempt and two before the third.
RETRY_SECONDS = (60.0, 120.0)
THROTTLED_SECONDS = 5.0
_THREADS = 8


@dataclass
class AsyncEvent:
    """One event for a function; ``settings`` are those of the function when it came."""

    reference: str
    region: str
    payload: bytes
    request_id: str
    received: float
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    attempts: int = 0


Invoke = Callable[[AsyncEvent], Outcome]
Tell = Callable[[AsyncEvent, str, Outcome, str], None]


class AsyncQueue:
    """``invoke`` runs an event once; ``tell`` hands on how it ended for good."""

    def __init__(self, clock: Clock, invoke: Invoke, tell: Tell) -> None:
        self._clock, self._invoke, self._tell = clock, invoke, tell
        self._waiting: list[tuple[float, int, AsyncEvent]] = []
        self._numbers = itertools.count()
        self._condition = threading.Condition()
        self._is_closed = False
        self._workers = ThreadPoolExecutor(_THREADS, thread_name_prefix="async-invoke")
        self._thread = threading.Thread(target=self._run, name="async-queue", daemon=True)
        self._thread.start()

    def put(self, event: AsyncEvent, delay: float = 0.0) -> None:
        """Run it after ``delay`` simulated seconds."""
        due = self._clock.timestamp() + delay
        with self._condition:
            heapq.heappush(self._waiting, (due, next(self._numbers), event))
            self._condition.notify()

    def clear(self) -> None:
        with self._condition:
            self._waiting.clear()

    def close(self) -> None:
        with self._condition:
            self._is_closed = True
            lost = len(self._waiting)
            self._condition.notify()
        if lost:
            log.warning("%s asynchronous invocations were still waiting and are lost", lost)
        self._thread.join(timeout=5)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._waiting) or self._is_closed)
                if self._is_closed:
                    return
                wait = self._clock.wall_seconds(self._waiting[0][0] - self._clock.timestamp())
                if wait > 0:
                    self._condition.wait(wait)
                    continue
                event = heapq.heappop(self._waiting)[2]
                self._workers.submit(self._try, event)

    def _try(self, event: AsyncEvent) -> None:
        try:
            self._attempt(event)
        except Exception:
            log.exception("the asynchronous invocation of %s failed", event.reference)

    def _attempt(self, event: AsyncEvent) -> None:
        age = self._clock.timestamp() - event.received
        limit = event.settings.get("MaximumEventAgeInSeconds", DEFAULT_AGE_SECONDS)
        try:
            outcome = self._invoke(event)
        except ServiceError as error:
            document = {"errorType": error.code, "errorMessage": error.message}
            outcome = Outcome(json.dumps(document).encode(), True)
            if error.status in (429, 500):
                if age < limit:
                    self.put(event, THROTTLED_SECONDS)
                else:
                    self._tell(event, "EventAgeExceeded", outcome, "OnFailure")
                return
            log.warning("%s is not invoked: %s", event.reference, error)
        event.attempts += 1
        if not outcome.failed:
            self._tell(event, "Success", outcome, "OnSuccess")
            return
        retries = event.settings.get("MaximumRetryAttempts", DEFAULT_RETRIES)
        if event.attempts > retries:
            self._tell(event, "RetriesExhausted", outcome, "OnFailure")
        elif age > limit:
            self._tell(event, "EventAgeExceeded", outcome, "OnFailure")
        else:
            self.put(event, RETRY_SECONDS[min(event.attempts, len(RETRY_SECONDS)) - 1])

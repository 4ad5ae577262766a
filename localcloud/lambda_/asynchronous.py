"""Asynchronous invocations: queued, tried up to three times, then told to a destination.

The queue is in memory: events that wait when the daemon ends are lost, and the log says how many.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.clock import Clock
from localcloud.due_queue import DueQueue
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
    payload: bytes = field(repr=False)
    request_id: str
    received: float
    settings: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    attempts: int = 0


Invoke = Callable[[AsyncEvent], Outcome]
Tell = Callable[[AsyncEvent, str, Outcome, str], None]


class AsyncQueue:
    """``invoke`` runs an event once; ``tell`` hands on how it ended for good."""

    def __init__(self, clock: Clock, invoke: Invoke, tell: Tell) -> None:
        self._clock, self._invoke, self._tell = clock, invoke, tell
        self._queue = DueQueue("async-invoke", clock, self._attempt, _THREADS)
        self._queue.start()

    def put(self, event: AsyncEvent, delay: float = 0.0) -> None:
        """Run it after ``delay`` simulated seconds."""
        self._queue.put(event, self._clock.timestamp() + delay)

    def clear(self) -> None:
        self._queue.clear()

    def close(self) -> None:
        if lost := self._queue.close():
            log.warning("%s asynchronous invocations were still waiting and are lost", lost)

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

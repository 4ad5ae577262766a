"""Which restarts of workers failed, and whether there were so many that the server gives up."""

from __future__ import annotations

import signal
from collections import deque

from inference.processes.board import Slot

MOST, WINDOW_SECONDS = 3, 60.0
# A worker that has served for so long was started well.
STEADY_SECONDS = 10.0


class Restarts:
    """Counts the restarts that failed; the first start of a worker is none, however it ends."""

    def __init__(self) -> None:
        self._answered: dict[int, float] = {}
        self._failures: deque[float] = deque()

    def begin(self, place: int, slot: Slot) -> None:
        """A worker is started again in this place."""
        self._answered[place] = slot.answered

    def end(self, place: int, slot: Slot, code: int, now: float) -> bool:
        """The worker in this place has ended; whether that makes too many failed restarts.

        ``code``: as of a subprocess, negative for a signal; ``now``: in monotonic seconds.
        """
        before = self._answered.get(place)
        if before is None or not _has_failed(slot, code, before, now):
            return False
        failures = self._failures
        failures.append(now)
        while now - failures[0] > WINDOW_SECONDS:
            failures.popleft()
        return len(failures) >= MOST


def _has_failed(slot: Slot, code: int, answered_before: float, now: float) -> bool:
    """Whether it ended before it was ready, soon after, or by its first request.

    What is killed from outside once it has stood for a while may have been idle; whatever else
    ends by its first request would end by each, however seldom they come.
    """
    if not slot.ready_at or now - slot.ready_at < STEADY_SECONDS:
        return True
    return code != -signal.SIGKILL and slot.answered - answered_before <= 1

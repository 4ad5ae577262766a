"""Bakes: traffic stays while alarms are watched. And the time that a deployment may take."""

from __future__ import annotations

import threading
import time

from localcloud.clock import Clock
from localcloud.faults import SilentRollback, Timeout
from localcloud.sagemaker.instance import StoppedError
from localcloud.sagemaker.neighbours import Neighbours
from localcloud.sagemaker.policies import Guardrails
from localcloud.sagemaker.records import Endpoint

# How often a bake looks at the alarms: simulated, within these limits on the wall.
LOOK_SECONDS = 5.0
LOOK_WALL_SECONDS = (0.02, 0.5)


class TroubleError(Exception):
    """Why a deployment cannot go on, for FailureReason; the exact texts are UNVERIFIED.

    ``is_silent``: nobody is to be told.
    """

    def __init__(self, reason: str, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_silent = is_silent


class Oven:
    """The bakes and the clock of one deployment."""

    def __init__(
        self,
        endpoint: Endpoint,
        rails: Guardrails,
        clock: Clock,
        neighbours: Neighbours,
        stop: threading.Event,
    ) -> None:
        self._endpoint = endpoint
        self._rails = rails
        self._clock = clock
        self._neighbours = neighbours
        self._stop = stop
        self._deadline = float("inf")

    def start(self, waits: int, startup_wall_seconds: float) -> None:
        """MaximumExecutionTimeoutInSeconds begins.

        Starting a process does not get faster with the clock, so that beside ``waits`` there is
        always as much time for it as a start may take.
        """
        if self._rails.timeout is not None:
            limit = self._clock.wall_seconds(self._rails.timeout)
            least = self._clock.wall_seconds(waits) + startup_wall_seconds
            self._deadline = time.monotonic() + max(limit, least)

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def check_time(self) -> None:
        if self.is_late:
            raise self._too_late()

    def bake(self, seconds: int) -> None:
        """Wait; the alarms are looked at until the very end, and once where there is no wait.

        Raises:
            TroubleError: an alarm went off, or the time is over.
            StoppedError: it was called off.
        """
        self._strike()
        ends = self._clock.timestamp() + seconds
        shortest, longest = LOOK_WALL_SECONDS
        look = min(longest, max(shortest, self._clock.wall_seconds(LOOK_SECONDS)))
        while True:
            self._watch_alarms()
            left = self._clock.wall_seconds(ends - self._clock.timestamp())
            if left <= 0:
                return
            if self._stop.wait(min(look, left)):
                raise StoppedError
            self.check_time()

    def _watch_alarms(self) -> None:
        """One that is in ALARM already when the bake begins trips too.

        INSUFFICIENT_DATA does not. What AWS does about an alarm that is deleted meanwhile is not
        known; nobody watches then, and so it trips here.
        """
        names = self._rails.alarms
        if not names:
            return
        states = self._neighbours.alarms(self._endpoint.region, names)
        tripped = [name for name in names if states.get(name) == "ALARM"]
        gone = [name for name in names if name not in states]
        for found, what in ((tripped, "are in ALARM state"), (gone, "do not exist any more")):
            if found:
                raise TroubleError(
                    f"One or more alarms of the AutoRollbackConfiguration {what}: "
                    f"{', '.join(found)}. The deployment was rolled back."
                )

    def _strike(self) -> None:
        """The faults that were ordered for a deployment strike when it bakes first."""
        faults, name = self._neighbours.faults, self._endpoint.name
        if faults.strikes_endpoint(SilentRollback, name):
            raise TroubleError("", is_silent=True)
        if faults.strikes_endpoint(Timeout, name):
            raise self._too_late()

    def _too_late(self) -> TroubleError:
        limit = "" if self._rails.timeout is None else f" of {self._rails.timeout} seconds"
        return TroubleError(
            f"The deployment exceeded the maximum execution timeout{limit} and was rolled back."
        )

"""The cloud's clock: simulated time, ``speed`` times as fast as the wall, that never goes back."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from contracts import atomic
from contracts.errors import SlipwayError

MIN_SPEED = 0.1
MAX_SPEED = 10_000.0
# The file holds a time that is not reached yet: after `kill -9` the clock goes on from there.
SAVE_EVERY_SECONDS = 0.5
SAVE_AHEAD_SECONDS = 2.0


class ClockError(SlipwayError):
    """A speed that the clock cannot run at."""


class Clock:
    """Simulated now = start + (wall − start) · speed.

    Args:
        speed: simulated seconds per wall second.
        start: the simulated time at this moment; default: the wall's.
        ticks: seconds of a monotonic clock (tests pass their own).
    """

    def __init__(
        self,
        speed: float = 1.0,
        start: datetime | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (math.isfinite(speed) and MIN_SPEED <= speed <= MAX_SPEED):
            raise ClockError(
                f"speed is {speed:g}; it must lie between {MIN_SPEED:g} and {MAX_SPEED:g} "
                "simulated seconds per second; start the cloud with another --speed"
            )
        self.speed = speed
        self._ticks = ticks
        self._start = time.time() if start is None else start.timestamp()
        self._origin = ticks()

    def timestamp(self) -> float:
        """Simulated seconds since 1970."""
        return self._start + (self._ticks() - self._origin) * self.speed

    def now(self) -> datetime:
        """The simulated time, in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def wall_seconds(self, simulated_seconds: float) -> float:
        """How long ``simulated_seconds`` last on the wall."""
        return simulated_seconds / self.speed


def load_start(path: Path, wall: Callable[[], float] = time.time) -> datetime:
    """Where a restarted clock goes on: the wall's time, or the saved one when that is later."""
    saved = 0.0
    try:
        saved = float(json.loads(path.read_text())["not_before"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        saved = 0.0
    return datetime.fromtimestamp(max(saved, wall()), UTC)


def save(path: Path, clock: Clock, ahead_wall_seconds: float = 0.0) -> None:
    """Keep a time that no answer given within ``ahead_wall_seconds`` will pass."""
    not_before = clock.timestamp() + ahead_wall_seconds * clock.speed
    atomic.write_text(path, json.dumps({"not_before": not_before, "speed": clock.speed}))


class ClockKeeper:
    """Saves the clock while the daemon lives, so that it never goes back, even after `kill -9`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        save(self._path, self._clock, SAVE_AHEAD_SECONDS)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        save(self._path, self._clock)

    def _run(self) -> None:
        while not self._stop.wait(SAVE_EVERY_SECONDS):
            save(self._path, self._clock, SAVE_AHEAD_SECONDS)

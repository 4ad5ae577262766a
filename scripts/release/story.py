"""A release's story on stderr while it is told: what happened as lines, and where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts.console import stderr
from scripts.release.screen import clock, line

if TYPE_CHECKING:
    from rich.status import Status

    from release.driver.progress import Event, Observer

# Where nobody watches a line moves, a CI job would be taken for hanging without one now and then.
SIGN_OF_LIFE_SECONDS = 300.0


@contextmanager
def story(now: Callable[[], float] = time.monotonic) -> Generator[Observer]:
    """An observer: on a terminal the last line always says where the release stands."""
    told = _Story(now)
    try:
        yield told.observe
    finally:
        told.end()


class _Story:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began: float | None = None
        self._printed_at = now()
        self._status: Status | None = None

    def observe(self, event: Event) -> None:
        at: float = event.data.get("started_at", event.at)
        began = self._began = at if self._began is None else min(self._began, at)
        if event.kind == "progress":
            self._stands(standing(event, began))
            return
        text = line(event, began)
        if text is not None:
            self._print(text)

    def _stands(self, text: str) -> None:
        if stderr.is_terminal:
            if self._status is None:
                self._status = stderr.status("")
                self._status.start()
            room = max(20, stderr.width - 4)
            short = text if len(text) <= room else f"{text[: room - 1]}…"
            self._status.update(short.replace("[", r"\["))
        elif self._now() - self._printed_at >= SIGN_OF_LIFE_SECONDS:
            self._print(text)

    def _print(self, text: str) -> None:
        self._printed_at = self._now()
        stderr.print(text, markup=False, soft_wrap=True)

    def end(self) -> None:
        if self._status is not None:
            self._status.stop()


def standing(event: Event, began: float) -> str:
    """Where it stands: the stage, and the verdict so far where two versions are compared."""
    parts = [f"{clock(event.at, began)}  {event.text}"]
    if event.data.get("paused"):
        parts.append("paused")
    verdict = event.data.get("verdict")
    if verdict is not None:
        parts.append(f"{verdict.answer}: {verdict.text}")
    return ", ".join(parts)

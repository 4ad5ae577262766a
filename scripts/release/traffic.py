"""Requests at a steady rate, so that a release on the local cloud has something to judge by."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from scripts.console import counted
from scripts.release.invoke import InvokeError

MAX_IN_FLIGHT = 10  # As many connections as a client of boto3 keeps.


@dataclass
class Sent:
    """What came back, by variant; ``problem`` is the last failure's text."""

    answered: Counter[str] = field(default_factory=Counter[str])
    failed: int = 0
    problem: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "answered": dict(sorted(self.answered.items())),
            "failed": self.failed,
            "problem": self.problem,
            "seconds": round(self.seconds, 1),
        }

    @property
    def text(self) -> str:
        whole = self.failed + self.answered.total()
        by = ", ".join(f"{count:,} by {name}" for name, count in sorted(self.answered.items()))
        told = f"{counted(whole, 'request')}: {by or 'none answered'}, {self.failed:,} failed"
        return f"{told} (the last: {self.problem})" if self.problem else told


def keep_sending(
    send: Callable[[], dict[str, Any]], rate: float, seconds: float | None, stop: threading.Event
) -> Sent:
    """Send ``rate`` requests a second for ``seconds``, None until ``stop`` is set.

    Where answers take so long that all connections wait, fewer are sent.
    """
    sent, lock = Sent(), threading.Lock()
    slots = threading.Semaphore(MAX_IN_FLIGHT)

    def one() -> None:
        try:
            variant, problem = str(send()["variant"]), ""
        except InvokeError as error:
            variant, problem = "", str(error)
        finally:
            slots.release()
        with lock:
            if problem:
                sent.failed += 1
                sent.problem = problem
            else:
                sent.answered[variant] += 1

    began = due = time.monotonic()
    with ThreadPoolExecutor(MAX_IN_FLIGHT) as pool:
        while not stop.is_set() and (seconds is None or time.monotonic() - began < seconds):
            slots.acquire()
            pool.submit(one)
            due = max(due + 1 / rate, time.monotonic() - 1.0)
            stop.wait(max(0.0, due - time.monotonic()))
    sent.seconds = time.monotonic() - began
    return sent

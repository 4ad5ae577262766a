"""Several hooks asked at the same time: one that hangs costs the others nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from release.observation import HookAnswer


def ask_together(
    asks: Mapping[str, Callable[[], HookAnswer]], seconds: float
) -> dict[str, HookAnswer]:
    """What was answered within ``seconds``.

    A thread that still waits then is left to itself and what it hears is dropped: none can be
    stopped from outside, and as a daemon it keeps no process alive.
    """
    heard: dict[str, HookAnswer] = {}

    def run(name: str, ask: Callable[[], HookAnswer]) -> None:
        heard[name] = ask()

    threads = [
        threading.Thread(target=run, args=named, name=f"hook {named[0]}", daemon=True)
        for named in asks.items()
    ]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(heard)

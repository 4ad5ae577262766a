"""Things to be done at a simulated time, by a pool of threads."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from localcloud.clock import Clock

log = logging.getLogger(__name__)
Item = TypeVar("Item")


class DueQueue(Generic[Item]):
    """``do`` gets each item when it is due; what that raises is logged. It is all in memory."""

    def __init__(self, name: str, clock: Clock, do: Callable[[Item], None], threads: int) -> None:
        self._clock, self._do = clock, do
        self._waiting: list[tuple[float, int, Item]] = []
        self._numbers = itertools.count()
        self._condition = threading.Condition()
        self._is_closed = False
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}-queue", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item, due: float) -> None:
        """``due`` in seconds of the simulated clock; 0 is at once."""
        with self._condition:
            heapq.heappush(self._waiting, (due, next(self._numbers), item))
            self._condition.notify()

    def clear(self) -> None:
        with self._condition:
            self._waiting.clear()

    def close(self) -> int:
        """How many items waited, and are lost."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
            lost = len(self._waiting)
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._workers.shutdown(wait=False, cancel_futures=True)
        return lost

    @property
    def is_closed(self) -> bool:
        return self._is_closed

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
                item = heapq.heappop(self._waiting)[2]
                self._workers.submit(self._try, item)

    def _try(self, item: Item) -> None:
        try:
            self._do(item)
        except Exception:
            log.exception("%s: this could not be done: %s", self._thread.name, item)

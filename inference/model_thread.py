"""The model's thread: scores what waits for it, one call at a time, and hands back on the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from inference.messages import Request
from inference.scoring import Outcome, Scorer

MERGED_ROWS = 4096


class ModelThread:
    """What comes while a call is under way is scored next, in one call where that is proven.

    ``conclude`` gets the requests of each call with their outcomes. A request whose client has
    gone is not scored.
    """

    def __init__(
        self,
        scorer: Scorer,
        executor: ThreadPoolExecutor,
        conclude: Callable[[list[Request], list[Outcome]], None],
    ) -> None:
        self._scorer = scorer
        self._executor = executor
        self._conclude = conclude
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Request] = deque()
        self._is_busy = False

    def put(self, requests: list[Request]) -> None:
        self._waiting.extend(requests)
        self._start()

    def _start(self) -> None:
        if self._is_busy:
            return
        requests = self._next()
        if requests:
            self._is_busy = True
            self._executor.submit(self._work, requests)

    def _next(self) -> list[Request]:
        chosen: list[Request] = []
        rows = 0
        while self._waiting:
            request = self._waiting[0]
            if chosen and (not self._scorer.engine.merges or rows + request.rows > MERGED_ROWS):
                break
            self._waiting.popleft()
            if request.connection is not None and request.connection.transport is None:
                continue
            chosen.append(request)
            rows += request.rows
        return chosen

    def _work(self, requests: list[Request]) -> None:
        try:
            outcomes = self._scorer.score([request.part for request in requests])
        except Exception as problem:  # noqa: BLE001 a defect of ours must not stop the thread
            outcomes: list[Outcome] = [problem] * len(requests)
        self._loop.call_soon_threadsafe(self._done, requests, outcomes)

    def _done(self, requests: list[Request], outcomes: list[Outcome]) -> None:
        self._is_busy = False
        self._start()
        self._conclude(requests, outcomes)

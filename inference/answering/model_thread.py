"""The model's thread: scores what waits for it, one call at a time, and hands back on the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from inference.answering.scoring import Outcome, Scorer
from inference.http.messages import Request

MERGED_ROWS = 4096


def is_gone(request: Request) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.connection is not None and request.connection.transport is None


def keep(request: Request) -> int:
    """Its bytes of the budget, which its client cannot give back from now on by going away."""
    reserved, request.reserved = request.reserved, 0
    return reserved


def return_kept(request: Request, reserved: int) -> None:
    """To the request; to the budget where its client has gone."""
    connection = request.connection
    if connection is not None and request in connection.queue:
        request.reserved = reserved
    elif connection is not None:
        connection.site.budget.give_back(reserved)


class ModelThread:
    """What comes while a call is under way is scored next, in one call where that is proven.

    ``conclude`` gets the requests of each call with their outcomes. A request whose client has
    gone is not scored; its bytes of the budget are kept until it is dropped here.
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
        self._waiting: deque[tuple[Request, int]] = deque()
        self._is_busy = False

    def put(self, requests: list[Request]) -> None:
        self._waiting.extend([(each, keep(each)) for each in requests if not is_gone(each)])
        self._start()

    def _start(self) -> None:
        if self._is_busy:
            return
        kept = self._next()
        if kept:
            self._is_busy = True
            self._executor.submit(self._work, kept)

    def _next(self) -> list[tuple[Request, int]]:
        chosen: list[tuple[Request, int]] = []
        rows = 0
        while self._waiting:
            request, reserved = self._waiting[0]
            is_apart = not self._scorer.engine.merges or request.part.params is not None
            if chosen and (is_apart or rows + request.rows > MERGED_ROWS):
                break
            self._waiting.popleft()
            if is_gone(request):
                return_kept(request, reserved)
                continue
            chosen.append((request, reserved))
            rows += request.rows
            if request.part.params is not None:
                break
        return chosen

    def _work(self, kept: list[tuple[Request, int]]) -> None:
        requests = [request for request, _ in kept]
        try:
            outcomes = self._scorer.score([request.part for request in requests])
        except Exception as problem:  # noqa: BLE001 a defect of ours must not stop the thread
            outcomes: list[Outcome] = [problem] * len(requests)
        self._loop.call_soon_threadsafe(self._done, kept, outcomes)

    def _done(self, kept: list[tuple[Request, int]], outcomes: list[Outcome]) -> None:
        self._is_busy = False
        self._start()
        for request, reserved in kept:
            return_kept(request, reserved)
        self._conclude([request for request, _ in kept], outcomes)

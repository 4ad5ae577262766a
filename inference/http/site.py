"""What all connections of a server share: limits, known heads, and the requests of this turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from inference.http.heads import Heads
from inference.http.limits import Budget, Limits, default_budget
from inference.http.messages import Request, Response, render

if TYPE_CHECKING:
    from inference.http.connection import Connection

TICK_SECONDS = 1.0
DRAIN_TICK_SECONDS = 0.01
Answer = Callable[[list[Request], float], None]


def _plainly(request: Request, response: Response) -> None:
    """Gives a refusal as it is."""
    request.finish(render(response))


@dataclass
class Site:
    """Collects the requests that arrive in one turn of the loop, and has them answered at once.

    ``answer`` takes them with the time, in seconds of ``time.perf_counter``, when the first one
    came, and gives every one its answer then or later. ``refused`` gives its answer to a request
    that broke a limit and never came in whole; of its head there is what had come.
    """

    answer: Answer
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=default_budget)
    refused: Callable[[Request, Response], None] = _plainly
    heads: Heads = field(default_factory=Heads)
    connections: set[Connection] = field(default_factory=set["Connection"])
    pending: list[Request] = field(default_factory=list[Request])
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _began: float = 0.0
    is_due: bool = False

    def wake(self) -> None:
        """Have what is pending answered: at once for a lone client, else when the turn ends."""
        if not self.pending:
            return
        if len(self.connections) == 1:
            self._began = perf_counter()
            self.flush()
        elif not self.is_due:
            self.is_due = True
            self._began = perf_counter()
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        self.is_due = False
        if self.pending:
            requests, self.pending = self.pending, []
            self.answer(requests, self._began)


async def watch(site: Site) -> None:
    """Look after the time of every connection, for ever."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = site.loop.time()
        for connection in list(site.connections):
            connection.check(now)


async def drain(site: Site, timeout_seconds: float) -> None:
    """Let every open connection answer what it has, at most ``timeout_seconds``."""
    deadline = site.loop.time() + timeout_seconds
    for connection in list(site.connections):
        connection.finish()
    while site.connections and site.loop.time() < deadline:
        await asyncio.sleep(DRAIN_TICK_SECONDS)

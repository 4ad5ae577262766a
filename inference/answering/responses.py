"""Responses made one by one: counted, logged, with the request's id and the model's name."""

from __future__ import annotations

import asyncio
import os
import traceback
from dataclasses import replace
from itertools import count
from time import perf_counter

from inference.application import route_of
from inference.errors import ModelFailedError, RequestError, shown
from inference.http.messages import Head, Request, Response, error, render
from inference.processes.board import Slot
from inference.processes.log import log

REQUEST_ID = "x-request-id"
MAX_ID = 128
ACCESS_LOG = "SLIPWAY_ACCESS_LOG"


class Awaited(Request):
    """A request of no connection: whoever made it waits for the response."""

    __slots__ = ("response",)

    def __init__(
        self, head: Head, body: bytes | bytearray, response: asyncio.Future[Response]
    ) -> None:
        super().__init__(head, body, None, 0)
        self.response = response


class Responder:
    """Answers single requests.

    ``identity``: headers that name the model, once there is one. ``id_prefix`` and ``ids`` make
    ids of 16 hexadecimal digits: random ones of this process, and a number.
    """

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.logged = os.environ.get(ACCESS_LOG, "errors")
        self.identity: tuple[tuple[str, str], ...] = ()
        self.id_prefix, self.ids = os.urandom(4).hex().encode(), count()

    def fail(self, request: Request, problem: BaseException) -> None:
        self.respond(request, route_of(request.head), self.failure(problem))

    def failure(self, problem: BaseException) -> Response:
        """What is answered to it; what is not the request's fault is logged."""
        match problem:
            case RequestError():
                return error(problem.status, str(problem))
            case ModelFailedError():
                log("model failed", error=str(problem), trace=_trace(problem))
                return error(500, str(problem))
            case _:
                log("server failed", error=repr(problem), trace=_trace(problem))
                return error(500, "the server failed; its log says how")

    def respond(self, request: Request, route: str, response: Response) -> None:
        """Count, log and send any response."""
        head = request.head
        headers = self.headers(head)
        self.note(request, route, response.status, headers[0][1])
        if isinstance(request, Awaited):
            response = replace(response, headers=(*response.headers, *headers))
            if not request.response.done():
                request.response.set_result(response)
        else:
            answer = render(response, headers)
            if head.method == "HEAD":  # as GET's, without the body
                answer = answer[: len(answer) - len(response.body)]
            request.finish(answer)

    def headers(self, head: Head) -> tuple[tuple[str, str], ...]:
        """The request's id, and the model's name."""
        return (("X-Request-Id", self._request_id(head)), *self.identity)

    def note(self, request: Request, route: str, status: int, request_id: str) -> None:
        """Count and log what was answered."""
        head = request.head
        seconds = perf_counter() - request.began
        self.slot.count(route, status, seconds)
        # A 503 of /ping is how a server says that it loads, and comes every second.
        is_error = status >= 400 and route != "ping"
        if self.logged == "all" or (self.logged == "errors" and is_error):
            log(
                "request",
                method=shown(head.method),
                path=shown(head.path),
                status=status,
                request_id=request_id,
                microseconds=round(seconds * 1e6),
            )

    def _request_id(self, head: Head) -> str:
        """The client's, where it is printable and short, else a new one."""
        given = head.headers.get(REQUEST_ID, "")
        if given and len(given) <= MAX_ID and given.isascii() and given.isprintable():
            return given
        return f"{self.id_prefix.decode()}{next(self.ids):08x}"


def _trace(problem: BaseException) -> str:
    return "".join(traceback.format_exception(problem))[-4000:]

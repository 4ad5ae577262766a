"""The server's application behind ASGI: the same limits and answers, under another HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from inference.http.limits import Budget, Limits, default_budget
from inference.http.messages import Response, error
from inference.processes.board import Slot

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Method, path as it came, headers with names in lower case, body.
Answer = Callable[[str, str, dict[str, str], bytearray], Awaitable[Response]]
# Method, path and headers, as far as they are known, and the refusal: what is sent for it.
Refuse = Callable[[str, str, dict[str, str], Response], Awaitable[Response]]


class Refused(Exception):
    """A limit was broken before the request was whole; or the client has left (status 0)."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


class AsgiApplication:
    """Hands method, path, headers and body to ``answer`` and sends what it answers.

    ``refuse`` gets what breaks a limit before it is a request, and gives the answer its headers.

    The HTTP server in front decides what a request is; all limits that are left are held here.
    """

    def __init__(
        self,
        answer: Answer,
        refuse: Refuse,
        slot: Slot,
        limits: Limits,
        budget: Budget | None = None,
    ) -> None:
        self.answer = answer
        self.refuse = refuse
        self.slot = slot
        self.limits = limits
        self.budget = default_budget() if budget is None else budget

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"a {scope['type']} came; only HTTP is served")
        self.slot.beat = time.monotonic()  # whoever answers is not stuck
        reserved, path = 0, ""
        headers: dict[str, str] = {}
        refusal: Response | None = None
        try:
            path, headers = self._head(scope)
            self._check_framing(headers)
            body = bytearray()
            async with asyncio.timeout(self.limits.body_seconds):
                async for piece in _body(receive):
                    reserved = self._reserve(reserved, len(body) + len(piece))
                    body += piece
            await _send(send, await self.answer(scope["method"], path, headers, body))
        except Refused as refused:
            refusal = error(refused.status, str(refused)) if refused.status else None
        except TimeoutError:
            text = f"the body did not come within {self.limits.body_seconds:g} s, or too slowly"
            refusal = error(HTTPStatus.REQUEST_TIMEOUT, text)
        finally:
            self.budget.give_back(reserved)
        if refusal is not None:
            refusal = await self.refuse(scope["method"], path, headers, refusal)
            await self._send_last(receive, send, refusal)

    def _head(self, scope: Message) -> tuple[str, dict[str, str]]:
        """Path and headers to the letter, within the limits."""
        limits, fields = self.limits, scope["headers"]
        target: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope.get("query_string") or b""
        if len(target) + len(query) + bool(query) > limits.line_bytes:
            raise Refused(414, f"the target has more than {limits.line_bytes} bytes")
        if len(fields) > limits.fields:
            raise Refused(431, f"the head has more than {limits.fields} fields")
        if sum(len(name) + len(value) + 4 for name, value in fields) > limits.head_bytes:
            raise Refused(431, f"the head has more than {limits.head_bytes} bytes")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}
        return target.decode("latin-1"), headers

    def _check_framing(self, headers: dict[str, str]) -> None:
        if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            raise Refused(501, "only HTTP/1.1's transfer encoding chunked is understood")
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > self.limits.body_bytes:
            raise self._too_large()

    def _reserve(self, reserved: int, wanted: int) -> int:
        """Bytes of the budget that the request holds, after asking for those of its body."""
        if wanted > self.limits.body_bytes:
            raise self._too_large()
        if not self.budget.take(wanted - reserved):
            raise Refused(503, "the server holds as many requests as its memory allows")
        return wanted

    async def _send_last(self, receive: Receive, send: Send, response: Response) -> None:
        """Answer, and end; a client that still sends its body would lose the answer to a reset."""
        await _send(send, response, is_last=True)
        with contextlib.suppress(Refused, TimeoutError):
            async with asyncio.timeout(self.limits.linger_seconds):
                async for _ in _body(receive):
                    pass
        await send({"type": "http.response.body", "body": b""})

    def _too_large(self) -> Refused:
        return Refused(413, f"the body has more than {self.limits.body_bytes} bytes")


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The pieces of the body as they come."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(0)
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _send(send: Send, response: Response, *, is_last: bool = False) -> None:
    """Send it; the last of a connection is left open, for what its client still sends."""
    headers = [
        ("content-type", response.content_type),
        ("content-length", str(len(response.body))),
        *response.headers,
        *((("connection", "close"),) if is_last else ()),
    ]
    raw = [(n.lower().encode("latin-1"), v.encode("latin-1", "replace")) for n, v in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    await send({"type": "http.response.body", "body": response.body, "more_body": is_last})

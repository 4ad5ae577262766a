"""HTTP/1.1 without a framework: an ``asyncio.Protocol`` over httptools, its limits before parsing.

Requests of one connection are answered in their order (pipelining); a connection that sends faster
than it is answered is not read meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import httptools
import orjson

MAX_HEAD_BYTES = 16 * 1024
MAX_FIELDS = 100
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_QUEUED = 16


@dataclass
class Request:
    """One request; header names are in lower case. ``refused`` is set where a limit was broken."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)
    keep_alive: bool = True
    refused: tuple[int, str] | None = None


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Response]]


def error(status: int, message: str) -> Response:
    # A message may quote what no encoding holds (half a surrogate pair): show it escaped.
    text = message.encode("utf-8", "backslashreplace").decode()
    return Response(status, orjson.dumps({"error": text}))


class Connection(asyncio.Protocol):
    """One client's connection; ``connections`` is the server's set of those that are open."""

    def __init__(
        self, handler: Handler, connections: set[Connection], max_body: int = MAX_BODY_BYTES
    ) -> None:
        self.handler = handler
        self.connections = connections
        self.max_body = max_body
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.request = Request()
        self.queue: deque[Request] = deque()
        self.worker: asyncio.Task[None] | None = None
        self.head_bytes = 0
        self.in_head = True
        self.closing = False
        self._url = b""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's name
        self.connections.discard(self)
        self.transport = None

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES and b"\r\n\r\n" not in data:
                self._refuse_now(431, f"the head has more than {MAX_HEAD_BYTES} bytes")
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse_now(501, "the connection cannot be upgraded")
        except httptools.HttpParserError as problem:
            self._refuse_now(400, f"the request is not HTTP/1.1: {problem}")

    def eof_received(self) -> bool:
        self.closing = True  # the client may still read: what it asked for is answered
        return bool(self.queue or self.worker)

    # httptools' side

    def on_message_begin(self) -> None:
        self.request = Request()
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self.request.headers
        if len(headers) >= MAX_FIELDS:
            self.request.refused = (431, f"the head has more than {MAX_FIELDS} fields")
            return
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        request = self.request
        self.in_head = False
        request.method = self.parser.get_method().decode("latin-1")
        request.path = self._url.split(b"?", 1)[0].decode("latin-1")
        request.keep_alive = self.parser.should_keep_alive()
        length = request.headers.get("content-length", "0")
        if request.refused is None and length.isdigit() and int(length) > self.max_body:
            request.refused = self._too_large()
        if request.headers.get("expect", "").lower() == "100-continue":
            self._expect_continue(request)

    def _expect_continue(self, request: Request) -> None:
        if request.refused is None and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif request.refused is not None:
            self._refuse_now(*request.refused)

    def on_body(self, body: bytes) -> None:
        request = self.request
        if request.refused is not None:
            return
        if len(request.body) + len(body) > self.max_body:
            request.refused = self._too_large()
            request.body.clear()
            return
        request.body += body

    def on_message_complete(self) -> None:
        if self.closing:
            return
        self.in_head, self.head_bytes = True, 0
        self.queue.append(self.request)
        if len(self.queue) >= MAX_QUEUED and self.transport is not None:
            self.transport.pause_reading()
        if self.worker is None:
            self.worker = asyncio.get_running_loop().create_task(self._answer_queue())

    # answers

    async def _answer_queue(self) -> None:
        while self.queue:
            request = self.queue.popleft()
            if request.refused is not None:
                response = error(*request.refused)
            else:
                response = await self.handler(request)
            self._write(response, request.keep_alive and request.refused is None)
            if self.transport is None:
                self.queue.clear()
            if self.transport is not None and len(self.queue) < MAX_QUEUED:
                self.transport.resume_reading()
        self.worker = None
        if self.closing and self.transport is not None:
            self.transport.close()

    def _write(self, response: Response, keep_alive: bool) -> None:
        if self.transport is None:
            return
        if not keep_alive:
            self.queue.clear()
            self.closing = True
        keep_alive = not self.closing or bool(self.queue)
        lines = [
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers),
        ]
        if not keep_alive:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self.transport.write(head + response.body)

    def _refuse_now(self, status: int, message: str) -> None:
        """After a framing error nothing that follows can be trusted: answer and close."""
        self.closing = True
        if self.worker is None and self.transport is not None:
            self._write(error(status, message), keep_alive=False)
            self.transport.close()

    def _too_large(self) -> tuple[int, str]:
        return 413, f"the body has more than {self.max_body} bytes"

    def finish(self) -> None:
        """No further request is read; the ones that came are answered, then the connection ends."""
        self.closing = True
        if self.worker is None and not self.queue and self.transport is not None:
            self.transport.close()


async def drain(connections: set[Connection], timeout_seconds: float) -> None:
    """Let every open connection answer what it has, at most ``timeout_seconds``."""
    for connection in list(connections):
        connection.finish()
    workers: list[asyncio.Task[Any]] = [c.worker for c in connections if c.worker is not None]
    if workers:
        await asyncio.wait(workers, timeout=timeout_seconds)

"""HTTP/1.1 without a framework: an ``asyncio.Protocol`` over httptools, its limits before parsing.

Requests of one connection are answered in their order (pipelining); a connection that sends faster
than it is answered, or does not read its answers, is not read meanwhile. httptools itself has no
limits, so it is fed in pieces no larger than what is left of the one in force.
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

from inference.limits import MAX_BODY_BYTES, Budget, Limits, default_budget

__all__ = ["MAX_BODY_BYTES", "Connection", "Request", "Response", "Site", "drain", "error", "watch"]

PIECE = 16 * 1024
TICK_SECONDS = 1.0
RETRY_LATER = (("Retry-After", "1"),)


@dataclass
class Request:
    """One request; header names are in lower case. ``refused`` is set where a limit was broken."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)
    keep_alive: bool = True
    refused: tuple[int, str] | None = None
    fields: int = 0
    reserved: int = 0


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
    headers = RETRY_LATER if status == HTTPStatus.SERVICE_UNAVAILABLE else ()
    return Response(status, orjson.dumps({"error": text}), headers=headers)


@dataclass
class Site:
    """What all connections of a server share."""

    handler: Handler
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=default_budget)
    connections: set[Connection] = field(default_factory=set["Connection"])


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.limits = site.limits
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.request = Request()
        self.queue: deque[Request] = deque()
        self.worker: asyncio.Task[None] | None = None
        self.in_request = False
        self.in_head = True
        self.is_chunked = False
        self.head_bytes = 0
        self.overhead_bytes = 0
        self.closing = False
        self.is_full = False
        self.is_lingering = False
        self.since = 0.0
        self._url = b""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.since = asyncio.get_running_loop().time()
        connections = self.site.connections
        connections.add(self)
        if len(connections) > self.limits.connections:
            self._refuse_now(503, f"more than {self.limits.connections} connections are open")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's name
        self.site.connections.discard(self)
        self.transport = None
        self._forget(self.request)
        while self.queue:
            self._forget(self.queue.popleft())

    def data_received(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self.closing and not self.is_lingering:
            size = len(view) if self._is_plain_body() else PIECE
            piece, view = view[:size], view[size:]
            was_in_head, began = self.in_head, self.in_request
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                self._refuse_now(501, "the connection cannot be upgraded")
            except httptools.HttpParserError as problem:
                self._refuse_now(400, f"the request is not HTTP/1.1: {problem}")
            else:
                self._count(len(piece), still_in_head=was_in_head and began and self.in_head)

    def _is_plain_body(self) -> bool:
        return self.in_request and not self.in_head and not self.is_chunked

    def _count(self, fed: int, *, still_in_head: bool) -> None:
        """Count what was fed without bringing anything: of a head, or around a body's chunks."""
        if self.in_head:
            if still_in_head:
                self.head_bytes += fed
            if len(self._url) > self.limits.line_bytes:
                self._refuse_now(414, f"the target has more than {self.limits.line_bytes} bytes")
            elif self.head_bytes > self.limits.head_bytes:
                self._refuse_now(431, f"the head has more than {self.limits.head_bytes} bytes")
        elif self.is_chunked:
            self.overhead_bytes += fed
            if self.overhead_bytes > self.limits.overhead_bytes + PIECE:
                limit = self.limits.overhead_bytes
                self._refuse_now(
                    431, f"a chunk's size or the trailers have more than {limit} bytes"
                )

    def eof_received(self) -> bool:
        if self.is_lingering and self.worker is None:
            return False
        self.closing = True  # the client may still read: what it asked for is answered
        return bool(self.queue or self.worker)

    def pause_writing(self) -> None:
        self.is_full = True
        self.since = asyncio.get_running_loop().time()
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        self._resume()

    def check(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self.transport is None:
            return
        waited, limits = now - self.since, self.limits
        if self.is_lingering and self.worker is None:
            if waited > limits.linger_seconds:
                self.transport.close()
        elif self.is_full:
            if waited > limits.write_seconds:
                self.transport.abort()
        elif self.closing or self.worker is not None:
            return
        elif not self.in_request:
            if waited > limits.idle_seconds:
                self.finish()
        elif self.in_head:
            if waited > limits.head_seconds:
                self._refuse_now(408, f"the head did not come within {limits.head_seconds:g} s")
        elif waited > limits.body_seconds + len(self.request.body) / limits.body_bytes_per_second:
            self._refuse_now(
                408, f"the body did not come within {limits.body_seconds:g} s, or too slowly"
            )

    # httptools' side

    def on_message_begin(self) -> None:
        self.request = Request()
        self.in_request, self.in_head, self.is_chunked = True, True, False
        self.head_bytes = self.overhead_bytes = 0
        self.since = asyncio.get_running_loop().time()
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self.request
        request.fields += 1
        if request.fields > self.limits.fields:
            self._refuse_now(431, f"the head has more than {self.limits.fields} fields")
            return
        if self.in_head:  # what comes after the body is a trailer: counted, never believed
            request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        request, limits = self.request, self.limits
        self.in_head = False
        self.since = asyncio.get_running_loop().time()
        request.method = self.parser.get_method().decode("latin-1")
        request.path = self._url.split(b"?", 1)[0].decode("latin-1")
        request.keep_alive = self.parser.should_keep_alive()
        encoding = request.headers.get("transfer-encoding")
        length = request.headers.get("content-length", "0")
        if len(self._url) > limits.line_bytes:
            self._refuse_now(414, f"the target has more than {limits.line_bytes} bytes")
        elif encoding is not None:
            self.is_chunked = True
            if self.parser.get_http_version() == "1.0" or encoding.strip().lower() != "chunked":
                self._refuse_now(501, "only HTTP/1.1's transfer encoding chunked is understood")
        elif length.isdigit():
            self._announce(int(length))
        is_asked = request.headers.get("expect", "").lower() == "100-continue"
        if is_asked and request.refused is None and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _announce(self, length: int) -> None:
        if length > self.limits.body_bytes:
            self._refuse_now(*self._too_large())
        elif length:
            self._reserve(length)

    def on_body(self, body: bytes) -> None:
        request = self.request
        self.overhead_bytes = 0
        if request.refused is not None:
            return
        total = len(request.body) + len(body)
        if total > self.limits.body_bytes:
            self._refuse_now(*self._too_large())
        elif total <= request.reserved or self._reserve(total - request.reserved):
            request.body += body

    def on_message_complete(self) -> None:
        self.in_request, self.in_head = False, True
        if self.closing or self.is_lingering:
            return
        self.since = asyncio.get_running_loop().time()
        self.queue.append(self.request)
        self.request = Request()
        if len(self.queue) >= self.limits.queued and self.transport is not None:
            self.transport.pause_reading()
        if self.worker is None:
            self.worker = asyncio.get_running_loop().create_task(self._answer_queue())

    # answers

    async def _answer_queue(self) -> None:
        while self.queue:
            request = self.queue.popleft()
            try:
                if request.refused is not None:
                    response = error(*request.refused)
                else:
                    response = await self.site.handler(request)
            finally:
                self._forget(request)
            self._write(response, request.keep_alive and request.refused is None)
            if self.transport is None:
                break
            self._resume()
        self.worker = None
        self.since = asyncio.get_running_loop().time()
        if self.closing and self.transport is not None:
            self._end(self.transport)

    def _end(self, transport: asyncio.Transport) -> None:
        """Close; a client that still sends its body would lose the answer to a reset, so linger."""
        if self.is_lingering and transport.can_write_eof():
            transport.write_eof()
            transport.resume_reading()
        else:
            transport.close()

    def _resume(self) -> None:
        room = len(self.queue) < self.limits.queued
        if self.transport is not None and room and not self.is_full and not self.closing:
            self.transport.resume_reading()

    def _write(self, response: Response, keep_alive: bool) -> None:
        if self.transport is None:
            return
        if not keep_alive:
            while self.queue:
                self._forget(self.queue.popleft())
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

    # refusals

    def _refuse_now(self, status: int, message: str) -> None:
        """Answer when those before are answered, and end: what follows is not read any more."""
        if self.closing or self.request.refused is not None:
            return
        self._forget(self.request)
        refused = Request(keep_alive=False, refused=(status, message))
        self.request.refused = refused.refused
        self.is_lingering = True
        self.queue.append(refused)
        if self.worker is None:
            self.worker = asyncio.get_running_loop().create_task(self._answer_queue())

    def _reserve(self, body_bytes: int) -> bool:
        if not self.site.budget.take(body_bytes):
            self._refuse_now(503, "the server holds as many requests as its memory allows")
            return False
        self.request.reserved += body_bytes
        return True

    def _forget(self, request: Request) -> None:
        """The request's body is not needed any more."""
        self.site.budget.give_back(request.reserved)
        request.reserved = 0
        request.body = bytearray()

    def _too_large(self) -> tuple[int, str]:
        return 413, f"the body has more than {self.limits.body_bytes} bytes"

    def finish(self) -> None:
        """No further request is read; the ones that came are answered, then the connection ends."""
        self.closing = True
        if self.worker is None and not self.queue and self.transport is not None:
            self.transport.close()


async def watch(site: Site) -> None:
    """Look after the time of every connection, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = loop.time()
        for connection in list(site.connections):
            connection.check(now)


async def drain(connections: set[Connection], timeout_seconds: float) -> None:
    """Let every open connection answer what it has, at most ``timeout_seconds``."""
    for connection in list(connections):
        connection.finish()
    workers: list[asyncio.Task[Any]] = [c.worker for c in connections if c.worker is not None]
    if workers:
        await asyncio.wait(workers, timeout=timeout_seconds)

"""HTTP/1.1 without a framework: an ``asyncio.Protocol`` over httptools, its limits before parsing.

Requests of one connection are answered in their order (pipelining); a connection that sends faster
than it is answered, or does not read its answers, is not read meanwhile. httptools itself has no
limits, so it is fed in pieces no larger than what is left of the one in force. A request whose
head is known and whose body came with it does not pass through httptools at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

from inference.limits import DECODED_FACTOR
from inference.messages import Head, Request, Response, closing, error, render
from inference.site import Site, drain, watch

__all__ = ["Connection", "Head", "Request", "Response", "Site", "drain", "error", "watch"]

PIECE = 16 * 1024
END_OF_HEAD = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.limits = site.limits
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.queue: deque[Request] = deque()
        self.in_request = False
        self.in_head = True
        self.is_chunked = False
        self.closing = False
        self.is_full = False
        self.is_paused = False
        self.is_lingering = False
        self.is_refused = False
        self.is_active = False
        self.since = 0.0
        self.begun = 0
        self._begin()

    def _begin(self) -> None:
        self.begun += 1
        self.head = Head()
        self.body = bytearray()
        self.reserved = 0
        self.fields = self.received = 0
        self.head_bytes = self.overhead_bytes = 0
        self.url = b""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.since = self.site.loop.time()
        connections = self.site.connections
        connections.add(self)
        if len(connections) > self.limits.connections:
            self._refuse_now(503, f"more than {self.limits.connections} connections are open")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's name
        self.site.connections.discard(self)
        self.transport = None
        self._give_back(self.reserved)
        self.reserved = 0
        self._forget_queue()

    def data_received(self, data: bytes) -> None:
        site = self.site
        if not (self.in_request or self.closing or self.is_lingering):
            end = data.find(END_OF_HEAD) + 4
            head = site.heads.young.get(data[:end])
            if head is not None and len(data) - end == head.length and self._take(head, data[end:]):
                if not site.is_due:
                    site.wake()
                return
        self._read(data)
        site.wake()

    def _take(self, head: Head, body: bytes) -> bool:
        """Queue a whole request with a known head; False where the budget has no room for it."""
        budget, size = self.site.budget, head.length
        wanted = size * DECODED_FACTOR
        if budget.used and budget.used + wanted > budget.total:
            return False
        budget.used += wanted
        request = Request(head, body, self, size)
        queue = self.queue
        queue.append(request)
        self.site.pending.append(request)
        if len(queue) >= self.limits.queued:
            self._pause()
        return True

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and not self.closing and not self.is_lingering:
            if self.in_request:
                is_plain = not (self.in_head or self.is_chunked)
                rest = self.head.length - self.received if is_plain else 0
                self._feed(data[at : at + (rest or PIECE)])
                at += rest or PIECE
                continue
            end = data.find(END_OF_HEAD, at, at + PIECE) + 4
            raw = data[at:end] if end > 3 else b""
            head = self.site.heads.find(raw)
            if (
                head is not None
                and size - end >= head.length
                and self._take(head, data[end : end + head.length])
            ):
                at = end + head.length
            elif raw:
                self._learn(raw)
                at = end
            else:
                self._feed(data[at : at + PIECE])
                at += PIECE

    def _learn(self, raw: bytes) -> None:
        """Parse a whole head; remember it where it was accepted, and nothing else was in it."""
        before = self.begun
        self._feed(raw)
        head = self.head
        is_one = self.begun == before + 1 and bool(head.method) and not self.received
        is_plain = not (self.is_chunked or self.is_refused or self.closing)
        if is_one and is_plain and head.keep_alive and "expect" not in head.headers:
            self.site.heads.put(raw, head)

    def _feed(self, piece: bytes) -> None:
        was_in_head, began = self.in_head, self.in_request
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._refuse_now(501, "the connection cannot be upgraded")
        except httptools.HttpParserError as problem:
            self._refuse_now(400, f"the request is not HTTP/1.1: {problem}")
        else:
            self._count(len(piece), still_in_head=was_in_head and began and self.in_head)

    def _count(self, fed: int, *, still_in_head: bool) -> None:
        """Count what was fed without bringing anything: of a head, or around a body's chunks."""
        if self.in_head:
            if still_in_head:
                self.head_bytes += fed
            if len(self.url) > self.limits.line_bytes:
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
        if self.is_lingering and not self.queue:
            return False
        self.closing = True  # the client may still read: what it asked for is answered
        return bool(self.queue)

    def pause_writing(self) -> None:
        self.is_full = True
        self.since, self.is_active = self.site.loop.time(), False
        self._pause()

    def resume_writing(self) -> None:
        self.is_full = False
        self._resume()

    def check(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self.transport is None:
            return
        if self.is_active:  # it was answered since the last look
            self.since, self.is_active = now, False
        waited, limits = now - self.since, self.limits
        if self.is_lingering and not self.queue:
            if waited > limits.linger_seconds:
                self.transport.close()
        elif self.is_full:
            if waited > limits.write_seconds:
                self.transport.abort()
        elif self.closing or self.queue:
            return
        elif not self.in_request:
            if waited > limits.idle_seconds:
                self.finish()
        elif self.in_head:
            if waited > limits.head_seconds:
                self._refuse_now(408, f"the head did not come within {limits.head_seconds:g} s")
        elif waited > limits.body_seconds + self.received / limits.body_bytes_per_second:
            self._refuse_now(
                408, f"the body did not come within {limits.body_seconds:g} s, or too slowly"
            )

    # httptools' side

    def on_message_begin(self) -> None:
        self._begin()
        self.in_request, self.in_head, self.is_chunked = True, True, False
        self.since, self.is_active = self.site.loop.time(), False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields += 1
        if self.fields > self.limits.fields:
            self._refuse_now(431, f"the head has more than {self.limits.fields} fields")
            return
        if self.in_head:  # what comes after the body is a trailer: counted, never believed
            self.head.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        head, limits = self.head, self.limits
        self.in_head = False
        self.since = self.site.loop.time()
        head.method = self.parser.get_method().decode("latin-1")
        head.path = self.url.split(b"?", 1)[0].decode("latin-1")
        head.keep_alive = self.parser.should_keep_alive()
        encoding = head.headers.get("transfer-encoding")
        length = head.headers.get("content-length", "0")
        if len(self.url) > limits.line_bytes:
            self._refuse_now(414, f"the target has more than {limits.line_bytes} bytes")
        elif encoding is not None:
            self.is_chunked = True
            if self.parser.get_http_version() == "1.0" or encoding.strip().lower() != "chunked":
                self._refuse_now(501, "only HTTP/1.1's transfer encoding chunked is understood")
        elif length.isdigit():
            head.length = int(length)
            self._announce(head.length)
        is_asked = head.headers.get("expect", "").lower() == "100-continue"
        if is_asked and not self.is_refused and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _announce(self, length: int) -> None:
        if length > self.limits.body_bytes:
            self._refuse_now(*self._too_large())
        elif length:
            self._reserve(length)

    def on_body(self, body: bytes) -> None:
        self.overhead_bytes = 0
        if self.is_refused:
            return
        total = self.received = self.received + len(body)
        if total > self.limits.body_bytes:
            self._refuse_now(*self._too_large())
        elif total <= self.reserved or self._reserve(total - self.reserved):
            self.body += body

    def on_message_complete(self) -> None:
        self.in_request, self.in_head = False, True
        if self.closing or self.is_lingering:
            return
        self.since = self.site.loop.time()
        request = Request(self.head, self.body, self, self.reserved)
        self.reserved, self.body = 0, bytearray()
        self.queue.append(request)
        self.site.pending.append(request)
        if len(self.queue) >= self.limits.queued:
            self._pause()

    # answers

    def send(self) -> None:
        """Write what is answered at the queue's front, in one piece; end where that was the last."""
        queue, transport = self.queue, self.transport
        if transport is None or not queue:
            return
        request = queue[0]
        answer = request.answer
        if not answer:
            return
        if len(queue) > 1 or self.closing or not request.head.keep_alive:
            self._send_several(transport)
            return
        queue.clear()
        self.site.budget.used -= request.reserved * DECODED_FACTOR
        self.is_active = True
        transport.write(answer)
        if self.is_paused:
            self._resume()

    def _send_several(self, transport: asyncio.Transport) -> None:
        queue = self.queue
        parts: list[bytes] = []
        while queue and (answer := queue[0].answer):
            request = queue.popleft()
            self._forget(request)
            if not request.head.keep_alive:
                self._forget_queue()
                self.closing = True
            parts.append(closing(answer) if self.closing and not queue else answer)
        self.is_active = True
        transport.write(b"".join(parts))
        if self.closing and not queue:
            self.since, self.is_active = self.site.loop.time(), False
            self._end(transport)
        elif self.is_paused:
            self._resume()

    def _end(self, transport: asyncio.Transport) -> None:
        """Close; a client that still sends its body would lose the answer to a reset, so linger."""
        if self.is_lingering and transport.can_write_eof():
            transport.write_eof()
            self.is_paused = False
            transport.resume_reading()
        else:
            transport.close()

    def _pause(self) -> None:
        if self.transport is not None and not self.is_paused:
            self.is_paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        room = len(self.queue) < self.limits.queued
        if self.transport is not None and room and not self.is_full and not self.closing:
            self.is_paused = False
            self.transport.resume_reading()

    # refusals

    def _refuse_now(self, status: int, message: str) -> None:
        """Answer when those before are answered, and end: what follows is not read any more."""
        if self.closing or self.is_refused:
            return
        self._give_back(self.reserved)
        self.reserved, self.body = 0, bytearray()
        self.is_refused = self.is_lingering = True
        refused = Request(Head(keep_alive=False), b"", self, 0)
        refused.answer = render(error(status, message))
        self.queue.append(refused)
        self.site.refused(status)
        self.site.loop.call_soon(self.send)

    def _reserve(self, body_bytes: int) -> bool:
        if not self.site.budget.take(body_bytes):
            self._refuse_now(503, "the server holds as many requests as its memory allows")
            return False
        self.reserved += body_bytes
        return True

    def _give_back(self, body_bytes: int) -> None:
        self.site.budget.used -= body_bytes * DECODED_FACTOR

    def _forget(self, request: Request) -> None:
        """The request's body is not needed any more."""
        self.site.budget.used -= request.reserved * DECODED_FACTOR
        request.reserved = 0
        request.body = b""

    def _forget_queue(self) -> None:
        while self.queue:
            self._forget(self.queue.popleft())

    def _too_large(self) -> tuple[int, str]:
        return 413, f"the body has more than {self.limits.body_bytes} bytes"

    def finish(self) -> None:
        """No further request is read; the ones that came are answered, then the connection ends."""
        self.closing = True
        if not self.queue and self.transport is not None:
            self.transport.close()

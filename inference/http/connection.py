"""HTTP/1.1 without a framework: an ``asyncio.Protocol`` over httptools, its limits before parsing.

Requests of one connection are answered in their order (pipelining); a connection that sends faster
than it is answered, or does not read its answers, is not read meanwhile. httptools itself has no
limits, so it is fed in pieces no larger than what is left of the one in force. Heads that are known
and bodies of known length do not pass through httptools at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import cast

from httptools import HttpRequestParser

from inference.http.framing import PIECE, Framing
from inference.http.limits import DECODED_FACTOR
from inference.http.messages import Head, Request, Response, closing, error
from inference.http.overdue import end_overdue
from inference.http.receiving import Receiver
from inference.http.site import Site, drain, watch

__all__ = ["Connection", "Head", "Request", "Response", "Site", "drain", "error", "watch"]

END_OF_HEAD = b"\r\n\r\n"


class Connection(Framing):
    """One client's connection."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.limits, site.loop)
        self.site = site
        self.transport: asyncio.Transport | None = None
        self.queue: deque[Request] = deque()
        self.closing = False
        self.is_full = False
        self.is_paused = False
        self.is_last = False
        self.unread = b""
        self.unsent = 0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.since = self.loop.time()
        connections = self.site.connections
        connections.add(self)
        if len(connections) > self.limits.connections:
            self.refuse(503, f"more than {self.limits.connections} connections are open")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's name
        self.site.connections.discard(self)
        self.transport = self.receiver = None
        self._give_back(self.reserved)
        self.reserved = 0
        self._count_unsent(0)
        self._forget_queue()

    def data_received(self, data: bytes) -> None:
        site = self.site
        if not (self.in_request or self.is_paused or self.closing or self.is_lingering):
            end = data.find(END_OF_HEAD) + 4
            head = site.heads.young.get(data[:end])
            if head is not None and len(data) - end == head.length and self._take(head, data[end:]):
                if not site.is_due:
                    site.wake()
                return
        self._read(self.unread + data)
        site.wake()

    def _take(self, head: Head, body: bytes) -> bool:
        """Queue a whole request with a known head; False where the budget has no room for it."""
        budget, size = self.site.budget, head.length
        wanted = size * DECODED_FACTOR
        if budget.used and budget.used + wanted > budget.total:
            return False
        budget.used += wanted
        self._put(Request(head, body, self, size))
        return True

    def _put(self, request: Request) -> None:
        queue = self.queue
        queue.append(request)
        self.site.pending.append(request)
        if len(queue) >= self.limits.queued:
            self._pause()

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and not (self.is_paused or self.closing or self.is_lingering):
            if self.in_request:
                if not (self.in_head or self.is_chunked):
                    at = self._take_body(data, at)
                    continue
                end = self._end_of_piece(data, at)
                self.feed(data[at:end])
                at = end
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
            elif head is not None and head.length:
                self.begin_known(head)
                at = end
            elif raw:
                if self.feed_head(raw) and not self.closing:
                    self.site.heads.put(raw, self.head)
                at = end
            else:
                self.feed(data[at : at + PIECE])
                at += PIECE
        self.unread = data[at:] if self.is_paused else b""

    def _end_of_piece(self, data: bytes, at: int) -> int:
        """How far the parser is fed, so that hardly more than one request is in a piece."""
        end = data.find(END_OF_HEAD, at, at + PIECE)  # a chunked body ends so, too
        return at + PIECE if end < 0 else end + len(END_OF_HEAD)

    def _take_body(self, data: bytes, at: int) -> int:
        """Take what there is of a body of known length from ``at`` on, and tell where it ends."""
        if self.receiver is None:
            self.forget_head()
            self.receiver = Receiver(self)
        return self.receiver.take(data, at)

    def forget_head(self) -> None:
        """The parser, which has seen the head, would wait for the body."""
        self.parser = HttpRequestParser(self)

    def _read_on(self) -> None:
        """Read what was left when there was no room."""
        if self.transport is not None and self._has_room():
            self.is_paused = False
            self._read(self.unread)
            if not self.is_paused:
                self.transport.resume_reading()
            self.site.wake()

    def eof_received(self) -> bool:
        if self.is_lingering and not self.queue:
            return False
        self.closing = True  # the client may still read: what it asked for is answered
        return bool(self.queue)

    def pause_writing(self) -> None:
        self.is_full = True
        self.since, self.is_active = self.loop.time(), False
        if self.transport is not None:
            self._count_unsent(self.transport.get_write_buffer_size())
        self._pause()

    def resume_writing(self) -> None:
        self.is_full = False
        self._count_unsent(0)
        self.send()
        self._resume()

    def _count_unsent(self, size: int) -> None:
        """Answers that the client does not read are of the budget, too."""
        self.site.budget.used += size - self.unsent
        self.unsent = size

    def check(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self.transport is not None:
            end_overdue(self, self.transport, now)

    def go_on(self) -> None:
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def complete(self, head: Head, body: bytearray, reserved: int) -> None:
        if self.closing or self.is_lingering:
            self._give_back(reserved)
        else:
            self._put(Request(head, body, self, reserved))
            self.closing = self.is_last or not head.keep_alive

    # answers

    def send(self) -> None:
        """Write what is answered at the queue's front, in one piece; end after the last."""
        queue, transport = self.queue, self.transport
        if transport is None or self.is_full or not queue:
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
            self._give_back(request.reserved)
            if not request.head.keep_alive:
                self._forget_queue()
                self.closing = True
            parts.append(closing(answer) if self.closing and not queue else answer)
        self.is_active = True
        transport.write(b"".join(parts))
        if self.closing and not queue:
            self.since, self.is_active = self.loop.time(), False
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

    def _has_room(self) -> bool:
        return len(self.queue) < self.limits.queued and not (self.is_full or self.closing)

    def _resume(self) -> None:
        if self.transport is None or not self._has_room():
            return
        if self.unread:
            self.loop.call_soon(self._read_on)  # the others' turn is first
        else:
            self.is_paused = False
            self.transport.resume_reading()

    # refusals

    def refuse(self, status: int, message: str) -> None:
        """Answer when those before are answered, and end: what follows is not read any more."""
        if self.closing or self.is_refused:
            return
        self._give_back(self.reserved)
        self.reserved, self.body = 0, bytearray()
        if self.receiver is not None:
            self.receiver.stop()
        self.is_refused = self.is_lingering = True
        refused = Request(self.head_so_far(), b"", self, 0)
        refused.began = perf_counter()
        self.queue.append(refused)
        self.loop.call_soon(self.site.refused, refused, error(status, message))

    def reserve(self, body_bytes: int) -> bool:
        if not self.site.budget.take(body_bytes):
            self.refuse(503, "the server holds as many requests as its memory allows")
            return False
        self.reserved += body_bytes
        return True

    def _give_back(self, body_bytes: int) -> None:
        self.site.budget.used -= body_bytes * DECODED_FACTOR

    def _forget_queue(self) -> None:
        while self.queue:
            self._give_back(self.queue.popleft().reserved)

    def finish(self) -> None:
        """No further request is read; the ones that came are answered, then the connection ends.

        One that is coming is waited for.
        """
        self.is_last = True
        if self.in_request and not self.is_lingering:
            return
        self.closing = True
        if not self.queue and self.transport is not None:
            self.transport.close()

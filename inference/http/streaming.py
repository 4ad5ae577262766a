"""HTTP/1.1 where bodies have no limit: what can be answered while it comes, is."""

from __future__ import annotations

from collections.abc import Callable

from inference.answering.streams import Stream
from inference.errors import RequestError
from inference.http.connection import Connection
from inference.http.messages import Head
from inference.http.site import Site

# A client that was refused is listened to while it sends so much, or it would lose the answer.
LINGER_BYTES_PER_SECOND = 64 * 1024

Opens = Callable[[Head, "StreamingConnection"], "Stream | None"]


class StreamingConnection(Connection):
    """A connection on which a body may be a :class:`Stream`.

    ``stream``: the one whose body is coming; it stands in the queue like any request. ``opens``
    begins one where a head allows it.
    """

    def __init__(self, site: Site, opens: Opens) -> None:
        super().__init__(site)
        self._opens = opens
        self.stream: Stream | None = None

    # framing

    def _announce(self, length: int) -> None:
        has_body = self.is_chunked or length > 0
        if has_body and not self.closing and self.head.version != "1.0":
            try:
                self.stream = self._opens(self.head, self)
            except RequestError as problem:
                self.refuse(problem.status, str(problem))
                return
        if self.stream is None:
            super()._announce(length)
        else:
            self.queue.append(self.stream)
            self.stream.reserve()

    def _take_body(self, data: bytes, at: int) -> int:
        if self.stream is None:
            return super()._take_body(data, at)
        end = min(len(data), at + self.head.length - self.received)
        self.on_body(data[at:end])
        if self.received == self.head.length:
            self.forget_head()
            self.end_body(bytearray())
        return end

    def on_body(self, body: bytes) -> None:
        if self.stream is None:
            super().on_body(body)
            return
        self.overhead_bytes = 0
        self.received += len(body)
        self._earn(len(body), self.limits.body_bytes_per_second)
        if not self.is_refused and self.stream.reserve():
            self.stream.feed(body)

    def complete(self, head: Head, body: bytearray, reserved: int) -> None:
        if self.stream is None:
            super().complete(head, body, reserved)
            return
        stream, self.stream = self.stream, None
        self.closing = self.closing or self.is_last or not head.keep_alive
        stream.end()

    def data_received(self, data: bytes) -> None:
        if self.is_lingering and self.stream is not None:
            self._earn(len(data), LINGER_BYTES_PER_SECOND)
        super().data_received(data)

    def eof_received(self) -> bool:
        """A body that ends early is none; what was asked for before it is answered."""
        if self.stream is not None and not self.is_lingering:
            if not self.stream.give_way(400, "the client ended the connection within the body"):
                return False
            self._drop(self.stream)
        return super().eof_received()

    # time

    def _earn(self, received: int, bytes_per_second: float) -> None:
        """Time that is given for what has come."""
        self.since = min(self.loop.time(), self.since + received / bytes_per_second)

    def check(self, now: float) -> None:
        if self.stream is None or self.transport is None or self.is_full:
            super().check(now)
        elif self.is_lingering:
            if not self.queue and now - self.since > self.limits.linger_seconds:
                self.transport.close()
        elif not self.is_paused and now - self.since > self.limits.body_seconds:
            rate = self.limits.body_bytes_per_second
            self.refuse(408, f"the body came more slowly than {rate:g} bytes a second")

    # flow

    def _has_room(self) -> bool:
        return super()._has_room() and (self.stream is None or self.stream.takes_more())

    def wait(self) -> None:
        """Do not read on while the stream is at work."""
        if self.stream is not None:
            self._pause()

    def go_on_reading(self) -> None:
        """Read on, where there is room."""
        if self.is_paused:
            self._resume()

    def _resume(self) -> None:
        if self.stream is not None and not self.is_lingering:
            self.since = self.loop.time()  # it was not the client that was waited for
        super()._resume()

    def lend(self, body_bytes: int) -> bool:
        """Bytes of the budget for the stream; refuses where there are none."""
        if not self.reserve(body_bytes):
            return False
        self.reserved -= body_bytes
        return True

    # answers

    def stays_open(self, stream: Stream) -> bool:
        """Whether further requests may come after this one."""
        return stream.head.keep_alive and not (self.closing or self.is_last)

    def send(self) -> None:
        front = self.queue[0] if self.queue else None
        if isinstance(front, Stream) and front.has_begun and front.answer:
            self._send_rest(front)
        else:
            super().send()
        front = self.queue[0] if self.queue else None
        if isinstance(front, Stream) and not (front.answer or self.is_full):
            front.push()
            self.go_on_reading()

    def _send_rest(self, front: Stream) -> None:
        if self.transport is None or self.is_full:
            return
        self.queue.popleft()
        self._give_back(front.reserved)
        self.transport.write(front.answer)
        if not front.head.keep_alive:
            self._forget_queue()
            self.closing = True
        self.is_active = True
        if self.queue:
            super().send()
        elif self.closing:
            self._end(self.transport)
        else:
            self.go_on_reading()

    # refusals

    def refuse(self, status: int, message: str) -> None:
        stream = self.stream
        if stream is not None and not (self.closing or self.is_refused):
            if not stream.give_way(status, message):
                return
            self._drop(stream)
        super().refuse(status, message)

    def end_early(self) -> None:
        """The stream's answer is the last one, for it is given before the body was whole."""
        self.closing = self.is_lingering = True
        self.since = self.loop.time()

    def _drop(self, stream: Stream) -> None:
        self.queue.remove(stream)
        self._give_back(stream.reserved)
        stream.reserved = 0

"""A body of known length, received straight into a buffer of its size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.http.connection import Connection

# For less it does not pay to change the transport's protocol twice.
DIRECT_BYTES = 64 * 1024


class Receiver(asyncio.BufferedProtocol):
    """Fills the body of a connection's request, whose head is known; no parser sees it.

    Where much of it is to come, it is the protocol of the connection's transport meanwhile. The
    limits stay the connection's, which knows how much has come.
    """

    __slots__ = ("_body", "_connection", "_is_protocol", "_rest")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_protocol = False
        self._body = bytearray(connection.head.length)
        self._rest = memoryview(self._body)
        self._put(connection.body)  # what came with the head
        connection.body = bytearray()

    def take(self, data: bytes, at: int) -> int:
        """Take what there is of the body from ``at`` on, and tell where it ends."""
        size = self._put(memoryview(data)[at:])
        transport = self._connection.transport
        if len(self._rest) > DIRECT_BYTES and transport is not None:
            self._is_protocol = True
            transport.set_protocol(self)
        self._count(size)
        return at + size

    def stop(self) -> None:
        """Give the connection its transport back; what comes now is not this body's."""
        connection, transport = self._connection, self._connection.transport
        connection.receiver = None
        if self._is_protocol and transport is not None:
            transport.set_protocol(connection)

    def _put(self, data: bytearray | memoryview) -> int:
        size = min(len(data), len(self._rest))
        self._rest[:size] = data[:size]
        self._rest = self._rest[size:]
        return size

    def _count(self, size: int) -> None:
        self._connection.received += size
        if not self._rest:
            self.stop()
            self._connection.end_body(self._body)

    # asyncio's side

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 asyncio's name
        return self._rest

    def buffer_updated(self, nbytes: int) -> None:
        self._rest = self._rest[nbytes:]
        self._count(nbytes)
        self._connection.site.wake()

    def eof_received(self) -> bool:
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

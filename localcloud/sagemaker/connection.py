"""HTTP/1.1 to a model server over one kept-alive connection; asyncio, no framework."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import httptools

MAX_RESPONSE_BYTES = 6 * 1024 * 1024  # fact sheet 1.2


@dataclass
class ContainerResponse:
    """What the container answered; header names are in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)


class BrokenResponseError(Exception):
    """The connection ended, or the answer is not HTTP or too long.

    ``status`` is what was seen of it; 0 when nothing was.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class Connection(asyncio.Protocol):
    """One request at a time; ``is_open`` tells whether there can be another one."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._response = ContainerResponse()
        self._answer: asyncio.Future[ContainerResponse] | None = None
        self._is_reusable = True

    @property
    def is_open(self) -> bool:
        transport = self._transport
        return self._is_reusable and transport is not None and not transport.is_closing()

    async def request(self, data: bytes, timeout_seconds: float) -> ContainerResponse:
        """Send one request and wait for its answer.

        Raises:
            BrokenResponseError: there will be no whole answer.
            TimeoutError: there was none in time; the connection is closed.
        """
        if self._transport is None:
            raise BrokenResponseError("the connection is closed")
        loop = asyncio.get_running_loop()
        self._response = ContainerResponse()
        self._answer = loop.create_future()
        timer = loop.call_later(timeout_seconds, self._expire)
        try:
            self._transport.write(data)
            return await self._answer
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
            self._answer = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _expire(self) -> None:
        self._fail(TimeoutError("no answer in time"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(BrokenResponseError(f"not HTTP/1.1: {error}"))

    def eof_received(self) -> None:
        # An answer without a length ends with the connection; any other one is cut short.
        response = self._response
        if response.status and not {"content-length", "transfer-encoding"} & set(response.headers):
            self._is_reusable = False
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        reason = "the connection was closed" if exc is None else str(exc)
        self._fail(BrokenResponseError(reason, self._response.status))

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._response.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._response.body += body
        if len(self._response.body) > MAX_RESPONSE_BYTES:
            reason = f"the answer has more than {MAX_RESPONSE_BYTES} bytes"
            self._fail(BrokenResponseError(reason, self._response.status))

    def on_message_complete(self) -> None:
        if self._response.status < 200:
            self._response = ContainerResponse()  # an interim answer, e.g. 100
            return
        if not self._parser.should_keep_alive():
            self._is_reusable = False
        self._finish()

    def _finish(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._response)


async def connect(port: int, timeout_seconds: float) -> Connection:
    """Raises ``OSError`` (``TimeoutError`` is one) when nobody takes the connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_seconds):
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    return connection

"""A connection to a server that answers bodies while they come, and its client; all in memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

import pytest

from contracts.package import ArchiveIndex
from inference.answering.turn import Answering
from inference.application import Application
from inference.formats.signature import Signature
from inference.http.connection import Connection, Site
from inference.http.limits import Budget, Limits
from inference.http.streaming import StreamingConnection
from inference.predictor import Predictor
from inference.processes.board import Board
from tests.unit.test_inference_answering import COLUMNS, Sums, run
from tests.unit.test_inference_limits import Client

CSV, LINES = "text/csv", "application/jsonlines"
CHUNKED = "Transfer-Encoding: chunked"
PATIENCE_SECONDS = 20.0
P = ParamSpec("P")


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs the test in a loop of its own."""

    @wraps(test)
    def ran(*args: P.args, **kwargs: P.kwargs) -> None:
        run(lambda: test(*args, **kwargs))

    return ran


class Streamed:
    """A connection to a server that streams, and its client; both in memory."""

    def __init__(
        self,
        engine: Sums | None = None,
        *,
        batch: bool = True,
        limits: Limits | None = None,
        streams: bool = True,
    ) -> None:
        names = [column.name for column in COLUMNS]
        properties = {c.name: {"type": c.kind, "format": c.form} for c in COLUMNS}
        schema = {"properties": properties, "x-columns": names}
        index = ArchiveIndex("sums", "3", "sklearn", "predict", schema, {}, ())
        self.engine = engine or Sums()
        self.board = Board(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SAGEMAKER_BATCH", "true" if batch else "false")
            self.answering = Answering(Application(self.board, self.board.slots[0], 0))
            self.answering.open(Predictor(index, Signature(COLUMNS, None), self.engine))
        self.budget = Budget(1 << 40)
        self.site = Site(
            self.answering.answer,
            limits or Limits(body_bytes=1000, remedy="; send CSV"),
            self.budget,
            refused=self.answering.refused,
        )
        self.connection = (
            StreamingConnection(self.site, self.answering.stream)
            if streams
            else Connection(self.site)
        )
        self.client = Client()
        self.client.set_protocol(self.connection)
        self.connection.connection_made(self.client)

    def send(self, data: bytes) -> None:
        self.client.send(data)

    async def until(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < until, f"it never came about; sent {self.client.sent[:2000]}"
            await asyncio.sleep(0)

    async def until_read(self) -> None:
        """All that was sent is read, as far as there is room."""
        await self.until(lambda: self.client.reading and not self.connection.unread)

    async def until_answered(self) -> None:
        await self.until(lambda: not self.connection.queue)

    async def send_all(self, *pieces: bytes) -> None:
        """As a client does that is not read from while the server is at work."""
        for piece in pieces:
            self.send(piece)
            await self.until_read()

    async def ask(self, body: bytes, kind: str = CSV, *fields: str) -> None:
        """A whole request in chunks, and its answer."""
        await self.send_all(head(kind, CHUNKED, *fields), *in_chunks(body))
        await self.until_answered()

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        """Status and body of each response, chunks put together."""
        found: list[tuple[int, bytes]] = []
        data = bytes(self.client.sent)
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            status, body = int(head[9:12]), b""
            if b"Transfer-Encoding: chunked" in head:
                while data:
                    size, _, data = data.partition(b"\r\n")
                    part, data = data[: int(size, 16)], data[int(size, 16) + 2 :]
                    body += part
                    if not int(size, 16):
                        break
                else:
                    body += b"(no end)"
            else:
                size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                body, data = data[:size], data[size:]
            found.append((status, body))
        return found

    @property
    def error(self) -> str:
        return json.loads(self.answers[-1][1])["error"]


def head(kind: str = CSV, *fields: str, path: str = "/invocations") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def in_chunks(body: bytes, size: int = 50) -> list[bytes]:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


def csv_rows(count: int) -> bytes:
    return b"".join(b"%d.5,2\n" % n for n in range(count))


def csv_sums(count: int) -> bytes:
    return b"".join(b"%d.5\n" % (n + 2) for n in range(count))


def as_lines(count: int) -> bytes:
    return b"".join(b'{"size":%d.5,"rooms":2}\n' % n for n in range(count))

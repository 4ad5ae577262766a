"""Bodies without a limit, answered while they come: rows in, answers out, in bounded memory.

What has come of a body is gathered to blocks; a thread decodes, scores and encodes one at a time,
and meanwhile nothing is read. The answer's first bytes are held back, so that what is wrong in an
early row is an ordinary error.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from inference.answering.model_thread import is_gone, keep, return_kept
from inference.answering.plans import Plan
from inference.answering.responses import Responder
from inference.answering.scoring import Scorer
from inference.decoding.large_numbers import LargeReader
from inference.decoding.streaming import MAX_RECORD_BYTES
from inference.formats.codecs import AnswerStream, Decoded, RowStream
from inference.http.messages import Head, Request, Response, begun
from inference.processes.log import log

if TYPE_CHECKING:
    from inference.http.streaming import StreamingConnection

BLOCK_BYTES = 256 * 1024
# Of an answer that has not begun to leave.
HELD_BYTES = 4 << 20
# A block, and what comes with its last piece.
RESERVED_BYTES = 3 * BLOCK_BYTES
LAST_CHUNK = b"0\r\n\r\n"


def chunk(body: bytes) -> bytes:
    """Part of a body in HTTP's transfer encoding chunked; of no bytes none, which would end it."""
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


@dataclass
class Rows:
    """What came of one block: the answer's next bytes, the rows of each call, columns ignored."""

    answer: bytes = b""
    calls: list[int] = field(default_factory=list[int])
    ignored: int = 0


class RowWork:
    """Decodes, scores and encodes one body block by block; in a thread, one at a time."""

    def __init__(
        self,
        rows: RowStream,
        answers: AnswerStream,
        scorer: Scorer,
        reader: LargeReader | None = None,
        kind: str | None = None,
    ) -> None:
        self._rows = rows
        self._answers = answers
        self._scorer = scorer
        self._reader, self._kind = reader, kind
        self._tail = b""

    @property
    def held_bytes(self) -> int:
        """How much of a row that is not complete has come."""
        return len(self._tail) + self._rows.held_bytes

    def take(self, block: bytes, *, is_last: bool) -> Rows:
        """Raises what is wrong in a row, or with the model."""
        chunks = self._decoded(block, is_last=is_last)
        made, parts = Rows(), list[bytes]()
        for decoded in chunks:
            outcome = self._scorer.score([decoded])[0]
            if isinstance(outcome, Exception):
                raise outcome
            parts.append(self._answers.chunk(outcome))
            made.calls.append(decoded.rows)
            made.ignored += decoded.ignored
        if is_last:
            parts.append(self._answers.end())
        made.answer = b"".join(parts)
        return made

    def _decoded(self, block: bytes, *, is_last: bool) -> list[Decoded]:
        """The quick way where that understands all of the block's lines, else the careful one."""
        rows, chunks = self._rows, list[Decoded]()
        if self._reader is not None and self._kind is not None:
            lines = self._tail + block
            end = len(lines) if is_last else lines.rfind(b"\n") + 1
            block, self._tail = lines[:end], lines[end:]
            if len(self._tail) > MAX_RECORD_BYTES:
                block, self._tail = lines, b""
            kind = "csv_rows" if rows.has_begun else self._kind
            found = self._reader.read(kind, block) if block and rows.is_at_row else None
            if found is not None:
                chunks.append(rows.skip(found, len(block)))
                block = b""
        return [*chunks, *rows.feed(block), *(rows.end() if is_last else rows.rest())]


class Stream(Request):
    """A request that is answered while its body comes; it is its connection's last one.

    ``has_begun``: the answer's head has left, and no error can take its place.
    """

    connection: StreamingConnection
    __slots__ = (
        *("_block", "_executor", "_id", "_is_busy", "_is_over", "_is_whole", "_made", "_out"),
        *("_plan", "_responder", "_rows", "_size", "_work", "has_begun"),
    )

    def __init__(
        self,
        head: Head,
        connection: StreamingConnection,
        work: RowWork,
        executor: ThreadPoolExecutor,
        responder: Responder,
    ) -> None:
        super().__init__(head, b"", connection, 0)
        self.began = perf_counter()
        self.has_begun = False
        self._plan: Plan = head.plan
        self._work, self._executor, self._responder = work, executor, responder
        self._block = bytearray()
        self._out: list[bytes] = []
        self._size = 0
        self._id = ""
        self._is_busy = self._is_whole = self._is_over = False

    def takes_more(self) -> bool:
        """Whether the body is to be read on."""
        return self._is_over or not (self._is_busy or self._is_held_up())

    def _is_held_up(self) -> bool:
        """Whether as much is answered as may wait for the client, or for answers before this."""
        return self._size >= (1 if self.has_begun else HELD_BYTES)

    def feed(self, piece: bytes) -> None:
        """The body's next bytes."""
        self._block += piece
        self._go_on()

    def end(self) -> None:
        """The body was whole."""
        self._is_whole = True
        self._go_on()

    def reserve(self) -> bool:
        """Take of the budget what is held now; refused where there is no room."""
        wanted = max(RESERVED_BYTES, len(self._block) + self._work.held_bytes)
        more = wanted - self.reserved
        if more <= 0:
            return True
        if not self.connection.lend(more):
            return False
        self.reserved = wanted
        return True

    def _go_on(self) -> None:
        """Work on what has come, where it is enough."""
        if self._is_over:
            self._block.clear()
        elif not self._is_busy and (
            self._is_whole or (len(self._block) >= BLOCK_BYTES and not self._is_held_up())
        ):
            self._is_busy = True
            block, self._block = bytes(self._block), bytearray()
            self.connection.wait()
            loop = asyncio.get_running_loop()
            self._executor.submit(self._in_thread, loop, block, self._is_whole, keep(self))

    def _in_thread(
        self, loop: asyncio.AbstractEventLoop, block: bytes, is_last: bool, reserved: int
    ) -> None:
        made: Rows | Exception = Rows()
        try:
            if not (self._is_over or is_gone(self)):
                made = self._work.take(block, is_last=is_last)
        except Exception as problem:  # noqa: BLE001 it is told on the loop
            made = problem
        loop.call_soon_threadsafe(self._done, made, is_last, reserved)

    def _done(self, made: Rows | Exception, is_last: bool, reserved: int) -> None:
        self._is_busy = False
        return_kept(self, reserved)
        if self._is_over or is_gone(self):
            return
        if isinstance(made, Exception):
            self._fail(made)
            return
        slot = self._responder.slot
        for rows in made.calls:
            slot.count_call(rows, 1)
            self.rows += rows
        if made.ignored:
            slot.count_ignored(made.ignored)
        if made.answer:
            self._out.append(made.answer)
            self._size += len(made.answer)
        if is_last:
            self._finish()
        elif self.reserve():
            self.connection.send()
            self._go_on()
            self.connection.go_on_reading()

    # --- the answer

    def push(self) -> None:
        """Send what there is; called while it is its turn and the client reads."""
        transport = self.connection.transport
        if transport is None or self._is_over or not self._is_held_up():
            return
        head = b"" if self.has_begun else self._begin()
        body, self._out, self._size = b"".join(self._out), [], 0
        transport.write(head + chunk(body))
        self._go_on()

    def _begin(self) -> bytes:
        headers = self._responder.headers(self.head)
        self.has_begun, self._id = True, headers[0][1]
        return begun(self._plan.answer_type, headers, is_last=not self.connection.stays_open(self))

    def _finish(self) -> None:
        self._is_over = True
        body, route = b"".join(self._out), self._plan.route
        self._out.clear()
        if self.has_begun:
            self._responder.note(self, route, 200, self._id)
            self.finish(chunk(body) + LAST_CHUNK)
        else:
            self._responder.respond(self, route, Response(200, body, self._plan.answer_type))

    def _fail(self, problem: Exception) -> None:
        response = self._responder.failure(problem)
        if self.has_begun:
            self._break_off(response.status, str(problem))
            return
        self._is_over = True
        if not self._is_whole:
            self.connection.end_early()
        self._responder.respond(self, self._plan.route, response)

    def give_way(self, status: int, message: str) -> bool:
        """Whether a refusal may take its place; an answer that has begun is broken off."""
        if self.has_begun:
            self._break_off(status, message)
        self._is_over = True
        return not self.has_begun

    def _break_off(self, status: int, message: str) -> None:
        """End without the last chunk, so that nobody takes the half for the whole."""
        self._is_over = True
        self._responder.note(self, self._plan.route, status, self._id)
        log("answer broken off", error=message, rows=self.rows, request_id=self._id)
        if self.connection.transport is not None:
            self.connection.transport.abort()

"""The server without a model, against which others are measured, answers as a model's server."""

from __future__ import annotations

import asyncio
import re

from benchmarks.serving_noop import ANSWER, ConstantAnswering, predictor
from inference.application import Application
from inference.http.connection import Connection, Site
from inference.processes.board import Board
from tests.unit.test_inference_answering import Served, Sums, post
from tests.unit.test_inference_limits import Client


def names(sent: bytes) -> list[bytes]:
    return re.findall(rb"^([A-Za-z-]+):", sent.partition(b"\r\n\r\n")[0], re.MULTILINE)


def test_its_responses_have_the_same_headers_and_are_counted() -> None:
    async def work() -> None:
        served = Served(Sums())
        real = served.client()
        served.connections[0].data_received(post([[1.0, 2]]))
        board = Board(1)
        answering = ConstantAnswering(Application(board, board.slots[0], 6 << 20))
        answering.open(predictor())
        connection, client = Connection(Site(answering.answer)), Client()
        connection.connection_made(client)
        for _ in range(3):
            connection.data_received(post([[1.0, 2]]))
        connection.data_received(b"GET /nosuch HTTP/1.1\r\n\r\n")
        assert client.statuses == [200, 200, 200, 404]
        assert client.sent.count(ANSWER) == 3
        assert names(bytes(client.sent)) == names(bytes(real.sent))
        assert board.requests("invocations", "2xx") == 3
        assert board.rows()[1:] == (3, 3)

    asyncio.run(work())

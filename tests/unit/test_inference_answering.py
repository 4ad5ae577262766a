"""Requests of one turn: one call of the model where that is proven, each its own answer always."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contracts.package import ArchiveIndex
from inference.answering.blame import reason
from inference.answering.turn import Answering
from inference.application import Application
from inference.formats.codecs import Decoded
from inference.formats.signature import Column, Signature
from inference.http.connection import Connection, Site
from inference.http.limits import Budget, Limits
from inference.http.messages import Head
from inference.predictor import Predictor
from inference.processes.board import READY, Board
from tests.unit.test_inference_limits import Client

COLUMNS = (
    Column("size", "number", "double", nullable=False),
    Column("rooms", "integer", "int64", nullable=False),
)
TEXT = (*COLUMNS, Column("town", "string", "", nullable=False))


class Sums:
    """Adds up a row's numbers; refuses a size above 1000, and towns that it does not know."""

    name = "linear"

    def __init__(
        self, *, is_quick: bool = True, merges: bool = True, takes_matrix: bool = True
    ) -> None:
        self.is_quick = is_quick
        self.merges = merges
        self.takes_matrix = takes_matrix
        self.calls: list[int] = []
        self.threads: set[str] = set()
        self.is_broken = False
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, decoded: Decoded) -> list[Any]:
        self.entered.set()
        self.gate.wait(30)
        self.calls.append(decoded.rows)
        self.threads.add(threading.current_thread().name)
        if decoded.matrix is not None:
            rows = decoded.matrix
        else:
            names = [name for name in decoded.columns if name != "town"]
            rows = np.array([decoded.columns[name] for name in names], dtype=float).T
        if self.is_broken:
            raise OSError("the disk is gone")
        if (rows[:, 0] > 1000).any():
            raise ValueError("too large")
        if set(decoded.columns.get("town", [])) - {"Bonn", ""}:
            raise KeyError("town")
        return rows.sum(axis=1).tolist()


class Served:
    """A server in memory; each client is a connection of its own."""

    def __init__(self, engine: Sums, columns: tuple[Column, ...] = COLUMNS) -> None:
        names = [column.name for column in columns]
        properties = {c.name: {"type": c.kind, "format": c.form} for c in columns}
        schema = {"properties": properties, "x-columns": names}
        index = ArchiveIndex("sums", "3", "sklearn", "predict", schema, {}, ())
        self.board = Board(1)
        self.answering = Answering(Application(self.board, self.board.slots[0], 6 << 20))
        self.answering.open(Predictor(index, Signature(columns, None), engine))
        self.site = Site(
            self.answering.answer, Limits(), Budget(1 << 40), refused=self.answering.refused
        )
        self.connections: list[Connection] = []

    def client(self) -> Client:
        client = Client()
        self.connections.append(Connection(self.site))
        self.connections[-1].connection_made(client)
        return client

    async def turn(self, *sent: bytes) -> None:
        """Each connection's bytes, all in one turn; returns when everything is answered."""
        for connection, data in zip(self.connections, sent, strict=True):
            connection.data_received(data)
        while any(connection.queue or connection.unread for connection in self.connections):
            await asyncio.sleep(0)


def run(work: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return await work()

    return asyncio.run(main())


def post(rows: Any, path: str = "/invocations", *extra: str) -> bytes:
    body = json.dumps({"instances": rows}).encode()
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *extra]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def answers(client: Client) -> list[Any]:
    """Status, and predictions or the error, of each response."""
    found: list[Any] = []
    for part in bytes(client.sent).split(b"HTTP/1.1 ")[1:]:
        document = json.loads(part.partition(b"\r\n\r\n")[2])
        found.append((int(part[:3]), document.get("predictions", document.get("error"))))
    return found


def test_what_arrives_in_one_turn_is_one_call_and_each_gets_its_own_rows() -> None:
    async def work() -> None:
        engine = Sums()
        served = Served(engine)
        clients = [served.client() for _ in range(4)]
        await served.turn(*(post([[float(n), 1]] * (n + 1)) for n in range(4)))
        assert engine.calls == [10]
        assert [answers(c) for c in clients] == [[(200, [n + 1.0] * (n + 1))] for n in range(4)]
        assert served.board.merged() == ([0, 0, 1, 1, 1, 1, 1, 1, 1, 1], 1, 4)
        assert served.board.rows()[1:] == (1, 10)
        assert served.board.requests("invocations", "2xx") == 4

    run(work)


def test_a_lone_client_is_answered_before_the_turn_ends() -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        served.connections[0].data_received(post([[1.0, 2]]))
        assert answers(client) == [(200, [3.0])]

    run(work)


def test_an_engine_that_was_not_proven_gets_each_request_by_itself() -> None:
    async def work() -> None:
        engine = Sums(merges=False)
        served = Served(engine)
        clients = [served.client() for _ in range(3)]
        await served.turn(*(post([[1.0, n]]) for n in range(3)))
        assert engine.calls == [1, 1, 1]
        assert [answers(c)[0][1] for c in clients] == [[1.0], [2.0], [3.0]]

    run(work)


@pytest.mark.parametrize("merges", [True, False])
@pytest.mark.parametrize("takes_matrix", [True, False])
def test_an_engine_that_takes_its_time_works_beside_the_loop(
    merges: bool, takes_matrix: bool
) -> None:
    async def work() -> None:
        engine = Sums(is_quick=False, merges=merges, takes_matrix=takes_matrix)
        served = Served(engine)
        clients = [served.client() for _ in range(3)]
        await served.turn(*(post([[1.0, n]]) for n in range(3)))
        assert engine.threads == {"model_0"}
        assert sorted(engine.calls) == ([1, 1, 1] if not merges else sorted(engine.calls))
        assert [answers(c)[0][1] for c in clients] == [[1.0], [2.0], [3.0]]

    run(work)


def test_pipelined_requests_keep_their_order_though_some_go_to_a_thread() -> None:
    async def work() -> None:
        engine = Sums(is_quick=False)
        served = Served(engine)
        client = served.client()
        engine.gate.clear()
        ping = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        served.connections[0].data_received(post([[1.0, 1]]) + ping + post([[2.0, 2]]) + ping)
        await asyncio.sleep(0)
        assert client.sent == b"", "an answer overtook one before it"
        engine.gate.set()
        await served.turn(b"")
        assert [part[0] for part in answers(client)] == [200] * 4
        assert [part[1] for part in answers(client)] == [[2.0], None, [4.0], None]

    run(work)


def test_a_bad_request_among_good_ones_is_refused_alone() -> None:
    async def work() -> None:
        served = Served(Sums())
        clients = [served.client() for _ in range(4)]
        await served.turn(
            post([[1.0, 2]]), post([[1.0, 2.5]]), post([["x", 2]]), post([[1e3, 1], [2e3, 7]])
        )
        assert [answers(c)[0] for c in clients] == [
            (200, [3.0]),
            (400, f"row 0, column 'rooms': 2.5 came; {COLUMNS[1].wanted} is needed"),
            (400, "row 0, column 'size': 'x' came; a finite number is needed"),
            (400, "row 1, column 'size': 2000.0 came, and the model says ValueError: too large"),
        ]  # fmt: skip

    run(work)


def test_rows_that_came_as_numbers_and_as_columns_are_one_call() -> None:
    async def work() -> None:
        columns = (Column("size", "number", "double", nullable=True), COLUMNS[1])
        engine = Sums(is_quick=False)
        served = Served(engine, columns)
        clients = [served.client() for _ in range(3)]
        await served.turn(post([[1.0, 2]]), post([{"rooms": 4}]), post([[2.0, 2]]))
        assert [answers(c)[0][1] for c in clients] == [[3.0], [None], [4.0]]
        assert engine.calls == [3]

    run(work)


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_value_that_the_model_refuses_is_named_where_columns_are_text(is_quick: bool) -> None:
    async def work() -> None:
        served = Served(Sums(is_quick=is_quick, takes_matrix=False), TEXT)
        client = served.client()
        await served.turn(post([[1.0, 2, "Bonn"], [1.0, 2, "Atlantis"], [1.0, 2, "Bonn"]]))
        assert answers(client) == [
            (400, "row 1, column 'town': 'Atlantis' came, and the model says KeyError: 'town'")
        ]
        assert served.board.requests("invocations", "4xx") == 1

    run(work)


def test_a_model_that_fails_on_its_own_rows_too_is_a_500() -> None:
    async def work() -> None:
        engine = Sums()
        served = Served(engine)
        client, other = served.client(), served.client()
        await served.turn(post([[1.0, 2]]), b"")
        engine.is_broken = True
        await served.turn(post([[1.0, 2]]), post([[3.0, 2]]))
        want = (500, "the model failed: OSError: the disk is gone")
        assert answers(client)[1] == answers(other)[0] == want
        engine.is_broken = False
        await served.turn(post([[1.0, 2]]), b"")
        assert answers(client)[2] == (200, [3.0])

    run(work)


def test_a_model_that_answers_too_few_rows_is_a_500() -> None:
    async def work() -> None:
        engine = Sums(takes_matrix=False)
        engine.__class__ = type("Short", (Sums,), {"__call__": lambda _self, _decoded: []})
        served = Served(engine)
        client = served.client()
        await served.turn(post([[1.0, 2]]))
        assert answers(client) == [(500, "the model failed: 0 predictions for 1 rows")]

    run(work)


def test_labels_beyond_64_bits_are_answered_whole() -> None:
    async def work() -> None:
        engine = Sums()
        engine.__class__ = type("Long", (Sums,), {"__call__": lambda _self, _decoded: [2**70]})
        served = Served(engine)
        client = served.client()
        await served.turn(post([[1.0, 2]]))
        assert answers(client) == [(200, [2**70])]

    run(work)


def test_zero_rows_give_zero_predictions_without_a_call() -> None:
    async def work() -> None:
        engine = Sums()
        served = Served(engine)
        client, other = served.client(), served.client()
        await served.turn(post([]), post([[1.0, 2]]))
        assert answers(client) == [(200, [])]
        assert answers(other) == [(200, [3.0])]
        assert engine.calls == [1]

    run(work)


def test_a_lost_client_is_not_scored() -> None:
    async def work() -> None:
        engine = Sums(is_quick=False, merges=False)
        served = Served(engine)
        first, _ = served.client(), served.client()
        engine.gate.clear()
        for connection in served.connections:
            connection.data_received(post([[1.0, 2]]))
        await asyncio.sleep(0)
        served.connections[1].connection_lost(None)
        engine.gate.set()
        await served.turn(b"", b"")
        assert answers(first) == [(200, [3.0])]
        assert engine.calls == [1]

    run(work)


@pytest.mark.parametrize(("is_quick", "rows"), [(True, 30_000), (False, 1)])
def test_an_abandoned_body_is_of_the_budget_while_it_is_held(is_quick: bool, rows: int) -> None:
    async def work() -> None:
        engine = Sums(is_quick=is_quick, merges=False)
        served = Served(engine)
        budget = served.site.budget
        client = served.client()
        body = post([[1.0, 2]] * rows)
        engine.gate.clear()
        served.connections[0].data_received(body)
        used = budget.used
        for _ in range(3):
            lost = Connection(served.site)
            lost.connection_made(Client())
            lost.data_received(body)
            await asyncio.sleep(0)
            lost.connection_lost(None)
        assert budget.used == 4 * used > 0
        engine.gate.set()
        await served.turn(b"")
        while budget.used:
            await asyncio.sleep(0)
        assert answers(client) == [(200, [3.0] * rows)]
        assert engine.calls == [rows]

    run(work)


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_client_that_goes_while_it_is_scored_frees_its_bytes_once(is_quick: bool) -> None:
    async def work() -> None:
        engine = Sums(is_quick=is_quick)
        served = Served(engine)
        served.client()
        engine.gate.clear()
        served.connections[0].data_received(post([[1.0, 2]] * 30_000))
        while not engine.entered.is_set():
            await asyncio.sleep(0)
        served.connections[0].connection_lost(None)
        assert served.site.budget.used > 0
        engine.gate.set()
        while served.site.budget.used:
            await asyncio.sleep(0)

    run(work)


@pytest.mark.parametrize("path", ["/ping", "/openapi.json", "/v2", "/invocations", "/nosuch", ""])
def test_the_answer_to_head_is_that_to_get_without_its_body(path: str) -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        got: list[tuple[list[bytes], bytes]] = []
        for method in (b"GET", b"HEAD", b"HEAD", b"GET"):
            target = path.encode() or b"/" + b"x" * 9000  # too long: refused
            await served.turn(method + b" " + target + b" HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
            head, _, body = bytes(client.sent).partition(b"\r\n\r\n")
            got.append((head.split(b"\r\n"), body))
            client.sent.clear()
            if not path:
                served.connections.clear()
                client = served.client()
        assert got[0] == got[3]
        if path != "/invocations":  # its error names the method
            assert got[0][0] == got[1][0] == got[2][0]
        assert got[1][1] == got[2][1] == b""
        assert b"HTTP/1.1 " in got[1][0][0]

    run(work)


def test_every_answer_has_an_id_of_its_own_and_a_clients_id_comes_back() -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        await served.turn(post([[1.0, 2]]) * 100 + post([[1.0, 2]], "/predict", "X-Request-Id: a1"))
        lines = bytes(client.sent).split(b"\r\n")
        ids = [line[14:] for line in lines if line.startswith(b"X-Request-Id: ")]
        assert len(set(ids)) == len(ids) == 101
        assert all(len(found) == 16 for found in ids[:-1])
        assert ids[-1] == b"a1"
        assert served.board.requests("predict", "2xx") == 1

    run(work)


def test_columns_that_the_model_does_not_know_are_counted() -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        await served.turn(post([{"size": 1.0, "rooms": 2, "sea": 1}]))
        assert answers(client) == [(200, [3.0])]
        assert served.board.ignored() == 1

    run(work)


@pytest.mark.parametrize("is_quick", [True, False])
def test_large_bodies_get_the_same_answers(is_quick: bool) -> None:
    async def work() -> None:
        engine = Sums(is_quick=is_quick)
        served = Served(engine)
        clients = [served.client() for _ in range(3)]
        rows = [[float(n % 100), 1] for n in range(100_000)]
        await served.turn(
            post(rows),
            post([*rows, [1.0, 2.5]]),
            post([*rows, [2000.0, 1]]),
        )
        assert answers(clients[0]) == [(200, [row[0] + 1 for row in rows])]
        assert answers(clients[1])[0][1].startswith("row 100000, column 'rooms': 2.5 came; ")
        want = "row 100000, column 'size': 2000.0 came, and the model says ValueError: too large"
        assert answers(clients[2]) == [(400, want)]
        assert engine.threads == ({"large_0"} if is_quick else {"model_0"})

    run(work)


@pytest.mark.parametrize(
    ("coding", "status"), [("Identity", 200), ("", 200), ("identity ", 200), ("gzip", 415)]
)
def test_a_body_that_is_said_to_be_as_it_is_is_read(coding: str, status: int) -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        await served.turn(post([[1.0, 2]], "/invocations", f"Content-Encoding: {coding}"))
        assert client.statuses == [status]

    run(work)


REFUSED = [
    (413, b"Content-Length: 7000000\r\n\r\n"),
    (501, b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    (400, b"Content-Length: x\r\n\r\n"),
    (431, b"A: " + b"a" * 17_000),
]


@pytest.mark.parametrize(("status", "rest"), REFUSED)
def test_refusals_of_limits_are_answered_as_any_request(
    status: int, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "inference.answering.responses.log", lambda _event, **fields: lines.append(fields)
    )

    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        await served.turn(b"POST /invocations HTTP/1.1\r\nX-Request-Id: a1\r\n" + rest)
        assert client.statuses == [status]
        for header in ("X-Request-Id: a1", "X-Model-Name: sums", "X-Model-Version: 3"):
            assert f"\r\n{header}\r\n".encode() in client.sent
        assert served.board.requests("other", "4xx" if status < 500 else "5xx") == 1
        assert len(lines) == 1
        del lines[0]["microseconds"]
        assert lines[0] == {
            "method": "'POST'", "path": "'/invocations'", "status": status, "request_id": "a1"
        }  # fmt: skip

    run(work)


def test_a_target_that_is_too_long_is_logged_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "inference.answering.responses.log", lambda _event, **fields: lines.append(fields)
    )

    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        await served.turn(b"GET /" + b"x" * 20_000)
        assert client.statuses == [414]
        assert lines[0]["method"] == "'GET'"
        assert lines[0]["path"].startswith("'/xxx")
        assert len(lines[0]["path"]) < 300
        assert b"X-Request-Id: " in client.sent

    run(work)


def test_another_front_end_gets_the_same_answers() -> None:
    async def work() -> None:
        served = Served(Sums())
        head = Head("POST", "/invocations", {"x-request-id": "mine"})
        response = await served.answering.respond(head, b'{"instances": [[1, 2]]}')
        assert (response.status, response.body) == (200, b'{"predictions":[3.0]}')
        assert dict(response.headers) == {
            "X-Request-Id": "mine", "X-Model-Name": "sums", "X-Model-Version": "3"
        }  # fmt: skip
        refused = await served.answering.respond(Head("POST", "/predict"), b"{")
        assert refused.status == 400

    run(work)


def v2_post(*extra: str) -> bytes:
    tensors = [
        {"name": "size", "shape": [2], "datatype": "FP64", "data": [1.5, 2]},
        {"name": "rooms", "shape": [2], "datatype": "INT64", "data": [1, 1]},
    ]
    body = json.dumps({"inputs": tensors}).encode()
    head = ["POST /v2/models/sums/infer HTTP/1.1", f"Content-Length: {len(body)}", *extra]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def test_v2_answers_what_accept_names_and_takes_json_alone() -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        await served.turn(v2_post("Accept: text/csv"))
        assert bytes(client.sent).endswith(b"\r\n\r\n2.5\n3.0\n")
        assert b"Content-Type: text/csv\r\n" in client.sent
        for extra, status, message in (
            ("Accept: application/x-npy", 406, "accept is 'application/x-npy'; application/json, "),
            ("Content-Type: text/csv", 415, "content type is 'text/csv'; V2 takes application/js"),
            ("Content-Type: application/json; charset=utf-16", 415, "charset is 'utf-16'; utf-8 i"),
        ):
            client.sent.clear()
            await served.turn(v2_post(extra))
            ((code, error),) = answers(client)
            assert (code, error[: len(message)]) == (status, message)

    run(work)


def test_v2_is_ready_when_ping_says_so() -> None:
    async def work() -> None:
        served = Served(Sums())
        client = served.client()
        slot = served.board.slots[0]
        paths = ("/ping", "/v2/health/ready", "/v2/models/sums/ready")

        async def statuses() -> list[int]:
            client.sent.clear()
            for path in paths:
                await served.turn(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return client.statuses

        assert await statuses() == [503] * 3
        slot.state, slot.beat = READY, time.monotonic()
        assert await statuses() == [200] * 3
        served.board.give_up()
        assert await statuses() == [503] * 3
        assert b'{"name":"sums","ready":false}' in client.sent

    run(work)


def test_what_a_model_says_carries_no_more_than_64_characters_of_a_value() -> None:
    said = reason(ValueError(f"unknown categories ['{'z' * 402}'] in column town"))
    assert said == f"ValueError: unknown categories ['{'z' * 59}... in column town"
    assert reason(ValueError("z" * 64)) == f"ValueError: {'z' * 64}"

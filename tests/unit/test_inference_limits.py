"""What a client may cost before anything is parsed: bytes, fields, time and memory."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.http.connection import Connection, Request, Response, Site
from inference.http.framing import path_of
from inference.http.limits import (
    DECODED_FACTOR,
    Budget,
    Limits,
    budget_of,
    connection_cap,
    memory_limit,
    too_small,
)
from inference.http.messages import Head, render


class Client(asyncio.Transport):
    """The other end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.reading = True
        self.closed = False
        self.ended = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def send(self, data: bytes) -> None:
        """What the other end sends, as a transport hands it to its protocol."""
        while data:
            if isinstance(self.protocol, asyncio.BufferedProtocol):
                place = memoryview(self.protocol.get_buffer(-1))
                size = min(len(place), len(data))
                place[:size] = data[:size]
                self.protocol.buffer_updated(size)
            else:
                assert isinstance(self.protocol, asyncio.Protocol)
                self.protocol.data_received(data)
                size = len(data)
            data = data[size:]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 1000

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in bytes(self.sent).split(b"HTTP/1.1 ")[1:]]

    @property
    def error(self) -> str:
        return json.loads(bytes(self.sent).rpartition(b"\r\n\r\n")[2])["error"]


def echo(requests: list[Request], _began: float) -> None:
    for request in requests:
        request.finish(render(Response(200, bytes(request.body))))


def talk(
    *pieces: bytes,
    limits: Limits | None = None,
    budget: Budget | None = None,
    wait: float = 0.0,
    turns: int = 0,
    then: Callable[[Connection, Client], None] = lambda _connection, _client: None,
) -> Client:
    """Send the pieces one after another, let ``wait`` seconds pass, and see what comes back."""

    async def run() -> Client:
        site = Site(echo, limits or Limits(), budget or Budget(1 << 40))
        connection, client = Connection(site), Client()
        client.set_protocol(connection)
        connection.connection_made(client)
        for piece in pieces:
            client.send(piece)
        if wait:
            connection.check(asyncio.get_running_loop().time() + wait)
        then(connection, client)
        for _ in range(turns):
            await asyncio.sleep(0)
        while connection.transport is not None and (connection.queue or connection.unread):
            await asyncio.sleep(0)
        if connection.transport is not None and wait:
            connection.check(asyncio.get_running_loop().time() + wait)
        return client

    return asyncio.run(run())


POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"


def test_requests_are_answered_in_their_order() -> None:
    one = POST + b"Content-Length: 1\r\n\r\na"
    client = talk(one + one.replace(b"\r\na", b"\r\nb"))
    assert client.statuses == [200, 200]
    assert bytes(client.sent).index(b"\r\n\r\na") < bytes(client.sent).index(b"\r\n\r\nb")


@pytest.mark.parametrize("size", [1, 100, 1 << 14])
def test_a_head_without_end_costs_no_more_than_its_limit(size: int) -> None:
    pieces = [b"x" * size for _ in range((1 << 17) // size)]
    client = talk(POST + b"X-Long: ", *pieces)
    assert client.statuses == [431]
    assert client.error == "the head has more than 16384 bytes"


def test_one_enormous_piece_is_fed_in_parts() -> None:
    client = talk(POST + b"X-Long: " + b"x" * (50 << 20))
    assert client.statuses == [431]


def test_too_many_fields() -> None:
    client = talk(POST + b"".join(b"A: b\r\n" for _ in range(101)) + b"\r\n")
    assert (client.statuses, client.error) == ([431], "the head has more than 100 fields")


def test_a_target_that_is_too_long() -> None:
    client = talk(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (client.statuses, client.error) == ([414], "the target has more than 8192 bytes")


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_other_transfer_encodings_are_refused(head: bytes) -> None:
    client = talk(head)
    assert client.statuses[0] in (400, 501)
    assert client.ended


def test_a_chunked_body_is_put_together() -> None:
    client = talk(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")
    assert client.statuses == [200]
    assert client.sent.endswith(b"abcd")


def test_many_small_chunks_are_no_overhead_without_end() -> None:
    client = talk(
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"
    )
    assert client.statuses == [200]


@pytest.mark.parametrize(
    "rest", [b"1;x=" + b"y" * (1 << 20), b"1\r\na\r\n0\r\nX-Trailer: " + b"y" * (1 << 20)]
)
def test_extensions_and_trailers_without_end_are_refused(rest: bytes) -> None:
    client = talk(POST + b"Transfer-Encoding: chunked\r\n\r\n" + rest)
    assert client.statuses[-1] in (400, 431)
    assert client.ended


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_read() -> None:
    client = talk(POST + b"Content-Length: 7000000\r\n\r\n")
    assert (client.statuses, client.error) == ([413], "the body has more than 6291456 bytes")
    assert client.ended


def test_a_chunked_body_is_refused_once_it_is_too_large() -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    client = talk(
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        *(chunk for _ in range(20)),
        limits=Limits(body_bytes=10_000),
    )
    assert client.statuses == [413]


def test_those_before_a_refused_one_are_still_answered() -> None:
    good = POST + b"Content-Length: 1\r\n\r\na"
    client = talk(good + POST + b"Content-Length: 7000000\r\n\r\n")
    assert client.statuses == [200, 413]


def test_a_full_budget_answers_503_and_when_to_come_again() -> None:
    budget = Budget(1000)
    budget.used = 990
    client = talk(POST + b"Content-Length: 5\r\n\r\nabcde", budget=budget)
    assert client.statuses == [503]
    assert b"Retry-After: 1\r\n" in client.sent
    assert "holds as many requests as its memory allows" in client.error
    assert budget.used == 990


def test_the_budget_is_given_back_after_the_answer_and_by_a_lost_client() -> None:
    budget = Budget(1 << 30)
    talk(POST + b"Content-Length: 5\r\n\r\nabcde", budget=budget)
    assert budget.used == 0

    def lose(connection: Connection, _client: Client) -> None:
        assert budget.used > 0
        connection.connection_lost(None)

    talk(POST + b"Content-Length: 500\r\n\r\nabcde", budget=budget, then=lose)
    assert budget.used == 0


def test_one_body_alone_always_fits() -> None:
    assert Budget(10).take(1000)


def test_a_connection_too_many_is_told_so() -> None:
    client = talk(limits=Limits(connections=0))
    assert (client.statuses, client.error) == ([503], "more than 0 connections are open")


@pytest.mark.parametrize(
    ("sent", "seconds", "message"),
    [
        (POST, 11.0, "the head did not come within 10 s"),
        (
            POST + b"Content-Length: 5\r\n\r\na",
            61.0,
            "the body did not come within 60 s, or too slow",
        ),
    ],
)
def test_what_comes_too_slowly_is_ended(sent: bytes, seconds: float, message: str) -> None:
    client = talk(sent, wait=seconds)
    assert client.statuses == [408]
    assert client.error.startswith(message)
    assert client.closed


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(POST, 9.0), (POST + b"Content-Length: 90000\r\n\r\n" + b"x" * 20480, 79.0), (b"", 119.0)],
)
def test_what_comes_in_time_is_waited_for(sent: bytes, seconds: float) -> None:
    client = talk(sent, wait=seconds)
    assert (client.statuses, client.closed) == ([], False)


def test_an_idle_connection_ends_without_a_word() -> None:
    client = talk(wait=121.0)
    assert (bytes(client.sent), client.closed) == (b"", True)


def test_a_client_that_does_not_read_is_not_read_and_then_dropped() -> None:
    def full(connection: Connection, client: Client) -> None:
        connection.pause_writing()
        assert not client.reading
        connection.resume_writing()
        assert client.reading
        connection.pause_writing()
        connection.check(asyncio.get_running_loop().time() + 61)
        assert client.closed

    talk(then=full)


def test_the_memory_limit_is_the_containers(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1048576\n")
    assert memory_limit((limit,)) == 1048576
    limit.write_text("max\n")
    machine = memory_limit((limit,))
    assert machine == memory_limit(()) > 1 << 20


def test_workers_share_one_budget_and_each_has_room_for_one_body() -> None:
    memory, body = 16 << 30, 6 << 20
    assert budget_of(4, body, memory).total * 4 == budget_of(1, body, memory).total == 4 << 30
    assert too_small(4, body, memory) is None
    least = budget_of(64, body, memory)
    assert least.total == body * DECODED_FACTOR
    assert all(least.take(body >> 1) for _ in range(2))
    assert too_small(64, body, memory) == (
        "64 worker(s) that each decode one body of 6291456 bytes may need 9216 MiB, and the budget "
        "is 4096 MiB (25% of the memory): set SLIPWAY_WORKERS or SLIPWAY_MAX_BODY_BYTES lower, or "
        "give more memory"
    )


@pytest.mark.parametrize(
    ("soft", "hard", "cap", "raised"),
    [
        (1024, 1 << 20, 1024, 2112),
        (1024, 1024, 480, None),
        (1024, 2000, 968, 2000),
        (1 << 16, 1 << 16, 1024, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 1024, None),
        (1024, resource.RLIM_INFINITY, 1024, 2112),
        (32, 32, 1, None),
    ],
)
def test_a_process_holds_no_more_connections_than_it_may_refuse_in_words(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, cap: int, raised: int | None
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, pair: asked.append(pair))
    assert connection_cap(1024) == cap
    assert asked == ([] if raised is None else [(raised, hard)])


GET = b"GET /ping HTTP/1.1\r\n\r\n"


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("request_", [GET, b"GET /%d HTTP/1.1\r\n\r\n", CHUNKED])
@pytest.mark.parametrize("first", [0, 1])
def test_no_more_is_taken_from_one_read_than_may_be_queued(request_: bytes, first: int) -> None:
    many = b"".join(request_.replace(b"%d", b"%d" % n) for n in range(100))
    longest = 0

    async def run() -> Client:
        held: list[Request] = []
        site = Site(lambda requests, _began: held.extend(requests), Limits(), Budget(1 << 40))
        connection, client = Connection(site), Client()
        connection.connection_made(client)
        connection.data_received(many[:first])
        connection.data_received(many[first:])
        while held:
            nonlocal longest
            longest = max(longest, len(connection.queue))
            assert client.reading == (len(connection.queue) < 16)
            echo(held[:], 0.0)
            held.clear()
            await asyncio.sleep(0)
        assert client.reading
        return client

    assert asyncio.run(run()).statuses == [200] * 100
    assert longest == 16


def test_what_comes_while_a_connection_is_not_read_waits_its_turn() -> None:
    first, second = (GET.replace(b"ping", name) for name in (b"first", b"second"))

    def full(connection: Connection, client: Client) -> None:
        connection.pause_writing()
        connection.data_received(first)
        connection.data_received(second)
        assert (client.statuses, client.reading) == ([200], False)
        connection.resume_writing()

    client = talk(GET, then=full, turns=3)
    assert (client.statuses, client.reading) == ([200] * 3, True)


def test_answers_that_are_not_read_are_of_the_budget_and_no_more_are_written() -> None:
    budget = Budget(1 << 30)

    def full(connection: Connection, client: Client) -> None:
        connection.data_received(POST + b"Content-Length: 9\r\n\r\nabcd")
        connection.pause_writing()
        reserved = budget.used - 1000
        late = Request(connection.head, b"late", connection, 0)
        connection.queue.append(late)
        echo([late], 0.0)
        assert (client.statuses, reserved) == ([], 9 * 24)
        connection.resume_writing()
        assert (client.statuses, budget.used) == ([200], reserved)
        connection.pause_writing()
        connection.connection_lost(None)
        assert budget.used == 0

    talk(budget=budget, then=full)


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
LENGTH = b"Content-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (POST + H2C + LENGTH, b"abc"),
        (POST + H2C + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (GET[:-2] + H2C + b"\r\n", b""),
    ],
)
def test_an_upgrade_is_ignored(asked: bytes, body: bytes, size: int) -> None:
    sent = asked + GET + asked
    client = talk(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert client.statuses == [200] * 3
    answers = bytes(client.sent).split(b"HTTP/1.1 200")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [body, b"", body]


def test_an_upgrade_does_not_lift_the_limits() -> None:
    client = talk(POST + H2C + b"Content-Length: 7000000\r\n\r\nabc" + GET)
    assert client.statuses == [413]


def test_connect_is_refused_once() -> None:
    client = talk(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\nabc" + GET)
    assert (client.statuses, client.error) == ([501], "method is CONNECT; this server is no proxy")


@pytest.mark.parametrize("size", [1000, 1 << 14, 1 << 18])
@pytest.mark.parametrize("long", [16_400, 20_000, 32_600, 33_000, 49_000])
@pytest.mark.parametrize("asked", [GET[:-2], POST + b"Content-Length: 3\r\n"])
def test_a_head_above_the_limit_is_refused_once(asked: bytes, long: int, size: int) -> None:
    sent = asked + b"A: " + b"a" * long + b"\r\n\r\nabc"
    client = talk(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert (client.statuses, client.error) == ([431], "the head has more than 16384 bytes")


@pytest.mark.parametrize("first", [0, 1, len(GET) - 1])
def test_many_short_heads_are_no_long_one(first: int) -> None:
    sent = GET * 1500
    client = talk(sent[:first], sent[first:])
    assert client.statuses == [200] * 1500


@pytest.mark.parametrize("size", [1000, 1 << 18])
def test_a_head_of_just_the_limit_is_taken(size: int) -> None:
    head = GET[:-2] + b"A: "
    sent = head + b"a" * ((1 << 14) - len(head) - 4) + b"\r\n\r\n"
    client = talk(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert client.statuses == [200]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/ping?a=b", "/ping"),
        (b"http://x/ping", "/ping"),
        (b"HTTPS://x:80/v2/a?b", "/v2/a"),
        (b"http://x", "/"),
        (b"http://x?a=/b", "/"),
        (b"*", "*"),
        (b"/http://x/ping", "/http://x/ping"),
        (b"/v2/models/fl%61ts/infer", "/v2/models/flats/infer"),
        (b"/%2e%2e/%ff%", "/../\N{REPLACEMENT CHARACTER}%"),
        ("/münchen".encode(), "/m\xc3\xbcnchen"),
    ],
)
def test_the_path_that_is_asked_for(target: bytes, path: str) -> None:
    assert path_of(target) == path


def heads_of(sent: bytes) -> list[Head]:
    async def run() -> list[Head]:
        found: list[Head] = []
        site = Site(lambda requests, _began: found.extend(each.head for each in requests))
        connection = Connection(site)
        connection.connection_made(Client())
        connection.data_received(sent)
        return found

    return asyncio.run(run())


def test_lines_of_one_name_are_one_list() -> None:
    head = b"Accept: text/csv\r\nAccept: application/json;q=0.1\r\nX: a\r\n\r\n"
    found = heads_of(GET[:-2] + head)
    want = {"accept": "text/csv, application/json;q=0.1", "x": "a"}
    assert [(each.path, each.headers) for each in found] == [("/ping", want)]


def test_two_transfer_encodings_are_refused() -> None:
    lines = b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    client = talk(POST + lines)
    assert client.statuses == [501]
    assert client.error == "only HTTP/1.1's transfer encoding chunked is understood"


@pytest.mark.parametrize(("version", "words"), [(b"1.0", 0), (b"1.1", 1)])
def test_only_http_1_1_is_told_to_go_on(version: bytes, words: int) -> None:
    head = POST.replace(b"1.1", version) + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    client = talk(head, b"abc")
    assert client.statuses == [100] * words + [200]


@pytest.mark.parametrize("at", [5, len(POST), -1])
def test_a_request_that_is_coming_when_the_server_ends_is_answered_as_the_last(at: int) -> None:
    asked = POST + LENGTH

    def end(connection: Connection, client: Client) -> None:
        connection.finish()
        assert not client.closed
        connection.data_received(asked[at:] + GET)

    client = talk(asked[:at], then=end)
    assert (client.statuses, client.closed) == ([200], True)
    assert b"Connection: close\r\n" in client.sent
    assert client.sent.endswith(b"abc")


def test_a_connection_without_a_request_ends_with_the_server() -> None:
    client = talk(GET, then=lambda connection, _client: connection.finish())
    assert (client.statuses, client.closed) == ([200], True)

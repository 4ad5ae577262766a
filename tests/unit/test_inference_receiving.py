"""Bodies of known length, received straight into their place, under all the limits of others."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.http.connection import Connection, Site
from inference.http.limits import DECODED_FACTOR, Budget, Limits
from inference.http.receiving import DIRECT_BYTES, Receiver
from tests.unit.test_inference_limits import POST, Client, echo, talk

SIZE = 5 * DIRECT_BYTES
BODY = bytes(range(256)) * (SIZE // 256)
GET = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, fields: bytes = b"") -> bytes:
    return POST + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_pieces(sent: bytes, *ends: int) -> list[bytes]:
    places = [0, *sorted(ends), len(sent)]
    return [sent[a:b] for a, b in itertools.pairwise(places)]


def bodies(client: Client) -> list[bytes]:
    """The bodies of all answers, by what their heads say of their lengths."""
    found: list[bytes] = []
    rest = bytes(client.sent)
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        if b" 100 Continue" in head:
            continue
        size = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        found.append(rest[:size])
        rest = rest[size:]
    return found


@pytest.mark.parametrize("fields", [b"", b"X-Request-Id: 1\r\n", b"Expect: 100-continue\r\n"])
def test_a_long_body_comes_to_its_place_by_itself(fields: bytes) -> None:
    """Of a head that is known, of one that never is, and of one that waits to be told."""
    asked, direct = post(BODY, fields), 0

    def see(connection: Connection, client: Client) -> None:
        nonlocal direct
        for piece in in_pieces(asked * 2, 700, 70_000, len(asked) + 900, len(asked) + 99_000):
            client.send(piece)
            direct += isinstance(client.protocol, Receiver)
        assert client.protocol is connection
        assert connection.receiver is None

    client = talk(then=see)
    assert bodies(client) == [BODY, BODY]
    assert direct == 4


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_however_requests_are_cut_each_gets_its_answer_in_its_turn(data: st.DataObject) -> None:
    sizes = st.sampled_from([0, 1, 300, DIRECT_BYTES, DIRECT_BYTES + 1, SIZE])
    wanted = [BODY[:size] for size in data.draw(st.lists(sizes, min_size=1, max_size=4))]
    fields = st.sampled_from([b"", b"X-Request-Id: 1\r\n", b"Expect: 100-continue\r\n"])
    sent = b"".join(post(body, data.draw(fields)) for body in wanted)
    cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    budget = Budget(1 << 40)
    client = talk(*in_pieces(sent, *cuts), budget=budget)
    assert bodies(client) == wanted
    assert budget.used == 0


def test_what_follows_a_long_body_is_the_next_request() -> None:
    client = talk(*in_pieces(post(BODY) + GET + post(b"a"), 100))
    assert client.statuses == [200] * 3
    assert bodies(client) == [BODY, b"", b"a"]


def test_the_last_request_of_a_connection_is_the_last() -> None:
    asked = post(BODY, b"Connection: close\r\n")
    client = talk(*in_pieces(asked + GET, 1000))
    assert (client.statuses, client.closed) == ([200], True)


def test_a_long_body_that_comes_too_slowly_is_ended_and_the_rest_of_it_thrown_away() -> None:
    budget = Budget(1 << 40)

    def wait(connection: Connection, client: Client) -> None:
        assert isinstance(client.protocol, Receiver)
        now = connection.loop.time()
        seconds = 60.0 + connection.received / 1024
        connection.check(now + seconds - 1)
        assert not connection.is_refused
        connection.check(now + seconds + 1)
        assert connection.is_refused
        assert client.protocol is connection
        client.send(BODY + GET)

    client = talk(*in_pieces(post(BODY), 100)[:1], BODY[:1000], budget=budget, then=wait)
    assert (client.statuses, client.ended, budget.used) == ([408], True, 0)
    assert client.error == "the body did not come within 60 s, or too slowly"


def test_a_body_above_the_limit_is_refused_before_any_of_it_is_taken() -> None:
    client = talk(*in_pieces(post(BODY), 100), limits=Limits(body_bytes=SIZE - 1))
    assert (client.statuses, client.ended) == ([413], True)
    assert client.error == f"the body has more than {SIZE - 1} bytes"


@pytest.mark.parametrize("is_known", [False, True])
def test_a_body_for_which_the_budget_has_no_room_is_refused(is_known: bool) -> None:
    budget = Budget(SIZE * DECODED_FACTOR + 1)
    client = talk(post(BODY) if is_known else b"", budget=budget)
    assert client.statuses == [200] * is_known

    def fill(_connection: Connection, client: Client) -> None:
        budget.used += 2
        for piece in in_pieces(post(BODY), 100):
            client.send(piece)

    client = talk(*[post(BODY)] * is_known, budget=budget, then=fill)
    assert client.statuses == [*[200] * is_known, 503]
    assert budget.used == 2


def test_a_client_that_goes_gives_back_the_room_of_its_long_body() -> None:
    budget = Budget(1 << 40)

    def lose(connection: Connection, client: Client) -> None:
        assert budget.used == SIZE * DECODED_FACTOR
        assert isinstance(client.protocol, Receiver)
        client.protocol.connection_lost(None)
        assert connection.receiver is None

    talk(*in_pieces(post(BODY), 100)[:1], BODY[:500], budget=budget, then=lose)
    assert budget.used == 0


def test_a_client_that_ends_amid_a_long_body_gets_no_answer() -> None:
    def end(_connection: Connection, client: Client) -> None:
        assert isinstance(client.protocol, Receiver)
        assert not client.protocol.eof_received()

    assert talk(*in_pieces(post(BODY), 100)[:1], BODY[:500], then=end).statuses == []


def test_a_long_body_that_is_coming_when_the_server_ends_is_answered_as_the_last() -> None:
    first, rest = in_pieces(post(BODY) + GET, 100)

    def end(connection: Connection, client: Client) -> None:
        connection.finish()
        assert not client.closed
        client.send(rest)

    client = talk(first, then=end)
    assert (client.statuses, client.closed) == ([200], True)
    assert b"Connection: close\r\n" in client.sent


def test_a_client_that_does_not_read_is_not_read_amid_a_long_body() -> None:
    first, rest = in_pieces(post(BODY), 1000)

    def stall(_connection: Connection, client: Client) -> None:
        receiver = client.protocol
        assert isinstance(receiver, Receiver)
        receiver.pause_writing()
        assert not client.reading
        receiver.resume_writing()
        assert client.reading
        client.send(rest)

    assert bodies(talk(GET, first, then=stall)) == [b"", BODY]


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_on_a_real_connection(name: str) -> None:
    """Bodies in pieces of the kernel's making, and requests behind them."""
    import uvloop

    async def run() -> bytes:
        site = Site(echo, Limits(), Budget(1 << 40))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        for _ in range(3):
            writer.write(post(BODY * 3) + post(b"end"))
            await writer.drain()
        writer.write(post(BODY, b"Connection: close\r\n"))
        found = await reader.read()
        writer.close()
        server.close()
        return found

    factory = uvloop.new_event_loop if name == "uvloop" else asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=factory) as runner:
        sent = runner.run(asyncio.wait_for(run(), 30))
    client = Client()
    client.sent += sent
    assert bodies(client) == [*[BODY * 3, b"end"] * 3, BODY]

"""Known heads: what they save, and that no answer differs because of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference.http.connection import Connection, Request, Response, Site
from inference.http.heads import LONGEST, Heads
from inference.http.limits import Budget, Limits
from inference.http.messages import Head, render
from tests.unit.test_inference_limits import Client

POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


def echo(requests: list[Request], _began: float) -> None:
    for request in requests:
        request.finish(render(Response(200, bytes(request.body))))


def talk(site: Site, *pieces: bytes) -> Client:
    connection, client = Connection(site), Client()
    connection.connection_made(client)
    for piece in pieces:
        connection.data_received(piece)
    site.flush()
    connection.send()
    connection.connection_lost(None)
    return client


def in_loop(work: Any) -> Any:
    async def run() -> Any:
        site = Site(echo, Limits(), Budget(1 << 40))
        result = work(site)
        await asyncio.sleep(0)
        return result

    return asyncio.run(run())


@pytest.mark.parametrize("second", [b"xyz", b"\r\n\r", b"\x00\xff\n"])
def test_a_known_head_is_answered_as_an_unknown_one(second: bytes) -> None:
    def work(site: Site) -> None:
        client = talk(site, POST + b"abc")
        assert POST in site.heads.young
        again = talk(site, POST + second)
        assert bytes(again.sent) == bytes(client.sent).replace(b"abc", second)

    in_loop(work)


def test_a_known_head_whose_body_comes_later_is_put_together() -> None:
    def work(site: Site) -> None:
        talk(site, POST + b"abc")
        client = talk(site, POST + b"a", b"bc" + POST, b"xyz" + POST[:20], POST[20:] + b"123")
        assert client.statuses == [200, 200, 200]
        bodies = [part[-3:] for part in bytes(client.sent).split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"abc", b"xyz", b"123"]

    in_loop(work)


def test_many_known_ones_in_one_piece_are_answered_in_order() -> None:
    async def work() -> None:
        connection, client = Connection(Site(echo, Limits(), Budget(1 << 40))), Client()
        connection.connection_made(client)
        connection.data_received(b"".join(POST + b"%03d" % n for n in range(300)))
        while connection.unread:
            await asyncio.sleep(0)
        bodies = [int(part[-3:]) for part in bytes(client.sent).split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == list(range(300))

    asyncio.run(work())


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 7000000\r\n\r\n",
        b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Request-Id: 1\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * LONGEST + b"\r\n\r\n",
        b"GET / HTTP/1.1\n\nGET /second HTTP/1.1\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_heads_that_are_refused_or_special_are_never_known(head: bytes) -> None:
    def work(site: Site) -> None:
        talk(site, head)
        assert not any(raw in head[: len(raw)] for raw in site.heads.young if len(raw) > 20), head

    in_loop(work)


def test_a_known_head_respects_the_budget() -> None:
    async def work() -> None:
        site = Site(echo, Limits(), Budget(1 << 40))
        talk(site, POST + b"abc")
        assert site.budget.used == 0
        site.budget.total, site.budget.used = 100, 99
        connection, client = Connection(site), Client()
        connection.connection_made(client)
        connection.data_received(POST + b"abc")
        while connection.queue:
            await asyncio.sleep(0)
        assert client.statuses == [503]
        assert site.budget.used == 99

    asyncio.run(work())


def test_heads_that_never_come_again_push_out_nothing_in_use_and_take_bounded_room() -> None:
    heads = Heads(entries=10)
    used = Head("GET", "/used")
    heads.put(b"used", used)
    for number in range(1000):
        heads.put(b"%d" % number, Head("GET", "/"))
        assert heads.find(b"used") is used
    assert heads.find(b"0") is None
    assert len(heads.young) <= 10
    heads.put(b"long" * LONGEST, Head("GET", "/"))
    assert heads.find(b"long" * LONGEST) is None

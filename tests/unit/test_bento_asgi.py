"""The application behind ASGI: limits before the handler, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from inference.bento_asgi import AsgiApplication
from inference.http import connection as http
from inference.http.limits import DECODED_FACTOR, Budget, Limits
from inference.processes.board import Board

LIMITS = Limits(body_bytes=100, line_bytes=30, fields=3, head_bytes=60, linger_seconds=0.05)


class Asked:
    """One request: what the handler got, and what the client was sent."""

    def __init__(self, limits: Limits = LIMITS, budget: Budget | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.sent: list[Any] = []
        self.budget = budget or Budget(1 << 20)
        self.application = AsgiApplication(
            self._handle, self._refuse, Board(1).slots[0], limits, self.budget
        )

    async def _handle(
        self, method: str, path: str, headers: dict[str, str], body: bytearray
    ) -> http.Response:
        self.requests.append((method, path, headers, bytes(body)))
        return http.Response(200, b"fine", "text/plain", (("X-Model-Name", "wine"),))

    async def _refuse(
        self, method: str, path: str, headers: dict[str, str], refusal: http.Response
    ) -> http.Response:
        told = (method, path, headers.get("x-request-id", "none"))
        return replace(refusal, headers=(*refusal.headers, ("X-Request-Id", " ".join(told))))

    def __call__(self, messages: Iterable[Any] = (), **scope: Any) -> Asked:
        asyncio.run(self._run(iter(messages), scope))
        return self

    async def _run(self, messages: Any, scope: Any) -> None:
        async def receive() -> Any:
            message = next(messages, None)
            if message is None:
                await asyncio.Event().wait()
            return message

        async def send(message: Any) -> None:
            self.sent.append(message)

        base = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
        await self.application({**base, **scope}, receive, send)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def error(self) -> str:
        return json.loads(self.sent[1]["body"])["error"]


def piece(body: bytes, more: bool = False) -> Any:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_request_gets_to_the_handler_to_the_letter() -> None:
    headers = [(b"x-a", b"1"), (b"x-a", b"2")]
    asked = Asked()(
        [piece(b"ab", more=True), piece(b"c")],
        path="/a b",
        raw_path=b"/a%20b",
        query_string=b"q",
        headers=headers,
    )
    assert asked.requests == [("POST", "/a%20b", {"x-a": "2"}, b"abc")]
    assert asked.status == 200
    assert asked.headers == {
        b"content-type": b"text/plain",
        b"content-length": b"4",
        b"x-model-name": b"wine",
    }
    assert asked.sent[1:] == [{"type": "http.response.body", "body": b"fine", "more_body": False}]
    assert asked.budget.used == 0


@pytest.mark.parametrize(
    ("scope", "messages", "status", "told"),
    [
        ({"raw_path": b"/" + b"a" * 30}, [], 414, "the target has more than 30 bytes"),
        ({"query_string": b"a" * 30}, [], 414, "the target has more than 30 bytes"),
        ({"headers": [(b"a", b"b")] * 4}, [], 431, "the head has more than 3 fields"),
        ({"headers": [(b"a", b"b" * 60)]}, [], 431, "the head has more than 60 bytes"),
        ({"headers": [(b"content-length", b"101")]}, [], 413, "the body has more than 100 bytes"),
        ({}, [piece(b"a" * 60, more=True)] * 2, 413, "the body has more than 100 bytes"),
        (
            {"headers": [(b"transfer-encoding", b"gzip, chunked")]},
            [],
            501,
            "only HTTP/1.1's transfer encoding chunked is understood",
        ),
    ],
)
def test_a_broken_limit_is_answered_before_the_handler(
    scope: Any, messages: list[Any], status: int, told: str
) -> None:
    asked = Asked()(messages, **scope)
    assert (asked.status, asked.error, asked.requests) == (status, told, [])
    assert asked.headers[b"connection"] == b"close"
    assert [m.get("more_body", False) for m in asked.sent[1:]] == [True, False]
    assert asked.budget.used == 0


def test_what_is_still_sent_after_a_refusal_is_read_away() -> None:
    rest = iter([piece(b"a" * 60, more=True)] * 5 + [piece(b"")])
    Asked()(rest, headers=[(b"content-length", b"360")])
    assert next(rest, None) is None


def test_a_full_budget_is_a_503_that_says_when_to_come_again() -> None:
    budget = Budget(1)
    budget.take(1)
    asked = Asked(budget=budget)([piece(b"abc")])
    assert (asked.status, asked.requests) == (503, [])
    assert asked.error == "the server holds as many requests as its memory allows"
    assert asked.headers[b"retry-after"] == b"1"
    assert budget.used == DECODED_FACTOR


def test_a_body_that_does_not_come_is_given_up() -> None:
    asked = Asked(Limits(body_seconds=0.01, linger_seconds=0.01))([piece(b"a", more=True)])
    assert asked.status == 408
    assert asked.error == "the body did not come within 0.01 s, or too slowly"
    assert asked.budget.used == 0


def test_a_client_that_leaves_gets_nothing_and_costs_nothing() -> None:
    asked = Asked()([piece(b"a", more=True), {"type": "http.disconnect"}])
    assert (asked.sent, asked.requests, asked.budget.used) == ([], [], 0)


def test_only_http_is_served() -> None:
    with pytest.raises(RuntimeError, match="a websocket came; only HTTP is served"):
        Asked()(type="websocket")


def test_a_refusal_goes_through_the_application_with_what_is_known_of_the_request() -> None:
    fields = [(b"x-request-id", b"a1"), (b"content-length", b"101")]
    asked = Asked()(headers=fields)
    assert (asked.status, asked.headers[b"x-request-id"]) == (413, b"POST /predict a1")
    asked = Asked()(headers=fields * 2)
    assert (asked.status, asked.headers[b"x-request-id"]) == (431, b"POST  none")

"""What travels through the server: a request's head, the request, and the response to it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from inference.http.connection import Connection

RETRY_LATER = (("Retry-After", "1"),)


class Head:
    """What stands before a body; header names are in lower case.

    Requests whose heads are the same bytes share one. ``plan`` is what the application found out
    about how to answer such requests, or None as long as it has not.
    """

    __slots__ = ("headers", "keep_alive", "length", "method", "path", "plan", "version")

    def __init__(
        self,
        method: str = "",
        path: str = "",
        headers: dict[str, str] | None = None,
        *,
        keep_alive: bool = True,
        length: int = 0,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = {} if headers is None else headers
        self.keep_alive = keep_alive
        self.length = length
        self.plan: Any = None
        self.version = "1.1"


class Request:
    """One request that came in whole, on its way to an answer.

    ``reserved``: bytes of the budget that are its own. ``answer``: the response's bytes once they
    are there. ``began``: when it was taken up, in seconds of ``time.perf_counter``. What scoring
    notes about it: ``rows``, and ``part``, their values.
    """

    part: Any
    began: float
    __slots__ = ("answer", "began", "body", "connection", "head", "part", "reserved", "rows")

    def __init__(
        self, head: Head, body: bytes | bytearray, connection: Connection | None, reserved: int
    ) -> None:
        self.head = head
        self.body = body
        self.connection = connection
        self.reserved = reserved
        self.answer = b""
        self.rows = 0

    def finish(self, answer: bytes) -> None:
        """The answer is there; it leaves once those before it on the connection have left."""
        self.answer = answer
        if self.connection is not None:
            self.connection.send()


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def error(status: int, message: str) -> Response:
    # A message may quote what no encoding holds (half a surrogate pair): show it escaped.
    text = message.encode("utf-8", "backslashreplace").decode()
    headers = RETRY_LATER if status == HTTPStatus.SERVICE_UNAVAILABLE else ()
    return Response(status, orjson.dumps({"error": text}), headers=headers)


def render(response: Response, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The response as it goes over the wire, with ``headers`` after its own."""
    named = (
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        *response.headers,
        *headers,
    )
    return _head(response.status, named) + response.body


def begun(content_type: str, headers: tuple[tuple[str, str], ...], *, is_last: bool) -> bytes:
    """The head of a 200 whose body follows in chunks; ``is_last``: the connection's last."""
    named = (
        ("Content-Type", content_type),
        ("Transfer-Encoding", "chunked"),
        *headers,
        *((("Connection", "close"),) if is_last else ()),
    )
    return _head(HTTPStatus.OK, named)


def _head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [
        f"HTTP/1.1 {status:d} {HTTPStatus(status).phrase}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def closing(answer: bytes) -> bytes:
    """The same response, saying that it is the connection's last."""
    line, _, rest = answer.partition(b"\r\n")
    return b"%b\r\nConnection: close\r\n%b" % (line, rest)

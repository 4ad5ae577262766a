"""Framing of HTTP/1.1 by httptools, with limits on what is fed to it."""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools

from inference.http.limits import Limits
from inference.http.messages import Head

if TYPE_CHECKING:
    from inference.http.receiving import Receiver

PIECE = 16 * 1024
ABSOLUTE = re.compile(rb"https?://[^/]*", re.IGNORECASE)


def path_of(target: bytes) -> str:
    """The path that a request asks for, decoded; of the absolute form (RFC 9112, 3.2.2), too."""
    path = target.split(b"?", 1)[0]
    if not path.startswith(b"/") and (found := ABSOLUTE.match(path)):
        path = path[found.end() :] or b"/"
    return unquote(path.decode("latin-1"))


class Framing(asyncio.Protocol):
    """Makes requests of one connection's bytes; httptools calls its ``on_…`` methods.

    httptools itself has no limits, so heads and chunks are fed to it in pieces, and what each
    brought is counted.
    """

    # Python finds attributes quickly in slots, or where there are fewer than 30 without.
    __slots__ = (
        *("begun", "body", "field_bytes", "fields", "head", "head_bytes", "in_head", "in_request"),
        *("is_active", "is_chunked", "is_lingering", "is_refused", "is_upgrade", "limits", "loop"),
        *("overhead_bytes", "parser", "received", "receiver", "reserved", "since", "url"),
    )

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.limits = limits
        self.loop = loop
        self.receiver: Receiver | None = None
        self.parser = httptools.HttpRequestParser(self)
        self.in_request = False
        self.in_head = True
        self.is_chunked = False
        self.is_upgrade = False
        self.is_lingering = False
        self.is_refused = False
        self.is_active = False
        self.since = 0.0
        self.begun = 0
        self._begin()

    def _begin(self) -> None:
        self.begun += 1
        self.head = Head()
        self.body = bytearray()
        self.reserved = 0
        self.fields = self.received = 0
        self.head_bytes = self.field_bytes = self.overhead_bytes = 0
        self.url = b""

    @abstractmethod
    def refuse(self, status: int, message: str) -> None:
        """End the connection with this answer."""

    @abstractmethod
    def reserve(self, body_bytes: int) -> bool:
        """Take so many bytes of the budget; refuses where there are none."""

    @abstractmethod
    def go_on(self) -> None:
        """The client waits for a word before it sends the body."""

    @abstractmethod
    def complete(self, head: Head, body: bytearray, reserved: int) -> None:
        """A request is there in whole."""

    def feed_head(self, raw: bytes) -> bool:
        """Parse a whole head; whether it may be known from now on.

        That is where it was accepted, is in no way special, and nothing else was in it.
        """
        before = self.begun
        self.feed(raw)
        head = self.head
        is_one = self.begun == before + 1 and bool(head.method) and not self.received
        is_plain = not (self.is_chunked or self.is_refused) and "expect" not in head.headers
        return is_one and is_plain and head.keep_alive

    def begin_known(self, head: Head) -> None:
        """A request begins whose head was parsed before, and whose body is still to come."""
        self._begin()
        self.head = head
        self.in_request, self.in_head, self.is_chunked = True, False, False
        self.since, self.is_active = self.loop.time(), False
        self._announce(head.length)

    def end_body(self, body: bytearray) -> None:
        """The request under way is there in whole."""
        self.in_request, self.in_head = False, True
        self.since = self.loop.time()
        reserved, self.reserved = self.reserved, 0
        self.complete(self.head, body, reserved)

    def feed(self, piece: bytes) -> None:
        first = self.begun if self.in_request else self.begun + 1
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(piece[upgrade.args[0] :])
        except httptools.HttpParserError as problem:
            self.refuse(400, f"the request is not HTTP/1.1: {problem}")
        else:
            self._count(len(piece), is_of_one=self.begun == first)

    def _stay(self, rest: bytes) -> None:
        """Ignore an upgrade, as a server may (RFC 9110, section 7.8).

        The parser leaves off after such a head; another one, told what body comes, goes on.
        """
        length = b"Content-Length: %d" % self.head.length
        told = b"Transfer-Encoding: chunked" if self.is_chunked else length
        self.parser = httptools.HttpRequestParser(self)
        has_body = self.is_chunked or self.head.length > 0
        if has_body:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % told)
        self.is_upgrade = False
        if not has_body:
            self.on_message_complete()
        if rest and not self.is_refused:
            self.feed(rest)

    def _count(self, fed: int, *, is_of_one: bool) -> None:
        """Count what was fed without bringing anything: of a head, or around a body's chunks.

        ``is_of_one``: all of it is of the request that is under way.
        """
        if not self.in_request:
            return
        if self.in_head:
            if is_of_one:
                self.head_bytes += fed
            if len(self.url) > self.limits.line_bytes:
                self.refuse(414, f"the target has more than {self.limits.line_bytes} bytes")
            elif self.head_bytes > self.limits.head_bytes:
                self._refuse_head()
        elif self.is_chunked:
            self.overhead_bytes += fed
            if self.overhead_bytes > self.limits.overhead_bytes + PIECE:
                limit = self.limits.overhead_bytes
                self.refuse(431, f"a chunk's size or the trailers have more than {limit} bytes")

    def on_message_begin(self) -> None:
        if self.is_upgrade:
            return
        self._begin()
        self.in_request, self.in_head, self.is_chunked = True, True, False
        self.since, self.is_active = self.loop.time(), False

    def on_url(self, url: bytes) -> None:
        self.url += url
        self.field_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields += 1
        self.field_bytes += len(name) + len(value) + 3  # the colon, and the line's end
        if self.fields > self.limits.fields:
            self.refuse(431, f"the head has more than {self.limits.fields} fields")
            return
        if self.in_head:  # what comes after the body is a trailer: counted, never believed
            headers = self.head.headers
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            # Two lines of one name are one list (RFC 9110, section 5.3).
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        if self.is_upgrade:
            return
        head, limits = self.head, self.limits
        self.in_head = False
        self.is_upgrade = self.parser.should_upgrade()
        self.since = self.loop.time()
        head.method = self.parser.get_method().decode("latin-1")
        head.path = path_of(self.url)
        head.keep_alive = self.parser.should_keep_alive()
        head.version = self.parser.get_http_version()
        encoding = head.headers.get("transfer-encoding")
        length = head.headers.get("content-length", "0")
        if len(self.url) > limits.line_bytes:
            self.refuse(414, f"the target has more than {limits.line_bytes} bytes")
        elif max(self.head_bytes + 1, self.field_bytes) > limits.head_bytes:
            self._refuse_head()  # what was fed before, and at least a byte of this piece
        elif head.method == "CONNECT":
            self.refuse(501, "method is CONNECT; this server is no proxy")
        elif encoding is not None:
            self.is_chunked = True
            if head.version == "1.0" or encoding.strip().lower() != "chunked":
                self.refuse(501, "only HTTP/1.1's transfer encoding chunked is understood")
        elif length.isdigit():
            head.length = int(length)
        if not self.is_refused:
            self._announce(head.length)
        is_asked = head.headers.get("expect", "").lower() == "100-continue"
        if is_asked and not self.is_refused and head.version != "1.0":
            self.go_on()

    def _announce(self, length: int) -> None:
        """The head is there; a body of ``length`` bytes follows, or one in chunks (0)."""
        if length > self.limits.body_bytes:
            self.refuse(*self._too_large())
        elif length:
            self.reserve(length)

    def on_body(self, body: bytes) -> None:
        self.overhead_bytes = 0
        if self.is_refused:
            return
        total = self.received = self.received + len(body)
        if total > self.limits.body_bytes:
            self.refuse(*self._too_large())
        elif total <= self.reserved or self.reserve(total - self.reserved):
            self.body += body

    def on_message_complete(self) -> None:
        if self.is_upgrade:
            return
        body, self.body = self.body, bytearray()
        self.end_body(body)

    def head_so_far(self) -> Head:
        """What has come of the head of the request under way, which is the connection's last."""
        head = self.head if self.in_request else Head()
        method, path = head.method, head.path
        if not method and self.in_request and self.url:
            method = self.parser.get_method().decode("latin-1")
            path = path_of(self.url[: self.limits.line_bytes])
        return Head(method, path, head.headers, keep_alive=False)

    def _refuse_head(self) -> None:
        self.refuse(431, f"the head has more than {self.limits.head_bytes} bytes")

    def _too_large(self) -> tuple[int, str]:
        return 413, f"the body has more than {self.limits.body_bytes} bytes{self.limits.remedy}"

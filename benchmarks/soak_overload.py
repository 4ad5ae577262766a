"""More than the server holds: of announced bodies, of connections, and of large requests."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks import serving_stats as stats
from benchmarks.serving_models import MANY, Served
from benchmarks.serving_servers import TYPES, Running

BODY_BYTES = 6 * 1024 * 1024 - 1024  # just below what a real-time request may have
MOST_HELD = 1200  # above the server's own limit of connections
ASKED = 200
CLIENTS, FLOOD_SECONDS = 64, 10.0
AFTER_SECONDS = 30.0
STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})")
LOST = 0
LARGE = "large bodies"


@dataclass
class Overload:
    """Answers by status (0: none) of each part; ``refused``: whether a 503 was provoked at all."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict[str, "Counter[int]"])
    without_retry_after: int = 0
    pings: Counter[int] = field(default_factory=Counter[int])
    after: dict[str, int] = field(default_factory=dict[str, int])
    peak_bytes: int = 0

    def problems(self) -> list[str]:
        found = [
            f"{part}: {count:,} times {status or 'no answer'}; only 200 and 503 may be"
            for part, counts in self.statuses.items()
            for status, count in sorted(counts.items())
            if status not in (200, 503)
        ]
        # Large bodies are answered as fast as they come where the machine can: they owe no 503.
        owed = [part for part in self.statuses if part != LARGE]
        found += [f"{part}: no 503 was provoked" for part in owed if not self.statuses[part][503]]
        if self.without_retry_after:
            found.append(f"{self.without_retry_after:,} answers with 503 have no Retry-After")
        if wrong := {status for status in self.pings if status != 200}:
            found.append(f"/ping answered {sorted(wrong)} meanwhile")
        found += [f"after {p}: {s}, not 200" for p, s in self.after.items() if s != 200]
        return found

    def __str__(self) -> str:
        lines = [
            f"overload by {part}: "
            + ", ".join(f"{n:,} with {s or 'no answer'}" for s, n in sorted(counts.items()))
            + f"; afterwards {self.after.get(part)}"
            for part, counts in self.statuses.items()
        ]
        return "\n".join(
            [*lines, f"most memory in the flood: {self.peak_bytes / 1e6:.0f} MB (PSS)"]
        )


def overload(server: Running, served: Served, seconds: float = FLOOD_SECONDS) -> Overload:
    """All three, one after the other; each is followed by an ordinary request."""
    found = Overload()
    small = _post(served.body("instances.json", 1))
    for part, opening in (("announced bodies", _post(b"", BODY_BYTES)), ("connections", b"")):
        counts = found.statuses[part] = Counter()
        with _held(server.port, opening, counts, found):
            for _ in range(ASKED):
                counts[_exchange(server.port, small, found)] += 1
            if opening:  # with the connections used up, /ping is refused as all are
                found.pings[_exchange(server.port, b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")] += 1
        found.after[part] = _recovered(server.port, small)
    large = _post(_large(served))
    counts = found.statuses[LARGE] = Counter()
    until = time.monotonic() + seconds

    def client(_number: int) -> None:
        while time.monotonic() < until:
            counts[_exchange(server.port, large, found)] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        while time.monotonic() < until:
            found.pings[_exchange(server.port, b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")] += 1
            found.peak_bytes = max(found.peak_bytes, stats.memory_bytes(server.pid))
            time.sleep(0.2)
        for one in clients:
            one.result()
    found.after[LARGE] = _recovered(server.port, small)
    return found


def _post(body: bytes, length: int | None = None) -> bytes:
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPES['json']}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def _large(served: Served) -> bytes:
    """As many rows as a body may hold."""
    rows = json.loads(served.body("instances.json", MANY))["instances"]
    one = max(len(json.dumps(row)) for row in rows) + 2
    wanted = (BODY_BYTES - 100) // one
    return json.dumps({"instances": (rows * (wanted // len(rows) + 1))[:wanted]}).encode()


@contextmanager
def _held(port: int, opening: bytes, counts: Counter[int], found: Overload) -> Generator[None]:
    """Connections that send ``opening`` and stay open: so many that one is refused."""
    with ExitStack() as stack:
        for _ in range(MOST_HELD):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            held.sendall(opening)
            held.settimeout(0.02 if opening else 0.002)
            with suppress(TimeoutError):
                counts[_status(held.recv(4096), found)] += 1
                break
        yield


def _exchange(port: int, request: bytes, found: Overload | None = None) -> int:
    """The status of the answer; :data:`LOST` where there is none."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        with suppress(ConnectionError):  # refused before the body's end: the answer is there
            client.sendall(request)
        try:
            return _status(client.recv(65536), found)
        except ConnectionError:
            return LOST


def _status(answer: bytes, found: Overload | None) -> int:
    match = STATUS.match(answer)
    if match is None:
        return LOST
    if found is not None and match.group(1) == b"503" and b"Retry-After" not in answer:
        found.without_retry_after += 1
    return int(match.group(1))


def _recovered(port: int, request: bytes) -> int:
    """The status that an ordinary request meets in the end."""
    deadline = time.monotonic() + AFTER_SECONDS
    while (status := _exchange(port, request)) != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    return status

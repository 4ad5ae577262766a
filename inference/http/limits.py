"""What one client, and all clients together, may cost the server before anything is parsed."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

MAX_BODY_BYTES = 6 * 1024 * 1024  # SageMaker's own limit for a real-time request (fact 1.2)
# A body and what a decoder makes of it, at the most: measured for JSON of small numbers.
DECODED_FACTOR = 24
BUDGET_SHARE = 0.25
# Of a process beside its connections: libraries, logs, pipes, a native model's socket.
OTHER_FILES = 64
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True)
class Limits:
    """Bytes and seconds of one connection.

    ``overhead_bytes``: of chunk sizes, extensions and trailers between two pieces of a body.
    ``body_bytes_per_second`` is asked of bodies that take longer than ``body_seconds``.
    ``remedy``: what the refusal of a body that is too large says beside the limit.
    """

    line_bytes: int = 8 * 1024
    head_bytes: int = 16 * 1024
    fields: int = 100
    overhead_bytes: int = 4 * 1024
    body_bytes: int = MAX_BODY_BYTES
    queued: int = 16
    connections: int = 1024
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    body_bytes_per_second: float = 1024.0
    idle_seconds: float = 120.0
    write_seconds: float = 60.0
    linger_seconds: float = 2.0
    remedy: str = ""


class Budget:
    """Bytes of all bodies in flight, with what decoding makes of them, that may be held at once."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    def take(self, body_bytes: int) -> bool:
        """Reserve for so many more bytes of a body; the first body always fits."""
        wanted = body_bytes * DECODED_FACTOR
        if self.used and self.used + wanted > self.total:
            return False
        self.used += wanted
        return True

    def give_back(self, body_bytes: int) -> None:
        self.used -= body_bytes * DECODED_FACTOR


def connection_cap(wanted: int) -> int:
    """How many connections this process may hold open, after asking for the files they take.

    As many again may be open for a moment, to be refused: the kernel's answer to one connection
    too many would be to close it without a word.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = OTHER_FILES + 2 * wanted
    if hard != resource.RLIM_INFINITY:
        files = min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(wanted, (files - OTHER_FILES) // 2))


def memory_limit(places: tuple[Path, ...] = CGROUP_LIMITS) -> int:
    """Bytes that this process may use: the container's limit, else the machine's memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for place in places:
        try:
            text = place.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return min(machine, int(text))
    return machine


def default_budget() -> Budget:
    return Budget(int(memory_limit() * BUDGET_SHARE))


def budget_of(processes: int, body_bytes: int, memory_bytes: int) -> Budget:
    """The part of one of ``processes``; it always has room for one body of the limit."""
    share = int(memory_bytes * BUDGET_SHARE) // processes
    return Budget(max(share, body_bytes * DECODED_FACTOR))


def too_small(processes: int, body_bytes: int, memory_bytes: int) -> str | None:
    """What to say at start where one body of the limit for each process exceeds the budget."""
    needed, allowed = processes * body_bytes * DECODED_FACTOR, int(memory_bytes * BUDGET_SHARE)
    if needed <= allowed:
        return None
    return (
        f"{processes} worker(s) that each decode one body of {body_bytes} bytes may need "
        f"{needed >> 20} MiB, and the budget is {allowed >> 20} MiB ({BUDGET_SHARE:.0%} of the "
        "memory): set SLIPWAY_WORKERS or SLIPWAY_MAX_BODY_BYTES lower, or give more memory"
    )

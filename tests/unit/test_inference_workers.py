"""Which ends of a worker count as restarts that failed, and what a parent leaves when it ends."""

from __future__ import annotations

import signal
import socket
from typing import Any

import pytest

from inference.processes.board import Board, Slot
from inference.processes.restarts import STEADY_SECONDS, WINDOW_SECONDS, Restarts
from inference.processes.workers import Parent

NOW = 1000.0
LATE = NOW + STEADY_SECONDS
KILLED, CRASHED = -signal.SIGKILL, -signal.SIGSEGV


def served(ready_at: float = NOW, requests: int = 0) -> Slot:
    """A worker's place after so many requests."""
    slot = Board(1).slots[0]
    slot.ready_at = ready_at
    slot.count("invocations", 200, 0.1, requests=requests)
    return slot


def fails(slot: Slot, code: int, now: float, answered: int = 0) -> bool:
    """Whether three restarts are too many that all end so, after ``answered`` requests each."""
    restarts = Restarts()
    told: list[bool] = []
    for _ in range(3):
        restarts.begin(0, slot)
        slot.count("predict", 400, 0.1, requests=answered)
        told.append(restarts.end(0, slot, code, now))
    assert told[:2] == [False, False]
    return told[2]


def test_restarts_that_never_served_or_not_for_long_have_failed() -> None:
    assert fails(served(ready_at=0.0), KILLED, NOW)
    assert fails(served(), KILLED, LATE - 0.1, answered=100)
    assert not fails(served(), CRASHED, LATE, answered=100)


def test_restarts_that_end_by_their_first_request_have_failed_however_late() -> None:
    assert fails(served(requests=50), CRASHED, LATE + 5)
    assert fails(served(requests=50), 70, LATE + 5, answered=1)
    assert not fails(served(requests=50), 70, LATE + 5, answered=2)


def test_restarts_that_stood_idle_until_they_were_killed_have_not_failed() -> None:
    assert not fails(served(), KILLED, LATE)


def test_first_workers_that_die_together_are_no_failed_restarts() -> None:
    restarts = Restarts()
    assert not any(restarts.end(place, served(), KILLED, NOW) for place in range(4))


def test_failures_count_for_a_minute() -> None:
    restarts, slot = Restarts(), served(ready_at=0.0)
    restarts.begin(0, slot)
    times = [NOW, NOW + 1, NOW + WINDOW_SECONDS + 0.5, NOW + WINDOW_SECONDS + 0.9]
    assert [restarts.end(0, slot, 70, now) for now in times] == [False, False, False, True]


def test_a_parent_that_ends_accepts_no_more() -> None:
    parent: Any = Parent("127.0.0.1", 0, 2, lambda _place: 0)
    address = ("127.0.0.1", parent.port)
    socket.create_connection(address).close()
    parent._end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)

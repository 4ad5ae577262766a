"""What the server tells of itself goes on where a worker that died stopped."""

from __future__ import annotations

import json
import os
import re

import pytest

from contracts.package import ArchiveIndex
from inference.processes.board import GONE, Board
from inference.processes.telemetry import embedded, prometheus

INDEX = ArchiveIndex("rent", "3", "sklearn", "predict", {}, {}, ())


def value(board: Board, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", prometheus(board, INDEX), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_line_counts_what_no_line_before_it_counted_whoever_wrote_that() -> None:
    board = Board(2)
    board.slots[0].count("invocations", 200, 0.002, requests=30)
    board.slots[1].count("invocations", 400, 0.002, requests=10)
    first = json.loads(embedded(board, INDEX, 1))
    assert (first["Requests"], first["ClientErrors"], first["Model"]) == (40, 10, "rent")
    # Nothing but the board is left of the worker that wrote the line.
    board.slots[1].count("predict", 500, 0.5)
    second = json.loads(embedded(board, INDEX, 2))
    told = {n: second[n] for n in ("Requests", "ClientErrors", "ServerErrors")}
    assert told == {"Requests": 1, "ClientErrors": 0, "ServerErrors": 1}
    assert second["MeanRequestTime"] == pytest.approx(500_000)
    assert json.loads(embedded(board, INDEX, 3))["Requests"] == 0


def test_the_cpu_of_dead_workers_stays_counted_and_the_start_is_the_servers() -> None:
    board = Board(2)
    board.slots[0].pid = os.getpid()
    before = value(board, "process_cpu_seconds_total")
    assert before > 0
    board.note_dead(board.slots[0], before)
    assert board.slots[0].state == GONE
    assert value(board, "process_cpu_seconds_total") == before
    assert value(board, "process_resident_memory_bytes") == 0, "its id may be another's by now"
    assert value(board, "process_start_time_seconds") == pytest.approx(board.started, abs=1e-3)

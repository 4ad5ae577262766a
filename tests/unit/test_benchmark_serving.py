"""The serving benchmark's own arithmetic: CPU of process trees, ratios, what wrk prints, goals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import serving_stats as stats

from benchmarks.serving_load import LoadError, parsed, same_answers
from benchmarks.serving_report import goals


def test_the_work_of_a_child_counts_for_its_parent() -> None:
    code = (
        "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', "
        "'x = 0\\nwhile x < 3_000_000: x += 1\\nprint(1, flush=True); input()'], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE); c.stdout.readline(); "
        "print(c.pid, flush=True); input(); c.communicate()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert set(stats.tree(parent.pid)) == {parent.pid, child}
        both, alone = stats.cpu_seconds([parent.pid, child]), stats.cpu_seconds([child])
        assert both > alone > 0.01
        assert stats.memory_bytes([parent.pid, child]) > 1e6
    finally:
        parent.communicate("\n")
    assert stats.cpu_seconds([child]) == 0.0, "who has ended works no more"


def test_the_machine_has_worked_at_least_as_much_as_this_process() -> None:
    assert stats.busy_seconds() >= stats.cpu_seconds([os.getpid()]) > 0


def test_busy_time_leaves_out_idle_and_waiting(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 0 50 1000 500 0 25 25 7 7\ncpu0 1 2 3\n")
    assert stats.busy_seconds(tmp_path) == pytest.approx(200 / stats.TICKS)


def test_a_ratio_is_the_median_with_an_interval_around_it() -> None:
    found = stats.ratio([(10, 1), (12, 1), (11, 1), (30, 3), (9, 1), (11, 1), (13, 1)])
    assert found.median == 11
    assert 9 <= found.lower < 11 < found.upper <= 13
    assert found == stats.ratio([(10, 1), (12, 1), (11, 1), (30, 3), (9, 1), (11, 1), (13, 1)])
    same = stats.ratio([(4, 2)] * 7)
    assert (same.median, same.lower, same.upper) == (2, 2, 2)


def test_what_wrk_prints_is_read() -> None:
    assert parsed("junk\nRESULT 5000 1000000 120.5 900.25 0\n") == (5000, 1.0, 120.5, 900.25)
    with pytest.raises(LoadError, match="wrk printed no result"):
        parsed("unable to connect")
    with pytest.raises(LoadError, match="12 of 5000 requests were not answered with 2xx"):
        parsed("RESULT 5000 1000000 1 2 12\n")


@pytest.mark.parametrize(
    ("body", "is_same"),
    [
        (b'{"predictions": [[0.2, 0.8], [0.5, 0.5]]}', True),
        (b"[[0.2, 0.8], [0.5, 0.50001]]", True),
        (b'{"predictions": [[0.2, 0.8]]}', False),
        (b'{"predictions": [[0.2, 0.8], [0.5, 0.6]]}', False),
        (b'{"predictions": [0.2, 0.5]}', False),
    ],
)
def test_answers_are_compared_value_by_value(body: bytes, is_same: bool) -> None:
    assert same_answers(body, [[0.2, 0.8], [0.5, 0.5]]) == is_same


def test_one_row_of_the_small_model_is_sent_over_few_and_many_connections() -> None:
    found = list(cases("logreg", ["json"]))
    assert [(c.rows, c.connections) for c in found] == [(1, 1), (1, 16), (1, 64), (1000, 1)]
    assert [(c.rows, c.connections) for c in cases("forest", ["csv"])] == [(1, 16)]


def test_goals_are_met_or_missed_or_left_out_where_nothing_was_measured() -> None:
    ours = Row("slipway", "logreg", "json", 1, 16, ratio_to_mlflow=400.0, ratio_to_floor=4.5)
    starts = [Start("slipway", "logreg", 0.5, 30.0), Start("mlflow", "logreg", 9.0, 420.0)]
    assert goals([ours], starts) == [
        "met     c=16: MLflow's CPU to ours: 400 (at least 350)",
        "MISSED  c=16: ours to the floor's: 4.5 (at most 4)",
        "met     logreg: cold start, MLflow's to ours: 18 (at least 15)",
        "met     logreg: memory, MLflow's to ours: 14 (at least 7)",
    ]
    assert goals([], []) == []

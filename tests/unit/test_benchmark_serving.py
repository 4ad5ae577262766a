"""The serving benchmark's own arithmetic: CPU of process trees, ratios, what wrk prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import serving_stats as stats
from benchmarks.serving_load import LoadError, batch_mean, batches, parsed, require_tools
from benchmarks.serving_servers import answers, is_close

# A parent that starts a child, which works and waits; both end when they are told to.
CHILD = "x = 0\\nwhile x < 2_000_000: x += 1\\nprint(1, flush=True); input()"
PARENT = (
    "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', "
    f"'{CHILD}'], stdin=subprocess.PIPE, stdout=subprocess.PIPE); c.stdout.readline(); "
    "print(c.pid, flush=True); input(); c.communicate(b'\\n'); print('reaped', flush=True); input()"
)

# A process whose second thread does the work; it says what the first and what both have used.
THREADS = (
    "import threading, time; t = threading.Thread(target=lambda: sum(range(20_000_000))); "
    "t.start(); t.join(); print(time.thread_time(), time.process_time(), flush=True); input()"
)


def test_the_work_of_a_child_counts_while_it_lives_and_after_it_was_waited_for() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    try:
        child = int(parent.stdout.readline())
        assert set(stats.tree(parent.pid)) == {parent.pid, child}
        worked = stats.cpu_seconds(child)
        both = stats.cpu_seconds(parent.pid)
        assert both > worked > 0.01
        assert stats.memory_bytes(parent.pid) > stats.memory_bytes(child) > 1e6
        assert stats.memory_bytes(child, "Rss") >= stats.memory_bytes(child)
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "reaped\n"
        assert stats.tree(parent.pid) == [parent.pid]
        assert stats.cpu_seconds(child) == 0.0
        # What is left of it is counted in ticks, of user and of system time.
        assert stats.cpu_seconds(parent.pid) >= both - 2 / stats.TICKS
    finally:
        parent.communicate("\n")


def test_a_process_is_charged_with_all_of_its_threads() -> None:
    threads = subprocess.Popen(
        [sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert threads.stdout is not None
    try:
        main_thread, whole_process = map(float, threads.stdout.readline().split())
        assert whole_process > main_thread
        assert stats.cpu_seconds(threads.pid) == pytest.approx(whole_process, abs=0.05)
    finally:
        threads.communicate("\n")


def test_reaped_children_are_read_beside_a_name_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    words = ["S", *map(str, range(4, 14)), "40", "50", "300", "200", "20"]
    (tmp_path / "7" / "stat").write_text(f"7 (a ) b) {' '.join(words)}\n")
    assert stats.reaped_seconds(7, tmp_path) == pytest.approx(500 / stats.TICKS)
    assert stats.reaped_seconds(8, tmp_path) == 0.0


def test_busy_time_leaves_out_idle_waiting_and_interrupts(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 10 50 1000 500 3 4 25 7 7\ncpu0 1 2 3\n")
    assert stats.busy_seconds(tmp_path) == pytest.approx(185 / stats.TICKS)


def test_the_machine_has_worked_at_least_as_much_as_this_process() -> None:
    assert stats.busy_seconds() + 0.1 >= stats.cpu_seconds(os.getpid()) > 0


def test_a_ratio_is_the_median_with_an_interval_around_it() -> None:
    pairs = [(10.0, 1.0), (12, 1), (11, 1), (30, 3), (9, 1), (11, 1), (13, 1)]
    found = stats.ratio(pairs)
    assert found.median == 11
    assert 9 <= found.lower < 11 < found.upper <= 13
    assert found == stats.ratio(pairs), "the same pairs give the same interval"
    same = stats.ratio([(4, 2)] * 7)
    assert (same.median, same.lower, same.upper) == (2, 2, 2)


def test_one_wild_pair_of_seven_moves_the_median_little_and_the_upper_end_more() -> None:
    calm = stats.ratio([(10, 1)] * 7)
    wild = stats.ratio([(10, 1)] * 4 + [(50, 1)] * 3)
    assert wild.median == calm.median
    assert wild.upper == 50


def test_the_slope_is_that_of_the_least_squares() -> None:
    assert stats.slope([(0, 5), (1, 7), (2, 9)]) == pytest.approx(2)
    assert stats.slope([(0, 1), (1, 3), (2, 2)]) == pytest.approx(0.5)
    assert stats.slope([(3, 4)]) == 0


def test_what_wrk_prints_is_read() -> None:
    assert parsed("junk\nRESULT 5000 1000000 120.5 900.25 0\n") == (5000, 1.0, 120.5, 900.25)
    with pytest.raises(LoadError, match="wrk printed no result: unable to connect"):
        parsed("unable to connect")
    with pytest.raises(LoadError, match="12 of 5000 requests were not answered with 2xx"):
        parsed("RESULT 5000 1000000 1 2 12\n")
    with pytest.raises(LoadError, match="0 of 0 requests"):
        parsed("RESULT 0 1000000 0 0 0\n")


def test_what_is_missing_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == missing else f"/bin/{tool}")
    for missing, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        told = f"{missing} is not installed; on Debian: apt-get install {package}"
        with pytest.raises(LoadError, match=told):
            require_tools()
    missing = ""
    require_tools()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LoadError, match="this reads Linux's /proc, which darwin does not have"):
        require_tools()


def test_requests_of_a_call_are_the_difference_of_two_looks_at_the_metrics() -> None:
    text = "slipway_batch_requests_sum{{}} {}\nslipway_batch_requests_count{{}} {}\n"
    before, after = batches(text.format(100, 50)), batches(text.format(400, 100))
    assert (before, after) == ((100, 50), (400, 100))
    assert batch_mean(before, after) == 6
    assert batch_mean(before, before) is None
    assert batch_mean(None, after) is None
    assert batches("slipway_batch_requests_sum 3\n") is None


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b'{"predictions": [[0.2, 0.8], [0.5, 0.5]]}', [0.2, 0.8, 0.5, 0.5]),
        (b'[["a", null], 1]', ["a", None, 1]),
        (b'{"predictions": [{"a": 1, "b": "x"}]}', [1, "x"]),
        (b'{"outputs": [{"data": [1]}, {"data": [[2], [3]]}]}', [2, 3]),
    ],
)
def test_every_servers_form_of_an_answer_is_read(body: bytes, values: list[object]) -> None:
    assert answers(body) == values


def test_values_are_close_where_single_precision_explains_it() -> None:
    assert is_close(0.50001, 0.5)
    assert is_close(1_000_050.0, 1_000_000)
    assert not is_close(0.51, 0.5)
    assert not is_close(None, 0.5)
    assert is_close("a", "a")
    assert not is_close("1", 1)

"""Several workers under one parent: dead ones come back, and none outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from inference.errors import ServerError
from inference.processes.workers import worker_count
from tests.functional.inference_server import ModelServer, listening, start, write_package

COLUMNS = [("x", "number", "double", False)]
PATIENCE_SECONDS = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.02)


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, str]:
    from sklearn.dummy import DummyRegressor

    return tmp_path, write_package(tmp_path, DummyRegressor().fit([[0.0]], [1.5]), COLUMNS)


@pytest.fixture
def server(package: tuple[Path, str]) -> Iterator[ModelServer]:
    process = start(*package, SLIPWAY_WORKERS="2")
    found = listening(process)
    wait_for(lambda: found.request("GET", "/ping").status == 200)
    yield found
    process.kill()
    process.communicate()


def workers(server: ModelServer) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def alive(server: ModelServer) -> set[int]:
    return {w.pid for w in workers(server) if w.status() != psutil.STATUS_ZOMBIE}


def answered_by_all(server: ModelServer) -> bool:
    """Whether sixty requests in a row are answered; the kernel spreads them over the workers."""
    return all(
        server.request("POST", "/invocations", b'{"instances": [[1.0]]}').status == 200
        for _ in range(60)
    )


def test_ready_only_when_every_worker_has_loaded(server: ModelServer) -> None:
    assert len(workers(server)) == 2
    assert answered_by_all(server)
    text = server.request("GET", "/metrics").body.decode()
    assert "slipway_workers_ready 2" in text
    counts = [line for line in text.splitlines() if 'route="invocations",code="2xx"' in line]
    assert float(counts[0].split()[-1]) == 60, "the counters of both workers are summed"


def test_a_killed_worker_is_started_again_on_its_socket(server: ModelServer) -> None:
    before = {w.pid for w in workers(server)}
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len({w.pid for w in workers(server)} - before) == 1)
    wait_for(lambda: server.request("GET", "/metrics").body.count(b"slipway_workers_ready 2") == 1)
    assert server.request("GET", "/ping").status == 200
    assert answered_by_all(server)


def test_workers_that_keep_dying_make_the_instance_unhealthy(server: ModelServer) -> None:
    killed: set[int] = set()
    for _ in range(5):  # the first two were no restarts
        wait_for(lambda: len(alive(server) - killed) == 2)
        victim = min(alive(server) - killed)
        killed.add(victim)
        os.kill(victim, signal.SIGKILL)
    wait_for(lambda: server.request("GET", "/ping").status == 503)


def test_sigterm_ends_parent_and_workers(server: ModelServer) -> None:
    children = workers(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    assert not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]


def test_sigterm_writes_what_the_last_minute_counted(package: tuple[Path, str]) -> None:
    process = start(*package, SLIPWAY_WORKERS="2", SLIPWAY_EMBEDDED_METRICS="1")
    server = listening(process)
    wait_for(lambda: server.request("GET", "/ping").status == 200)
    assert answered_by_all(server)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    (line,) = [line for line in output.decode().splitlines() if "CloudWatchMetrics" in line]
    assert json.loads(line)["Requests"] == 60


def test_no_worker_outlives_a_killed_parent(server: ModelServer) -> None:
    children = workers(server)
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
    assert alive == []


def test_end_of_stdin_ends_all(server: ModelServer) -> None:
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(30) == 0
    server.process.stdin = None


def test_a_model_that_cannot_be_loaded_ends_the_server(package: tuple[Path, str]) -> None:
    process: subprocess.Popen[bytes] = start(package[0], "0" * 64, SLIPWAY_WORKERS="2")
    assert process.wait(PATIENCE_SECONDS) == 1
    _, errors = process.communicate()
    assert b"this is not the package that was released" in errors


def test_the_number_of_workers_is_checked() -> None:
    assert worker_count("3") == 3
    assert 1 <= worker_count("auto") <= 64
    for bad in ("many", "-1", "65", "²", ""):
        with pytest.raises(ServerError, match=f"SLIPWAY_WORKERS is '{bad}'; auto or 0 to 64"):
            worker_count(bad)


def test_a_dead_worker_is_told_in_the_log(server: ModelServer) -> None:
    before = alive(server)
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(alive(server) - before) == 1)
    server.process.send_signal(signal.SIGTERM)
    output, _ = server.process.communicate(timeout=30)
    events = [json.loads(line) for line in output.decode().splitlines()]
    died = [e for e in events if e["event"] == "worker died"]
    assert [e["code"] for e in died] == [-signal.SIGKILL]

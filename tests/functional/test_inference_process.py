"""The server's life: it refuses what it must not load, and ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.package import INDEX_FILE
from tests.functional.inference_server import ROOT, listening, start, write_package

ENDS_SECONDS = 20
COLUMNS = [("x", "number", "double", False)]


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, str]:
    from sklearn.dummy import DummyRegressor

    model = DummyRegressor().fit([[0.0]], [1.5])
    return tmp_path, write_package(tmp_path, model, COLUMNS)


@pytest.fixture
def process(package: tuple[Path, str]) -> Iterator[subprocess.Popen[bytes]]:
    found = start(*package)
    yield found
    found.kill()
    found.communicate()


def test_sigterm_ends_the_server_while_stdin_stays_open(
    process: subprocess.Popen[bytes],
) -> None:
    listening(process).wait_until_ready()
    process.send_signal(signal.SIGTERM)
    assert process.wait(ENDS_SECONDS) == 0
    assert process.stdin is not None
    assert not process.stdin.closed


def test_sigterm_ends_the_server_while_it_loads(process: subprocess.Popen[bytes]) -> None:
    server = listening(process)
    while server.request("GET", "/ping").status not in {200, 503}:
        pass
    process.send_signal(signal.SIGTERM)
    assert process.wait(ENDS_SECONDS) == 0


def test_end_of_stdin_ends_the_server(process: subprocess.Popen[bytes]) -> None:
    listening(process).wait_until_ready()
    assert process.stdin is not None
    process.stdin.write(b"anything but the end\n")
    process.stdin.flush()
    process.stdin.close()
    assert process.wait(ENDS_SECONDS) == 0
    process.stdin = None


def test_requests_that_came_before_sigterm_are_answered(process: subprocess.Popen[bytes]) -> None:
    server = listening(process)
    server.wait_until_ready()
    body = json.dumps({"instances": [[float(n)] for n in range(200)]}).encode()
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=ENDS_SECONDS) as client:
        client.sendall((head.encode() + body) * 10)
        answer = client.recv(16)
        process.send_signal(signal.SIGTERM)
        answer += b"".join(iter(lambda: client.recv(65536), b""))
    assert process.wait(ENDS_SECONDS) == 0
    assert answer.count(b"HTTP/1.1 200 OK") == 10
    assert answer.count(b"Connection: close") == 1, "the last answer does not say that it is"


def ends_with_error(process: subprocess.Popen[bytes]) -> str:
    """What the server says on stderr when it ends on its own, with stdin still open."""
    assert process.wait(ENDS_SECONDS) == 1
    assert process.stderr is not None
    return process.stderr.read().decode()


def test_a_package_that_is_not_the_released_one_is_refused(package: tuple[Path, str]) -> None:
    process = start(package[0], "0" * 64)
    text = ends_with_error(process)
    assert text.startswith("error: ")
    assert "this is not the package that was released" in text
    process.communicate()


def test_a_changed_file_is_refused_before_anything_reads_it(package: tuple[Path, str]) -> None:
    folder, digest = package
    with (folder / "model" / "model.skops").open("ab") as stream:
        stream.write(b"more")
    process = start(folder, digest)
    assert f"model.skops is not what {INDEX_FILE} says" in ends_with_error(process)
    process.communicate()


def test_types_that_nobody_allowed_are_refused_by_name(tmp_path: Path) -> None:
    from collections import Counter

    from sklearn.dummy import DummyClassifier

    model: Any = DummyClassifier().fit([[0.0]], [1])
    model.counted_ = Counter([1])
    digest = write_package(tmp_path, model, COLUMNS)
    process = start(tmp_path, digest)
    text = ends_with_error(process)
    process.communicate()
    assert "needs the types collections.Counter, which nobody allowed" in text
    allowed = start(tmp_path, digest, SLIPWAY_TRUSTED_TYPES="collections.Counter")
    listening(allowed).wait_until_ready()
    allowed.kill()
    allowed.communicate()


def test_a_model_without_the_method_asked_for_is_refused(tmp_path: Path) -> None:
    from sklearn.dummy import DummyRegressor

    model = DummyRegressor().fit([[0.0]], [1.5])
    digest = write_package(tmp_path, model, COLUMNS, output="predict_proba")
    process = start(tmp_path, digest)
    text = ends_with_error(process)
    process.communicate()
    assert "the model (DummyRegressor) has no predict_proba; package it with another" in text


def test_a_port_in_use_is_named_with_the_way_out(package: tuple[Path, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "inference", "serve", "--port", str(port)]
        done = subprocess.run(
            [*command, "--model-dir", str(package[0])],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in done.stderr
    assert "stop what uses the port, or name another with --port" in done.stderr

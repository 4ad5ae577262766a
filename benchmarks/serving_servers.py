"""Runs one server: pinned to a core, until it has answered rightly."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import serving_stats as stats
from benchmarks.serving_models import Served
from benchmarks.serving_peers import ROOT, CannotRunError, Peer, Start

START_SECONDS = 120.0
TYPES = {"json": "application/json", "csv": "text/csv"}
# Libraries that would start a thread for each core, on one core.
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Running:
    """A server that answered rightly ``cold_seconds`` after its process began.

    ``memory_bytes``: of all its processes then, shared pages divided (PSS).
    """

    peer: Peer
    pid: int
    port: int
    cold_seconds: float = 0.0
    memory_bytes: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.peer.path}"


def free_port() -> int:
    """A port that nobody uses, nor the next one: some servers take two; MMS none above 32767."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            with socket.socket() as one, socket.socket() as other:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 1))
        except OSError:
            continue
        return port


@contextmanager
def running(peer: Peer, served: Served, folder: Path, core: int | None) -> Generator[Running]:
    """The server on ``core`` alone (None: on all), with ``folder``, new, for its files.

    Raises:
        CannotRunError: it cannot run here, or does not answer as the model does.
    """
    folder.mkdir(parents=True)
    port = free_port()
    log = folder / "log"
    start = peer.start(served, port, folder)
    began = time.monotonic()
    process = _spawn(start, log, core)
    try:
        _wait(Running(peer, process.pid, port), served, process, log)
        cold = time.monotonic() - began
        yield Running(peer, process.pid, port, cold, stats.memory_bytes(process.pid))
    finally:
        _end(process)


def _spawn(start: Start, log: Path, core: int | None) -> subprocess.Popen[bytes]:
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    with log.open("wb") as stream:
        return subprocess.Popen(
            [*pinned, *start.command],
            env={**os.environ, **SINGLE, "PYTHONPATH": str(ROOT), **start.variables},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def _wait(server: Running, served: Served, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            told = " ".join(log.read_text(errors="replace").split())[-300:]
            raise CannotRunError(f"it ended with exit code {process.returncode}: {told}")
        try:
            check(server, served, "json", 1)
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise CannotRunError(f"it did not answer within {START_SECONDS:g} s")


def check(server: Running, served: Served, form: str, rows: int) -> None:
    """Ask for these rows once.

    Raises:
        OSError: it does not answer, or not with 200.
        CannotRunError: it takes no such format, or answers other than the model itself does.
    """
    body = served.body(server.peer.shape(form), rows)
    answer = ask(server.port, server.peer.path, body, TYPES[form])
    expected = served.expected(rows)
    if expected is None or not server.peer.answers:
        return
    found, wanted = answers(answer), numbers(expected)
    if len(found) != len(wanted):
        raise CannotRunError(f"answers {len(found)} values where the model has {len(wanted)}")
    wrong = sum(not is_close(a, b) for a, b in zip(found, wanted, strict=True))
    if wrong:
        raise CannotRunError(f"answers {wrong} of {len(wanted)} values other than the model")


def ask(port: int, path: str, body: bytes, kind: str) -> bytes:
    """The answer to one request; an OSError where it is none, or not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": kind, "Accept": TYPES["json"]})
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {error!r}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"status {response.status}: {answer[:200]!r}")
    return answer


def answers(body: bytes) -> list[Any]:
    """The values of an answer: ours, MLflow's, V2's last output, or a plain list."""
    document = json.loads(body)
    if isinstance(document, dict):
        document = (
            document["outputs"][-1]["data"] if "outputs" in document else document["predictions"]
        )
    return numbers(document)


def numbers(value: Any) -> list[Any]:
    """Nested lists, and records by column, as one flat list."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return [value]
    return [one for item in value for one in numbers(item)]


def is_close(a: Any, b: Any) -> bool:
    """Equal, or numbers as near as single precision brings them."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= TOLERANCE * max(1.0, abs(b))
    return a == b


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()

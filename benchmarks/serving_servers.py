"""The servers that are measured: how each is started, and when it answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving_models import Served
from contracts.package import ARCHIVE_FILE, load_package
from inference.integrity import unpack

HERE = Path(__file__).resolve().parent
START_SECONDS = 120.0
OURS, NOOP, FLOOR, MLFLOW, FASTAPI = "slipway", "noop", "floor", "mlflow", "fastapi+onnxruntime"
NAMES = (OURS, NOOP, FLOOR, MLFLOW, FASTAPI)
# Libraries that would start a thread for each core, on one core.
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class CannotRunError(Exception):
    """A peer that this machine, or this model, leaves out; the text says why."""


@dataclass(frozen=True)
class Running:
    name: str
    pid: int
    port: int
    cold_seconds: float

    @property
    def by_name(self) -> bool:
        """MLflow takes lists of values only with the names of their columns."""
        return self.name == MLFLOW

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/invocations"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_floor(folder: Path) -> Path:
    """The compiled floor; raises :class:`CannotRunError` without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CannotRunError("no C compiler (cc) is installed")
    program = folder / "floor"
    if not program.exists():
        source = HERE / "serving_floor.c"
        subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def command(
    name: str, served: Served, port: int, scratch: Path
) -> tuple[list[str], dict[str, str]]:
    """The command of a server, and the variables that it needs beside the environment."""
    match name:
        case "noop":
            return [sys.executable, "-m", "benchmarks.serving_noop", "--port", str(port)], {}
        case "slipway":
            model = scratch / f"unpacked-{served.name}"
            if not model.exists():
                unpack(served.dist / ARCHIVE_FILE, model)
            digest = load_package(served.dist).index_sha256
            words = ["-m", "inference", "serve", "--port", str(port), "--model-dir", str(model)]
            return [sys.executable, *words], {"SLIPWAY_MANIFEST_SHA256": digest}
        case "floor":
            return [str(build_floor(scratch)), str(port)], {}
        case "mlflow":
            if not served.source.is_dir() or served.source == Path():
                raise CannotRunError("only the package is known, not the MLflow model")
            words = ["models", "serve", "--env-manager", "local", "--workers", "1"]
            where = ["--model-uri", str(served.source), "--port", str(port)]
            return [sys.executable, "-m", "mlflow", *words, *where], {}
        case "fastapi+onnxruntime":
            if served.onnx is None:
                raise CannotRunError("takes numbers only; this model has text columns")
            words = ["-m", "benchmarks.serving_fastapi", str(port), str(served.onnx)]
            return [sys.executable, *words], {}
        case other:
            raise CannotRunError(f"{other} is unknown; there are {', '.join(NAMES)}")


def _path() -> str:
    """MLflow looks for its own uvicorn on the path."""
    return f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"


@contextmanager
def running(name: str, served: Served, scratch: Path, core: int) -> Generator[Running]:
    """The server on ``core`` alone, once it has answered a prediction."""
    port = free_port()
    words, variables = command(name, served, port, scratch)
    began = time.monotonic()
    path = scratch / f"{name}-{served.name}.log"
    log = path.open("wb")
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *words],
        env={**os.environ, **SINGLE, **variables, "PYTHONPATH": str(HERE.parent), "PATH": _path()},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        running = Running(name, process.pid, port, 0.0)
        _wait(running, served, process, path)
        yield Running(name, process.pid, port, time.monotonic() - began)
    finally:
        _end(process)
        log.close()


def _wait(running: Running, served: Served, process: subprocess.Popen[bytes], log: Path) -> None:
    body = served.body("json", 1, by_name=running.by_name)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            told = " ".join(log.read_text(errors="replace").split())[-300:]
            raise CannotRunError(f"it ended with exit code {process.returncode}: {told}")
        try:
            ask(running.url, body, "application/json")
        except (OSError, urllib.error.URLError):
            time.sleep(0.01)
        else:
            return
    raise CannotRunError(f"it did not answer within {START_SECONDS:g} s")


def ask(url: str, body: bytes, kind: str) -> bytes:
    """The answer of a server to one request; raises ``HTTPError`` where it refuses."""
    headers = {"Content-Type": kind, "Accept": "application/json"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def _end(process: subprocess.Popen[bytes]) -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()

"""Real model servers for tests: a package written by hand, served by ``python -m inference``."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.canonical import sha256_file, sha256_text
from contracts.package import INDEX_FILE, ArchiveIndex, FileEntry

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
# (name, JSON schema type, format, nullable)
ColumnSpec = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass(frozen=True)
class ModelServer:
    """A server process that listens on ``port``."""

    process: subprocess.Popen[bytes]
    port: int

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """``content_type="text/csv"`` is the header Content-Type."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            fields = {k.lower(): v for k, v in response.getheaders()}
            return Reply(response.status, fields, response.read())
        finally:
            connection.close()

    def predictions(self, document: Any, path: str = "/invocations") -> list[Any]:
        reply = self.request("POST", path, json.dumps(document).encode(), accept="application/json")
        assert reply.status == 200, reply.body
        return reply.json["predictions"]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.request("GET", "/ping").status != 200:
            assert self.process.poll() is None, "the server ended while it loaded the model"
            assert time.monotonic() < deadline, "the server never became ready"
            time.sleep(0.05)


def start(model_dir: Path, digest: str | None, **environment: str) -> subprocess.Popen[bytes]:
    """The server's process, its stdin open and watched."""
    env = {**os.environ, "SLIPWAY_WATCH_STDIN": "1", "PYTHONPATH": str(ROOT), **environment}
    env.pop("SLIPWAY_MANIFEST_SHA256", None)
    if digest is not None:
        env["SLIPWAY_MANIFEST_SHA256"] = digest
    command = [sys.executable, "-m", "inference", "serve", "--host", "127.0.0.1", "--port", "0"]
    return subprocess.Popen(
        [*command, "--model-dir", str(model_dir)],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def listening(process: subprocess.Popen[bytes]) -> ModelServer:
    """The server once it has said where it listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server ended: {process.stderr.read() if process.stderr else b''!r}"
    event = json.loads(line)
    assert event["event"] == "listening", event
    return ModelServer(process, event["port"])


@contextmanager
def running(model_dir: Path, digest: str | None, **environment: str) -> Generator[ModelServer]:
    """A server that is ready, and ends with the block."""
    process = start(model_dir, digest, **environment)
    try:
        server = listening(process)
        server.wait_until_ready()
        yield server
    finally:
        process.kill()
        process.communicate()


def write_package(
    folder: Path,
    estimator: Any,
    columns: list[ColumnSpec],
    output: str = "predict",
    tensor: str | None = None,
    model: str = "by-hand",
    version: str = "1",
) -> str:
    """An unpacked package of a scikit-learn model; returns what SLIPWAY_MANIFEST_SHA256 is."""
    import skops.io

    path = folder / "model" / "model.skops"
    path.parent.mkdir(parents=True)
    skops.io.dump(estimator, path)
    properties = {n: {"type": k, "format": f, "nullable": null} for n, k, f, null in columns}
    inputs: dict[str, Any] = {"properties": properties, "x-columns": [c[0] for c in columns]}
    if tensor is not None:
        inputs["x-tensor"] = tensor
    index = ArchiveIndex(
        model=model,
        version=version,
        engine="sklearn",
        output=output,
        inputs=inputs,
        outputs={},
        files=(FileEntry("model/model.skops", path.stat().st_size, sha256_file(path)),),
    )
    (folder / INDEX_FILE).write_text(index.to_json())
    return sha256_text(index.to_json())

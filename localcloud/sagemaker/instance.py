"""One instance of a variant: a model server as a child process that ends when we do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from contracts.variables import REQUIRE_MANIFEST_SHA256
from localcloud.image import ROOT
from localcloud.sagemaker.connection import Connection
from localcloud.sagemaker.nursery import ONE_THREAD, Child, Nursery, NurseryError

PING_TIMEOUT_SECONDS = 2.0  # fact sheet 1.1
PING_EVERY_SECONDS = 0.1
FIRST_LINE_EVERY_SECONDS = 0.02
# What a server needs of our own environment; everything else is the container's.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


class StartError(Exception):
    """Why an instance does not come up, in SageMaker's words for ``FailureReason``."""


class StoppedError(Exception):
    """The start was called off: the endpoint goes, or the cloud does."""


@dataclass(frozen=True)
class Container:
    """What one instance runs and where: our server out of the nursery, or a command.

    The command takes ``--host``, ``--port`` and ``--model-dir``.
    """

    command: tuple[str, ...] | None
    nursery: Nursery
    model_dir: Path
    environment: Mapping[str, str]
    log_folder: Path
    startup_seconds: float


class Instance:
    """A running model server; ``in_flight`` and ``idle`` belong to the router and the runtime."""

    def __init__(self, container: Container) -> None:
        self.id = f"i-{uuid.uuid4().hex[:17]}"
        self.port = 0
        self.in_flight = 0
        self.failed_pings = 0
        self.idle: list[Connection] = []
        self.log = container.log_folder / f"{self.id}.log"
        self._deadline = time.monotonic() + container.startup_seconds
        container.log_folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--host", "127.0.0.1", "--port", "0"]
        arguments += ["--model-dir", str(container.model_dir)]
        environment = self._environment(container)
        with self.log.open("wb") as log:
            self._process = _start(container, arguments, environment, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_healthy(self, is_stopped: Callable[[], bool], patience_seconds: float) -> bool:
        """Until ``/ping`` answers 200; False when it did not within ``patience_seconds``.

        Raises:
            StartError: the process ended, or the start-up window did.
            StoppedError: ``is_stopped`` said so.
        """
        patience = time.monotonic() + patience_seconds
        pause = threading.Event()
        while not is_stopped():
            self.port = self.port or self._listening_port()
            if self.port and self.ping():
                return True
            if not self.is_alive:
                raise StartError("the process ended")
            if time.monotonic() > self._deadline:
                raise StartError("the start-up window passed")
            if time.monotonic() > patience:
                return False
            pause.wait(PING_EVERY_SECONDS if self.port else FIRST_LINE_EVERY_SECONDS)
        raise StoppedError

    def ping(self) -> bool:
        """One attempt, which blocks for two seconds at most."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT_SECONDS)
        try:
            client.request("GET", "/ping")
            return client.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    def terminate(self) -> None:
        """SIGTERM, and the end of stdin: the server answers what it has and ends."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def wait(self, timeout_seconds: float) -> None:
        """Until the process has ended; after ``timeout_seconds`` it is killed."""
        try:
            self._process.wait(max(0.0, timeout_seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _environment(self, container: Container) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            **ONE_THREAD,
            "PYTHONUNBUFFERED": "1",
            **container.environment,
            "SLIPWAY_WATCH_STDIN": "1",
            # As in /opt/ml/model: nothing starts of which nobody says from outside what it is.
            REQUIRE_MANIFEST_SHA256: "1",
        }

    def _listening_port(self) -> int:
        """The port that the server printed; 0 as long as it did not."""
        with self.log.open("rb") as log:
            for line in log:
                if line.startswith(b'{"event": "listening"') and line.endswith(b"\n"):
                    return int(json.loads(line)["port"])
        return 0


def _start(
    container: Container, arguments: list[str], environment: dict[str, str], log: BinaryIO
) -> subprocess.Popen[bytes] | Child:
    """The server's process; its standard input is held open by us alone: its end is the server's.

    Raises:
        StartError: there is no process.
    """
    if container.command is None:
        try:
            return container.nursery.spawn(["serve", *arguments], environment, log.fileno())
        except NurseryError as error:
            raise StartError(str(error)) from error
    return subprocess.Popen(
        [*container.command, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

"""One worker process seen from the daemon: starts it, gives it events, reads results and log."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
INIT_SECONDS = 30.0
_HEADER = struct.Struct(">I")
_LOG_SECONDS = 2.0
_CHUNK = 1 << 16


class WorkerTimedOutError(Exception):
    """No answer in time; the process has been killed."""


class WorkerExitedError(Exception):
    """The process ended instead of answering; ``code`` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Worker:
    """Serves one invocation at a time; made by, and used from, the thread that invokes."""

    def __init__(self, environment: Mapping[str, str], folder: Path, log_stream: str) -> None:
        self.log_stream = log_stream
        self.idle_since = time.monotonic()
        self._log = _Log()
        self._is_ready = False
        reader, writer = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(WORKER), str(writer)],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[writer],
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._answers = reader
        threading.Thread(target=self._log.read, args=(self._process.stdout,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def invoke(self, order: dict[str, Any], seconds: float) -> tuple[dict[str, Any], str]:
        """Its answer and what it logged; the time for starting up does not count.

        Raises:
            WorkerTimedOutError: no answer after ``seconds``.
            WorkerExitedError: it ended.
        """
        request_id = order["request_id"]
        self._log.begin(request_id)
        if not self._is_ready:
            self._answer(INIT_SECONDS)
            self._is_ready = True
        data = json.dumps({**order, "seconds": seconds}).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_HEADER.pack(len(data)) + data)
            self._process.stdin.flush()
        except OSError:
            raise WorkerExitedError(self._ended()) from None
        answer = self._answer(seconds)
        return answer, self._log.finish(_LOG_SECONDS)

    def log_so_far(self) -> str:
        """What was logged by a process that has ended."""
        return self._log.finish(_LOG_SECONDS)

    def kill(self) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if self._answers >= 0:
            os.close(self._answers)
            self._answers = -1

    def _answer(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        (size,) = _HEADER.unpack(self._read(_HEADER.size, deadline))
        return json.loads(self._read(size, deadline))

    def _read(self, size: int, deadline: float) -> bytes:
        data = b""
        while len(data) < size:
            left = deadline - time.monotonic()
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            if not poll.poll(max(0.0, left) * 1000):
                self.kill()
                raise WorkerTimedOutError
            chunk = os.read(self._answers, min(_CHUNK, size - len(data)))
            if not chunk:
                raise WorkerExitedError(self._ended())
            data += chunk
        return data

    def _ended(self) -> int:
        try:
            code = self._process.wait(_LOG_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0
        self.kill()
        return code


class _Log:
    """Lines of one invocation; the worker marks an invocation's end in the same stream."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._lines: list[str] = []
        self._wanted = b""
        self._done = threading.Event()

    def begin(self, request_id: str) -> None:
        with self._guard:
            self._wanted = b"\0" + request_id.encode()
            self._done.clear()

    def finish(self, seconds: float) -> str:
        self._done.wait(seconds)
        with self._guard:
            lines, self._lines = self._lines, []
        return "".join(lines)

    def read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                with self._guard:
                    text, mark = line, b""
                    if self._wanted:
                        text, mark, _ = line.partition(self._wanted)
                    if text:
                        self._lines.append(text.decode("utf-8", "replace"))
                    if mark:
                        self._done.set()
        self._done.set()

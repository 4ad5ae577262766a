"""Model servers that start at once: forks of one process that has the libraries loaded.

Importing scikit-learn and pandas takes seconds of CPU, and a release starts a dozen servers. Each
fork is a process of its own, with its own log, port and end; it runs ``python -m inference serve``
from that entry point's ``main`` on. Variables that libraries read when they are imported
(``OMP_NUM_THREADS``) are the nursery's, not the model's.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.image import ROOT, local_image

CHUNK = 1 << 16
READY_SECONDS = 120.0
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
PRELOADED = ("inference.server", "pandas", "sklearn", "skops.io", "uvloop")


class NurseryError(Exception):
    """The nursery does not answer."""


class Child:
    """A fork; has what :class:`subprocess.Popen` has, as far as instances use it."""

    def __init__(self, pid: int, stdin: Any) -> None:
        self.pid = pid
        self.stdin = stdin
        self._ended = threading.Event()
        self._code = 0

    def ended(self, code: int) -> None:
        self._code = code
        self._ended.set()

    def poll(self) -> int | None:
        return self._code if self._ended.is_set() else None

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("model server", timeout or 0.0)
        return self._code

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """The daemon's side: one nursery process, made at the first spawn and when sources change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def spawn(self, arguments: Sequence[str], environment: Mapping[str, str], log: int) -> Child:
        """Start ``inference serve`` with ``arguments``; ``log`` is a file descriptor.

        Raises:
            NurseryError: no server could be started.
        """
        with self._lock:
            image = local_image()
            if self._process is None or not self._process.is_usable or self._process.image != image:
                self._close()
                self._process = _Process(image)
            return self._process.spawn(arguments, environment, log)

    def close(self) -> None:
        """End the nursery; the servers end when their standard input does."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None


class _Process:
    def __init__(self, image: str) -> None:
        self.image = image
        self._socket, theirs = socket.socketpair()
        self._children: dict[int, Child] = {}
        self._spawned: int | None = None
        self._answered = threading.Event()
        self._guard = threading.Lock()
        self.is_usable = True
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "localcloud.sagemaker.nursery", str(theirs.fileno())],
                cwd=ROOT,
                env={**kept, **ONE_THREAD},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    def spawn(self, arguments: Sequence[str], environment: Mapping[str, str], log: int) -> Child:
        order = {"arguments": list(arguments), "environment": dict(environment)}
        theirs, ours = os.pipe()
        stdin = os.fdopen(ours, "wb")
        child: Child | None = None
        try:
            self._answered.clear()
            line = json.dumps(order).encode() + b"\n"
            sent = socket.send_fds(self._socket, [line[:CHUNK]], [theirs, log])
            self._socket.sendall(line[sent:])
            if not self._answered.wait(READY_SECONDS) or not self.is_usable:
                raise NurseryError("the process that starts model servers does not answer")
            child = self._children[self._spawned or 0]
            child.stdin = stdin
            return child
        except OSError as error:
            raise NurseryError(f"the process that starts model servers is gone: {error}") from error
        finally:
            os.close(theirs)
            if child is None:
                stdin.close()

    def close(self) -> None:
        self.is_usable = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait()

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                self._hear(json.loads(line))
        # Whoever is still there can only be ended, no longer be watched: end them.
        self.is_usable = False
        for child in list(self._children.values()):
            if child.poll() is None:
                child.kill()
                child.ended(-signal.SIGKILL)
        self._answered.set()

    def _hear(self, told: dict[str, int]) -> None:
        if "spawned" in told:
            self._children[told["spawned"]] = Child(told["spawned"], None)
            self._spawned = told["spawned"]
            self._answered.set()
        else:
            self._children.pop(told["ended"]).ended(told["code"])


# --- the nursery's own side, one thread, so that it may fork


def _serve_forks(control: socket.socket) -> None:
    """Fork at each order until the daemon's end of ``control`` is closed; tell who ended."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(waker)
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            os.read(wake, CHUNK)
            _tell_ended(control)
        if control in ready:
            data, descriptors, _, _ = socket.recv_fds(control, CHUNK, 2)
            if not data:
                return
            while not data.endswith(b"\n"):
                data += control.recv(CHUNK)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (wake, waker):
                    os.close(descriptor)
                control.close()
                _become_server(json.loads(data), *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            control.sendall(json.dumps({"spawned": pid}).encode() + b"\n")


def _tell_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        told = {"ended": pid, "code": os.waitstatus_to_exitcode(status)}
        control.sendall(json.dumps(told).encode() + b"\n")


def _become_server(order: dict[str, Any], stdin: int, log: int) -> None:
    """What ``exec`` would do, without forgetting what is loaded; never returns."""
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(stdin, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for descriptor in {stdin, log} - {0, 1, 2}:
            os.close(descriptor)
        sys.stdin = os.fdopen(0)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["inference", *order["arguments"]]
        from inference.__main__ import main

        main()
        os._exit(0)
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException:  # noqa: BLE001 nothing may fall back into the nursery's loop
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    import importlib

    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(Path(ROOT))
    for name in PRELOADED:
        importlib.import_module(name)
    # What is loaded stays shared between the forks.
    gc.collect()
    gc.freeze()
    try:
        _serve_forks(control)
    except (BrokenPipeError, ConnectionResetError):
        # The daemon is gone.
        return


if __name__ == "__main__":
    main()

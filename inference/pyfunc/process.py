"""One process of a native model, as its parent sees it: started by exec, asked, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.pyfunc import child as native_child

CHILD = Path(native_child.__file__)
MAX_ANSWER_BYTES = 1 << 30
STDERR = 2


class NotReadyError(Exception):
    """The process did not come up; the text is its own reason, or how it ended."""


@dataclass(frozen=True)
class Launch:
    """The model's interpreter, and what the process is told first."""

    python: str
    task: dict[str, Any]


class NativeProcess:
    """A running child. It ends when this process does, however that ends: its lifeline is a pipe
    whose other end is only held here.
    """

    def __init__(self, launch: Launch) -> None:
        self._ending = threading.Lock()
        self._how = ""
        self.was_asked = False
        lifeline, self._held = os.pipe()
        self._socket, theirs = socket.socketpair()
        try:
            # Isolated: neither this folder nor variables decide which modules it finds.
            self._process = subprocess.Popen(
                [launch.python, "-I", str(CHILD), str(lifeline)],
                stdin=theirs.fileno(),
                stdout=STDERR,
                stderr=STDERR,
                pass_fds=[lifeline],
                start_new_session=True,
            )
        except OSError as error:
            self._close()
            raise NotReadyError(f"{launch.python} cannot be run: {error.strerror}") from None
        finally:
            theirs.close()
            os.close(lifeline)

    @staticmethod
    def ready(launch: Launch, seconds: float) -> NativeProcess:
        """A process that has loaded its model within ``seconds``.

        Raises:
            NotReadyError: it has not, and is gone.
        """
        process = NativeProcess(launch)
        try:
            native_child.send(process._socket, launch.task)
            said, _ = native_child.receive(process._socket, 0, time.monotonic() + seconds)
        except TimeoutError:
            process.end()
            raise NotReadyError(f"it was not loaded within {seconds:g} s") from None
        except (EOFError, OSError, ValueError):
            raise NotReadyError(f"its process {process.end()} while it was loaded") from None
        if "refused" in said:
            process.end()
            raise NotReadyError(str(said["refused"]))
        return process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(
        self, head: dict[str, Any], body: bytes, until: float
    ) -> tuple[dict[str, Any], bytearray]:
        """One request and its answer, until then in monotonic seconds.

        Raises:
            TimeoutError: none came.
            EOFError, OSError, ValueError: the process is gone, or out of its mind.
        """
        self.was_asked = True
        self._socket.settimeout(max(0.001, until - time.monotonic()))
        native_child.send(self._socket, head, body)
        return native_child.receive(self._socket, MAX_ANSWER_BYTES, until)

    def wait(self) -> None:
        """Until it has ended by itself."""
        self._process.wait()

    def end(self, patience_seconds: float = 0.5) -> str:
        """End it and all that it has started, unless it does so itself; says how it ended.

        One that has just closed its socket may still be on its way out.
        """
        with self._ending:
            if not self._how:
                self._how = self._end(patience_seconds)
            return self._how

    def _end(self, patience_seconds: float) -> str:
        try:
            code = self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            code = None
        # The group outlives its leader as long as one of them does.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close()
        if code is None:
            return "was ended"
        return f"was killed by {_signal(-code)}" if code < 0 else f"ended with code {code}"

    def _close(self) -> None:
        self._socket.close()
        os.close(self._held)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

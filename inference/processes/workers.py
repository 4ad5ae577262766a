"""The parent of several workers: one listening socket each, forked before any model is touched.

A worker that dies is started again and inherits its predecessor's socket, whose backlog waits for
it. The parent never loads a model and never answers; as process 1 it passes signals on and reaps.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from inference.processes import restarts
from inference.processes.board import LOADING, Board
from inference.processes.log import flush, log
from inference.processes.restarts import Restarts
from inference.server import Place, listen
from inference.settings import whole_number

WORKERS = "SLIPWAY_WORKERS"
AUTO = "auto"
MOST = 64
END_SECONDS = 29.0  # SageMaker kills 30 s after SIGTERM
PAUSE_SECONDS = 0.5
TICK_SECONDS = 0.5
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# A worker ends so when the model cannot be loaded: another one could not either.
EXIT_REFUSED = 1

RunWorker = Callable[[Place], int]


def worker_count(text: str | None = None) -> int:
    """How many workers ``SLIPWAY_WORKERS`` asks for; 0: serve in this very process.

    Raises:
        ServerError: it is neither a number nor ``auto``.
    """
    asked = os.environ.get(WORKERS, "0") if text is None else text
    if asked == AUTO:
        return min(MOST, _cpus())
    return whole_number(WORKERS, asked, f"{AUTO} or 0 to {MOST}", most=MOST)


def _cpus() -> int:
    """The CPUs that this container may use."""
    available = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_QUOTA.read_text().split()
        return max(1, min(available, int(quota) // int(period)))
    except (OSError, ValueError):
        return available


class Parent:
    """Starts the workers and keeps them alive until it is told to stop."""

    def __init__(self, host: str, port: int, workers: int, run: RunWorker) -> None:
        first = listen(host, port, shared=True)
        chosen = first.getsockname()[1]
        others = [listen(host, chosen, shared=True) for _ in range(workers - 1)]
        self.port: int = chosen
        self._listeners = [first, *others]
        self._board = Board(workers)
        self._run = run
        self._pids: dict[int, int] = {}
        self._due: dict[int, float] = {}
        self._restarts = Restarts()
        self._stopping = False
        # Its write end is only ours: when we die, however, the workers read its end.
        self._lifeline, self._held = os.pipe()

    def serve(self, *, watch_stdin: bool) -> int:
        """Until SIGTERM, SIGINT or the end of stdin; returns the exit code."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for place in range(len(self._listeners)):
            self._spawn(place)
        inputs = [wake, 0] if watch_stdin else [wake]
        code = 0
        while not self._stopping:
            ready, _, _ = select.select(inputs, [], [], TICK_SECONDS)
            if wake in ready:
                os.read(wake, 4096)
            if 0 in ready and not os.read(0, 4096):
                self._stopping = True
            code = self._reap()
            if code:
                break
            self._restart()
        self._end()
        return code

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _spawn(self, place: int) -> None:
        slot = self._board.slots[place]
        slot.state, slot.ready_at = LOADING, 0.0
        flush()
        pid = os.fork()
        if pid:
            self._pids[pid] = place
            slot.pid = pid
            return
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._held)
            for other, listener in enumerate(self._listeners):
                if other != place:
                    listener.close()
            mine: socket.socket = self._listeners[place]
            code = self._run(Place(mine, self._board, slot, self._lifeline))
        except BaseException:  # noqa: BLE001 nothing may fall back into the parent's loop
            traceback.print_exc()
        finally:
            flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> int:
        """Note who died; the code to end with where the model cannot be loaded."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid == 0:
                return 0
            place = self._pids.pop(pid, None)
            if place is None:
                continue  # process 1 reaps orphans of the model's too
            code = os.waitstatus_to_exitcode(status)
            self._board.note_dead(self._board.slots[place], usage.ru_utime + usage.ru_stime)
            if self._stopping:
                continue
            if code == EXIT_REFUSED:
                return code
            log("worker died", worker=place, pid=pid, code=code)
            self._died(place, code)

    def _died(self, place: int, code: int) -> None:
        now = time.monotonic()
        self._due[place] = now + PAUSE_SECONDS
        if self._restarts.end(place, self._board.slots[place], code, now):
            self._board.give_up()
            log("workers keep dying", restarts=restarts.MOST, seconds=restarts.WINDOW_SECONDS)

    def _restart(self) -> None:
        now = time.monotonic()
        for place in [place for place, due in self._due.items() if due <= now]:
            del self._due[place]
            self._restarts.begin(place, self._board.slots[place])
            self._spawn(place)

    def _end(self) -> None:
        """Tell the workers; kill what is left shortly before SageMaker would.

        A socket accepts until its last owner has closed it, so ours go before the workers hear.
        """
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while self._pids and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

"""The server's log: lines of JSON on stdout, where SageMaker takes a container's log from.

Written by a thread, for a reader that does not read must not stop the server: what does not fit
into the queue is dropped, and how much was dropped is told.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

QUEUED_LINES = 1000
FLUSH_SECONDS = 1.0


class _Writer:
    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue(QUEUED_LINES)
        self.dropped = 0
        self.thread: threading.Thread | None = None
        self.starting = threading.Lock()

    def put(self, line: str) -> None:
        if self.thread is None:
            with self.starting:
                if self.thread is None:
                    self.thread = threading.Thread(target=self._run, name="log", daemon=True)
                    self.thread.start()
        try:
            self.lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while True:
            line = self.lines.get()
            dropped, self.dropped = self.dropped, 0
            if dropped:
                line = f"{json.dumps({'event': 'log lines dropped', 'lines': dropped})}\n{line}"
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except (OSError, ValueError):
                return  # nobody reads any more
            finally:
                self.lines.task_done()

    def flush(self) -> None:
        waiting = threading.Thread(target=self.lines.join, daemon=True)
        waiting.start()
        waiting.join(FLUSH_SECONDS)


_writer = _Writer()


def _renew() -> None:
    """After a fork: the thread stayed behind in the parent."""
    global _writer  # noqa: PLW0603 one log a process
    _writer = _Writer()


os.register_at_fork(after_in_child=_renew)


def log(event: str, **fields: object) -> None:
    """One line; never blocks."""
    write(json.dumps({"event": event, **fields}))


def write(line: str) -> None:
    """A line as it is."""
    _writer.put(line)


def flush() -> None:
    """Wait a moment for what was logged to be written: before the process ends, or forks."""
    _writer.flush()

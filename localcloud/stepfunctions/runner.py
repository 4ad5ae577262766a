"""Lets executions go on: at once, when a wait on the simulated clock ends, when a task answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from localcloud.clock import Clock
from localcloud.due_queue import DueQueue
from localcloud.stepfunctions import interpreter
from localcloud.stepfunctions.errors import StateError
from localcloud.stepfunctions.execution import Execution
from localcloud.stepfunctions.interpreter import Again, RunTask, WaitUntil
from localcloud.stepfunctions.tasks import Tasks

log = logging.getLogger(__name__)
_THREADS = 16


class Runner:
    """``find`` gives an execution by ARN; executions change only under ``lock``."""

    def __init__(
        self,
        clock: Clock,
        lock: threading.RLock,
        find: Callable[[str], Execution | None],
        on_change: Callable[[Execution], None],
    ) -> None:
        self._clock, self._lock = clock, lock
        self._find, self._on_change = find, on_change
        self._tasks: Tasks | None = None
        self._queue = DueQueue("execution", clock, self._advance, _THREADS)

    def start(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._queue.start()

    def wake(self, arn: str, due: float = 0.0) -> None:
        """Look at the execution at a simulated time, default: now."""
        self._queue.put(arn, due)

    def close(self) -> None:
        self._queue.close()

    def _advance(self, arn: str) -> None:
        with self._lock:
            execution = self._find(arn)
            if execution is None or not execution.is_running or execution.phase == "task":
                return
            effect = interpreter.advance(execution, self._clock.timestamp())
            self._on_change(execution)
        match effect:
            case WaitUntil(due):
                self.wake(arn, due)
            case RunTask():
                self._run_task(arn, effect)
            case Again():
                self.wake(arn)
            case _:
                return

    def _run_task(self, arn: str, task: RunTask) -> None:
        assert self._tasks is not None
        began = time.monotonic()
        answer: object
        try:
            answer = self._tasks.run(task.resource, task.parameters, arn)
        except StateError as error:
            answer = error
        except Exception as error:
            log.exception("a task of %s failed", arn)
            answer = StateError("States.Runtime", f"{type(error).__name__}: {error}")
        limit = task.timeout_seconds
        if limit is not None and time.monotonic() - began > limit:
            answer = StateError("States.Timeout", f"the task took longer than {limit:g} seconds")
        if self._queue.is_closed:
            return
        with self._lock:
            execution = self._find(arn)
            if execution is None:
                return
            now = self._clock.timestamp()
            interpreter.finish(execution, task.turn, answer, now)
            self._on_change(execution)
        self.wake(arn)

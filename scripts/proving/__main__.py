"""``python -m scripts.proving FOLDER``: reads ``task.json`` there, leaves ``verdict.json``."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from pathlib import Path

from contracts.engine import ENGINE_FOLDER
from model_code.conversion.child import LackingOutputError, Task, leave
from scripts.proving.judge import judge

PR_SET_PDEATHSIG = 1


def main(folder: Path) -> int:
    """Always leaves a verdict, unless a limit ends this process first."""
    task = Task.read(folder)
    _limit(task)
    try:
        verdict, candidate = judge(task)
    except LackingOutputError as problem:
        leave(folder, problem)
        return 0
    if candidate is not None:
        candidate.write(folder / ENGINE_FOLDER)
    leave(folder, verdict)
    return 0


def _limit(task: Task) -> None:
    """Memory and processor time; and the end, when the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (task.memory_bytes, task.memory_bytes))
    # The soft limit's signal says what it was; what ignores it is killed soon after.
    resource.setrlimit(resource.RLIMIT_CPU, (task.cpu_seconds, task.cpu_seconds + 5))
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""Process 1 of a container that serves in one process: it passes signals on, and reaps.

Whatever a model's code leaves behind becomes a child of process 1 (man 7 pid_namespaces). The
server cannot reap it: it would take the ends of its own children from whoever waits for them.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_under_init(serve: Callable[[], int]) -> int:
    """Serve in a child, and reap for as long as it runs; must be called before there are threads.

    Returns in both: in the child what ``serve`` does, here the same, or 128 and the signal that
    ended the child.
    """
    # What comes before each knows what to do with it must not be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return serve()

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in SIGNALS:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code

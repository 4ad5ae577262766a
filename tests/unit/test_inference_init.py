"""Process 1: it reaps what others leave, passes signals on, and ends as the server does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# A subreaper gets orphans as process 1 does (man 2 prctl: PR_SET_CHILD_SUBREAPER is 36).
PROLOGUE = """
import ctypes, os, pathlib, signal, sys, time
from inference.processes.init import run_under_init
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
"""
LEAVES_AN_ORPHAN = """
def serve():
    read, write = os.pipe()
    if (middle := os.fork()) == 0:
        orphan = os.fork()
        if orphan == 0:
            os._exit(0)
        os.write(write, str(orphan).encode())
        os._exit(0)
    os.waitpid(middle, 0)
    orphan = pathlib.Path("/proc", os.read(read, 20).decode())
    while orphan.exists():  # a zombie still is
        time.sleep(0.01)
    return 7
"""
WAITS = """
def serve():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print("serving", flush=True)
    signal.pause()
"""
EPILOGUE = "\nsys.exit(run_under_init(serve))\n"


def test_orphans_are_reaped_and_the_servers_code_is_ours() -> None:
    script = PROLOGUE + LEAVES_AN_ORPHAN + EPILOGUE
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 7


def test_sigterm_is_passed_on() -> None:
    script = PROLOGUE + WAITS + EPILOGUE
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"serving\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_server_that_a_signal_ends_gives_128_and_its_number(number: signal.Signals) -> None:
    serve = f"\ndef serve():\n    os.kill(os.getpid(), {int(number)})\n"
    script = PROLOGUE + serve + EPILOGUE
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert ended.returncode == 128 + number

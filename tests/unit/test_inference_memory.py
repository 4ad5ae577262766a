"""What loading leaves behind goes back to the system; what requests need again and again stays."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference.processes import memory

HAS_GLIBC = hasattr(ctypes.CDLL(None), "malloc_trim")
SCRIPT = """
import gc, json, resource
from inference.processes import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

memory.prepare()
pieces = [bytes(1000) for _ in range(50_000)]
kept = pieces[::1000]
full = resident()
del pieces
freed = full - resident()
memory.settle()
settled, frozen = full - resident(), gc.get_freeze_count()
for _ in range(3):
    bytes(b"x") * (1 << 20)
before = faults()
for _ in range(100):
    bytes(b"x") * (1 << 20)
made = faults() - before
print(json.dumps({"freed": freed, "settled": settled, "frozen": frozen, "faults": made}))
"""


@pytest.mark.skipif(not HAS_GLIBC, reason="the process's memory is not glibc's")
def test_what_was_freed_goes_back_and_a_buffer_of_the_last_request_serves_the_next() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=True,
        capture_output=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    found = json.loads(done.stdout)
    assert found["settled"] > max(found["freed"], 40_000_000)
    assert found["frozen"] > 1000
    assert found["faults"] < 100  # a buffer mapped anew has one for each of its 256 pages


def test_without_glibc_nothing_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def library(name: object) -> object:
        asked.append(name)
        return object()

    monkeypatch.setattr(ctypes, "CDLL", library)
    memory.prepare()
    assert asked == [None] * 3

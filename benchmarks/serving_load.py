"""One round of load: wrk on a core of its own, and what the server's processes worked for it."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks import serving_stats as stats
from benchmarks.serving_servers import NOOP, OURS, Running

TYPES = {"json": "application/json", "csv": "text/csv"}
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
BATCH = {
    "requests": re.compile(r"^slipway_batch_requests_sum\S* (\S+)$", re.MULTILINE),
    "calls": re.compile(r"^slipway_batch_requests_count\S* (\S+)$", re.MULTILINE),
}
FOREIGN_SHARE = 0.05
TRIES = 3
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
wrk.headers["Accept"] = "application/json"
local file = io.open("{path}", "rb")
wrk.body = file:read("*all")
file:close()
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format("\\nRESULT %d %d %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), bad))
end
"""
RESULT = re.compile(r"^RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)$", re.MULTILINE)


class LoadError(Exception):
    """The load could not be made, or was not answered."""


@dataclass(frozen=True)
class Round:
    """``cpu_us`` of the server for each request; ``foreign``: the share of a core of others' work.

    ``batch_mean``: requests in one call of the model; 0 where the server does not tell.
    """

    requests: int
    cpu_us: float
    p50_us: float
    p99_us: float
    rps: float
    batch_mean: float
    foreign: float


def parsed(output: str) -> tuple[int, float, float, float]:
    """Requests, seconds, p50 and p99 in microseconds of what wrk prints."""
    found = RESULT.search(output)
    if found is None:
        raise LoadError(f"wrk printed no result: {output[-300:]}")
    requests, micros, p50, p99, bad = (float(g) for g in found.groups())
    if bad or not requests:
        raise LoadError(f"{bad:.0f} of {requests:.0f} requests were not answered with 2xx")
    return int(requests), micros / 1e6, p50, p99


def measure(
    server: Running,
    body: bytes,
    form: str,
    connections: int,
    seconds: int,
    scratch: Path,
    core: int,
) -> Round:
    """Load for ``seconds``; rounds that others disturbed are made anew, a few times."""
    if shutil.which("wrk") is None:
        raise LoadError("wrk is not installed; on Debian: apt-get install wrk")
    data, script = scratch / "body", scratch / "load.lua"
    data.write_bytes(body)
    script.write_text(SCRIPT.format(kind=TYPES[form], path=data))
    best: Round | None = None
    for _ in range(TRIES):
        found = _round(server, connections, seconds, script, core)
        if best is None or found.foreign < best.foreign:
            best = found
        if best.foreign <= FOREIGN_SHARE:
            break
    assert best is not None
    return best


def _round(server: Running, connections: int, seconds: int, script: Path, core: int) -> Round:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    pids = stats.tree(server.pid)
    calls = _calls(server)
    before, busy, load = stats.cpu_seconds(pids), stats.busy_seconds(), _children_seconds()
    wrk = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *words, "-s", str(script), server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = wrk.communicate()
    mine = stats.cpu_seconds(pids) - before
    busy, load = stats.busy_seconds() - busy, _children_seconds() - load
    requests, took, p50, p99 = parsed(output)
    foreign = max(0.0, busy - mine - load) / max(took, 1e-9)
    batch = _batch_mean(calls, _calls(server))
    return Round(requests, mine / requests * 1e6, p50, p99, requests / took, batch, foreign)


def _calls(server: Running) -> tuple[float, float] | None:
    """Requests and calls of the model so far, as our servers tell at ``/metrics``."""
    if server.name not in (OURS, NOOP):
        return None
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {name: BATCH[name].search(text) for name in BATCH}
    if any(match is None for match in found.values()):
        return None
    return tuple(float(m.group(1)) for m in found.values() if m is not None)  # type: ignore[return-value]


def _batch_mean(before: tuple[float, float] | None, after: tuple[float, float] | None) -> float:
    if before is None or after is None or after[1] == before[1]:
        return 0.0
    return (after[0] - before[0]) / (after[1] - before[1])


def _children_seconds() -> float:
    """What this process's ended children (wrk) have worked."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def same_answers(got: bytes, expected: list[object], tolerance: float = 1e-4) -> bool:
    """Whether a server's JSON answers what the model itself does."""
    document = json.loads(got)
    predictions = document["predictions"] if isinstance(document, dict) else document
    return _close(predictions, expected, tolerance)


def _close(a: object, b: object, tolerance: float) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_close(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= tolerance * max(1.0, abs(b))
    return a == b

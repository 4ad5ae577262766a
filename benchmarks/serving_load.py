"""One round of load: wrk on a core of its own, and what the server's processes worked for it."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks import serving_stats as stats
from benchmarks.serving_peers import NOOP, OURS
from benchmarks.serving_servers import Running

BATCH = {
    "requests": re.compile(r"^slipway_batch_requests_sum\S* (\S+)$", re.MULTILINE),
    "calls": re.compile(r"^slipway_batch_requests_count\S* (\S+)$", re.MULTILINE),
}
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
class Load:
    """What is sent: a body of this type over so many connections, from one core."""

    body: Path
    kind: str
    connections: int
    core: int


@dataclass(frozen=True)
class Round:
    """``cpu_us`` of the server for each request; ``foreign``: the share of a core of others' work.

    ``batch_mean``: requests in one call of the model; None where the server does not tell.
    """

    requests: int
    cpu_us: float
    p50_us: float
    p99_us: float
    rps: float
    batch_mean: float | None
    foreign: float


def require_tools() -> None:
    """Raises :class:`LoadError` where what makes and pins the load is not there."""
    if sys.platform != "linux":
        raise LoadError(f"this reads Linux's /proc, which {sys.platform} does not have")
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            raise LoadError(f"{tool} is not installed; on Debian: apt-get install {package}")


def parsed(output: str) -> tuple[int, float, float, float]:
    """Requests, seconds, p50 and p99 in microseconds of what wrk prints."""
    found = RESULT.search(output)
    if found is None:
        raise LoadError(f"wrk printed no result: {output[-300:]}")
    requests, micros, p50, p99, bad = (float(g) for g in found.groups())
    if bad or not requests:
        raise LoadError(f"{bad:.0f} of {requests:.0f} requests were not answered with 2xx")
    return int(requests), micros / 1e6, p50, p99


def measure(server: Running, load: Load, seconds: int, scratch: Path) -> Round:
    """One round of ``seconds``; ``foreign`` is the caller's to judge."""
    script = scratch / "load.lua"
    script.write_text(SCRIPT.format(kind=load.kind, path=load.body))
    words = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "60s"]
    calls = _calls(server)
    worked, busy, made = stats.cpu_seconds(server.pid), stats.busy_seconds(), _children_seconds()
    done = subprocess.run(
        ["taskset", "--cpu-list", str(load.core), *words, "-s", str(script), server.url],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    worked = stats.cpu_seconds(server.pid) - worked
    busy, made = stats.busy_seconds() - busy, _children_seconds() - made
    requests, took, p50, p99 = parsed(done.stdout)
    foreign = max(0.0, busy - worked - made) / took
    batch = batch_mean(calls, _calls(server))
    return Round(requests, worked / requests * 1e6, p50, p99, requests / took, batch, foreign)


def _calls(server: Running) -> tuple[float, float] | None:
    if server.peer.name not in (OURS, NOOP):
        return None
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        return batches(answer.read().decode())


def batches(metrics: str) -> tuple[float, float] | None:
    """Requests and calls of the model so far, as our servers tell at ``/metrics``."""
    found = [BATCH[name].search(metrics) for name in ("requests", "calls")]
    requests, calls = (None if match is None else float(match.group(1)) for match in found)
    return None if requests is None or calls is None else (requests, calls)


def batch_mean(
    before: tuple[float, float] | None, after: tuple[float, float] | None
) -> float | None:
    if before is None or after is None or after[1] == before[1]:
        return None
    return (after[0] - before[0]) / (after[1] - before[1])


def _children_seconds() -> float:
    """What this process's ended children (wrk) have worked."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

"""``make soak``: full load for ten minutes with flat memory, then an overload that meets only 503.

The load is a mix: one row and a thousand, JSON and CSV, and bodies that are refused.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import serving_stats as stats
from benchmarks.serving_load import LoadError, require_tools
from benchmarks.serving_models import MANY, MODELS, NotMadeError, Served, make
from benchmarks.serving_peers import OURS, PEERS, CannotRunError
from benchmarks.serving_servers import TYPES, Running, running
from benchmarks.soak_overload import overload
from contracts.errors import SlipwayError

SAMPLES = 120
CONNECTIONS = 64
# What counts as flat: growth from the second quarter of the samples to the last.
MOST_GROWTH = 0.02
MOST_GROWTH_BYTES = 2e6
# Shorter loads show how memory settles, and not whether it grows.
SETTLED_SECONDS = 60.0
STATUSES = re.compile(r"^STATUSES(.*)$", re.MULTILINE)
LOST = re.compile(r"^LOST (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """Memory of the server's processes, in bytes, so many seconds after the load began."""

    seconds: float
    pss: int
    rss: int


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", choices=MODELS, default="logreg")
    parser.add_argument("--dist", type=Path, help="load this package instead")
    parser.add_argument("--allow-code", action="store_true", help="run what the package brings")
    parser.add_argument("--only", choices=("memory", "overload"), help="one of the two parts")
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error(f"--minutes is {options.minutes:g}; more than 0 is needed")
    try:
        with tempfile.TemporaryDirectory(prefix="slipway-soak-") as folder:
            problems = _run(options, Path(folder))
    except (LoadError, NotMadeError, CannotRunError, SlipwayError) as error:
        sys.exit(f"error: {error}")
    if problems:
        sys.exit("\n".join(f"FAILED: {problem}" for problem in problems))
    print("passed")


def _run(options: argparse.Namespace, scratch: Path) -> list[str]:
    require_tools()
    print("making the model, its package and the bodies", flush=True)
    code: bool = options.allow_code
    served = make(options.model, options.dist, scratch / "model", allow_code=code)
    problems: list[str] = []
    with running(PEERS[OURS], served, scratch / "server", None) as server:
        if options.only != "overload":
            counts, lost, samples = soak(server, served, 60 * options.minutes, scratch)
            print(_told(counts, samples, 60 * options.minutes), flush=True)
            problems += [*wrong_statuses(counts, lost), *grown(samples)]
        if options.only != "memory":
            found = overload(server, served)
            print(found, flush=True)
            problems += found.problems()
    return problems


def soak(
    server: Running, served: Served, seconds: float, scratch: Path
) -> tuple[dict[int, int], int, list[Sample]]:
    """Statuses, requests that got no answer, and memory by time, of ``seconds`` of load."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
    script = Path(__file__).with_name("soak_load.lua")
    words += ["--timeout", "60s", "-s", str(script), server.url, "--", *_bodies(served, scratch)]
    began = time.monotonic()
    wrk = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    samples: list[Sample] = []
    while wrk.poll() is None:
        pss, rss = (stats.memory_bytes(server.pid, kind) for kind in ("Pss", "Rss"))
        samples.append(Sample(time.monotonic() - began, pss, rss))
        try:
            wrk.wait(seconds / SAMPLES)
        except subprocess.TimeoutExpired:
            continue
    counts, lost = parsed(wrk.communicate()[0])
    return counts, lost, samples


def _bodies(served: Served, scratch: Path) -> list[str]:
    """Type and file of each, as the script takes them; the refused are cut short."""
    words: list[str] = []
    whole = served.body("instances.json", 1)
    for at, (kind, body) in enumerate(
        [
            *[("json", whole), ("csv", served.body("csv", 1))] * 4,
            ("json", served.body("instances.json", MANY)),
            ("csv", served.body("csv", MANY)),
            ("json", whole[: len(whole) // 2]),
        ]
    ):
        path = scratch / f"body-{at}"
        path.write_bytes(body)
        words += [TYPES[kind], str(path)]
    return words


def parsed(output: str) -> tuple[dict[int, int], int]:
    """Answers by status, and how many requests were lost, of what the script prints."""
    statuses, lost = STATUSES.search(output), LOST.search(output)
    if statuses is None or lost is None:
        raise LoadError(f"wrk printed no result: {output[-300:]}")
    pairs = (word.split("=") for word in statuses.group(1).split())
    return {int(code): int(count) for code, count in pairs}, int(lost.group(1))


def wrong_statuses(counts: dict[int, int], lost: int) -> list[str]:
    """What other than 200 and 400 was answered, or not at all."""
    problems = [
        f"{count:,} answers with status {code}; only 200 and 400 were asked for"
        for code, count in sorted(counts.items())
        if code not in (200, 400)
    ]
    if not counts.get(200) or not counts.get(400):
        problems.append(f"answers with 200 and with 400 were wanted, there are {counts}")
    if lost:
        problems.append(f"{lost:,} requests were not answered")
    return problems


def grown(samples: Sequence[Sample]) -> list[str]:
    """Whether memory grew after the load had settled; a short load says nothing."""
    if samples[-1].seconds < SETTLED_SECONDS:
        return []
    quarter = len(samples) // 4
    before = median(s.pss for s in samples[quarter : 2 * quarter])
    after = median(s.pss for s in samples[-quarter:])
    most = before + max(MOST_GROWTH * before, MOST_GROWTH_BYTES)
    if after <= most:
        return []
    return [
        f"memory grew from {before / 1e6:.1f} MB to {after / 1e6:.1f} MB ({most / 1e6:.1f} at most)"
    ]


def _told(counts: dict[int, int], samples: Sequence[Sample], seconds: float) -> str:
    lines = [f"{'seconds':>8}{'PSS MB':>9}{'RSS MB':>9}"]
    shown = samples[:: max(1, len(samples) // 10)]
    lines += [f"{s.seconds:8.0f}{s.pss / 1e6:9.1f}{s.rss / 1e6:9.1f}" for s in shown]
    later = samples[len(samples) // 4 :]
    slopes = [stats.slope([(s.seconds, v(s)) for s in later]) * 60 / 1e6 for v in (_pss, _rss)]
    if samples[-1].seconds < SETTLED_SECONDS:
        lines.append(f"in less than {SETTLED_SECONDS:g} s memory is not judged")
    lines.append(
        "slope after the first quarter: PSS {:+.3f}, RSS {:+.3f} MB a minute".format(*slopes)
    )
    total = sum(counts.values())
    answered = ", ".join(f"{count:,} with {code}" for code, count in sorted(counts.items()))
    return "\n".join([*lines, f"{total:,} answers ({total / seconds:,.0f}/s): {answered}"])


def _pss(sample: Sample) -> int:
    return sample.pss


def _rss(sample: Sample) -> int:
    return sample.rss


if __name__ == "__main__":
    main()

"""CPU time of process trees, and what pairs of it show. The first half reads ``/proc``."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
RESAMPLES = 2000


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """``pid`` and all that descend from it."""
    found = [pid]
    for one in found:
        for task in sorted((proc / str(one) / "task").glob("*/children")):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def cpu_seconds(pids: Sequence[int], proc: Path = PROC) -> float:
    """User and system time of these processes, with the resolution of the scheduler (ns)."""
    total = 0
    for pid in pids:
        for task in (proc / str(pid) / "task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except (OSError, IndexError, ValueError):
                continue
    return total / 1e9


def busy_seconds(proc: Path = PROC) -> float:
    """What all processors of the machine have worked since it started."""
    fields = [int(n) for n in (proc / "stat").read_text().splitlines()[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / TICKS


def memory_bytes(pids: Sequence[int], proc: Path = PROC) -> int:
    """Proportional set size: shared pages count once over all that share them."""
    total = 0
    for pid in pids:
        try:
            text = (proc / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024


@dataclass(frozen=True)
class Ratio:
    """How many times as much the other took: the median of the pairs, and a 90 % interval."""

    median: float
    lower: float
    upper: float


def ratio(pairs: Sequence[tuple[float, float]], seed: int = 0) -> Ratio:
    """Of pairs (other, ours) measured beside each other; percentile bootstrap of the median."""
    found = [other / ours for other, ours in pairs]
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(found, k=len(found))) for _ in range(RESAMPLES))
    low, high = round(0.05 * RESAMPLES), round(0.95 * RESAMPLES) - 1
    return Ratio(median(found), medians[low], medians[high])

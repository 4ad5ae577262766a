"""CPU time and memory of process trees, and what pairs of measurements show."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
RESAMPLES = 2000
# clock_getcpuclockid(3): the clock of all threads of another process, with the scheduler's
# resolution, where utime and stime are counted in ticks of 10 ms.
_SCHEDULER_CLOCK = 2


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


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and all its descendants since each began.

    Those that ended and were waited for count too: as what their parent says of them.
    """
    return sum(_own_seconds(one) + reaped_seconds(one) for one in tree(pid))


def _own_seconds(pid: int) -> float:
    try:
        return time.clock_gettime_ns((~pid << 3) | _SCHEDULER_CLOCK) / 1e9
    except OSError:
        return 0.0


def reaped_seconds(pid: int, proc: Path = PROC) -> float:
    """``cutime`` and ``cstime`` of proc(5)."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / TICKS


def busy_seconds(proc: Path = PROC) -> float:
    """What processes have worked on all processors of the machine, and what others stole from it.

    Interrupts are left out: on some kernels no process is charged with them.
    """
    user, nice, system, _idle, _wait, _irq, _softirq, steal = (
        int(n) for n in (proc / "stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + steal) / TICKS


def memory_bytes(pid: int, kind: str = "Pss", proc: Path = PROC) -> int:
    """``Pss`` (shared pages count once over all that share them) or ``Rss`` of a process tree."""
    total = 0
    for one in tree(pid, proc):
        try:
            text = (proc / str(one) / "smaps_rollup").read_text()
        except OSError:
            continue
        lines = [line.split() for line in text.splitlines()]
        total += sum(int(words[1]) for words in lines if words[0] == f"{kind}:")
    return total * 1024


@dataclass(frozen=True)
class Ratio:
    """The median of pairs' ratios, and a 90 % interval of it."""

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


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: how much the second grows with one of the first."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0

"""How sure the error gate was, minute by minute: its e-values over the time of a release."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from contracts.release_manifest import ErrorGate
from release.gates import FAIL_AT, PASS_AT, fail_log_e, pass_log_e
from release.state import Release

# Each point counts all minutes before it again: a release of days gets fewer of them.
MAX_POINTS, MIN_POINTS, MAX_COUNTED = 60, 16, 30_000


@dataclass(frozen=True)
class EPoint:
    """log10 of the e-values after the minute that starts at ``start``.

    ``fail`` is over the whole release, ``passing`` over this step; both may decide at any minute.
    """

    start: float
    gate: str
    step: int
    fail: float
    passing: float


@dataclass(frozen=True)
class EValues:
    """``fail_at`` and ``pass_at`` are log10 of the thresholds."""

    fail_at: float
    pass_at: float
    points: tuple[EPoint, ...]


def e_values(release: Release) -> EValues:
    """The error gate's, at minutes spread over the release and at the end of each step."""
    settings = release.manifest.release
    fail_at = math.log10(FAIL_AT * max(1, len(settings.gates)))
    empty = EValues(fail_at, math.log10(PASS_AT), ())
    gate = next((g for g in settings.gates if isinstance(g, ErrorGate)), None)
    minutes, steps = release.minutes, settings.steps
    if gate is None or not minutes or any(m.step >= len(steps) for m in minutes):
        return empty
    points: list[EPoint] = []
    for last in _chosen(tuple(m.step for m in minutes)):
        seen = minutes[: last + 1]
        step = seen[-1].step
        of_step = [m for m in seen if m.step == step]
        passing = pass_log_e(steps[step], of_step, seen)
        points.append(
            EPoint(
                seen[-1].start,
                "errors",
                step,
                fail_log_e(seen, gate.allow) / math.log(10),
                _log_mean(passing) / math.log(10),
            )
        )
    return EValues(empty.fail_at, empty.pass_at, tuple(points))


def _chosen(steps: tuple[int, ...]) -> list[int]:
    count = len(steps)
    wanted = min(MAX_POINTS, max(MIN_POINTS, MAX_COUNTED // count))
    if count <= wanted:
        return list(range(count))
    spread = {round(i * (count - 1) / (wanted - 1)) for i in range(wanted)}
    ends = {i for i in range(count) if i + 1 == count or steps[i + 1] != steps[i]}
    return sorted(ends | spread)


def _log_mean(logs: tuple[float, ...]) -> float:
    top = max(logs)
    return top + math.log(fmean(math.exp(x - top) for x in logs))

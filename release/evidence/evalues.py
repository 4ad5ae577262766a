"""How sure the error gate was, minute by minute: its e-values over the time of a release."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from contracts.release_manifest import ErrorGate
from release.controller.judging import tests_of_pairs
from release.controller.phases import step_of
from release.gates import FAIL_AT, PASS_AT, CountedMinute, count_by_chance, judge_step
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
    fail_at = FAIL_AT * max(1, count_by_chance(settings.gates) + tests_of_pairs(release))
    thresholds = EValues(math.log10(fail_at), math.log10(PASS_AT), ())
    if not any(isinstance(gate, ErrorGate) for gate in settings.gates):
        return thresholds
    points: list[EPoint] = []
    for last in _chosen(tuple(m.step for m in release.minutes)):
        point = _point(release, release.minutes[: last + 1])
        if point is not None:
            points.append(point)
    return replace(thresholds, points=tuple(points))


def _point(release: Release, seen: tuple[CountedMinute, ...]) -> EPoint | None:
    """What the gate itself says after these minutes."""
    index = seen[-1].step
    # Only a shadow comes before another phase, and it is one step.
    phase = min(index, len(release.manifest.release.phases) - 1)
    step = step_of(replace(release, step=index, phase=phase))
    verdict = judge_step(index, step, release.manifest.release.gates, seen, {}, math.inf)
    for found in verdict.gates:
        if found.gate == ErrorGate.kind and found.evidence is not None:
            told = found.evidence.to_dict()
            fail, passing = told["log10_e_fail"], told["log10_e_pass"]
            if fail is not None and passing is not None:
                return EPoint(seen[-1].start, ErrorGate.kind, index, fail, passing)
    return None


def _chosen(steps: tuple[int, ...]) -> list[int]:
    count = len(steps)
    if not count:
        return []
    wanted = min(MAX_POINTS, max(MIN_POINTS, MAX_COUNTED // count))
    if count <= wanted:
        return list(range(count))
    spread = {round(i * (count - 1) / (wanted - 1)) for i in range(wanted)}
    ends = {i for i in range(count) if i + 1 == count or steps[i + 1] != steps[i]}
    return sorted(ends | spread)

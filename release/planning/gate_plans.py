"""What the gates will be able to tell at a stage, before anything moves. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.release_manifest import (
    AlarmGate,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    ReleaseManifest,
    Tolerance,
)
from release.controller.counting import MINUTE
from release.gates import wording
from release.planning.power import SURE_SIGMAS, Excluded, excluded, requests_needed
from release.planning.survey import Traffic


@dataclass(frozen=True)
class GatePlan:
    """What one gate will be able to tell at a stage, and when, in seconds of baking.

    A version as good as live passes ``passes_after`` as expected, and 99 of 100 such versions
    within ``sure_after``; None: it depends on what is not known before.
    """

    gate: str
    text: str
    passes_after: float | None
    sure_after: float | None = None


@dataclass(frozen=True)
class Circumstances:
    """What the durations depend on."""

    manifest: ReleaseManifest
    count: int
    turnover: float
    traffic: Traffic | None

    @property
    def rate(self) -> float | None:
        """Requests a minute; None where no traffic was seen."""
        seen = self.traffic
        return seen.requests_per_minute if seen and seen.requests_per_minute > 0 else None


def gate_plans(
    place: Circumstances,
    tolerance: Tolerance,
    share: float,
    seconds: float,
    overhead: float,
    more: float = 1.0,
) -> tuple[GatePlan, ...]:
    """Each gate after ``seconds`` of counted baking; ``more`` is the requests' factor (mirrors)."""
    gates = place.manifest.release.gates
    return tuple(
        _gate_plan(place, gate, tolerance, share, seconds, overhead, more) for gate in gates
    )


def _gate_plan(
    place: Circumstances,
    gate: Gate,
    tolerance: Tolerance,
    share: float,
    seconds: float,
    overhead: float,
    more: float,
) -> GatePlan:
    suffix = " (dry run)" if gate.dry_run else ""
    seen = place.traffic
    bad: float | None
    match gate:
        case ErrorGate():
            bad = None if seen is None else seen.error_rate
        case LatencyGate():
            bad = None if seen is None else seen.slow_share
        case PredictionGate(max_shift=shift):
            return GatePlan(gate.kind, f"a shift of at most {shift:g}{suffix}", None)
        case LimitGate(metric=metric, at_most=most):
            limit = wording.milliseconds(most) if metric == "p95" else f"{100 * most:g} %"
            return GatePlan(gate.kind, f"{metric} at most {limit}{suffix}", None)
        case AlarmGate(alarm=name):
            return GatePlan(gate.kind, f"unless {name} rings{suffix}", None)
        case HookGate(name=name):
            return GatePlan(gate.kind, f"as {name} answers{suffix}", None)
    if place.rate is None or bad is None:
        wanted = told(Excluded(tolerance.ratio, tolerance.points))
        return GatePlan(gate.kind, f"{wanted}, when the traffic suffices{suffix}", None)
    per_second = place.rate * more / MINUTE
    expected, sure = (
        _passes_after(tolerance, share, bad, per_second, overhead, sigmas)
        for sigmas in (0.0, SURE_SIGMAS)
    )
    found = excluded(share, per_second * seconds, bad)
    return GatePlan(gate.kind, told(found) + suffix, expected, sure)


def _passes_after(
    tolerance: Tolerance,
    share: float,
    bad: float,
    per_second: float,
    overhead: float,
    sigmas: float,
) -> float | None:
    needed = requests_needed(tolerance, share, bad, sigmas)
    return None if needed is None else overhead + needed / per_second


def told(found: Excluded) -> str:
    """What is excluded, in words."""
    parts: list[str] = []
    if found.ratio is not None:
        parts.append(f"×{found.ratio:.3g}")
    if found.points is not None:
        parts.append(f"{found.points:.2g} point{'' if found.points == 1 else 's'}")
    return " or ".join(parts) if parts else "nothing yet"

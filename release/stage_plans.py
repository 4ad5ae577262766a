"""The stages of each strategy, in time and instances, before anything moves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.release_manifest import (
    BlueGreen,
    Canary,
    ErrorGate,
    Gate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    ReleaseManifest,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)
from release.counting import MINUTE
from release.forward import candidate_count
from release.guardrails import Bake, bakes_of
from release.lint.capacity import extra_instances
from release.lint.guardrails import shift_overhead
from release.lint.traffic import counting_seconds
from release.power import SURE_SIGMAS, Excluded, excluded, requests_needed
from release.survey import Traffic

CHANGE_SECONDS = 60.0
Span = tuple[float, float | None, float]


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
class StagePlan:
    """One stage. ``seconds``: at least, expected at the traffic seen (None: unknown), at most.

    ``weight`` is the share of requests in percent that the new version answers, ``mirrored`` the
    share that is only copied to it; ``extra_instances`` those beside the ones that serve now.
    """

    name: str
    weight: float
    mirrored: float
    live_count: int
    candidate_count: int
    extra_instances: int
    seconds: Span
    expected_requests: float | None
    gates: tuple[GatePlan, ...]


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


def stages(place: Circumstances) -> tuple[StagePlan, ...]:
    """All stages of all phases, and the bake at the end."""
    found: list[StagePlan] = []
    phases = place.manifest.release.phases
    for i, phase in enumerate(phases):
        is_last = i + 1 == len(phases)
        match phase:
            case Canary():
                found += _canary(place, phase)
            case Shadow():
                following = None if is_last else phases[i + 1]
                found += _shadow(place, phase, following)
            case BlueGreen() | Rolling():
                found += _guarded(place, phase)
    if not isinstance(phases[-1], Shadow):
        post = place.manifest.release.post_bake_seconds
        bake = (post, post, post)
        found.append(StagePlan("post-bake", 100, 0, place.count, 0, 0, bake, None, ()))
    return tuple(found)


def turnover_stage(place: Circumstances, name: str, candidates: int, extra: int) -> StagePlan:
    whole = (place.turnover, place.turnover, place.turnover)
    return StagePlan(name, 0, 0, place.count, candidates, extra, whole, None, ())


# --- canary


def _canary(place: Circumstances, canary: Canary) -> list[StagePlan]:
    count, steps = place.count, canary.steps
    first = candidate_count(steps[0].weight, count) if steps else 0
    found = [turnover_stage(place, "candidate in", first, count + first)]
    running = first
    for i, step in enumerate(steps):
        wanted = candidate_count(step.weight, count)
        found.append(_step(place, i, step, wanted, place.turnover if wanted > running else 0.0))
        running = max(running, wanted)
    found.append(turnover_stage(place, "swap", running, count + running))
    return found


def _step(
    place: Circumstances, index: int, step: Step, candidates: int, provisioning: float
) -> StagePlan:
    share = step.weight / 100
    overhead = counting_seconds(place.manifest, index)
    shortest = provisioning + CHANGE_SECONDS + max(step.bake_min_seconds, overhead)
    longest = provisioning + CHANGE_SECONDS + step.bake_max_seconds
    gates: tuple[GatePlan, ...] = ()
    expected: float | None = None
    if 0 < share < 1:
        left = max(0.0, step.bake_max_seconds - overhead)
        gates = gate_plans(place, step.tolerance, share, left, overhead)
        known = [g.passes_after for g in gates if g.passes_after is not None]
        if place.rate is not None and known:
            baking = min(step.bake_max_seconds, max(step.bake_min_seconds, *known))
            expected = provisioning + CHANGE_SECONDS + baking
    requests = None
    if place.rate is not None and expected is not None:
        requests = place.rate * share * (expected - provisioning) / MINUTE
    return StagePlan(
        name=f"{step.weight:g} %",
        weight=step.weight,
        mirrored=0,
        live_count=place.count,
        candidate_count=candidates,
        extra_instances=candidates,
        seconds=(shortest, expected, longest),
        expected_requests=requests,
        gates=gates,
    )


# --- guardrails


def _guarded(place: Circumstances, strategy: BlueGreen | Rolling) -> list[StagePlan]:
    extra = extra_instances(strategy, place.count)
    if isinstance(strategy, Rolling):
        return _rolling(place, strategy, extra)
    found = [turnover_stage(place, "new fleet", place.count, extra)]
    for bake in bakes_of(strategy, place.count):
        name = "all traffic, bake" if bake.share == 1 else f"{bake.weight:g} %, bake"
        found.append(_bake(place, strategy, name, bake, extra))
    return found


def _shift_gates(
    place: Circumstances, strategy: BlueGreen | Rolling, bake: Bake
) -> tuple[GatePlan, ...]:
    """Of a shift's bake only what is warm, settled and before the last call counts."""
    if bake.share >= 1:
        return ()
    overhead = shift_overhead(place.manifest)
    counted = max(0.0, bake.seconds - overhead)
    return gate_plans(place, strategy.tolerance, bake.share, counted, overhead)


def _rolling(place: Circumstances, strategy: Rolling, extra: int) -> list[StagePlan]:
    bakes = bakes_of(strategy, place.count)
    found: list[StagePlan] = []
    for i, bake in enumerate(bakes):
        found.append(turnover_stage(place, f"batch {i + 1} of {len(bakes)}", extra, extra))
        found.append(_bake(place, strategy, f"{bake.weight:g} %, bake", bake, extra))
    return found


def _bake(
    place: Circumstances, strategy: BlueGreen | Rolling, name: str, bake: Bake, extra: int
) -> StagePlan:
    wait = float(bake.seconds)
    requests = None if place.rate is None else place.rate * bake.share * wait / MINUTE
    gates = _shift_gates(place, strategy, bake)
    span = (wait, wait, wait)
    count = place.count
    return StagePlan(name, bake.weight, 0, count, bake.active, extra, span, requests, gates)


# --- shadow


def _shadow(place: Circumstances, shadow: Shadow, following: Strategy | None) -> list[StagePlan]:
    percent = min(100.0, max(0.0, shadow.sampling_percent))
    mirrors = candidate_count(percent, place.count) if percent else 1
    found = [turnover_stage(place, "shadow in", mirrors, place.count + mirrors)]
    # Of the requests that either answers, the shadow has s/(1+s).
    share = percent / (100 + percent)
    overhead = counting_seconds(place.manifest, 0)
    left = max(0.0, shadow.bake_max_seconds - overhead)
    gates: tuple[GatePlan, ...] = ()
    expected: float | None = None
    if share > 0:
        gates = gate_plans(place, shadow.tolerance, share, left, overhead, 1 + percent / 100)
        known = [g.passes_after for g in gates if g.passes_after is not None]
        if place.rate is not None and known:
            expected = min(shadow.bake_max_seconds, max(shadow.bake_min_seconds, *known))
    shortest = max(shadow.bake_min_seconds, overhead)
    span = (shortest, expected, shadow.bake_max_seconds)
    requests = None if place.rate is None else place.rate * percent / 100 * shortest / MINUTE
    found.append(
        StagePlan(
            f"mirror {percent:g} %",
            0,
            percent,
            place.count,
            mirrors,
            mirrors,
            span,
            requests,
            gates,
        )
    )
    if not isinstance(following, Canary):
        # A canary's configuration replaces the shadow's; anything else begins from one variant.
        found.append(turnover_stage(place, "shadow out", 0, place.count))
    return found


# --- what the gates will tell


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
            return GatePlan(gate.kind, f"{metric} at most {most:g}{suffix}", None)
        case _:
            return GatePlan(gate.kind, f"as it answers{suffix}", None)
    if place.rate is None or bad is None:
        wanted = f"×{tolerance.ratio:g} or {tolerance.points:g} points"
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


def total(parts: Sequence[Span]) -> Span:
    """The spans one after another; the expected one is unknown where one of them is."""
    known = [p[1] for p in parts if p[1] is not None]
    middle = sum(known) if len(known) == len(parts) else None
    return sum(p[0] for p in parts), middle, sum(p[2] for p in parts)

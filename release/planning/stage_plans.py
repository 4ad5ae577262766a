"""The stages of each strategy, in time and instances, before anything moves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contracts.release_manifest import (
    BlueGreen,
    Canary,
    HookGate,
    LimitGate,
    Rolling,
    Shadow,
    Step,
    Strategy,
)
from release.controller.baking import ALARM_PATIENCE_SECONDS, GATE_PATIENCE_SECONDS
from release.controller.capacity import adds_instances, candidate_count
from release.controller.counting import MINUTE
from release.controller.guardrails import Bake, bakes_of
from release.planning.gate_plans import Circumstances, GatePlan, gate_plans
from release.planning.lint.capacity import extra_instances, leaving_mirrors, mirror_count
from release.planning.lint.guardrails import shift_overhead
from release.planning.lint.traffic import counting_seconds

CHANGE_SECONDS = 60.0
Span = tuple[float, float | None, float]


@dataclass(frozen=True)
class StagePlan:
    """One stage. ``seconds``: at least, expected at the traffic seen, at most.

    Nothing is expected (None) of what depends on traffic that was not seen, nor where that traffic
    is too little for a good version to pass in the longest time: ``is_undecided``.

    ``weight`` is the share of requests in percent that the new version answers, ``mirrored`` the
    share that is only copied to it; ``live_count`` and ``candidate_count`` the instances of the old
    and the new version that serve, or mirror, at its end; ``extra_instances`` those beside the ones
    that serve now, both fleets included where one turns over.
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
    is_turnover: bool = False
    is_undecided: bool = False


def stages(place: Circumstances) -> tuple[StagePlan, ...]:
    """All stages of all phases, and the bake at the end."""
    found: list[StagePlan] = []
    phases = place.manifest.release.phases
    for i, phase in enumerate(phases):
        is_last = i + 1 == len(phases)
        match phase:
            case Canary():
                found += _canary(place, phase, leaving_mirrors(phases, i, place.count))
            case Shadow():
                following = None if is_last else phases[i + 1]
                found += _shadow(place, phase, following)
            case BlueGreen() | Rolling():
                found += _guarded(place, phase)
    if not isinstance(phases[-1], Shadow):
        found.append(_post_bake(place))
    return tuple(found)


def turnover_stage(
    place: Circumstances,
    name: str,
    candidates: int,
    extra: int,
    *,
    weight: float = 0,
    left: int | None = None,
) -> StagePlan:
    """A fleet comes in, while the new version has ``weight`` and ``left`` of live's are there."""
    whole = (place.turnover, place.turnover, place.turnover)
    live = place.count if left is None else left
    return StagePlan(name, weight, 0, live, candidates, extra, whole, None, (), is_turnover=True)


def _post_bake(place: Circumstances) -> StagePlan:
    """The new version alone. What is asked then, and has no answer yet, is waited for."""
    settings = place.manifest.release
    deciding = [g for g in settings.gates if not g.dry_run]
    post, patience = settings.post_bake_seconds, 0.0
    if place.manifest.rollback_alarms:
        patience = ALARM_PATIENCE_SECONDS
    if any(isinstance(g, LimitGate | HookGate) for g in deciding):
        patience = GATE_PATIENCE_SECONDS
    first = 0.0
    if any(isinstance(g, LimitGate) for g in deciding):
        # A limit answers once a whole minute of the warm fleet has settled.
        first = settings.warm_up_seconds + settings.settle_seconds + MINUTE
    span = (max(post, first), max(post, first + MINUTE if first else 0.0), post + patience)
    requests = None if place.rate is None else place.rate * span[1] / MINUTE
    return StagePlan("post-bake", 100, 0, 0, place.count, 0, span, requests, ())


# --- canary


def _canary(place: Circumstances, canary: Canary, mirrors: int) -> list[StagePlan]:
    """``mirrors``: instances of a shadow whose place it takes."""
    count, steps = place.count, canary.steps
    first = candidate_count(steps[0].weight, count) if steps else 0
    found = [turnover_stage(place, "candidate in", first, count + first + mirrors)]
    running, weights = first, [step.weight for step in steps]
    for i, step in enumerate(steps):
        wanted = candidate_count(step.weight, count)
        provisioning = place.turnover if wanted > running else 0.0
        is_cold = adds_instances(weights, i, count)
        found.append(_step(place, step, wanted, provisioning, is_cold=is_cold))
        running = max(running, wanted)
    last = steps[-1].weight if steps else 0.0
    found.append(turnover_stage(place, "swap", running, count + running, weight=last))
    return found


def _step(
    place: Circumstances, step: Step, candidates: int, provisioning: float, *, is_cold: bool
) -> StagePlan:
    share = step.weight / 100
    overhead = counting_seconds(place.manifest, is_cold=is_cold)
    shortest = provisioning + CHANGE_SECONDS + max(step.bake_min_seconds, overhead)
    longest = provisioning + CHANGE_SECONDS + step.bake_max_seconds
    gates: tuple[GatePlan, ...] = ()
    expected: float | None = None
    is_undecided = False
    if 0 < share < 1:
        left = max(0.0, step.bake_max_seconds - overhead)
        gates = gate_plans(place, step.tolerance, share, left, overhead)
        baking, is_undecided = _baking(place, gates, step)
        expected = None if baking is None else provisioning + CHANGE_SECONDS + baking
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
        is_undecided=is_undecided,
    )


# --- guardrails


def _guarded(place: Circumstances, strategy: BlueGreen | Rolling) -> list[StagePlan]:
    extra = extra_instances(strategy, place.count)
    if isinstance(strategy, Rolling):
        return _rolling(place, strategy, extra)
    found = [turnover_stage(place, "new fleet", place.count, extra)]
    for bake in bakes_of(strategy, place.count):
        name = "all traffic, bake" if bake.share == 1 else f"{bake.weight:g} %, bake"
        found.append(_bake(place, strategy, name, bake, extra, place.count))
    return _decided(place, strategy, found)


def _decided(
    place: Circumstances, strategy: BlueGreen | Rolling, found: list[StagePlan]
) -> list[StagePlan]:
    """The same; the last stage that compares says so where a good version would not have passed.

    The minutes of all of them count together.
    """
    overhead = shift_overhead(place.manifest)
    bakes = [bake for bake in bakes_of(strategy, place.count) if bake.share < 1]
    counted = sum(max(0.0, bake.seconds - overhead) for bake in bakes)
    last = next((i for i in reversed(range(len(found))) if found[i].gates), None)
    if last is None:
        return found
    stage = found[last]
    known = _passing(stage.gates)
    if known and max(known) - overhead > counted:
        span = (stage.seconds[0], None, stage.seconds[2])
        found[last] = replace(stage, seconds=span, is_undecided=True)
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
    before, weight = 0, 0.0
    for i, bake in enumerate(bakes):
        name, left = f"batch {i + 1} of {len(bakes)}", place.count - before
        batch = turnover_stage(place, name, bake.active, extra, weight=weight, left=left)
        found.append(batch)
        # The batch that is replaced leaves after the bake.
        found.append(_bake(place, strategy, f"{bake.weight:g} %, bake", bake, extra, left))
        before, weight = bake.active, bake.weight
    return _decided(place, strategy, found)


def _bake(
    place: Circumstances,
    strategy: BlueGreen | Rolling,
    name: str,
    bake: Bake,
    extra: int,
    live: int,
) -> StagePlan:
    wait = float(bake.seconds)
    requests = None if place.rate is None else place.rate * bake.share * wait / MINUTE
    gates = _shift_gates(place, strategy, bake)
    span = (wait, wait, wait)
    return StagePlan(name, bake.weight, 0, live, bake.active, extra, span, requests, gates)


# --- shadow


def _shadow(place: Circumstances, shadow: Shadow, following: Strategy | None) -> list[StagePlan]:
    percent = min(100.0, max(0.0, shadow.sampling_percent))
    mirrors = mirror_count(shadow, place.count)
    found = [turnover_stage(place, "shadow in", mirrors, place.count + mirrors)]
    # Of the requests that either answers, the shadow has s/(1+s).
    share = percent / (100 + percent)
    overhead = counting_seconds(place.manifest, is_cold=True)
    left = max(0.0, shadow.bake_max_seconds - overhead)
    gates: tuple[GatePlan, ...] = ()
    expected: float | None = None
    is_undecided = False
    if share > 0:
        gates = gate_plans(place, shadow.tolerance, share, left, overhead, 1 + percent / 100)
        expected, is_undecided = _baking(place, gates, shadow)
    shortest = max(shadow.bake_min_seconds, overhead)
    span = (shortest, expected, shadow.bake_max_seconds)
    requests = None
    if place.rate is not None and expected is not None:
        requests = place.rate * percent / 100 * expected / MINUTE
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
            is_undecided=is_undecided,
        )
    )
    if not isinstance(following, Canary):
        # A canary's configuration replaces the shadow's; anything else begins from one variant.
        found.append(turnover_stage(place, "shadow out", 0, place.count + mirrors))
    return found


# --- what is expected of the gates


def _passing(gates: Sequence[GatePlan]) -> list[float]:
    return [gate.passes_after for gate in gates if gate.passes_after is not None]


def _baking(
    place: Circumstances, gates: Sequence[GatePlan], bake: Step | Shadow
) -> tuple[float | None, bool]:
    """Seconds until a good version passes, if known; whether the longest bake ends before."""
    known = _passing(gates)
    is_undecided = bool(known) and max(known) > bake.bake_max_seconds
    if place.rate is None or not known or is_undecided:
        return None, is_undecided
    return max(bake.bake_min_seconds, *known), False


def total(parts: Sequence[Span]) -> Span:
    """The spans one after another; the expected one is unknown where one of them is."""
    known = [p[1] for p in parts if p[1] is not None]
    middle = sum(known) if len(known) == len(parts) else None
    return sum(p[0] for p in parts), middle, sum(p[2] for p in parts)

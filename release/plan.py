"""What a release would do, told before anything moves: stages, durations, exposure, findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from contracts.release_manifest import LIVE_VARIANT, ReleaseManifest, Step
from release.counting import MINUTE
from release.errors import PlanError
from release.findings import ERROR, Finding, find
from release.forward import candidate_count
from release.gates import requests_to_pass
from release.start import Snapshot, good_of_live
from release.state import EndpointState

# Measured at the last release where there was one; else what AWS usually takes for a fleet.
USUAL_TURNOVER_SECONDS = 420.0
CHANGE_SECONDS = 60.0


@dataclass(frozen=True)
class Side:
    """One of the two versions, for a comparison side by side."""

    version: str
    content_hash: str
    config: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class StagePlan:
    """One stage. ``seconds``: at least, expected at the traffic seen (None: unknown), at most."""

    name: str
    weight: float
    live_count: int
    candidate_count: int
    seconds: tuple[float, float | None, float]
    requests_to_pass: int | None
    expected_requests: float | None
    excludes: str


@dataclass(frozen=True)
class Plan:
    """The whole release; ``requests_per_minute`` is the traffic seen, None where there is none."""

    model: str
    endpoint: str
    strategy: str
    live: Side
    target: Side
    stages: tuple[StagePlan, ...]
    seconds: tuple[float, float | None, float]
    turnover_seconds: float
    is_turnover_measured: bool
    requests_per_minute: float | None
    extra_instance_hours: float
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == ERROR)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(
    manifest: ReleaseManifest,
    state: EndpointState,
    snapshot: Snapshot,
    requests_per_minute: float | None,
    live_metrics: dict[str, float],
) -> Plan:
    """The plan for what is staged, at the instances and the traffic of now."""
    live = snapshot.endpoint.variant(LIVE_VARIANT)
    count = live.desired_count if live is not None else manifest.target.initial_instance_count
    turnover = state.turnover_seconds or USUAL_TURNOVER_SECONDS
    stages = _stages(manifest, count, turnover, requests_per_minute)
    return Plan(
        model=manifest.model,
        endpoint=manifest.endpoint_name,
        strategy=manifest.release.strategy.kind,
        live=_live_side(manifest, state, snapshot, live_metrics),
        target=Side(
            manifest.target.version,
            manifest.target.content_hash,
            manifest.target.endpoint_config_name,
            manifest.target.metrics,
        ),
        stages=stages,
        seconds=_total([s.seconds for s in stages]),
        turnover_seconds=turnover,
        is_turnover_measured=state.turnover_seconds is not None,
        requests_per_minute=requests_per_minute,
        extra_instance_hours=_extra_instance_hours(stages, count, turnover),
        findings=find(manifest, snapshot, requests_per_minute),
    )


def refuse_errors(manifest: ReleaseManifest, snapshot: Snapshot) -> None:
    """Raise PlanError with every error that the plan has, before anything moves."""
    errors = [f for f in find(manifest, snapshot, None) if f.severity == ERROR]
    if errors:
        told = "\n".join(f"  {f.where}: {f.rule}; {f.remedy}" for f in errors)
        count = f"{len(errors)} problem{'' if len(errors) == 1 else 's'}"
        raise PlanError(f"the release of {manifest.endpoint_name} has {count}:\n{told}")


def _live_side(
    manifest: ReleaseManifest,
    state: EndpointState,
    snapshot: Snapshot,
    live_metrics: dict[str, float],
) -> Side:
    if snapshot.live is None:
        return Side("unknown", "", snapshot.endpoint.config_name, {})
    good = good_of_live(state, manifest.model, snapshot.live, snapshot.endpoint.now)
    metrics = good.metrics or live_metrics
    return Side(good.version or "unknown", good.content_hash, snapshot.live.name, metrics)


def _stages(
    manifest: ReleaseManifest, live_count: int, turnover: float, rate: float | None
) -> tuple[StagePlan, ...]:
    settings = manifest.release
    first = candidate_count(settings.steps[0].weight, live_count) if settings.steps else 0
    whole = (turnover, turnover, turnover)
    stages = [StagePlan("bring the candidate in", 0, live_count, first, whole, None, None, "")]
    for i, step in enumerate(settings.steps):
        stages.append(_step(manifest, i, step, live_count, rate))
    last = stages[-1].candidate_count
    stages.append(StagePlan("swap", 0, live_count, last, whole, None, None, ""))
    post = settings.post_bake_seconds
    bake = (post, post, post)
    stages.append(StagePlan("post-bake", 100, live_count, 0, bake, None, None, "alarms, latency"))
    return tuple(stages)


def _step(
    manifest: ReleaseManifest, index: int, step: Step, live_count: int, rate: float | None
) -> StagePlan:
    settings = manifest.release
    share = step.weight / 100
    is_known = 0 < share < 1
    needed = requests_to_pass(share, step) if is_known else None
    overhead = settings.settle_seconds + (settings.warm_up_seconds if index == 0 else 0.0)
    shortest = CHANGE_SECONDS + max(step.bake_min_seconds, overhead + MINUTE)
    longest = CHANGE_SECONDS + step.bake_max_seconds
    expected = None
    if rate and needed is not None:
        expected = min(longest, max(shortest, CHANGE_SECONDS + overhead + needed / rate * MINUTE))
    return StagePlan(
        name=f"{step.weight:g} %",
        weight=step.weight,
        live_count=live_count,
        candidate_count=candidate_count(step.weight, live_count),
        seconds=(shortest, expected, longest),
        requests_to_pass=needed,
        expected_requests=None if not rate or expected is None else rate * share * expected / 60,
        excludes=f"×{step.tolerance.ratio:g} or {step.tolerance.points:g} points more errors",
    )


def _total(
    parts: list[tuple[float, float | None, float]],
) -> tuple[float, float | None, float]:
    expected = [p[1] for p in parts]
    known = [e for e in expected if e is not None]
    middle = sum(known) if len(known) == len(expected) else None
    return sum(p[0] for p in parts), middle, sum(p[2] for p in parts)


def _extra_instance_hours(stages: tuple[StagePlan, ...], live_count: int, turnover: float) -> float:
    """The candidate's instances while it bakes, and a second whole fleet at each turnover."""
    steps = [s for s in stages if 0 < s.weight < 100]
    baking = sum(s.candidate_count * (s.seconds[1] or s.seconds[2]) for s in steps)
    last = steps[-1].candidate_count if steps else 0
    first = steps[0].candidate_count if steps else 0
    entering = (live_count + first) * turnover
    swapping = (live_count + last) * turnover
    return (baking + entering + swapping) / 3600

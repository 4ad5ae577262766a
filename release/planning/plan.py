"""What a release would do, told before anything moves: stages, durations, exposure, findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from contracts.release_manifest import (
    BlueGreen,
    Canary,
    ReleaseManifest,
    Rolling,
    Shadow,
    Strategy,
    Target,
)
from release.controller.guardrails import exposure_of
from release.controller.start import Snapshot
from release.controller.versions import good_of_live
from release.errors import PlanError
from release.planning.gate_plans import Circumstances
from release.planning.lint import ERROR, WARNING, Finding, find, scaling
from release.planning.lint.capacity import Need, live_count, needs, peak
from release.planning.stage_plans import Span, StagePlan, stages, total
from release.planning.survey import Survey, Traffic
from release.state import USUAL_TURNOVER_SECONDS, EndpointState


@dataclass(frozen=True)
class Side:
    """One of the two versions, for a comparison side by side."""

    version: str
    content_hash: str
    config: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """The whole release. ``is_new``: the target is not what serves.

    ``exposed``: the largest share of requests in percent that the candidate answers before the
    release is sure of it; ``untold``: what AWS did not tell; ``is_held``: whether a release without
    an answer waits for a person, however long.
    """

    model: str
    endpoint: str
    strategy: str
    phases: tuple[str, ...]
    live: Side
    target: Side
    is_new: bool
    stages: tuple[StagePlan, ...]
    seconds: Span
    exposed: float
    turnover_seconds: float
    is_turnover_measured: bool
    turnovers: int
    traffic: Traffic | None
    extra_instance_hours: float
    extra_instances: int
    instances: tuple[Need, ...]
    untold: tuple[str, ...]
    findings: tuple[Finding, ...]
    is_held: bool = False

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == ERROR)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(
    manifest: ReleaseManifest,
    state: EndpointState,
    snapshot: Snapshot,
    survey: Survey,
    live_metrics: dict[str, float],
) -> Plan:
    """The plan for what is staged, at the instances of now and the traffic that was surveyed."""
    turnover = turnover_of(state)
    count = live_count(manifest, snapshot)
    planned = stages(Circumstances(manifest, count, turnover, survey.traffic))
    settings = manifest.release
    return Plan(
        model=manifest.model,
        endpoint=manifest.endpoint_name,
        strategy=settings.strategy.kind,
        phases=tuple(phase.kind for phase in settings.phases),
        live=_live_side(manifest, state, snapshot, live_metrics),
        target=_target_side(manifest.target),
        is_new=snapshot.live is None or snapshot.live.content_hash != manifest.target.content_hash,
        stages=planned,
        seconds=total([s.seconds for s in planned]),
        exposed=max(_exposed(phase, count) for phase in settings.phases),
        turnover_seconds=turnover,
        is_turnover_measured=state.turnover_seconds is not None,
        turnovers=sum(1 for s in planned if s.is_turnover),
        traffic=survey.traffic,
        extra_instance_hours=_extra_instance_hours(planned),
        extra_instances=peak(settings.phases, count),
        instances=needs(manifest, snapshot, survey),
        untold=survey.tells,
        findings=(
            *find(manifest, snapshot, survey, turnover),
            *scaling.lint(state, snapshot),
            *_rejected(manifest, state),
        ),
        is_held=settings.on_inconclusive == "hold",
    )


def _rejected(manifest: ReleaseManifest, state: EndpointState) -> tuple[Finding, ...]:
    target = manifest.target
    if target.content_hash not in state.rejected:
        return ()
    rule = f"version {target.version} ({target.content_hash[:12]}…) was rolled back before"
    remedy = "stage another version with `slipway up`, or write `slipway release --retry`"
    return (Finding(WARNING, rule, "target", remedy),)


def predicted_seconds(
    manifest: ReleaseManifest, state: EndpointState, snapshot: Snapshot, traffic: Traffic | None
) -> Span:
    """How long the release will take, as the plan says it: for the evidence."""
    count = live_count(manifest, snapshot)
    place = Circumstances(manifest, count, turnover_of(state), traffic)
    return total([s.seconds for s in stages(place)])


def turnover_of(state: EndpointState) -> float:
    return state.turnover_seconds or USUAL_TURNOVER_SECONDS


def refuse_errors(
    manifest: ReleaseManifest, state: EndpointState, snapshot: Snapshot, survey: Survey
) -> None:
    """Raise PlanError with every error that the plan has."""
    found = find(manifest, snapshot, survey, turnover_of(state))
    errors = [f for f in found if f.severity == ERROR]
    if errors:
        told = "\n".join(f"  {f.where}: {f.rule}; {f.remedy}" for f in errors)
        count = f"{len(errors)} problem{'' if len(errors) == 1 else 's'}"
        raise PlanError(f"the release of {manifest.endpoint_name} has {count}:\n{told}")


def _target_side(target: Target) -> Side:
    name = target.endpoint_config_name
    return Side(target.version, target.content_hash, name, target.metrics)


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


def _exposed(phase: Strategy, count: int) -> float:
    """The largest weight in percent before the phase is sure to have its verdict."""
    match phase:
        case Canary(steps=steps):
            return max((step.weight for step in steps), default=0.0)
        case BlueGreen() | Rolling():
            return exposure_of(phase, count)
        case Shadow():
            return 0.0


def _extra_instance_hours(planned: tuple[StagePlan, ...]) -> float:
    """Instances beside those that serve now, over each stage's expected time, else its longest."""
    hours = 0.0
    for stage in planned:
        expected = stage.seconds[2] if stage.seconds[1] is None else stage.seconds[1]
        hours += stage.extra_instances * expected / 3600
    return hours

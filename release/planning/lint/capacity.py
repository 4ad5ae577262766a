"""Instances: enough quota for both fleets, and what scales them."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.fleet import instances_of
from contracts.release_manifest import (
    LIVE_VARIANT,
    BlueGreen,
    Canary,
    ReleaseManifest,
    Rolling,
    Shadow,
    Strategy,
)
from release.controller.forward import candidate_count
from release.controller.start import Snapshot
from release.planning.lint.finding import Finding, error, warning
from release.planning.survey import Quota, Survey


def live_count(manifest: ReleaseManifest, snapshot: Snapshot) -> int:
    live = snapshot.endpoint.variant(LIVE_VARIANT)
    return manifest.target.initial_instance_count if live is None else live.desired_count


def mirror_count(shadow: Shadow, count: int) -> int:
    """Instances of a shadow beside ``count`` of live."""
    return candidate_count(min(100.0, max(0.0, shadow.sampling_percent)), count)


def leaving_mirrors(phases: tuple[Strategy, ...], index: int, count: int) -> int:
    """A shadow's instances that are still there while the phase of this index comes in.

    Only a canary takes the shadow's place; before anything else the shadow leaves alone.
    """
    before = phases[index - 1] if index else None
    if isinstance(phases[index], Canary) and isinstance(before, Shadow):
        return mirror_count(before, count)
    return 0


def peak(phases: tuple[Strategy, ...], count: int) -> int:
    """How many more instances than now there are at the most in any phase."""
    return max(
        extra_instances(phase, count, leaving_mirrors(phases, i, count))
        for i, phase in enumerate(phases)
    )


def extra_instances(strategy: Strategy, count: int, leaving: int = 0) -> int:
    """How many more instances than now there are at the most, while fleets turn over."""
    match strategy:
        case Canary(steps=steps):
            first = candidate_count(steps[0].weight, count) if steps else 0
            last = candidate_count(steps[-1].weight, count) if steps else 0
            # Into the transition both variants are new; at the swap the whole fleet is.
            return count + max(leaving + first, last)
        case BlueGreen():
            return count
        case Rolling(batch_percent=percent):
            return instances_of(percent, count)
        case Shadow():
            return count + mirror_count(strategy, count)


@dataclass(frozen=True)
class Need:
    """Instances of one type that a release needs beside those of now, at its peak.

    ``quota`` None: the account does not tell.
    """

    instance_type: str
    extra: int
    quota: Quota | None


def instance_types(manifest: ReleaseManifest, snapshot: Snapshot) -> tuple[str, ...]:
    """The type that serves now and the target's, once where they are the same."""
    variants = [] if snapshot.live is None else snapshot.live.production()
    live = [str(v["InstanceType"]) for v in variants if v.get("InstanceType")]
    return tuple(dict.fromkeys((*live[:1], manifest.target.instance_type)))


def needs(manifest: ReleaseManifest, snapshot: Snapshot, survey: Survey) -> tuple[Need, ...]:
    """What each phase needs of each type; the most of them counts."""
    count, phases = live_count(manifest, snapshot), manifest.release.phases
    match instance_types(manifest, snapshot):
        case (old, new):
            both = [
                _of_each_type(phase, count, leaving_mirrors(phases, i, count))
                for i, phase in enumerate(phases)
            ]
            extra = {old: max(o for o, _ in both), new: max(n for _, n in both)}
        case (same, *_):
            extra = {same: peak(phases, count)}
        case _:
            extra = {}
    return tuple(Need(kind, n, survey.quotas.get(kind)) for kind, n in extra.items() if n)


def _of_each_type(strategy: Strategy, count: int, leaving: int) -> tuple[int, int]:
    """More instances of the old type and of the new one, where the target changes it."""
    match strategy:
        case Canary(steps=steps):
            # Into the transition live is made anew too; at the swap the new type alone is.
            first = candidate_count(steps[0].weight, count) if steps else 0
            last = candidate_count(steps[-1].weight, count) if steps else 0
            return count, max(leaving + first, count + last)
        case BlueGreen() | Rolling():
            return 0, count
        case Shadow():
            return count, mirror_count(strategy, count)


def _stepped(manifest: ReleaseManifest, snapshot: Snapshot) -> list[Finding]:
    """Policies that come back with the target, but under an ARN that their alarms do not know."""
    kinds, target = instance_types(manifest, snapshot), snapshot.scaling
    if target is None or len(kinds) < 2:
        return []
    stepped = [p for p in target.policies if p.get("PolicyType") == "StepScaling"]
    names = ", ".join(str(policy["PolicyName"]) for policy in stepped)
    if not names:
        return []
    rule = (
        f"the scaling of live is registered anew, for its type changes from {' to '.join(kinds)}: "
        f"step scaling by {names} gets another ARN, and the alarms that call it name the old one"
    )
    remedy = "after the release let the alarms' actions name the new ARN, or track a target instead"
    return [warning(rule, "scaling", remedy)]


def lint(manifest: ReleaseManifest, snapshot: Snapshot, survey: Survey) -> list[Finding]:
    """Quota; a scaling target that stands in the way is the release's own work (facts 6)."""
    found = _stepped(manifest, snapshot)
    for need in needs(manifest, snapshot, survey):
        quota = need.quota
        if quota is None or need.extra <= quota.allowed - quota.in_use:
            continue
        rule = (
            f"both fleets together need {need.extra} more {need.instance_type}, and the account "
            f"has {quota.allowed - quota.in_use} left of {quota.allowed} for endpoint usage"
        )
        remedy = "ask for a higher quota in Service Quotas, or release by rolling in small batches"
        found.append(error(rule, "quota", remedy))
    return found

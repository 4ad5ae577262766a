"""Instances: enough quota for both fleets."""

from __future__ import annotations

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
from release.forward import candidate_count
from release.lint.finding import Finding, error
from release.start import Snapshot
from release.survey import Survey


def live_count(manifest: ReleaseManifest, snapshot: Snapshot) -> int:
    live = snapshot.endpoint.variant(LIVE_VARIANT)
    return manifest.target.initial_instance_count if live is None else live.desired_count


def extra_instances(strategy: Strategy, count: int) -> int:
    """How many more instances than now there are at the most, while fleets turn over."""
    match strategy:
        case Canary(steps=steps):
            first = candidate_count(steps[0].weight, count) if steps else 0
            last = candidate_count(steps[-1].weight, count) if steps else 0
            # Into the transition both variants are new; at the swap the whole fleet is.
            return max(count + first, count + last)
        case BlueGreen():
            return count
        case Rolling(batch_percent=percent):
            return instances_of(percent, count)
        case Shadow(sampling_percent=percent):
            return count + candidate_count(min(100, percent), count)


def lint(manifest: ReleaseManifest, survey: Survey, count: int) -> list[Finding]:
    """Quota; a scaling target that stands in the way is the release's own work (facts 6)."""
    if survey.quota is None:
        return []
    extra = max(extra_instances(phase, count) for phase in manifest.release.phases)
    free = survey.quota.allowed - survey.quota.in_use
    if extra <= free:
        return []
    kind = manifest.target.instance_type
    rule = (
        f"both fleets together need {extra} more {kind}, and the account has {free} left of "
        f"{survey.quota.allowed} for endpoint usage"
    )
    remedy = "ask for a higher quota in Service Quotas, or release by rolling in small batches"
    return [error(rule, "quota", remedy)]

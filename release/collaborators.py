"""What a driver asks and tells beside AWS's control plane: hooks, captured answers, the world."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.release_manifest import (
    CANDIDATE_VARIANT,
    LIVE_VARIANT,
    SHADOW_VARIANT,
    Shadow,
)
from release.announce import Announcer
from release.aws import AwsCloud
from release.captures import CaptureReader
from release.hooks import HookQuestion, Hooks, hooks_of
from release.state import Release

MINUTE = 60.0
MIRROR = "mirror"  # The stage in which a shadow gets copies.


@dataclass(frozen=True)
class Collaborators:
    """None of them can end a release: what they cannot do, they say."""

    ask_hooks: Hooks
    read_captures: CaptureReader
    announce: Announcer


def collaborators(release: Release, cloud: AwsCloud, driver: str) -> Collaborators:
    """The real ones for ``driver``: ``terminal`` or ``lambda``."""
    manifest = release.manifest
    return Collaborators(
        hooks_of(driver, manifest.region),
        CaptureReader(cloud["s3"]),
        Announcer(manifest.controller, cloud),
    )


def question_of(release: Release, now: float) -> HookQuestion:
    """What a hook is told about a release that bakes."""
    manifest = release.manifest
    steps = manifest.release.steps
    weight = steps[release.step].weight if release.step < len(steps) else 100.0
    candidate = CANDIDATE_VARIANT
    match manifest.release.phases[0]:
        case Shadow(sampling_percent=sampled) if release.stage == MIRROR:
            weight, candidate = sampled, SHADOW_VARIANT
        case _:
            pass
    return HookQuestion(
        release_id=release.id,
        model=manifest.model,
        endpoint=manifest.endpoint_name,
        region=manifest.region,
        from_version=release.before.good.version,
        to_version=release.destination.version,
        stage=release.stage,
        step=release.step,
        weight=weight,
        live_variant=LIVE_VARIANT,
        candidate_variant=candidate,
        minutes=max(0.0, (now - release.stage_since) / MINUTE),
    )

"""What a driver asks and tells beside AWS's control plane: hooks, captured answers, the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from contracts.release_manifest import (
    CANDIDATE_VARIANT,
    LIVE_VARIANT,
    SHADOW_VARIANT,
    HookGate,
    PredictionGate,
    ReleaseManifest,
    Shadow,
)
from release.aws.cloud import AwsCloud
from release.capture.answers import CaptureQuery, CaptureReader
from release.capture.histograms import Bins
from release.controller.capturing import capture_of
from release.controller.phases import weight_shown
from release.driver.announce import Announcer
from release.driver.progress import Collaborators
from release.hooks.questions import HookQuestion, Hooks
from release.hooks.running import hooks_of
from release.observation import Captured, HookAnswer
from release.observation import CaptureQuery as Wanted
from release.state import Release

MINUTE = 60.0
MIRROR = "mirror"  # The stage in which a shadow gets copies.
# The stages in which only a share of the traffic meets the new version.
COMPARING = frozenset({MIRROR, "bake", "shift"})


def collaborators(manifest: ReleaseManifest, cloud: AwsCloud, driver: str) -> Collaborators:
    """The real ones for ``driver``: ``terminal`` or ``lambda``."""
    return Collaborators(
        _asking(hooks_of(driver, manifest.region)),
        lambda release, wanted: captured(release, wanted, CaptureReader(cloud["s3"])),
        Announcer(manifest.controller, cloud),
    )


def _asking(
    hooks: Hooks,
) -> Callable[[Release, tuple[HookGate, ...], float], dict[str, HookAnswer]]:
    def ask(release: Release, due: tuple[HookGate, ...], now: float) -> dict[str, HookAnswer]:
        return hooks(due, question_of(release, now), now)

    return ask


def captured(
    release: Release, wanted: Wanted, read: Callable[[CaptureQuery], Any]
) -> Captured | None:
    """What was captured of the minutes that are wanted; None where nothing is captured.

    Raises:
        UnavailableError: S3 did not answer.
    """
    place = destination(release)
    if place is None:
        return None
    sources, bins = wanted.sources, None
    if len(set(sources.values())) < len(sources):
        # Answers are kept by variant, and guardrails give both fleets the same one: held against
        # each other they would be held against themselves.
        return Captured({}, notes=("captured answers of both fleets cannot be told apart",))
    if wanted.bins is not None:
        bins = Bins(tuple(wanted.bins["edges"]), tuple(wanted.bins["labels"]))
    elif edges := _configured(release):
        bins = Bins(edges=edges)
    pair = (sources[LIVE_VARIANT], sources[CANDIDATE_VARIANT]) if wanted.pairs else None
    variants = tuple(dict.fromkeys(sources.values()))
    name = release.manifest.endpoint_name
    query = CaptureQuery(place, name, variants, wanted.since, wanted.until, bins, pair)
    found = read(query)
    return Captured(
        {
            series: found.predictions[variant]
            for series, variant in sources.items()
            if variant in found.predictions
        },
        None if found.bins is None else asdict(found.bins),
        found.pairs,
        found.notes,
    )


def destination(release: Release) -> str | None:
    """Where answers are captured: as the new version has it, else as live had it before."""
    config = capture_of(release)
    return None if config is None else str(config["DestinationS3Uri"])


def _configured(release: Release) -> tuple[float, ...]:
    gates = release.manifest.release.gates
    return next((g.bins for g in gates if isinstance(g, PredictionGate) and g.bins), ())


def question_of(release: Release, now: float) -> HookQuestion:
    """What a hook is told about a release that bakes."""
    manifest = release.manifest
    weight = weight_shown(release) if release.stage in COMPARING else 100.0
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

"""Configurations that somebody deletes under a release: which it needs, and what stands in for one.

SageMaker lets a configuration be deleted that serves; afterwards it takes no update away from it,
for it looks for its name (facts 2). So one of this name is made before the endpoint leaves it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contracts.release_manifest import LIVE_VARIANT
from release.actions import CreateConfig
from release.controller.stages import FORWARD, Stage, known_configs, own_tags
from release.observation import Config, Endpoint, Observation, Variant
from release.state import PROMOTED, RELEASE, Release


def needed_configs(release: Release, endpoint: Endpoint) -> tuple[str, ...]:
    """What must exist: what serves, and the target until the release has turned back."""
    serving, target = endpoint.config_name, release.destination.endpoint_config_name
    needed = [serving] if serving in known_configs(release) else []
    if release.stage == Stage.RESTORE or is_forward(release):
        needed.append(target)
    return tuple(dict.fromkeys(needed))


def is_forward(release: Release) -> bool:
    """Whether it goes on to its target, or has promoted it and only tidies up."""
    is_open = release.purpose == RELEASE and release.ending in (None, PROMOTED)
    return is_open and Stage(release.stage) in FORWARD | {Stage.CLEANUP}


def why_back(release: Release, observation: Observation) -> str:
    """Why the release cannot go on because of what was deleted; empty where it can.

    Not for what served before: that is made again exactly as it was.
    """
    if not is_forward(release):
        return ""
    target, serving = release.destination, observation.endpoint.config_name
    if target.endpoint_config_name in observation.missing:
        return (
            f"configuration {target.endpoint_config_name} of version {target.version} was deleted "
            "under the release; stage the version again with `slipway up`"
        )
    if serving in observation.missing and serving != release.before.config.name:
        return f"configuration {serving}, which serves both versions, was deleted under the release"
    return ""


def stood_in(
    release: Release, observation: Observation
) -> tuple[Release, tuple[CreateConfig, ...]]:
    """Before an update away from what serves: a configuration of its name, where it is gone.

    It serves nobody, and goes again at the release's end.
    """
    endpoint = observation.endpoint
    name = endpoint.config_name
    if name not in observation.missing or name == release.before.config.name:
        return release, ()
    body = {"ProductionVariants": [_variant(release, name, v) for v in endpoint.variants]}
    if endpoint.shadows:
        body["ShadowProductionVariants"] = [_variant(release, name, v) for v in endpoint.shadows]
    return replace(release, stand_in=name), (CreateConfig(name, body, own_tags(release)),)


def _variant(release: Release, config: str, variant: Variant) -> dict[str, Any]:
    is_new = config == release.destination.endpoint_config_name or variant.name != LIVE_VARIANT
    known = release.candidate_variant if is_new else release.before.config.production()[0]
    counted = {"InitialInstanceCount": max(1, variant.desired_count)}
    return {
        **known,
        "VariantName": variant.name,
        "InitialVariantWeight": variant.current_weight,
        **(counted if "InitialInstanceCount" in known else {}),
    }


def served_before(release: Release, observation: Observation) -> tuple[CreateConfig, ...]:
    """What served before and serves again, exactly as it was, where it was deleted."""
    config: Config = release.before.config
    is_gone = config.name in observation.missing and config.name == observation.endpoint.config_name
    return (CreateConfig(config.name, config.body, config.tags),) if is_gone else ()

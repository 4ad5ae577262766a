"""What each stage wants to know beside the endpoint itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from contracts.release_manifest import LIVE_VARIANT, HookGate, PredictionGate
from release.controller.capturing import compares_pairs
from release.controller.counting import (
    CANDIDATE,
    MINUTE,
    capture_query,
    last_settled,
    queries,
    slow_limit,
)
from release.controller.judging import fresh_hooks, is_watched
from release.controller.phases import candidate_variant, has_config
from release.controller.stages import (
    Stage,
    candidate_alarms,
    landed_alarms,
    own_config,
    owner_alarms,
)
from release.hooks.questions import due
from release.observation import CaptureQuery, Endpoint, MetricQuery
from release.state import ROLLBACK, Release

JUDGED = frozenset({Stage.MIRROR, Stage.BAKE, Stage.SHIFT, Stage.POST_BAKE})


@dataclass(frozen=True)
class Needs:
    metrics: tuple[MetricQuery, ...] = ()
    alarms: tuple[str, ...] = ()
    hooks: tuple[HookGate, ...] = ()
    captures: CaptureQuery | None = None


def needs(release: Release, endpoint: Endpoint) -> Needs:
    candidate = tuple(a.name for a in candidate_alarms(release))
    landed = tuple(a.name for a in landed_alarms(release))
    owners = owner_alarms(release)
    hooks = due_hooks(release, endpoint.now)
    match Stage(release.stage):
        case Stage.BAKE | Stage.MIRROR:
            asked = queries(release, endpoint)
            return Needs(asked, (*candidate, *owners), hooks, _captures(release, asked))
        case Stage.SWAP if release.issued:
            return Needs((), (*candidate, *landed, *owners))
        case Stage.SHIFT if release.issued:
            asked = queries(release, endpoint)
            is_baking = endpoint.deployment is not None and endpoint.deployment.is_baking
            hooks = hooks if is_baking else ()
            captures = _captures(release, asked)
            return Needs(
                (*asked, *_landed_query(release, endpoint)), (*landed, *owners), hooks, captures
            )
        case Stage.POST_BAKE:
            query = _alone(release, endpoint, release.stage_since)
            return Needs(query, (*landed, *owners), hooks)
        case _ if is_watched(release):
            return Needs((), (*candidate, *owners))
        case _:
            return Needs()


def _landed_query(release: Release, endpoint: Endpoint) -> tuple[MetricQuery, ...]:
    """The new fleet alone, once it takes all traffic and bakes."""
    deployment = endpoint.deployment
    if deployment is None or not deployment.is_full or not deployment.is_baking:
        return ()
    return _alone(release, endpoint, deployment.since)


def _alone(release: Release, endpoint: Endpoint, began: float) -> tuple[MetricQuery, ...]:
    """The new version's own minutes; while its fleet is cold they say nothing of it."""
    warm = began + release.manifest.release.warm_up_seconds
    since = math.ceil(warm / MINUTE) * MINUTE
    config = release.destination.endpoint_config_name
    until = last_settled(release.manifest, endpoint.now)
    if until < since:
        return ()
    over = slow_limit(release)
    return (MetricQuery(config, (LIVE_VARIANT,), since, until, "landed", over),)


def _captures(release: Release, asked: tuple[MetricQuery, ...]) -> CaptureQuery | None:
    gates = release.manifest.release.gates
    pairs = compares_pairs(release)
    if not pairs and not any(isinstance(g, PredictionGate) for g in gates):
        return None
    return capture_query(release, asked, pairs=pairs)


def due_hooks(release: Release, now: float) -> tuple[HookGate, ...]:
    """The hooks that have not answered in this step, or not for as long as they are to be asked."""
    if release.stage not in JUDGED:
        return ()
    hooks = (g for g in release.manifest.release.gates if isinstance(g, HookGate))
    return due(hooks, fresh_hooks(release), now)


def whole_story(release: Release, now: float) -> tuple[MetricQuery, ...]:
    """Every minute that either version answered, counted by gates or not; for evidence.

    What a shadow answered is a series of its own: nobody got those answers.
    """
    if release.purpose == ROLLBACK:
        return ()
    since = release.started_at // MINUTE * MINUTE
    until = now // MINUTE * MINUTE
    # Whatever way it got all of the traffic, and until it was taken back. The minute in which the
    # release began may still belong to an earlier one of the same version.
    target = release.destination.endpoint_config_name
    found = [MetricQuery(target, (LIVE_VARIANT,), since + MINUTE, until, CANDIDATE)]
    for index, phase in enumerate(release.manifest.release.phases[: release.phase + 1]):
        if has_config(phase):
            config, variant = own_config(release, index), candidate_variant(phase)
            found.append(MetricQuery(config, (LIVE_VARIANT,), since, until))
            found.append(MetricQuery(config, (variant,), since, until))
        else:
            found.append(MetricQuery(release.before.config.name, (LIVE_VARIANT,), since, until))
    return tuple(found)

"""The release controller: a pure function from what is known and seen to what is to be done.

``advance`` is called again and again. The driver saves the release that it returns before it
executes the actions, then tells ``executed`` or ``refused``. Everything is decided by comparing
what is wanted with what DescribeEndpoint says, so that a controller killed between any two actions
is continued by the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from contracts.release_manifest import LIVE_VARIANT
from release import baking, forward, retreat
from release.actions import (
    Action,
    SetCapacity,
    SetWeights,
    UpdateEndpoint,
    describe,
    still_needed,
)
from release.counting import MINUTE, last_settled, unseen_minutes
from release.gates import StepVerdict
from release.observation import Endpoint, MetricQuery, Observation
from release.stages import FORWARD, Move, Stage, candidate_alarms, go, landed_alarms
from release.state import INCONCLUSIVE, ROLLED_BACK, Release

STAGES: dict[Stage, Callable[[Release, Observation], Move]] = {
    Stage.PREPARE: forward.prepare,
    Stage.ENTER: forward.enter,
    Stage.CAPACITY: forward.capacity,
    Stage.WEIGHT: forward.weight,
    Stage.BAKE: baking.bake,
    Stage.FULL_CAPACITY: forward.full_capacity,
    Stage.SWAP: forward.swap,
    Stage.POST_BAKE: baking.post_bake,
    Stage.ZERO: retreat.zero,
    Stage.BACK: retreat.back,
    Stage.RESTORE: retreat.restore,
    Stage.CLEANUP: retreat.cleanup,
}


def advance(release: Release, observation: Observation) -> Move:
    """What follows from what is seen: the release to save, then the actions to execute."""
    if release.pending:
        raise AssertionError("pending actions are executed or refused before the next advance")
    actions: tuple[Action, ...] = ()
    while release.outcome is None and not actions:
        before = release
        release, actions = STAGES[Stage(release.stage)](release, observation)
        if release == before:
            break
    if any(isinstance(a, UpdateEndpoint | SetWeights | SetCapacity) for a in actions):
        endpoint = observation.endpoint
        release = replace(release, issued_at=endpoint.now, modified=endpoint.last_modified)
    return replace(release, pending=actions), actions


def executed(release: Release) -> Release:
    """All pending actions were executed."""
    return replace(release, pending=(), issued=True)


def resumed(release: Release, endpoint: Endpoint) -> Release:
    """Another controller takes over: of the pending actions, those that were not executed."""
    pending = tuple(a for a in release.pending if still_needed(a, endpoint))
    was_done = bool(release.pending) and not pending
    release = executed(release) if was_done else replace(release, pending=pending)
    if pending:
        release = replace(release, issued_at=endpoint.now, modified=endpoint.last_modified)
    text = f"continued in stage {release.stage}"
    return release.noted(endpoint.now, "continued", text, pending=[describe(a) for a in pending])


def refused(release: Release, action: Action, message: str, now: float) -> Release:
    """AWS refused a pending action: end safely, or go on where the way back is at stake."""
    reason = f"AWS refused to {describe(action)}: {message}"
    release = replace(release, pending=()).noted(now, "refused", reason)
    stage = Stage(release.stage)
    if stage in (Stage.PREPARE, Stage.ENTER):
        ended = replace(release, ending=INCONCLUSIVE, reason=reason)
        return go(ended, Stage.CLEANUP, now)
    if stage in FORWARD:
        return retreat.retreat(release, INCONCLUSIVE, reason, now)
    if stage is Stage.CLEANUP:
        return replace(release, issued=True)
    if release.attempts < retreat.MAX_ATTEMPTS or stage is Stage.ZERO:
        return release
    ended = replace(release, ending=INCONCLUSIVE, reason=f"{release.reason}; {reason}".strip("; "))
    return go(ended, Stage.CLEANUP, now)


def abort(release: Release, reason: str, now: float) -> Release:
    """A person ends the release: everything back, unless it is on its way back already."""
    if Stage(release.stage) not in FORWARD:
        return release
    return retreat.retreat(replace(release, pending=()), ROLLED_BACK, reason, now)


@dataclass(frozen=True)
class Needs:
    """What the stage wants to know beside the endpoint itself."""

    metrics: MetricQuery | None = None
    alarms: tuple[str, ...] = ()


def needs(release: Release, endpoint: Endpoint) -> Needs:
    manifest = release.manifest
    candidate = tuple(a.name for a in candidate_alarms(release))
    landed = tuple(a.name for a in landed_alarms(release))
    match Stage(release.stage):
        case Stage.BAKE:
            return Needs(unseen_minutes(release, endpoint), candidate)
        case Stage.SWAP:
            return Needs(None, (*candidate, *landed))
        case Stage.POST_BAKE:
            config = release.destination.endpoint_config_name
            since = math.ceil(release.stage_since / MINUTE) * MINUTE
            until = last_settled(manifest, endpoint.now)
            query = MetricQuery(config, (LIVE_VARIANT,), since, until)
            return Needs(query if until >= since else None, landed)
        case _:
            return Needs()


def verdict(release: Release, observation: Observation) -> StepVerdict:
    """The verdict so far on the step that bakes now."""
    return baking.verdict_of(release, observation)

"""The stages from nothing moved to the target in place, but for the bakes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, ReleaseManifest
from release.actions import (
    Action,
    CreateConfig,
    SetCapacity,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
)
from release.observation import Endpoint, Observation
from release.retreat import MAX_ATTEMPTS, hands_off, retreat, unless_steady
from release.stages import (
    Move,
    Progress,
    Stage,
    candidate_alarms,
    go,
    has_weights,
    is_unseen,
    landed_alarms,
    own_tags,
    transition_config,
    update_progress,
)
from release.state import INCONCLUSIVE, ROLLED_BACK, Release

PROVISION_LIMIT_SECONDS = 3600.0
# The Date of an answer has whole seconds, so what it dates may be up to one second younger.
DATE_RESOLUTION_SECONDS = 1.0


def prepare(release: Release, observation: Observation) -> Move:
    """Everything that the first step needs exists before anything moves."""
    endpoint, before = observation.endpoint, release.before
    waiting = unless_steady(release, endpoint, before.config.name)
    if waiting is not None:
        return waiting
    if release.issued:
        return go(release, Stage.ENTER, endpoint.now), ()
    manifest = release.manifest
    actions: list[Action] = []
    if before.suspended is not None:
        actions.append(SetScaling(before.suspended | {"DynamicScalingInSuspended": True}))
    actions += candidate_alarms(release)
    actions += landed_alarms(release)
    body = _transition_body(release, manifest, endpoint)
    actions.append(CreateConfig(transition_config(release), body, own_tags(release)))
    return release, tuple(actions)


def _transition_body(
    release: Release, manifest: ReleaseManifest, endpoint: Endpoint
) -> dict[str, Any]:
    """Live exactly as it is now, and the candidate at weight 0."""
    body = release.before.config.body
    live = dict(release.before.config.production()[0])
    count = _count(endpoint, release)
    live["InitialInstanceCount"] = count
    live["InitialVariantWeight"] = release.before.weight
    candidate = release.candidate_variant | {
        "VariantName": CANDIDATE_VARIANT,
        "InitialInstanceCount": candidate_count(manifest.release.steps[0].weight, count),
        "InitialVariantWeight": 0.0,
    }
    return body | {"ProductionVariants": [live, candidate]}


def enter(release: Release, observation: Observation) -> Move:
    endpoint = observation.endpoint
    source, target = release.before.config.name, transition_config(release)
    if not release.issued:
        waiting = unless_steady(release, endpoint, source)
        if waiting is not None:
            return waiting
        return release, (UpdateEndpoint(target, exclude_weights=False),)
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            turnover = endpoint.now - release.issued_at
            entered = replace(release, turnover_seconds=turnover).noted(
                endpoint.now, "entered", "candidate in service at weight 0", seconds=turnover
            )
            return begin_step(entered, 0, endpoint), ()
        case Progress.FAILED:
            why = endpoint.failure_reason or "AWS gave no reason"
            reason = f"the candidate did not come into service: {why}"
            ended = replace(release, ending=ROLLED_BACK, reason=reason)
            return go(ended, Stage.CLEANUP, endpoint.now).noted(endpoint.now, "failed", reason), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update from {source} to {target}"), ()
        case Progress.WAITING:
            return release, ()


def begin_step(release: Release, index: int, endpoint: Endpoint) -> Release:
    step = release.manifest.release.steps[index]
    live = endpoint.variant(LIVE_VARIANT)
    # Weights count from live's current weight; it is never taken to 0 (architecture, rule 5).
    weight = live.current_weight if live is not None and live.current_weight > 0 else 1.0
    share = step.weight / 100
    changed = replace(
        release,
        step=index,
        step_since=endpoint.now,
        wanted_count=candidate_count(step.weight, _count(endpoint, release)),
        wanted_weights={LIVE_VARIANT: weight, CANDIDATE_VARIANT: weight * share / (1 - share)},
    )
    return go(changed, Stage.CAPACITY, endpoint.now)


def candidate_count(weight: float, live_count: int) -> int:
    """Instances that carry ``weight`` percent of what ``live_count`` carry."""
    return max(1, math.ceil(weight / 100 * live_count - 1e-9))


def _count(endpoint: Endpoint, release: Release) -> int:
    live = endpoint.variant(LIVE_VARIANT)
    return release.before.count if live is None else live.desired_count


def capacity(release: Release, observation: Observation) -> Move:
    endpoint, count = observation.endpoint, release.wanted_count
    return _scale(release, endpoint, CANDIDATE_VARIANT, count, Stage.WEIGHT)


def _scale(release: Release, endpoint: Endpoint, name: str, count: int, then: Stage) -> Move:
    """Give ``name`` at least ``count`` instances and wait for them, then go to ``then``."""
    waiting = unless_steady(release, endpoint, transition_config(release))
    if waiting is not None:
        return waiting
    variant = endpoint.variant(name)
    if variant is None:
        return hands_off(release, endpoint, f"a variant {name}"), ()
    if variant.desired_count >= count:
        if variant.current_count >= count:
            return go(release, then, endpoint.now), ()
        if endpoint.now - release.stage_since < PROVISION_LIMIT_SECONDS:
            return release, ()
    elif is_unseen(release, endpoint):
        return release, ()
    elif release.attempts < MAX_ATTEMPTS:
        again = replace(release, attempts=release.attempts + 1)
        return again, (SetCapacity(name, count),)
    reason = f"{name} did not reach {count} instances (it has {variant.current_count})"
    return retreat(release, INCONCLUSIVE, reason, endpoint.now), ()


def weight(release: Release, observation: Observation) -> Move:
    endpoint = observation.endpoint
    waiting = unless_steady(release, endpoint, transition_config(release))
    if waiting is not None:
        return waiting
    if has_weights(endpoint, release.wanted_weights):
        weight = release.manifest.release.steps[release.step].weight
        clean = endpoint.now + DATE_RESOLUTION_SECONDS
        first = clean if release.first_traffic_at is None else release.first_traffic_at
        changed = replace(release, clean_since=clean, first_traffic_at=first)
        text = f"candidate at {weight:g} %"
        data = {"weight": weight, "weights": release.wanted_weights, "count": release.wanted_count}
        changed = changed.noted(endpoint.now, "weight", text, **data)
        return go(changed, Stage.BAKE, endpoint.now), ()
    if is_unseen(release, endpoint):
        return release, ()
    if release.attempts >= MAX_ATTEMPTS:
        return retreat(
            release, INCONCLUSIVE, "the weights were set but do not show", endpoint.now
        ), ()
    again = replace(release, attempts=release.attempts + 1)
    return again, (SetWeights(release.wanted_weights),)


def carried_count(release: Release, manifest: ReleaseManifest, endpoint: Endpoint) -> int:
    """Instances of live that carry 100 %: those of the start, times the traffic's shown growth.

    Growth is shown where it exceeds three standard errors of the ratio of the first to the last
    step's requests a minute; scaling has not seen it, for the candidate took its share.
    """
    first = [m for m in release.minutes if m.step == 0]
    last = [m for m in release.minutes if m.step == release.step]
    count = max(release.before.count, _count(endpoint, release))
    began = sum(m.live.requests + m.candidate.requests for m in first)
    ended = sum(m.live.requests + m.candidate.requests for m in last)
    if release.step == 0 or not began or not ended:
        return count
    ratio = (ended / len(last)) / (began / len(first))
    shown = ratio * (1 - 3 * math.sqrt(1 / began + 1 / ended))
    needed = math.ceil(release.before.count * shown - 1e-9)
    limit = manifest.scaling.max_instances if manifest.scaling is not None else needed
    return max(count, min(needed, limit))


def full_capacity(release: Release, observation: Observation) -> Move:
    endpoint, count = observation.endpoint, release.wanted_count
    return _scale(release, endpoint, LIVE_VARIANT, count, Stage.SWAP)


def swap(release: Release, observation: Observation) -> Move:
    """The target configuration: counts are kept, weights are not."""
    endpoint = observation.endpoint
    source, target = transition_config(release), release.destination.endpoint_config_name
    if not release.issued:
        waiting = unless_steady(release, endpoint, source)
        if waiting is not None:
            return waiting
        return release, (UpdateEndpoint(target, exclude_weights=True),)
    ringing = sorted(n for n, state in observation.alarms.items() if state == "ALARM")
    if ringing and not release.tripped:
        release = replace(release, tripped=f"alarm {', '.join(ringing)} at the swap")
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            text = f"configuration {target} serves"
            landed = release.noted(endpoint.now, "landed", text, config=target)
            return go(landed, Stage.POST_BAKE, endpoint.now), ()
        case Progress.FAILED:
            why = endpoint.failure_reason or "AWS gave no reason"
            reason = f"the update to {target} failed: {why}"
            return retreat(release, ROLLED_BACK, reason, endpoint.now), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {target}"), ()
        case Progress.WAITING:
            return release, ()

"""The stages from nothing moved to the target in place, but for the bakes and the shift."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contracts.release_manifest import (
    CANDIDATE_VARIANT,
    LIVE_VARIANT,
    SHADOW_VARIANT,
    Canary,
    Shadow,
)
from release.actions import Action, CreateConfig, SetCapacity, SetWeights, UpdateEndpoint
from release.controller.capacity import candidate_count, live_count
from release.controller.capturing import own_capture
from release.controller.counting import DATE_RESOLUTION_SECONDS
from release.controller.judging import ringing
from release.controller.phases import first_step, has_config, phase_of, step_of
from release.controller.retreat import MAX_ATTEMPTS, hands_off, retreat, unless_steady
from release.controller.scaling import make_way, suspend
from release.controller.stages import (
    Move,
    Progress,
    Stage,
    candidate_alarms,
    gate_alarm,
    go,
    has_weights,
    is_unseen,
    landed_alarms,
    own_tags,
    transition_config,
    update_progress,
)
from release.observation import Endpoint, Observation
from release.state import INCONCLUSIVE, ROLLED_BACK, Release

PROVISION_LIMIT_SECONDS = 3600.0


def prepare(release: Release, observation: Observation) -> Move:
    """Everything that the phase needs exists before anything moves."""
    endpoint, phase = observation.endpoint, phase_of(release)
    waiting = unless_steady(release, endpoint, release.base)
    if waiting is not None:
        return waiting
    if release.issued:
        return go(release, Stage.ENTER if has_config(phase) else Stage.SHIFT, endpoint.now), ()
    actions: list[Action] = [*suspend(release), *candidate_alarms(release)]
    actions += landed_alarms(release)
    if isinstance(phase, Canary | Shadow):
        body = _own_body(release, phase, endpoint)
        actions.append(CreateConfig(transition_config(release), body, own_tags(release)))
    else:
        actions.append(gate_alarm(release))
    return release, tuple(actions)


def _own_body(release: Release, phase: Canary | Shadow, endpoint: Endpoint) -> dict[str, Any]:
    """Live exactly as it is now, and the new version beside it; captured as the gates need."""
    body = {k: v for k, v in release.before.config.body.items() if k != "DataCaptureConfig"}
    if (capture := own_capture(release)) is not None:
        body["DataCaptureConfig"] = capture
    live = dict(release.before.config.production()[0])
    count = live_count(endpoint, release)
    live["InitialInstanceCount"] = count
    if isinstance(phase, Shadow):
        # What a shadow's weight means beside another production weight is not known (facts 2).
        live["InitialVariantWeight"] = 1.0
        shadow = release.candidate_variant | {
            "VariantName": SHADOW_VARIANT,
            "InitialInstanceCount": candidate_count(phase.sampling_percent, count),
            "InitialVariantWeight": phase.sampling_percent / 100,
        }
        return body | {"ProductionVariants": [live], "ShadowProductionVariants": [shadow]}
    now = endpoint.variant(LIVE_VARIANT)
    live["InitialVariantWeight"] = _weight_of(now.current_weight if now is not None else 0.0)
    candidate = release.candidate_variant | {
        "VariantName": CANDIDATE_VARIANT,
        "InitialInstanceCount": candidate_count(phase.steps[0].weight, count),
        "InitialVariantWeight": 0.0,
    }
    return body | {"ProductionVariants": [live, candidate]}


def _weight_of(current: float) -> float:
    """Live is never taken to weight 0 (architecture, rule 5)."""
    return current if current > 0 else 1.0


def enter(release: Release, observation: Observation) -> Move:
    """Live as it was, with a candidate without traffic or a shadow at its sample."""
    endpoint = observation.endpoint
    source, target = release.base, transition_config(release)
    if not release.issued:
        waiting = unless_steady(release, endpoint, source)
        if waiting is not None:
            return waiting
        entering, way = make_way(release, endpoint, target)
        # Live as it is stands in the configuration, but never at weight 0.
        return entering, (*way, UpdateEndpoint(target, exclude_weights=True))
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            return _entered(release, endpoint), ()
        case Progress.FAILED:
            why = endpoint.failure_reason or "AWS gave no reason"
            reason = f"the candidate did not come into service: {why}"
            failed = release.noted(endpoint.now, "failed", reason)
            return retreat(failed, ROLLED_BACK, reason, endpoint.now), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update from {source} to {target}"), ()
        case Progress.WAITING:
            return release, ()


def _entered(release: Release, endpoint: Endpoint) -> Release:
    now, phase = endpoint.now, phase_of(release)
    turnover = now - release.issued_at
    entered = replace(release, turnover_seconds=turnover, base=transition_config(release))
    if not isinstance(phase, Shadow):
        text = "candidate in service at weight 0"
        return begin_step(entered.noted(now, "entered", text, seconds=turnover), 0, endpoint)
    clean = now + DATE_RESOLUTION_SECONDS
    text = f"shadow in service, {phase.sampling_percent:g} % of the requests are mirrored"
    mirrored = replace(entered, clean_since=clean, first_traffic_at=clean, step_since=now)
    return go(mirrored, Stage.MIRROR, now).noted(now, "entered", text, seconds=turnover)


def begin_step(release: Release, index: int, endpoint: Endpoint) -> Release:
    """Step ``index`` of the canary: its capacity first, then its weight."""
    changed = replace(release, step=first_step(release) + index, step_since=endpoint.now)
    step = step_of(changed)
    live = endpoint.variant(LIVE_VARIANT)
    weight = _weight_of(live.current_weight if live is not None else 0.0)
    share = step.weight / 100
    changed = replace(
        changed,
        wanted_count=candidate_count(step.weight, live_count(endpoint, release)),
        wanted_weights={LIVE_VARIANT: weight, CANDIDATE_VARIANT: weight * share / (1 - share)},
    )
    return go(changed, Stage.CAPACITY, endpoint.now)


def _unless_ours(release: Release, endpoint: Endpoint) -> Move | None:
    """None if the endpoint is InService as this release left it; else wait, or leave it alone."""
    waiting = unless_steady(release, endpoint, release.base)
    expected = "" if waiting is not None else _expected_weights(release, endpoint)
    return (hands_off(release, endpoint, expected), ()) if expected else waiting


def _expected_weights(release: Release, endpoint: Endpoint) -> str:
    """The weights that should be there, where someone else changed them between two bakes.

    Those of the step before stand until those of this one are set. Where a person wants the new
    version promoted now, weights do not matter any more.
    """
    phase, wanted = phase_of(release), release.wanted_weights
    if not isinstance(phase, Canary) or not wanted or release.promote_now:
        return ""
    index, live = release.step - first_step(release), wanted[LIVE_VARIANT]
    before = {CANDIDATE_VARIANT: 0.0}
    if index:
        share = phase.steps[index - 1].weight / 100
        before = {LIVE_VARIANT: live, CANDIDATE_VARIANT: live * share / (1 - share)}
    has_baked = release.stage in (Stage.FULL_CAPACITY, Stage.SWAP)
    may_be = (wanted,) if has_baked else (wanted, before)
    if any(has_weights(endpoint, weights) for weights in may_be):
        return ""
    return "weights " + ", ".join(f"{k} {v:g}" for k, v in may_be[-1].items())


def capacity(release: Release, observation: Observation) -> Move:
    """The instances that the weight needs; those that came are cold."""
    endpoint, count = observation.endpoint, release.wanted_count
    moved, actions = _scale(release, endpoint, CANDIDATE_VARIANT, count, Stage.WEIGHT)
    if moved.stage == Stage.WEIGHT and release.attempts:
        moved = replace(moved, grown_at=endpoint.now + DATE_RESOLUTION_SECONDS)
    return moved, actions


def _scale(release: Release, endpoint: Endpoint, name: str, count: int, then: Stage) -> Move:
    """Give ``name`` at least ``count`` instances and wait for them, then go to ``then``."""
    waiting = _unless_ours(release, endpoint)
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
    waiting = _unless_ours(release, endpoint)
    if waiting is not None:
        return waiting
    if has_weights(endpoint, release.wanted_weights):
        weight = step_of(release).weight
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


def full_capacity(release: Release, observation: Observation) -> Move:
    endpoint, count = observation.endpoint, release.wanted_count
    return _scale(release, endpoint, LIVE_VARIANT, count, Stage.SWAP)


def swap(release: Release, observation: Observation) -> Move:
    """The target configuration: counts are kept, weights are not."""
    endpoint = observation.endpoint
    source, target = release.base, release.destination.endpoint_config_name
    if not release.issued:
        waiting = _unless_ours(release, endpoint)
        if waiting is not None:
            return waiting
        swapping, way = make_way(release, endpoint, target)
        return swapping, (*way, UpdateEndpoint(target, exclude_weights=True))
    rings = ringing(release, observation)
    if rings and not release.tripped:
        release = replace(release, tripped=f"alarm {rings} at the swap")
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            text = f"configuration {target} serves"
            landed = replace(release, base=target).noted(
                endpoint.now, "landed", text, config=target
            )
            return go(landed, Stage.POST_BAKE, endpoint.now), ()
        case Progress.FAILED:
            why = endpoint.failure_reason or "AWS gave no reason"
            reason = f"the update to {target} failed: {why}"
            return retreat(release, ROLLED_BACK, reason, endpoint.now), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {target}"), ()
        case Progress.WAITING:
            return release, ()

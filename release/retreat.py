"""The ways back: weight 0 at once, the previous configuration, and nothing of ours left behind."""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import CANDIDATE_VARIANT
from release.actions import (
    Action,
    CreateConfig,
    DeleteAlarms,
    DeleteConfig,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
)
from release.observation import (
    BUSY_STATUSES,
    IN_SERVICE,
    UPDATE_ROLLBACK_FAILED,
    Endpoint,
    Observation,
)
from release.stages import (
    TAG_RELEASE,
    Move,
    Progress,
    Stage,
    candidate_alarms,
    go,
    is_unseen,
    landed_alarms,
    transition_config,
    update_progress,
)
from release.state import INCONCLUSIVE, ROLLBACK, ROLLED_BACK, Release

MAX_ATTEMPTS = 3


def retreat(release: Release, ending: str, reason: str, now: float) -> Release:
    """Everything back to what served before, ending as ``ending`` because of ``reason``."""
    changed = replace(release, ending=ending, reason=reason, clean_since=None)
    return go(changed, Stage.ZERO, now).noted(now, "retreat", reason, ending=ending)


def hands_off(release: Release, endpoint: Endpoint, expected: str) -> Release:
    """Someone else changed the endpoint: touch it no more, say what was seen."""
    pending = f", updating to {endpoint.pending_config}" if endpoint.pending_config else ""
    weights = ", ".join(f"{v.name} {v.desired_weight:g}" for v in endpoint.variants)
    reason = (
        f"the endpoint was changed by someone else: expected {expected}, found status "
        f"{endpoint.status} with configuration {endpoint.config_name or 'none'}{pending} "
        f"(weights: {weights or 'none'}); nothing more was changed"
    )
    changed = replace(release, ending=INCONCLUSIVE, reason=reason, clean_since=None)
    return go(changed, Stage.CLEANUP, endpoint.now).noted(
        endpoint.now, "foreign", reason, config=endpoint.config_name, status=endpoint.status
    )


def zero(release: Release, observation: Observation) -> Move:
    """Take the candidate out of the traffic: instant, unlike any update."""
    endpoint = observation.endpoint
    known = (
        release.before.config.name,
        transition_config(release),
        release.destination.endpoint_config_name,
    )
    is_ours = endpoint.config_name in known and endpoint.pending_config in (None, *known)
    if not is_ours or endpoint.status not in (IN_SERVICE, UPDATE_ROLLBACK_FAILED, *BUSY_STATUSES):
        return hands_off(release, endpoint, "one of this release's configurations"), ()
    if endpoint.status in BUSY_STATUSES:
        return release, ()
    if endpoint.config_name == release.before.config.name and endpoint.status == IN_SERVICE:
        return go(release, Stage.CLEANUP, endpoint.now), ()
    candidate = endpoint.variant(CANDIDATE_VARIANT)
    if endpoint.status != IN_SERVICE or candidate is None:
        return go(release, Stage.BACK, endpoint.now), ()
    if candidate.desired_weight == 0 and candidate.current_weight == 0:
        done = replace(release, zero_weight_at=endpoint.now).noted(
            endpoint.now, "zero", "candidate at weight 0: live serves everything"
        )
        return go(done, Stage.BACK, endpoint.now), ()
    if is_unseen(release, endpoint):
        return release, ()
    if release.attempts >= MAX_ATTEMPTS:
        return go(release, Stage.BACK, endpoint.now), ()
    return _again(release), (SetWeights({CANDIDATE_VARIANT: 0.0}),)


def back(release: Release, observation: Observation) -> Move:
    """Update the endpoint to the configuration that served before, and see that it landed."""
    endpoint = observation.endpoint
    previous = release.before.config
    source = endpoint.config_name
    known = (previous.name, transition_config(release), release.destination.endpoint_config_name)
    if source not in known:
        return hands_off(release, endpoint, f"configuration {previous.name}"), ()
    if not release.issued:
        return _begin_back(release, endpoint)
    match update_progress(release, endpoint, source, previous.name):
        case Progress.LANDED:
            text = f"configuration {previous.name} serves again"
            done = release.noted(endpoint.now, "back", text)
            if done.zero_weight_at is None:
                done = replace(done, zero_weight_at=endpoint.now)
            return go(done, Stage.CLEANUP, endpoint.now), ()
        case Progress.FAILED:
            return _retry_or_leave(release, endpoint, previous.name), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {previous.name}"), ()
        case Progress.WAITING:
            return release, ()


def _begin_back(release: Release, endpoint: Endpoint) -> Move:
    previous = release.before.config
    if endpoint.status in BUSY_STATUSES:
        return release, ()
    if endpoint.status not in (IN_SERVICE, UPDATE_ROLLBACK_FAILED):
        return hands_off(release, endpoint, f"configuration {previous.name}"), ()
    if endpoint.config_name == previous.name and endpoint.status == IN_SERVICE:
        return go(release, Stage.CLEANUP, endpoint.now), ()
    return _again(release), (
        CreateConfig(previous.name, previous.body, previous.tags),
        UpdateEndpoint(previous.name, exclude_weights=True),
    )


def restore(release: Release, observation: Observation) -> Move:
    """``slipway rollback``: the destination's configuration, all at once, counts kept."""
    endpoint = observation.endpoint
    source, target = release.before.config.name, release.destination.endpoint_config_name
    if not release.issued:
        if endpoint.config_name != source or endpoint.status in BUSY_STATUSES:
            return hands_off(release, endpoint, f"configuration {source} in service"), ()
        update = UpdateEndpoint(target, exclude_weights=True)
        return _again(release), (update,)
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            text = f"configuration {target} serves"
            done = replace(release, ending=ROLLED_BACK, zero_weight_at=endpoint.now)
            return go(done, Stage.CLEANUP, endpoint.now).noted(endpoint.now, "landed", text), ()
        case Progress.FAILED:
            return _retry_or_leave(release, endpoint, target), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {target}"), ()
        case Progress.WAITING:
            return release, ()


def cleanup(release: Release, observation: Observation) -> Move:
    """Alarms, suspended scaling and transition configuration go; then the release has ended."""
    endpoint = observation.endpoint
    if release.issued:
        ended = replace(release, outcome=release.ending, stage_since=endpoint.now)
        text = release.ending or ""
        return ended.noted(endpoint.now, "ended", text, reason=release.reason), ()
    in_use = (endpoint.config_name, endpoint.pending_config)
    actions: list[Action] = []
    if release.purpose == ROLLBACK:
        if TAG_RELEASE in release.before.config.tags and release.before.config.name not in in_use:
            actions.append(DeleteConfig(release.before.config.name))
    else:
        alarms = (*candidate_alarms(release), *landed_alarms(release))
        if alarms:
            actions.append(DeleteAlarms(tuple(a.name for a in alarms)))
        if transition_config(release) not in in_use:
            actions.append(DeleteConfig(transition_config(release)))
    if release.before.suspended is not None:
        actions.append(SetScaling(release.before.suspended))
    if not actions:
        return replace(release, issued=True), ()
    return release, tuple(actions)


def _again(release: Release) -> Release:
    return replace(release, attempts=release.attempts + 1)


def _retry_or_leave(release: Release, endpoint: Endpoint, target: str) -> Release:
    """An update that goes back failed: again, and in the end say what serves."""
    why = endpoint.failure_reason or "AWS gave no reason"
    if release.attempts < MAX_ATTEMPTS:
        text = f"the update to {target} failed ({why}); trying again"
        return replace(release, issued=False).noted(endpoint.now, "failed", text)
    reason = (
        f"{release.reason}; going back to {target} failed {MAX_ATTEMPTS} times ({why}); "
        f"{endpoint.config_name} still serves"
    ).removeprefix("; ")
    changed = replace(release, ending=INCONCLUSIVE, reason=reason)
    return go(changed, Stage.CLEANUP, endpoint.now).noted(endpoint.now, "stuck", reason)


def unless_steady(release: Release, endpoint: Endpoint, config: str) -> Move | None:
    """None if the endpoint is InService on ``config``; else wait, or leave it to who changed it."""
    if endpoint.config_name != config or endpoint.pending_config not in (None, config):
        return hands_off(release, endpoint, f"configuration {config}"), ()
    if endpoint.status in BUSY_STATUSES:
        return release, ()
    if endpoint.status != IN_SERVICE:
        return hands_off(release, endpoint, f"configuration {config} in service"), ()
    return None

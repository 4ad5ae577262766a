"""The ways back: weight 0 at once, the previous configuration, and nothing of ours left behind."""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT
from release.actions import (
    Action,
    CreateConfig,
    DeleteAlarms,
    DeleteConfig,
    SetCapacity,
    SetWeights,
    UpdateEndpoint,
)
from release.controller.capacity import carried_count
from release.controller.deleted import served_before, stood_in
from release.controller.scaling import at_the_end, make_way, suspend
from release.controller.stages import (
    TAG_RELEASE,
    Move,
    Progress,
    Stage,
    alarm_names,
    go,
    is_unseen,
    known_configs,
    may_yet_show,
    own_configs,
    update_progress,
)
from release.observation import (
    BUSY_STATUSES,
    FAILED,
    IN_SERVICE,
    UPDATE_ROLLBACK_FAILED,
    Endpoint,
    Observation,
)
from release.state import INCONCLUSIVE, ROLLBACK, ROLLED_BACK, Release

UPDATABLE = frozenset({IN_SERVICE, UPDATE_ROLLBACK_FAILED})
# The kind of the log's entry on a change by someone else.
FOREIGN = "foreign"
MAX_ATTEMPTS = 3
LEAVE_DELETED = "`slipway rollback --to V` moves the endpoint to a good version that still exists"
# An update back that is refused (a quota, say) is asked for again each minute: what failed may be
# what serves everything.
BACK_PATIENCE_SECONDS = 1800.0
ASK_AGAIN_SECONDS = 60.0
# The candidate has no traffic any more; what live lacks is not waited for longer than this.
REFILL_LIMIT_SECONDS = 900.0


def retreat(release: Release, ending: str, reason: str, now: float) -> Release:
    """Everything back to what served before, ending as ``ending`` because of ``reason``."""
    changed = replace(release, ending=ending, reason=reason, clean_since=None)
    return go(changed, Stage.ZERO, now).noted(now, "retreat", reason, ending=ending)


def hands_off(release: Release, endpoint: Endpoint, expected: str) -> Release:
    """Someone else changed the endpoint, or it failed: touch it no more, say what was seen."""
    what, kind = "the endpoint was changed by someone else", FOREIGN
    if endpoint.status == FAILED:
        why = endpoint.failure_reason or "AWS gave no reason"
        what, kind = f"the endpoint failed ({why})", "failed"
    pending = f", updating to {endpoint.pending_config}" if endpoint.pending_config else ""
    weights = ", ".join(f"{v.name} {v.desired_weight:g}" for v in endpoint.variants)
    remarks = f"; {endpoint.remarks}" if endpoint.remarks else ""
    reason = (
        f"{what}: expected {expected}, found status {endpoint.status} with "
        f"configuration {endpoint.config_name or 'none'}{pending} "
        f"(weights: {weights or 'none'}{remarks}); nothing more was changed"
    )
    changed = replace(release, ending=INCONCLUSIVE, reason=reason, clean_since=None)
    return go(changed, Stage.CLEANUP, endpoint.now).noted(
        endpoint.now, kind, reason, config=endpoint.config_name, status=endpoint.status
    )


def zero(release: Release, observation: Observation) -> Move:
    """Take the candidate out of the traffic: instant, unlike any update."""
    endpoint = observation.endpoint
    known = known_configs(release)
    is_ours = endpoint.config_name in known and endpoint.pending_config in (None, *known)
    if not is_ours or endpoint.status not in (IN_SERVICE, UPDATE_ROLLBACK_FAILED, *BUSY_STATUSES):
        return hands_off(release, endpoint, "one of this release's configurations"), ()
    if endpoint.status in BUSY_STATUSES:
        return release, ()
    if endpoint.config_name == release.before.config.name and endpoint.status == IN_SERVICE:
        is_over = not may_yet_show(release, endpoint)
        return (go(release, Stage.CLEANUP, endpoint.now) if is_over else release), ()
    candidate = endpoint.variant(CANDIDATE_VARIANT)
    if endpoint.status != IN_SERVICE or candidate is None:
        return go(release, Stage.BACK, endpoint.now), ()
    if candidate.desired_weight == 0 and candidate.current_weight == 0:
        done = replace(
            release,
            zero_weight_at=endpoint.now,
            wanted_count=carried_count(release, endpoint),
        ).noted(endpoint.now, "zero", "candidate at weight 0: live serves everything")
        return go(done, Stage.REFILL, endpoint.now), ()
    if is_unseen(release, endpoint):
        return release, ()
    if release.attempts >= MAX_ATTEMPTS:
        return go(release, Stage.BACK, endpoint.now), ()
    return _again(release), (SetWeights({CANDIDATE_VARIANT: 0.0}),)


def refill(release: Release, observation: Observation) -> Move:
    """Live gets the instances that all of the traffic needs, before it is updated once more.

    While it shared the traffic, scaling saw its part only; no update lets it scale.
    """
    endpoint = observation.endpoint
    if endpoint.config_name not in known_configs(release):
        return hands_off(release, endpoint, "one of this release's configurations"), ()
    if endpoint.status in BUSY_STATUSES:
        return release, ()
    live = endpoint.variant(LIVE_VARIANT)
    is_enough = live is None or live.desired_count >= release.wanted_count
    is_late = endpoint.now - release.stage_since >= REFILL_LIMIT_SECONDS
    if endpoint.status == IN_SERVICE and not is_enough and not is_late:
        if is_unseen(release, endpoint):
            return release, ()
        if release.attempts < MAX_ATTEMPTS:
            grown = SetCapacity(LIVE_VARIANT, release.wanted_count)
            return _again(release), (*_kept_large(release), grown)
    return refilled(release, endpoint.now), ()


def _kept_large(release: Release) -> tuple[Action, ...]:
    """A release has suspended scale-in from its beginning on; a rollback does it here."""
    return suspend(release) if release.purpose == ROLLBACK else ()


def refilled(release: Release, now: float) -> Release:
    """Live has what it needs, or does not get it: on to what served before, or is to serve."""
    return go(release, Stage.RESTORE if release.purpose == ROLLBACK else Stage.BACK, now)


def back(release: Release, observation: Observation) -> Move:
    """Update the endpoint to the configuration that served before, and see that it landed."""
    endpoint = observation.endpoint
    previous = release.before.config
    source = endpoint.config_name
    if source not in known_configs(release):
        return hands_off(release, endpoint, f"configuration {previous.name}"), ()
    if not release.issued:
        return _begin_back(release, observation)
    match update_progress(release, endpoint, source, previous.name):
        case Progress.LANDED:
            text = f"configuration {previous.name} serves again"
            done = replace(release, base=previous.name).noted(endpoint.now, "back", text)
            if done.zero_weight_at is None:
                done = replace(done, zero_weight_at=endpoint.now)
            return go(done, Stage.CLEANUP, endpoint.now), ()
        case Progress.FAILED:
            return _retry_or_leave(release, endpoint, previous.name), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {previous.name}"), ()
        case Progress.WAITING:
            return release, ()


def _begin_back(release: Release, observation: Observation) -> Move:
    endpoint, previous = observation.endpoint, release.before.config
    if endpoint.status in BUSY_STATUSES:
        return release, ()
    if endpoint.status not in (IN_SERVICE, UPDATE_ROLLBACK_FAILED):
        return hands_off(release, endpoint, f"configuration {previous.name}"), ()
    if endpoint.config_name == previous.name and endpoint.status == IN_SERVICE:
        return go(release, Stage.CLEANUP, endpoint.now), ()
    if _was_just_refused(release, endpoint):
        return release, ()
    again, way = make_way(_again(release), endpoint, previous.name)
    again, stand_in = stood_in(again, observation)
    return again, (
        *way,
        *stand_in,
        CreateConfig(previous.name, previous.body, previous.tags),
        UpdateEndpoint(previous.name, exclude_weights=True),
    )


def restore(release: Release, observation: Observation) -> Move:
    """``slipway rollback``: the destination's configuration, all at once, counts kept."""
    endpoint = observation.endpoint
    source, target = release.before.config.name, release.destination.endpoint_config_name
    if not release.issued:
        is_ours = endpoint.config_name == source and endpoint.pending_config in (None, source)
        if not is_ours or endpoint.status not in UPDATABLE | BUSY_STATUSES:
            return hands_off(release, endpoint, f"configuration {source} in service"), ()
        if endpoint.status in BUSY_STATUSES:
            return release, ()  # scaling, or AWS itself, is at work
        if _was_just_refused(release, endpoint):
            return release, ()
        again, way = make_way(_again(release), endpoint, target)
        served = release.before.config
        # AWS takes no update of an endpoint whose own configuration was deleted (facts 2).
        create = CreateConfig(served.name, served.body, served.tags)
        return again, (*way, create, UpdateEndpoint(target, exclude_weights=True))
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            return _restored(release, observation), ()
        case Progress.FAILED:
            return _retry_or_leave(release, endpoint, target), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {target}"), ()
        case Progress.WAITING:
            return release, ()


def _restored(release: Release, observation: Observation) -> Release:
    """The destination serves; one that was deleted on the way is no good end."""
    now, target = observation.endpoint.now, release.destination.endpoint_config_name
    text, ending = f"configuration {target} serves", ROLLED_BACK
    reason = release.reason
    if target in observation.missing:
        ending, reason = INCONCLUSIVE, f"{text}, but was deleted meanwhile; {LEAVE_DELETED}"
    done = replace(release, ending=ending, reason=reason, zero_weight_at=now, base=target)
    return go(done, Stage.CLEANUP, now).noted(now, "landed", text)


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
        names = alarm_names(release)
        if names:
            actions.append(DeleteAlarms(names))
        own = dict.fromkeys((*own_configs(release), *filter(None, (release.stand_in,))))
        actions += [DeleteConfig(n) for n in own if n not in in_use]
        actions += served_before(release, observation)
    actions += at_the_end(release)
    if not actions:
        return replace(release, issued=True), ()
    return release, tuple(actions)


def is_patient(release: Release, now: float) -> bool:
    """Whether an update that leads back is worth another attempt, often as it was refused."""
    leads_back = Stage(release.stage) in (Stage.BACK, Stage.RESTORE)
    return leads_back and now - release.stage_since < BACK_PATIENCE_SECONDS


def _was_just_refused(release: Release, endpoint: Endpoint) -> bool:
    tried = release.attempts >= MAX_ATTEMPTS
    return tried and endpoint.now - release.issued_at < ASK_AGAIN_SECONDS


def _again(release: Release) -> Release:
    return replace(release, attempts=release.attempts + 1)


def left_behind(serving: str) -> str:
    """What is told where the way back ends before its goal."""
    return f"{serving} still serves; `slipway rollback` tries again"


def _retry_or_leave(release: Release, endpoint: Endpoint, target: str) -> Release:
    """An update that goes back failed: again, and in the end say what serves."""
    why = endpoint.failure_reason or "AWS gave no reason"
    if release.attempts < MAX_ATTEMPTS:
        text = f"the update to {target} failed ({why}); trying again"
        return replace(release, issued=False).noted(endpoint.now, "failed", text)
    reason = (
        f"{release.reason}; going back to {target} failed {MAX_ATTEMPTS} times ({why}); "
        f"{left_behind(endpoint.config_name)}"
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

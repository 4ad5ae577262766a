"""The release controller: a pure function from what is known and seen to what is to be done.

``advance`` is called again and again. The driver saves the release that it returns before it
executes the actions, then tells ``executed`` or ``refused``. Everything is decided by comparing
what is wanted with what DescribeEndpoint says, so that a controller killed between any two actions
is continued by the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from release.actions import (
    Action,
    RestoreScaling,
    SetCapacity,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
    describe,
    still_needed,
)
from release.controller import baking, forward, mirror, requests, retreat, shift
from release.controller.deleted import why_back
from release.controller.judging import is_watched, landed_verdict, ringing, verdict_of
from release.controller.needs import Needs, needs
from release.controller.scaling import depends_on_scaling, remembered
from release.controller.stages import FORWARD, Move, Stage, go, has_weights
from release.gates import StepVerdict
from release.observation import IN_SERVICE, Endpoint, Observation
from release.state import INCONCLUSIVE, ROLLED_BACK, Release

__all__ = [
    "Needs",
    "aborted",
    "advance",
    "executed",
    "needs",
    "reconsidered",
    "refused",
    "resumed",
    "verdict",
]

# Dates of answers have whole seconds, and servers differ by a few.
CLOCK_TOLERANCE_SECONDS = 5.0

STAGES: dict[Stage, Callable[[Release, Observation], Move]] = {
    Stage.PREPARE: forward.prepare,
    Stage.ENTER: forward.enter,
    Stage.MIRROR: mirror.mirror,
    Stage.LEAVE: mirror.leave,
    Stage.CAPACITY: forward.capacity,
    Stage.WEIGHT: forward.weight,
    Stage.BAKE: baking.bake,
    Stage.FULL_CAPACITY: forward.full_capacity,
    Stage.SWAP: forward.swap,
    Stage.SHIFT: shift.shift,
    Stage.POST_BAKE: baking.post_bake,
    Stage.HELD: baking.held,
    Stage.ZERO: retreat.zero,
    Stage.REFILL: retreat.refill,
    Stage.BACK: retreat.back,
    Stage.RESTORE: retreat.restore,
    Stage.CLEANUP: retreat.cleanup,
}
aborted = requests.aborted
# A pause withholds what moves forward; after the swap only scaling is put back, as it always is.
WITHHELD = FORWARD - {Stage.POST_BAKE}


def advance(release: Release, observation: Observation) -> Move:
    """What follows from what is seen: the release to save, then the actions to execute."""
    if release.pending:
        raise AssertionError("pending actions are executed or refused before the next advance")
    endpoint, request = observation.endpoint, observation.request
    release = _with_answers(_on_time(release, endpoint.now), observation)
    if request is not None and requests.is_open(release, request):
        release = requests.applied(release, request, endpoint)
    actions: tuple[Action, ...] = ()
    while release.outcome is None and not actions:
        if depends_on_scaling(release) and not observation.is_scaling_read:
            break
        before = requests.skipped_ahead(remembered(release, observation), endpoint)
        before = _unless_deleted(before, observation)
        before = _unless_ringing(before, observation)
        release, actions = STAGES[Stage(before.stage)](before, observation)
        is_paused = release.paused_at is not None and not _keeps_up(before, endpoint)
        if actions and is_paused and Stage(before.stage) in WITHHELD:
            return before, ()
        if _place(release) == _place(before):
            break
    if any(isinstance(a, UpdateEndpoint | SetWeights | SetCapacity) for a in actions):
        release = replace(release, issued_at=endpoint.now, modified=endpoint.last_modified)
    return replace(release, pending=actions) if actions else release, actions


def _place(release: Release) -> tuple[object, ...]:
    """Where the release stands: while that is the same, another look is needed to go on."""
    return (release.stage, release.phase, release.step, release.issued, release.ending)


def reconsidered(release: Release, observation: Observation) -> Move:
    """Actions that were decided some time ago: kept where the same follow from what is seen now.

    An alarm may ring since, or someone else have changed the endpoint.
    """
    stage = Stage(release.stage)
    if stage is Stage.SHIFT and release.issued:
        return release, release.pending  # A failed verdict stays one.
    release = _sifted(release, observation.endpoint)
    if not release.pending:
        return release, ()
    # The decision counted an attempt that was not made; at the end only refusals are counted.
    attempts = release.attempts if stage is Stage.CLEANUP else max(0, release.attempts - 1)
    undecided = replace(release, pending=(), attempts=attempts, unanswered_since=None)
    changed, actions = advance(undecided, observation)
    return (release, actions) if actions == release.pending else (changed, actions)


def _keeps_up(release: Release, endpoint: Endpoint) -> bool:
    """Whether the new version only gets the instances that the share it has already needs."""
    stage = Stage(release.stage)
    is_step = stage is Stage.CAPACITY and has_weights(endpoint, release.wanted_weights)
    return is_step or stage is Stage.MIRROR


def _unless_deleted(release: Release, observation: Observation) -> Release:
    """On its way back where a configuration was deleted without which it cannot go on."""
    reason = why_back(release, observation)
    if not reason:
        return release
    return requests.turned_back(release, INCONCLUSIVE, reason, observation.endpoint.now)


def _unless_ringing(release: Release, observation: Observation) -> Release:
    """On its way back where an alarm rings while the stage only waits."""
    rings = ringing(release, observation) if is_watched(release) else ""
    if not rings:
        return release
    reason = f"alarm {rings} in stage {release.stage}"
    return retreat.retreat(release, ROLLED_BACK, reason, observation.endpoint.now)


def _on_time(release: Release, now: float) -> Release:
    """A clock that went back takes the times of the stage with it: nothing waits for its return."""
    last = max(release.stage_since, release.issued_at)
    if now >= last - CLOCK_TOLERANCE_SECONDS:
        return release
    back = last - now
    changed = replace(
        release,
        started_at=min(now, release.started_at),
        stage_since=min(now, release.stage_since),
        step_since=min(now, release.step_since),
        issued_at=min(now, release.issued_at),
        paused_at=None if release.paused_at is None else min(now, release.paused_at),
        published_at=None,
        asked_until=0.0,
        clean_since=None,
        first_traffic_at=None if release.first_traffic_at is None else now,
        grown_at=None if release.grown_at is None else min(now, release.grown_at),
        stretches=tuple(
            replace(s, start=min(now, s.start)) if s.end is None else s for s in release.stretches
        ),
        seen_at=min(now, release.seen_at),
    )
    return changed.noted(now, "clock", f"the clock went back by {back:.0f} s", seconds=back)


def _with_answers(release: Release, observation: Observation) -> Release:
    """Remember what hooks said, and the bins that predictions are counted in."""
    if observation.hooks:
        release = replace(release, hooks=release.hooks | observation.hooks)
    if observation.bins is not None and observation.bins != release.bins:
        release = replace(release, bins=observation.bins)
    return release


def executed(release: Release) -> Release:
    """All pending actions were executed."""
    return replace(release, pending=(), issued=True, unanswered_since=None)


def resumed(release: Release, endpoint: Endpoint) -> Release:
    """Another controller takes over: of the pending actions, those that were not executed."""
    release = _sifted(release, endpoint)
    text = f"continued in stage {release.stage}"
    pending = [describe(action) for action in release.pending]
    return release.noted(endpoint.now, "continued", text, pending=pending)


def _sifted(release: Release, endpoint: Endpoint) -> Release:
    """Of the pending actions only those that the endpoint does not show as executed."""
    pending = tuple(a for a in release.pending if still_needed(a, endpoint))
    if not any(isinstance(a, UpdateEndpoint) for a in pending) and any(
        isinstance(a, UpdateEndpoint) for a in release.pending
    ):
        # An update is the last of its stage's actions: where it was taken, all were.
        pending = ()
    if release.stage == Stage.SHIFT and _may_have_shifted(release, pending, endpoint):
        pending, release = (), replace(release, uncertain=True)
    was_done = bool(release.pending) and not pending
    release = executed(release) if was_done else replace(release, pending=pending)
    if pending:
        release = replace(release, issued_at=endpoint.now, modified=endpoint.last_modified)
    return release


def _may_have_shifted(release: Release, pending: tuple[Action, ...], endpoint: Endpoint) -> bool:
    """Whether a shift that shows no trace was perhaps issued, and taken back by SageMaker since.

    A version that was rolled back once is not given traffic again because a driver died.
    """
    is_changed = endpoint.last_modified != release.modified and endpoint.status == IN_SERVICE
    return is_changed and any(isinstance(a, UpdateEndpoint) for a in pending)


def refused(release: Release, action: Action, message: str, now: float) -> Release:
    """AWS refused a pending action: end safely, or go on where the way back is at stake."""
    reason = f"AWS refused to {describe(action)}: {message}"
    rest = release.pending[release.pending.index(action) + 1 :]
    release = replace(release, pending=(), unanswered_since=None)
    release = release.noted(now, "refused", reason)
    stage = Stage(release.stage)
    if stage is Stage.SHIFT and release.issued:
        # Only the verdict is published there; the next look tries again.
        return replace(release, published_at=now)
    if stage is Stage.MIRROR:
        # More instances for the shadow: while it is too small for its share, nothing is counted.
        return replace(release, attempts=retreat.MAX_ATTEMPTS)
    if stage in FORWARD:
        return retreat.retreat(release, INCONCLUSIVE, reason, now)
    if stage is Stage.CLEANUP:
        return _refused_at_the_end(release, action, rest, message)
    if stage is Stage.REFILL:
        return retreat.refilled(release, now)
    is_tried = release.attempts >= retreat.MAX_ATTEMPTS and not retreat.is_patient(release, now)
    if not is_tried or stage is Stage.ZERO:
        return release
    left = f"{reason}; {retreat.left_behind(release.base)}"
    ended = replace(release, ending=INCONCLUSIVE, reason=f"{release.reason}; {left}".strip("; "))
    return go(ended, Stage.CLEANUP, now)


def _refused_at_the_end(
    release: Release, action: Action, rest: tuple[Action, ...], message: str
) -> Release:
    """All is tried a few times; then what is refused stays, and the rest is still done.

    What is not put back of scaling is owed: the next driver, or command, tries it again.
    """
    if release.attempts < retreat.MAX_ATTEMPTS:
        return replace(release, attempts=release.attempts + 1)
    if isinstance(action, SetScaling | RestoreScaling):
        told = (
            f"the scaling of live is not as it was before: {message}; `slipway status` tries again"
        )
        reason = f"{release.reason}; {told}".removeprefix("; ")
        release = replace(release, owes_scaling=message, reason=reason)
    return replace(release, pending=rest) if rest else replace(release, issued=True)


def abort(release: Release, reason: str, now: float) -> Release:
    """`slipway rollback` ends a release that was stopped."""
    still = replace(release, pending=()) if Stage(release.stage) in FORWARD else release
    return aborted(still, reason, now)


def verdict(release: Release, observation: Observation) -> StepVerdict:
    """The verdict so far on what is compared now, or on the new version alone."""
    if release.stage == Stage.POST_BAKE:
        return landed_verdict(release, observation)
    return verdict_of(release, observation)

"""The stages that wait and judge: the bake of each step, and the one after the swap."""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import Canary
from release.controller.capacity import carried_count
from release.controller.counting import DATE_RESOLUTION_SECONDS, with_minutes
from release.controller.forward import begin_step
from release.controller.judging import end_step, lacks_traffic_alone, landed_verdict, verdict_of
from release.controller.phases import first_step, phase_of, step_of, weight_shown
from release.controller.retreat import hands_off, retreat, unless_steady
from release.controller.scaling import bring_back
from release.controller.stages import Move, Stage, go, has_weights, landed_alarms
from release.controller.surge import grown_in_place, kept_up
from release.gates import Answer, StepVerdict
from release.observation import IN_SERVICE, Endpoint, Observation
from release.state import HELD, INCONCLUSIVE, PROMOTED, ROLLED_BACK, Release

# How long after the post-bake the alarms on the new version may stay unread, and the limits and
# hooks without an answer.
ALARM_PATIENCE_SECONDS = 600.0
GATE_PATIENCE_SECONDS = 3600.0


def bake(release: Release, observation: Observation) -> Move:
    """Count minutes, and decide: the next step, the way back, or go on holding."""
    endpoint = observation.endpoint
    if endpoint.status == IN_SERVICE and endpoint.config_name == release.base:
        if not has_weights(endpoint, release.wanted_weights):
            return _foreign_weights(release, endpoint), ()
        release = with_minutes(release, observation)
        if release.clean_since is None:
            release = replace(release, clean_since=endpoint.now + DATE_RESOLUTION_SECONDS)
    else:
        release = replace(release, clean_since=None)
    move = settled_bake(release, observation)
    if move is not None:
        return kept_up(move[0], endpoint), move[1]
    release = end_step(release, "pass", verdict_of(release, observation).text, endpoint.now)
    phase = phase_of(release)
    index = release.step + 1 - first_step(release)
    if isinstance(phase, Canary) and index < len(phase.steps):
        return begin_step(release, index, endpoint), ()
    return to_full_capacity(replace(release, passed=True), endpoint), ()


def to_full_capacity(release: Release, endpoint: Endpoint) -> Release:
    count = carried_count(release, endpoint)
    return go(replace(release, wanted_count=count), Stage.FULL_CAPACITY, endpoint.now)


def _foreign_weights(release: Release, endpoint: Endpoint) -> Release:
    wanted = ", ".join(f"{k} {v:g}" for k, v in release.wanted_weights.items())
    return hands_off(release, endpoint, f"weights {wanted}")


def settled_bake(release: Release, observation: Observation) -> Move | None:
    """Everything but a pass, which is None: a fail, a wait, a pause, or no answer in time."""
    endpoint = observation.endpoint
    step, shown = step_of(release), weight_shown(release)
    verdict = verdict_of(release, observation)
    if verdict.answer is Answer.FAIL:
        failed = end_step(release, "fail", verdict.text, endpoint.now)
        reason = f"failed at {shown:g} %: {verdict.text}"
        return retreat(failed, ROLLED_BACK, reason, endpoint.now), ()
    waiting = unless_steady(release, endpoint, release.base)
    if waiting is not None:
        return waiting
    if release.paused_at is not None:
        return release, ()
    if verdict.answer is Answer.PASS:
        return None
    if endpoint.now - release.stage_since < step.bake_max_seconds:
        return release, ()
    reason = f"no verdict within the longest bake at {shown:g} %: {verdict.text}"
    ended = end_step(release, INCONCLUSIVE, verdict.text, endpoint.now)
    if release.manifest.release.on_inconclusive != "hold":
        return retreat(ended, INCONCLUSIVE, reason, endpoint.now), ()
    held = replace(ended, reason=reason, clean_since=None)
    return go(held, Stage.HELD, endpoint.now).noted(endpoint.now, HELD, reason), ()


def held(release: Release, observation: Observation) -> Move:
    """What serves goes on serving, with what it takes, until a person decides."""
    endpoint = observation.endpoint
    waiting = unless_steady(release, endpoint, release.base)
    if waiting is not None:
        return waiting
    is_shared = isinstance(phase_of(release), Canary)
    if is_shared and not has_weights(endpoint, release.wanted_weights):
        return _foreign_weights(release, endpoint), ()
    return grown_in_place(release, endpoint)


def _landed_names(release: Release) -> tuple[str, ...]:
    return tuple(alarm.name for alarm in landed_alarms(release))


def post_bake(release: Release, observation: Observation) -> Move:
    """The new version alone: alarms, limits and hooks can still take it back."""
    endpoint = observation.endpoint
    verdict = landed_verdict(release, observation)
    trouble = release.tripped
    if not trouble and verdict.answer is Answer.FAIL:
        trouble = f"{verdict.text} after the swap"
    if trouble:
        return retreat(release, ROLLED_BACK, f"failed after the swap: {trouble}", endpoint.now), ()
    if release.is_scaling_removed:
        return bring_back(release)
    waiting = unless_steady(release, endpoint, release.base)
    if waiting is not None:
        return waiting
    late = endpoint.now - release.stage_since - release.manifest.release.post_bake_seconds
    if late < 0 or release.paused_at:
        return release, ()
    if release.promote_now:
        return _promoted(release, f"promoted by {release.promote_now}", endpoint.now), ()
    unshown = _unshown(release, observation, verdict)
    if unshown is None:
        return _promoted(release, "all gates passed", endpoint.now), ()
    reason, patience = unshown
    if late < patience:
        return release, ()
    # Nothing is held here: all requests would meet what is not known to be well.
    return retreat(release, INCONCLUSIVE, reason, endpoint.now), ()


def _promoted(release: Release, reason: str, now: float) -> Release:
    return go(replace(release, ending=PROMOTED, reason=reason), Stage.CLEANUP, now)


def _unshown(
    release: Release, observation: Observation, verdict: StepVerdict
) -> tuple[str, float] | None:
    """What is not known to be well, and how many seconds more the post-bake may wait for it."""
    unseen = sorted(n for n in _landed_names(release) if observation.alarms.get(n) != "OK")
    if unseen:
        # They take missing data for healthy, so what is not OK now was not read, or is gone.
        reason = f"alarm {', '.join(unseen)} is not known to be OK after the swap"
        return reason, ALARM_PATIENCE_SECONDS
    holding = [g for g in verdict.gates if g.answer is Answer.HOLD and not g.dry_run]
    silent = [g.text for g in holding if g.gate.startswith(("limit ", "hook "))]
    if silent:
        reason = f"no verdict on the new version after the swap: {'; '.join(silent)}"
        return reason, GATE_PATIENCE_SECONDS
    is_unmeasured = lacks_traffic_alone(verdict)
    if is_unmeasured or (not release.passed and verdict.answer is not Answer.PASS):
        patience = GATE_PATIENCE_SECONDS if is_unmeasured else 0.0
        return f"no verdict on the new version: {verdict.text}", patience
    return None

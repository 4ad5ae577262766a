"""Shadow: a copy of the traffic is answered by the new version too; nobody gets those answers."""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import Canary
from release.actions import CreateConfig, UpdateEndpoint
from release.controller.baking import settled_bake
from release.controller.counting import with_minutes
from release.controller.judging import end_step, verdict_of
from release.controller.phases import next_phase
from release.controller.retreat import MAX_ATTEMPTS, hands_off, retreat, unless_steady
from release.controller.scaling import make_way
from release.controller.stages import Move, Progress, Stage, go, update_progress
from release.controller.surge import counting_anew, grown_in_place
from release.observation import IN_SERVICE, Observation
from release.state import COMPARED, INCONCLUSIVE, Release


def mirror(release: Release, observation: Observation) -> Move:
    """Count minutes and pairs until the gates are sure, then hand on."""
    endpoint = observation.endpoint
    if endpoint.status == IN_SERVICE and endpoint.config_name == release.base:
        release = counting_anew(with_minutes(release, observation), endpoint)
    else:
        release = replace(release, clean_since=None)
    move = settled_bake(release, observation)
    if move is not None:
        return move if move[1] else grown_in_place(move[0], endpoint)
    text = verdict_of(release, observation).text
    release = end_step(release, "pass", text, endpoint.now)
    # Passed: the next strategy follows; a canary's configuration takes the shadow's place.
    following = next_phase(release)
    if isinstance(following, Canary):
        return hand_on(release, endpoint.now), ()
    if following is None:
        release = replace(release, ending=COMPARED, reason="the shadow passed; nothing follows it")
    return go(release, Stage.LEAVE, endpoint.now), ()


def hand_on(release: Release, now: float) -> Release:
    """Begin the next phase; what was counted stays, the warm-up and the first traffic do not."""
    changed = replace(
        release,
        phase=release.phase + 1,
        step=release.step + 1,
        step_since=now,
        passed=False,
        clean_since=None,
        first_traffic_at=None,
    )
    return go(changed, Stage.PREPARE, now).noted(now, "phase", "the shadow passed")


def leave(release: Release, observation: Observation) -> Move:
    """The shadow leaves: guardrails need the same variants on both sides."""
    endpoint = observation.endpoint
    source, target = release.base, release.before.config.name
    if not release.issued:
        waiting = unless_steady(release, endpoint, source)
        if waiting is not None:
            return waiting
        previous = release.before.config
        again, way = make_way(release, endpoint, target)
        create = CreateConfig(previous.name, previous.body, previous.tags)
        update = UpdateEndpoint(target, exclude_weights=True)
        return replace(again, attempts=release.attempts + 1), (*way, create, update)
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            done = replace(release, base=target).noted(
                endpoint.now, "left", f"configuration {target} serves alone"
            )
            if release.ending is not None:
                return go(done, Stage.CLEANUP, endpoint.now), ()
            return hand_on(done, endpoint.now), ()
        case Progress.FAILED:
            why = endpoint.failure_reason or "AWS gave no reason"
            if release.attempts < MAX_ATTEMPTS:
                text = f"the update to {target} failed ({why}); trying again"
                again = replace(release, issued=False).noted(endpoint.now, "failed", text)
                return again, ()
            reason = f"the shadow does not leave: the update to {target} failed ({why})"
            return retreat(release, INCONCLUSIVE, reason, endpoint.now), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {target}"), ()
        case Progress.WAITING:
            return release, ()

"""Blue/green and rolling: one update behind guardrails, judged while SageMaker moves the traffic.

SageMaker's own timers and alarms move and stop it; the gates' verdict is one of the alarms. Only
DescribeEndpoint says what came of it (facts 3.3).
"""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import BlueGreen, Rolling
from release.actions import Action, PublishVerdict, UpdateEndpoint
from release.controller.capacity import live_count
from release.controller.counting import DATE_RESOLUTION_SECONDS, with_minutes
from release.controller.guardrails import deployment_config, is_last_comparison
from release.controller.judging import (
    end_step,
    lacks_traffic_alone,
    landed_verdict,
    ringing,
    verdict_of,
)
from release.controller.phases import compares, phase_of
from release.controller.retreat import hands_off, retreat, unless_steady
from release.controller.scaling import make_way
from release.controller.stages import (
    Move,
    Progress,
    Stage,
    deciding_alarms,
    gate_alarm,
    go,
    landed_alarms,
    update_progress,
)
from release.gates import Answer, StepVerdict
from release.observation import UPDATE_ROLLBACK_FAILED, Deployment, Endpoint, Observation
from release.state import INCONCLUSIVE, ROLLED_BACK, Release, Stretch

# From a published verdict to an alarm that rings: its period, CloudWatch's lag and a look of ours.
ALARM_SECONDS = 60.0
PUBLISH_AGAIN_SECONDS = 30.0


def shift(release: Release, observation: Observation) -> Move:
    endpoint = observation.endpoint
    source, target = release.base, release.destination.endpoint_config_name
    if not release.issued:
        return _begin(release, endpoint)
    match update_progress(release, endpoint, source, target):
        case Progress.LANDED:
            return landed(release, endpoint), ()
        case Progress.FAILED:
            return _went_back(release, endpoint), ()
        case Progress.FOREIGN:
            return hands_off(release, endpoint, f"an update to {target}"), ()
        case Progress.WAITING:
            return _watch(release, observation)


def _begin(release: Release, endpoint: Endpoint) -> Move:
    waiting = unless_steady(release, endpoint, release.base)
    if waiting is not None:
        return waiting
    strategy = _strategy(release)
    alarms = (*rollback_alarms(release), gate_alarm(release).name)
    turnover = release.turnover_seconds or release.usual_turnover_seconds
    target = release.destination.endpoint_config_name
    release, way = make_way(release, endpoint, target)
    # As many as there are now: scaling may have changed them since the plan.
    count = live_count(endpoint, release)
    deployment = deployment_config(strategy, alarms, count, turnover)
    update = UpdateEndpoint(target, exclude_weights=True, deployment=deployment)
    return replace(release, step_since=endpoint.now), (*way, update)


def rollback_alarms(release: Release) -> tuple[str, ...]:
    """The alarms on the new fleet and the owner's, as far as they decide."""
    ours = (a.name for a in landed_alarms(release))
    return tuple(dict.fromkeys((*ours, *deciding_alarms(release))))


def _strategy(release: Release) -> BlueGreen | Rolling:
    strategy = phase_of(release)
    if not isinstance(strategy, BlueGreen | Rolling):
        raise AssertionError(f"{strategy.kind} has no guardrails")
    return strategy


# --- while it is under way


def _watch(release: Release, observation: Observation) -> Move:
    endpoint = observation.endpoint
    rings = ringing(release, observation)
    if rings and not release.tripped:
        release = replace(release, tripped=f"alarm {rings}")
    release = _with_stretch(_with_weight(release, endpoint), endpoint)
    release = with_minutes(release, observation)
    if release.ending is None and not release.promote_now:
        release = _judged(release, observation)
    if release.ending is None:
        return release, ()
    return _published(release, endpoint)


def _with_weight(release: Release, endpoint: Endpoint) -> Release:
    """Note what the new fleet takes: it is known only while instances bake."""
    deployment = endpoint.deployment
    if deployment is None or not deployment.is_baking:
        return release
    active, total = deployment.active, deployment.total
    if not deployment.is_full and not 0 < active < total:
        return release
    weight = 100.0 if deployment.is_full else round(100 * active / total, 1)
    if weight == release.shifted:
        return release
    text = f"{active} of {total} new instances take {weight:g} %"
    changed = replace(release, shifted=weight)
    return changed.noted(endpoint.now, "weight", text, weight=weight, count=active)


def _with_stretch(release: Release, endpoint: Endpoint) -> Release:
    """Note when a share begins and ends to be known: it is one only while instances bake."""
    deployment, now = endpoint.deployment, endpoint.now
    last = release.stretches[-1] if release.stretches else None
    active = deployment.active if deployment is not None and deployment.is_baking else None
    if last is not None and last.end is None and active != last.active:
        # It ended after the look before this one; when exactly is not known.
        ended = replace(last, end=max(last.start, release.seen_at))
        release = replace(release, stretches=(*release.stretches[:-1], ended))
        last = ended
    is_open = last is not None and last.end is None
    if deployment is None or active is None or is_open:
        return _seen(release, now)
    if deployment.is_full or not 0 < active < deployment.total:
        return _seen(release, now)
    if release.turnover_seconds is None:
        release = replace(release, turnover_seconds=max(0.0, deployment.since - release.issued_at))
    start = min(now, deployment.since) + DATE_RESOLUTION_SECONDS
    begun = Stretch(start, None, active / deployment.total, active)
    return _seen(replace(release, stretches=(*release.stretches, begun)), now)


def _seen(release: Release, now: float) -> Release:
    is_open = bool(release.stretches) and release.stretches[-1].end is None
    return replace(release, seen_at=now) if is_open else release


def _judged(release: Release, observation: Observation) -> Release:
    """Decide on the way back as soon as a fail, or the lack of an answer, is certain."""
    strategy, endpoint = _strategy(release), observation.endpoint
    deployment = endpoint.deployment
    if compares(strategy):
        verdict = verdict_of(release, observation)
        if verdict.answer is Answer.FAIL:
            return _ending(release, ROLLED_BACK, "fail", verdict, endpoint.now)
        if verdict.answer is Answer.PASS and not release.passed and release.stretches:
            release = end_step(release, "pass", verdict.text, endpoint.now)
            release = replace(release, passed=True)
        if not release.passed and _comparison_ends(strategy, deployment, endpoint.now):
            return _ending(release, INCONCLUSIVE, INCONCLUSIVE, verdict, endpoint.now)
    if deployment is None or not deployment.is_full or not deployment.is_baking:
        return release
    verdict = landed_verdict(release, observation)
    if verdict.answer is Answer.FAIL:
        return _ending(release, ROLLED_BACK, "fail", verdict, endpoint.now)
    if verdict.answer is Answer.PASS and not release.passed:
        release = end_step(release, "pass", verdict.text, endpoint.now)
        return replace(release, passed=True)
    # Requests may still come to be measured after it.
    is_last = endpoint.now >= _last_call(deployment) and not lacks_traffic_alone(verdict)
    if not release.passed and is_last:
        return _ending(release, INCONCLUSIVE, INCONCLUSIVE, verdict, endpoint.now)
    return release


def _comparison_ends(
    strategy: BlueGreen | Rolling, deployment: Deployment | None, now: float
) -> bool:
    if deployment is None or not deployment.is_baking:
        return False
    if deployment.is_full:
        return True
    is_last = is_last_comparison(strategy, deployment.active, deployment.total)
    return is_last and now >= _last_call(deployment)


def _last_call(deployment: Deployment) -> float:
    """Until when a verdict can still make the alarm ring within this bake."""
    return deployment.since + max(0.0, deployment.seconds - ALARM_SECONDS)


def _ending(release: Release, ending: str, word: str, verdict: StepVerdict, now: float) -> Release:
    what = "failed" if ending == ROLLED_BACK else "no verdict before the comparison ended"
    reason = f"{what} while traffic shifted: {verdict.text}"
    ended = end_step(release, word, verdict.text, now)
    return turned(ended, ending, reason, now)


def turned(release: Release, ending: str, reason: str, now: float) -> Release:
    """SageMaker is to go back: the verdict is published until it does."""
    changed = replace(release, ending=ending, reason=reason, published_at=None)
    return changed.noted(now, "retreat", reason, ending=ending)


def _published(release: Release, endpoint: Endpoint) -> Move:
    last = release.published_at
    if last is not None and 0 <= endpoint.now - last < PUBLISH_AGAIN_SECONDS:
        return release, ()
    action: Action = PublishVerdict(release.id, 1)
    return replace(release, published_at=endpoint.now), (action,)


# --- what came of it


def landed(release: Release, endpoint: Endpoint) -> Release:
    """The target serves; back it goes where that was decided, or nothing was shown of it."""
    target = release.destination.endpoint_config_name
    text = f"configuration {target} serves"
    done = replace(release, base=target).noted(endpoint.now, "landed", text, config=target)
    if release.ending is not None:
        return retreat(done, release.ending, release.reason, endpoint.now)
    if not (release.passed or release.promote_now) and compares(phase_of(release)):
        reason = "all traffic shifted before any verdict was reached"
        return retreat(done, INCONCLUSIVE, reason, endpoint.now)
    return go(done, Stage.POST_BAKE, endpoint.now)


def _went_back(release: Release, endpoint: Endpoint) -> Release:
    """SageMaker stopped and reversed it, or it never got far; the old configuration serves."""
    why = endpoint.failure_reason or "AWS gave no reason"
    ending = release.ending or (INCONCLUSIVE if release.uncertain else ROLLED_BACK)
    told = f" ({release.tripped})" if release.tripped else ""
    reason = release.reason or f"SageMaker went back to {release.base}{told}: {why}"
    if endpoint.status == UPDATE_ROLLBACK_FAILED:
        return retreat(release, ending, f"{reason}; its rollback failed too", endpoint.now)
    text = f"configuration {release.base} serves again"
    done = replace(release, ending=ending, reason=reason, zero_weight_at=endpoint.now)
    return go(done, Stage.CLEANUP, endpoint.now).noted(endpoint.now, "back", text, why=why)

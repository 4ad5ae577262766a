"""The stages that wait and judge: the bake of each step, and the one after the swap."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, LatencyGate
from release.counting import with_minutes
from release.forward import DATE_RESOLUTION_SECONDS, begin_step, carried_count
from release.gates import Answer, CountedMinute, StepVerdict, judge_latency, judge_step
from release.observation import IN_SERVICE, Observation
from release.retreat import hands_off, retreat, unless_steady
from release.stages import Move, Stage, candidate_alarms, go, has_weights, transition_config
from release.state import INCONCLUSIVE, PROMOTED, ROLLED_BACK, Release, StepResult


def bake(release: Release, observation: Observation) -> Move:
    """Count minutes, and decide: the next step, the way back, or go on holding."""
    endpoint = observation.endpoint
    manifest = release.manifest
    step = manifest.release.steps[release.step]
    if endpoint.status == IN_SERVICE and endpoint.config_name == transition_config(release):
        if not has_weights(endpoint, release.wanted_weights):
            wanted = ", ".join(f"{k} {v:g}" for k, v in release.wanted_weights.items())
            return hands_off(release, endpoint, f"weights {wanted}"), ()
        release = with_minutes(release, observation)
        if release.clean_since is None:
            release = replace(release, clean_since=endpoint.now + DATE_RESOLUTION_SECONDS)
    else:
        release = replace(release, clean_since=None)
    verdict = verdict_of(release, observation)
    if verdict.answer is Answer.FAIL:
        failed = _end_step(release, "fail", verdict.text, endpoint.now)
        reason = f"failed at {step.weight:g} %: {verdict.text}"
        return retreat(failed, ROLLED_BACK, reason, endpoint.now), ()
    waiting = unless_steady(release, endpoint, transition_config(release))
    if waiting is not None:
        return waiting
    if verdict.answer is Answer.PASS:
        passed = _end_step(release, "pass", verdict.text, endpoint.now)
        if passed.step + 1 < len(manifest.release.steps):
            return begin_step(passed, passed.step + 1, endpoint), ()
        count = carried_count(passed, manifest, endpoint)
        return go(replace(passed, wanted_count=count), Stage.FULL_CAPACITY, endpoint.now), ()
    if endpoint.now - release.stage_since >= step.bake_max_seconds:
        reason = f"no verdict within the longest bake at {step.weight:g} %: {verdict.text}"
        ended = _end_step(release, INCONCLUSIVE, verdict.text, endpoint.now)
        return retreat(ended, INCONCLUSIVE, reason, endpoint.now), ()
    return release, ()


def verdict_of(release: Release, observation: Observation) -> StepVerdict:
    """The verdict on the step that bakes now."""
    manifest = release.manifest
    settings = manifest.release
    alarms = {a.name: observation.alarms.get(a.name, "missing") for a in candidate_alarms(release)}
    seconds = observation.endpoint.now - release.stage_since
    step = settings.steps[release.step]
    return judge_step(release.step, step, settings.gates, release.minutes, alarms, seconds)


def _end_step(release: Release, verdict: str, text: str, now: float) -> Release:
    step = release.manifest.release.steps[release.step]
    seconds = now - release.step_since
    minutes = [m for m in release.minutes if m.step == release.step]
    data = {
        "weight": step.weight,
        "verdict": verdict,
        "seconds": seconds,
        "live": _totals(minutes, LIVE_VARIANT),
        "candidate": _totals(minutes, CANDIDATE_VARIANT),
    }
    result = StepResult(step.weight, verdict, text, seconds)
    return replace(release, steps=(*release.steps, result)).noted(now, "step", text, **data)


def _totals(minutes: list[CountedMinute], variant: str) -> dict[str, float | None]:
    counts = [m.live if variant == LIVE_VARIANT else m.candidate for m in minutes]
    latencies = [c.p95_us for c in counts if c.p95_us is not None]
    return {
        "requests": sum(c.requests for c in counts),
        "errors": sum(c.errors for c in counts),
        "p95_us": median(latencies) if latencies else None,
    }


def post_bake(release: Release, observation: Observation) -> Move:
    endpoint = observation.endpoint
    settings = release.manifest.release
    trouble = release.tripped or _landed_trouble(release, observation)
    if trouble:
        return retreat(release, ROLLED_BACK, f"failed after the swap: {trouble}", endpoint.now), ()
    waiting = unless_steady(release, endpoint, release.destination.endpoint_config_name)
    if waiting is not None:
        return waiting
    if endpoint.now - release.stage_since < settings.post_bake_seconds:
        return release, ()
    ended = replace(release, ending=PROMOTED, reason="all gates passed")
    return go(ended, Stage.CLEANUP, endpoint.now), ()


def _landed_trouble(release: Release, observation: Observation) -> str:
    """Why the version that just took over must go back; empty where nothing is wrong."""
    ringing = sorted(n for n, state in observation.alarms.items() if state == "ALARM")
    if ringing:
        return f"alarm {', '.join(ringing)} after the swap"
    before = [m.live.p95_us for m in release.minutes if m.live.p95_us is not None]
    if not before:
        return ""
    reference = replace(release.minutes[-1].live, p95_us=median(before))
    landed = observation.series.get(LIVE_VARIANT, {})
    minutes = [CountedMinute(at, release.step, 1.0, reference, m) for at, m in landed.items()]
    for gate in release.manifest.release.gates:
        if isinstance(gate, LatencyGate):
            verdict = judge_latency(gate, minutes)
            if verdict.answer is Answer.FAIL:
                return f"after the swap: {verdict.text}"
    return ""

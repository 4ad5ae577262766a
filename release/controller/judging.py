"""The verdict on what is compared now: the gates' own, and that on pairs of answers."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

from contracts.release_manifest import (
    CANDIDATE_VARIANT,
    LIVE_VARIANT,
    AlarmGate,
    BlueGreen,
    HookGate,
    LatencyGate,
    LimitGate,
    Rolling,
    Shadow,
    Step,
    Tolerance,
)
from release.controller.capturing import compares_pairs
from release.controller.phases import has_config, phase_of, step_of, weight_shown
from release.controller.stages import (
    Stage,
    candidate_alarms,
    deciding_alarms,
    landed_alarms,
    owner_alarms,
)
from release.gates import (
    FAIL_AT,
    PASS_AT,
    Answer,
    CountedMinute,
    GateVerdict,
    StepVerdict,
    count_by_chance,
    judge_latency,
    judge_step,
)
from release.observation import HookAnswer, Observation, VariantMinute
from release.state import PairMinute, Release, StepResult

ABSOLUTE = (LimitGate, AlarmGate, HookGate)
FAIL_ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
PASS_ODDS = (0.02, 0.1, 0.25, 0.5, 0.75)
# No gate that compares looks at the minutes after the swap; a share must be one all the same.
ANY_SHARE = 0.5
NOTHING = VariantMinute(0, 0, None)
TRAFFIC = "traffic"
NO_TRAFFIC = "no settled minute with requests to the new version"
# Stages in which nothing is counted, but a version that has had traffic can ring an alarm.
WAITING = frozenset(
    {
        Stage.LEAVE,
        Stage.CAPACITY,
        Stage.WEIGHT,
        Stage.FULL_CAPACITY,
        Stage.SWAP,
        Stage.HELD,
    }
)


def verdict_of(release: Release, observation: Observation) -> StepVerdict:
    """The verdict so far on the step that is compared now."""
    settings = release.manifest.release
    phase = phase_of(release)
    names = alarms_compared(release)
    alarms = {name: observation.alarms.get(name, "missing") for name in names}
    seconds = max(0.0, observation.endpoint.now - release.stage_since)
    hooks = fresh_hooks(release)
    step = step_of(release)
    gates, beside = settings.gates, tests_of_pairs(release)
    found = judge_step(
        release.step, step, gates, release.minutes, alarms, seconds, hooks, beside=beside
    )
    if has_config(phase):
        # A shift may be too fast for a minute to count: there the post-bake asks for one.
        has_any = any(m.step == release.step for m in release.minutes)
        found = _with_traffic(found, has_any=has_any)
    if isinstance(phase, Shadow) and compares_pairs(release):
        tests = count_by_chance(gates) + beside
        return _with(found, judge_pairs(release.pairs, phase.max_disagreement, tests))
    return found


def tests_of_pairs(release: Release) -> int:
    """One where the release compares pairs in its first phase: it shares the false alarms."""
    return int(compares_pairs(replace(release, phase=0)))


def alarms_compared(release: Release) -> tuple[str, ...]:
    """The alarms that decide on a step: of a shift those on the new fleet, else the candidate's."""
    if isinstance(phase_of(release), BlueGreen | Rolling):
        ours = landed_alarms(release)
    else:
        ours = candidate_alarms(release)
    return tuple(dict.fromkeys((*(a.name for a in ours), *owner_alarms(release))))


def is_watched(release: Release) -> bool:
    """Whether an alarm takes the release back at once, in a stage that counts nothing.

    A swap that was issued runs to its end first, and a shadow that only compared has its answer.
    """
    stage = Stage(release.stage)
    is_too_late = release.ending is not None or (stage is Stage.SWAP and release.issued)
    is_about_to_share = stage is Stage.WEIGHT and release.issued
    has_traffic = release.first_traffic_at is not None or is_about_to_share
    return stage in WAITING and has_traffic and not is_too_late


def ringing(release: Release, observation: Observation) -> str:
    """The alarms that decide and ring, of those that were asked for; empty where none does.

    One that is missing or has no data says nothing here: the bakes before and after ask for more.
    """
    ours = (*candidate_alarms(release), *landed_alarms(release))
    deciding = dict.fromkeys((*(a.name for a in ours), *deciding_alarms(release)))
    return ", ".join(sorted(n for n in deciding if observation.alarms.get(n) == "ALARM"))


def fresh_hooks(release: Release) -> dict[str, HookAnswer]:
    """Answers given since this step, or the post-bake, began: an earlier one says nothing of it."""
    since = release.stage_since if release.stage == Stage.POST_BAKE else release.step_since
    return {n: a for n, a in release.hooks.items() if a.at >= since}


def landed_verdict(release: Release, observation: Observation) -> StepVerdict:
    """On the new version alone, while it takes all traffic: limits, alarms and hooks."""
    gates = tuple(g for g in release.manifest.release.gates if isinstance(g, ABSOLUTE))
    landed = observation.series.get("landed", {})
    index = release.step + 1
    minutes = tuple(
        CountedMinute(at, index, ANY_SHARE, NOTHING, m)
        for at, m in sorted(landed.items())
        if m.requests
    )
    names = (*(a.name for a in landed_alarms(release)), *owner_alarms(release))
    alarms = {n: observation.alarms.get(n, "missing") for n in names}
    # What the steps were let through with is enough; where nothing compared, the limit itself.
    tolerance = step_of(release).tolerance if release.passed else Tolerance(1.0, 0.0)
    step = Step(100.0, tolerance, 0.0, math.inf)
    found = judge_step(index, step, gates, minutes, alarms, 0.0, fresh_hooks(release))
    if not release.passed or (_alarms_decide_alone(release) and not release.minutes):
        found = _with_traffic(found, has_any=bool(minutes))
    slow = _latency_after(release, landed)
    return found if slow is None else _with(found, slow)


def _with_traffic(found: StepVerdict, *, has_any: bool) -> StepVerdict:
    """Alarms take missing data for healthy: alone they pass nothing that nobody has measured."""
    passed = [g.gate for g in found.gates if g.answer is Answer.PASS and not g.dry_run]
    if has_any or any(not gate.startswith("alarm") for gate in passed):
        return found
    return _with(found, GateVerdict(TRAFFIC, Answer.HOLD, NO_TRAFFIC))


def _alarms_decide_alone(release: Release) -> bool:
    return all(isinstance(g, AlarmGate) or g.dry_run for g in release.manifest.release.gates)


def lacks_traffic_alone(verdict: StepVerdict) -> bool:
    """Whether all that is missing for a pass are measured requests."""
    holding = [g.gate for g in verdict.gates if g.answer is not Answer.PASS and not g.dry_run]
    return holding == [TRAFFIC]


def _latency_after(release: Release, landed: dict[float, VariantMinute]) -> GateVerdict | None:
    """Latency against live's before, as it was measured while both answered; only a fail counts."""
    before = [m.live.p95_us for m in release.minutes if m.live.p95_us is not None]
    if not before:
        return None
    reference = replace(release.minutes[-1].live, p95_us=median(before))
    minutes = [CountedMinute(at, release.step, ANY_SHARE, reference, m) for at, m in landed.items()]
    for gate in release.manifest.release.gates:
        if isinstance(gate, LatencyGate) and not gate.dry_run:
            verdict = judge_latency(gate, minutes)
            if verdict.answer is Answer.FAIL:
                return verdict
    return None


# --- pairs of a shadow


def judge_pairs(pairs: tuple[PairMinute, ...], at_most: float, tests: int = 1) -> GateVerdict:
    """Whether the share of differing pairs is shown to be above, or below, ``at_most``.

    ``tests``: how many of the release can fail a good version by chance, this one among them.
    """
    differ = sum(p.pairs.differ for p in pairs)
    total = differ + sum(p.pairs.agree for p in pairs)
    name = "agreement"
    if not total:
        return GateVerdict(name, Answer.HOLD, "no pair of answers was captured yet")
    shown = f"{differ / total:.2g} of {total:,} pairs of answers differ"
    if not 0 < at_most < 1:
        answer = Answer.PASS if at_most >= 1 or not differ else Answer.FAIL
        return GateVerdict(name, answer, f"{shown}, at most {at_most:g} may")
    if _log_e(differ, total, at_most, FAIL_ODDS) >= math.log(FAIL_AT * tests):
        return GateVerdict(name, Answer.FAIL, f"{shown}, at most {at_most:g} may")
    if _log_e(differ, total, at_most, PASS_ODDS) >= math.log(PASS_AT):
        return GateVerdict(name, Answer.PASS, shown)
    return GateVerdict(name, Answer.HOLD, f"{shown}, not sure yet that at most {at_most:g} do")


def _log_e(differ: int, total: int, null: float, odds: tuple[float, ...]) -> float:
    """log of the mean likelihood ratio of binomial shares whose odds are ``odds`` × the null's."""
    logs: list[float] = []
    for factor in odds:
        share = factor * null / (1 - null + factor * null)
        of_differ = differ * math.log(share / null)
        logs.append(of_differ + (total - differ) * math.log((1 - share) / (1 - null)))
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))


def _with(found: StepVerdict, more: GateVerdict) -> StepVerdict:
    answers = {found.answer, more.answer}
    answer = next(a for a in (Answer.FAIL, Answer.HOLD, Answer.PASS) if a in answers)
    return StepVerdict(answer, (*found.gates, more))


# --- the end of a step


def end_step(release: Release, verdict: str, text: str, now: float) -> Release:
    seconds = now - release.step_since
    minutes = [m for m in release.minutes if m.step == release.step]
    weight = weight_shown(release)
    data = {
        "weight": weight,
        "verdict": verdict,
        "seconds": seconds,
        "phase": phase_of(release).kind,
        "live": _totals(minutes, LIVE_VARIANT),
        "candidate": _totals(minutes, CANDIDATE_VARIANT),
    }
    result = StepResult(weight, verdict, text, seconds)
    return replace(release, steps=(*release.steps, result)).noted(now, "step", text, **data)


def _totals(minutes: list[CountedMinute], variant: str) -> dict[str, float | None]:
    counts = [m.live if variant == LIVE_VARIANT else m.candidate for m in minutes]
    latencies = [c.p95_us for c in counts if c.p95_us is not None]
    return {
        "requests": sum(c.requests for c in counts),
        "errors": sum(c.errors for c in counts),
        "p95_us": median(latencies) if latencies else None,
    }

"""Whether a canary step passes, fails or holds: pure functions of the minutes counted so far.

Errors are decided by e-processes (anytime-valid: looking after every minute costs nothing; Howard
et al. 2021; Lindon, Sanden and Shirikian, KDD 2022). SageMaker draws the variant of each request at
random by weight, so the label of each bad request is itself a randomization test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from contracts.release_manifest import ErrorGate, Gate, LatencyGate, Step
from release.observation import VariantMinute

FAIL_AT = 100.0  # For each gate: all gates together cry wolf in at most 1 % of releases.
PASS_AT = 20.0
SKEWED_AT = 1000.0
MIN_LATENCY_MINUTES = 3
FAIL_RATIOS = tuple(1.25 * (80 ** (i / 11)) for i in range(12))  # 1.25 … 100, times `allow`
PASS_RATIOS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)  # times the tolerance
BETS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
SKEWS = (0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0)  # odds of the candidate, times the configured


class Answer(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    HOLD = "hold"


@dataclass(frozen=True)
class CountedMinute:
    """A minute that counts: wholly at one weight, settled, after the warm-up."""

    start: float
    step: int
    share: float
    live: VariantMinute
    candidate: VariantMinute


@dataclass(frozen=True)
class GateVerdict:
    gate: str
    answer: Answer
    text: str


@dataclass(frozen=True)
class StepVerdict:
    """Any fail wins, all must pass; ``text`` is the reason that a person reads first."""

    answer: Answer
    gates: tuple[GateVerdict, ...]

    @property
    def text(self) -> str:
        chosen = [g for g in self.gates if g.answer == self.answer]
        return "; ".join(g.text for g in chosen) or "no gate is configured"


def judge_step(
    index: int,
    step: Step,
    gates: Sequence[Gate],
    minutes: Sequence[CountedMinute],
    alarms: Mapping[str, str],
    seconds: float,
) -> StepVerdict:
    """The verdict after ``seconds`` of baking at this step's weight."""
    of_step = [m for m in minutes if m.step == index]
    verdicts = [_judge_gate(gate, step, minutes, of_step, len(gates)) for gate in gates]
    if any(isinstance(gate, ErrorGate) for gate in gates):
        verdicts += judge_sample_ratio(of_step)
    if alarms:
        verdicts.append(judge_alarms(alarms))
    if any(v.answer is Answer.FAIL for v in verdicts):
        return StepVerdict(Answer.FAIL, tuple(verdicts))
    if seconds < step.bake_min_seconds:
        wait = f"bakes {_seconds(step.bake_min_seconds)} at least"
        verdicts.append(GateVerdict("bake", Answer.HOLD, wait))
    holding = any(v.answer is Answer.HOLD for v in verdicts)
    return StepVerdict(Answer.HOLD if holding else Answer.PASS, tuple(verdicts))


def _judge_gate(
    gate: Gate,
    step: Step,
    minutes: Sequence[CountedMinute],
    of_step: Sequence[CountedMinute],
    gate_count: int,
) -> GateVerdict:
    match gate:
        case ErrorGate(allow=allow):
            return judge_errors(step, allow, minutes, of_step, gate_count)
        case LatencyGate():
            return judge_latency(gate, of_step)
        case _:
            raise ValueError(f"no judge for the gate {gate.kind!r}")


# --- errors


def judge_errors(
    step: Step,
    allow: float,
    minutes: Sequence[CountedMinute],
    of_step: Sequence[CountedMinute],
    gate_count: int,
) -> GateVerdict:
    """Fail over all minutes of the release, pass over those of this step."""
    log_fail = fail_log_e(minutes, allow)
    if log_fail >= math.log(FAIL_AT * gate_count):
        text = f"errors {_rates(minutes)}, e = {_power(log_fail)}"
        return GateVerdict("errors", Answer.FAIL, text)
    if not of_step:
        return GateVerdict("errors", Answer.HOLD, "no settled minute of both variants yet")
    log_rel, log_abs = pass_log_e(step, of_step, minutes)
    log_pass = _log_mean((log_rel, log_abs))
    if log_pass >= math.log(PASS_AT):
        tolerance = step.tolerance
        what = (
            f"×{tolerance.ratio:g}"
            if log_rel > log_abs
            else f"{tolerance.points:g} point{'' if tolerance.points == 1 else 's'}"
        )
        text = f"errors {_rates(of_step)}, {what} excluded, e = {_power(log_pass)}"
        return GateVerdict("errors", Answer.PASS, text)
    text = f"errors {_rates(of_step)}, not sure yet (e = {_power(log_pass)} of {PASS_AT:g})"
    return GateVerdict("errors", Answer.HOLD, text)


def fail_log_e(minutes: Sequence[CountedMinute], allow: float) -> float:
    """log e against "the candidate's error rate is at most ``allow`` × live's".

    Two mixtures over ratios, over all minutes and over those of usual badness, averaged: the first
    finds sudden breakage, the second keeps its power where bad minutes hit both variants alike.
    """
    every = [0.0] * len(FAIL_RATIOS)
    usual = [0.0] * len(FAIL_RATIOS)
    rates: list[float] = []
    for minute in minutes:
        bad = minute.candidate.errors + minute.live.errors
        total = minute.candidate.requests + minute.live.requests
        counts = _is_usual(bad, total, rates)
        rates.append(bad / total if total else 0.0)
        for i, ratio in enumerate(FAIL_RATIOS):
            factor = _log_ratio(minute, ratio * allow, allow)
            every[i] += factor
            usual[i] += factor if counts else 0.0
    return _log_mean((_log_mean(every), _log_mean(usual)))


def pass_log_e(
    step: Step, of_step: Sequence[CountedMinute], minutes: Sequence[CountedMinute]
) -> tuple[float, float]:
    """log e against "worse by the tolerance's ratio" and against "worse by its points".

    The first counts only minutes whose live errors are usual: shared bad minutes pull the ratio
    towards 1 and would let a worse candidate pass.
    """
    first = of_step[0].start
    rates = [
        m.live.errors / m.live.requests
        for m in minutes
        if m.start < first and m.live.requests and m.step != of_step[0].step
    ]
    relative = [0.0] * len(PASS_RATIOS)
    absolute = [0.0] * len(BETS)
    points = step.tolerance.points / 100
    for minute in of_step:
        live = minute.live
        if _is_usual(live.errors, live.requests, rates):
            for i, ratio in enumerate(PASS_RATIOS):
                tolerance = step.tolerance.ratio
                relative[i] += _log_ratio(minute, ratio * tolerance, tolerance)
        rates.append(live.errors / live.requests if live.requests else 0.0)
        for i, bet in enumerate(BETS):
            absolute[i] += _log_points(minute, points, bet)
    return _log_mean(relative), _log_mean(absolute)


def _log_ratio(minute: CountedMinute, ratio: float, null: float) -> float:
    """log of Binomial(bad of candidate | bad; ratio) / Binomial(…; null)."""
    n_live, n_candidate = minute.live.requests, minute.candidate.requests
    if not n_live or not n_candidate:
        return 0.0
    p, p_null = _probability(n_candidate, n_live, ratio), _probability(n_candidate, n_live, null)
    of_candidate = minute.candidate.errors * math.log(p / p_null)
    return of_candidate + minute.live.errors * math.log((1 - p) / (1 - p_null))


def _probability(n_candidate: int, n_live: int, ratio: float) -> float:
    """That a bad request is the candidate's, if its error rate is ``ratio`` × live's."""
    return n_candidate * ratio / (n_candidate * ratio + n_live)


def _log_points(minute: CountedMinute, points: float, bet: float) -> float:
    """log of the bet that the candidate is worse by less than ``points`` (a fraction)."""
    share = minute.share
    stake = bet * share
    good = (
        minute.live.requests
        + minute.candidate.requests
        - minute.live.errors
        - minute.candidate.errors
    )
    return (
        minute.candidate.errors * math.log1p(stake * (points - 1 / share))
        + minute.live.errors * math.log1p(stake * (points + 1 / (1 - share)))
        + max(0, good) * math.log1p(stake * points)
    )


def _is_usual(bad: int, total: int, earlier_rates: Sequence[float]) -> bool:
    """At most twice the median rate so far plus three sigma; the first minute always is."""
    if not earlier_rates:
        return True
    expected = 2 * median(earlier_rates) * total
    return bad <= expected + 3 * math.sqrt(max(expected, 1.0))


def requests_to_pass(share: float, step: Step) -> int | None:
    """Requests to both variants until the points are excluded, if none of them is bad.

    None where no points are tolerated: then only errors of both variants can tell the ratio.
    """
    points = step.tolerance.points / 100
    if points <= 0:
        return None

    def log_e(requests: int) -> float:
        return _log_mean([requests * math.log1p(bet * share * points) for bet in BETS])

    low, high = 0, 1
    goal = math.log(2 * PASS_AT - 1)
    while log_e(high) < goal:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if log_e(middle) >= goal else (middle, high)
    return high


# --- sample ratio, latency, alarms


def judge_sample_ratio(of_step: Sequence[CountedMinute]) -> list[GateVerdict]:
    """Holds while the candidate's requests do not come at its configured share."""
    logs = [0.0] * len(SKEWS)
    for minute in of_step:
        odds = minute.share / (1 - minute.share)
        for i, skew in enumerate(SKEWS):
            share = odds * skew / (1 + odds * skew)
            logs[i] += minute.candidate.requests * math.log(share / minute.share)
            logs[i] += minute.live.requests * math.log((1 - share) / (1 - minute.share))
    if not of_step or _log_mean(logs) < math.log(SKEWED_AT):
        return []
    requests = sum(m.candidate.requests for m in of_step)
    total = requests + sum(m.live.requests for m in of_step)
    text = (
        f"candidate got {requests / total:.1%} of the requests, its weight says "
        f"{of_step[-1].share:.1%}: clients that pin a variant make the comparison unfair"
    )
    return [GateVerdict("sample ratio", Answer.HOLD, text)]


def judge_latency(gate: LatencyGate, of_step: Iterable[CountedMinute]) -> GateVerdict:
    """Fails when the candidate is too slow in most minutes, and in three at least."""
    measured = [(m.candidate.p95_us, m.live.p95_us) for m in of_step]
    pairs = [(c, v) for c, v in measured if c is not None and v is not None]
    slow = sum(c > max(gate.over_us, gate.allow * v) for c, v in pairs)
    if not pairs:
        return GateVerdict("latency", Answer.HOLD, "no latency measured yet")
    p95 = f"p95 {_ms(median(c for c, _ in pairs))} against {_ms(median(v for _, v in pairs))}"
    text = f"{p95}, too slow in {slow} of {len(pairs)} minutes"
    is_mostly_slow = slow > len(pairs) / 2
    if len(pairs) < MIN_LATENCY_MINUTES:
        return GateVerdict("latency", Answer.HOLD, f"{text} ({MIN_LATENCY_MINUTES} are needed)")
    if is_mostly_slow and slow >= MIN_LATENCY_MINUTES:
        limit = f"limit {_ms(gate.over_us)} or ×{gate.allow:g}"
        return GateVerdict("latency", Answer.FAIL, f"{text} ({limit})")
    if is_mostly_slow:
        return GateVerdict("latency", Answer.HOLD, text)
    return GateVerdict("latency", Answer.PASS, p95)


def judge_alarms(alarms: Mapping[str, str]) -> GateVerdict:
    """Any in ALARM fails; one that is gone or has no data is not healthy, and holds."""
    ringing = sorted(name for name, state in alarms.items() if state == "ALARM")
    if ringing:
        return GateVerdict("alarms", Answer.FAIL, f"alarm {', '.join(ringing)}")
    unsure = sorted(f"{name} is {state}" for name, state in alarms.items() if state != "OK")
    if unsure:
        return GateVerdict("alarms", Answer.HOLD, f"alarm {', '.join(unsure)}")
    return GateVerdict("alarms", Answer.PASS, f"{len(alarms)} alarms OK")


# --- numbers as people read them


def _rates(minutes: Sequence[CountedMinute]) -> str:
    candidate = _rate([m.candidate for m in minutes])
    return f"{candidate} against {_rate([m.live for m in minutes])}"


def _rate(counts: Sequence[VariantMinute]) -> str:
    requests = sum(c.requests for c in counts)
    percent = 100 * sum(c.errors for c in counts) / requests if requests else 0.0
    return f"{percent:.2g} %" if percent < 99.5 else f"{percent:.0f} %"


def _power(log_e: float) -> str:
    exponent = log_e / math.log(10)
    if exponent < 3:
        return f"{math.exp(log_e):.2g}"
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.1f}e{whole}"


def _ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.3g} ms"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def _log_mean(logs: Sequence[float]) -> float:
    """log of the mean of exponentials, without overflow."""
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))

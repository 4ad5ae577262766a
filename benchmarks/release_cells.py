"""One scenario under one plan: each release is drawn once, and judged by every rule."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.release_ours import Bench, Ended
from benchmarks.release_rules import MINUTES_PER_STEP, NEVER, Fixed, rules
from benchmarks.release_scenarios import Plan, Scenario, average, truth_of
from benchmarks.release_streams import Stream

OURS = "Slipway"
COMPARABLE = ("errors", "slow")


@dataclass(frozen=True)
class Cell:
    scenario: str
    rule: str
    plan: str
    rolled_back: float
    promoted: float
    inconclusive: float
    bad_requests_mean: float
    decision_minutes_median: float
    releases: int
    judged: str
    truth: str
    traffic_allows: bool
    is_much_worse: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cells(scenario: Scenario, plan: Plan, releases: int, seed: int) -> list[Cell]:
    """Slipway's cell and those of the other rules, which get metrics no later than Slipway."""
    if scenario.steps is not None:
        plan = replace(plan, steps=scenario.steps)
    bench = Bench(scenario, plan)
    ended: list[Ended] = []
    streams: list[Stream] = []
    for release in range(releases):
        stream = Stream(scenario, bench.weights, bench.horizon, seed, release)
        ended.append(bench.run(stream))
        streams.append(_cut(stream, len(bench.weights)))
    found = [_cell(scenario, OURS, plan, ended, allows=bench.traffic_allows())]
    if scenario.judged in COMPARABLE:
        found += _others(scenario, plan, bench, streams, seed)
    return found


def _others(
    scenario: Scenario, plan: Plan, bench: Bench, streams: list[Any], seed: int
) -> list[Cell]:
    lag = max(0, round(plan.settle_seconds / 60))
    fixed = _fixed(streams, scenario.judged)
    equal = fixed
    if scenario.candidate != scenario.live or scenario.disturbances.outage:
        same = replace(
            scenario,
            candidate=scenario.live,
            disturbances=replace(scenario.disturbances, outage="", cold_minutes=0),
        )
        minutes = MINUTES_PER_STEP * len(bench.weights)
        drawn = (Stream(same, bench.weights, minutes, seed + 1, r) for r in range(len(streams)))
        equal = _fixed([_cut(s, len(bench.weights)) for s in drawn], scenario.judged)
    found: list[Cell] = []
    for name, rule in rules(equal).items():
        at = rule(fixed)
        last = np.minimum(at + lag, fixed.rate.shape[1])
        total = np.cumsum(fixed.bad_candidate, axis=1)[np.arange(len(at)), last - 1]
        ended = [
            Ended("promoted" if a == NEVER else "rolled_back", int(b), int(m))
            for a, b, m in zip(at, total, last, strict=True)
        ]
        found.append(_cell(scenario, name, plan, ended, allows=False))
    return found


def _cut(stream: Stream, steps: int) -> dict[str, Any]:
    """The minutes of a fixed schedule, each at its step's weight."""
    minute = np.arange(MINUTES_PER_STEP * steps)
    at = (minute, minute // MINUTES_PER_STEP)
    return {
        "n": (stream.n_live[at], stream.n_candidate[at]),
        "errors": (stream.errors[0][at], stream.errors[1][at]),
        "slow": (stream.slow[0][at], stream.slow[1][at]),
    }


def _fixed(streams: list[dict[str, Any]], judged: str) -> Fixed:
    def stack(what: str, variant: int) -> Any:
        return np.stack([s[what][variant] for s in streams])

    return Fixed(stack("n", 0), stack("n", 1), stack(judged, 0), stack(judged, 1))


def _cell(scenario: Scenario, rule: str, plan: Plan, ended: list[Ended], *, allows: bool) -> Cell:
    truth = truth_of(scenario, plan)
    outcomes = Counter(e.outcome for e in ended)
    return Cell(
        scenario=scenario.name,
        rule=rule,
        plan=plan.name,
        rolled_back=outcomes["rolled_back"] / len(ended),
        promoted=outcomes["promoted"] / len(ended),
        inconclusive=outcomes["inconclusive"] / len(ended),
        bad_requests_mean=round(mean(e.bad for e in ended), 2),
        decision_minutes_median=median(e.minutes for e in ended),
        releases=len(ended),
        judged=scenario.judged,
        truth=truth,
        traffic_allows=allows,
        is_much_worse=is_much_worse(scenario),
    )


def is_much_worse(scenario: Scenario) -> bool:
    """Whether the candidate is twice as bad or worse, at 50 requests/s or more."""
    live, candidate = average(scenario.live, scenario), average(scenario.candidate, scenario)
    rate = scenario.requests_per_second
    lowest = rate if isinstance(rate, int | float) else min(rate)
    return candidate > 0 and candidate >= 2 * live and lowest >= 50

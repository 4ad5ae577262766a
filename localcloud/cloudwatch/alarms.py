"""When a metric alarm is in which state: M of N, missing data, comparison. Pure.

Source: the CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", with its
two tables and "Avoiding premature transitions to alarm state".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
# The evaluation range is longer than EvaluationPeriods (3 -> 5), for real points further back.
EXTRA_PERIODS = 2
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
MISSING_MODES = ("missing", "ignore", "breaching", "notBreaching")

Params = dict[str, Any]


@dataclass
class Alarm:
    """One alarm: what it was put with, its state, and its tags."""

    arn: str
    params: Params
    configured: float
    type: str = "MetricAlarm"
    state: str = INSUFFICIENT_DATA
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str | None = None
    state_updated: float = 0.0
    evaluation_state: str | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        return str(self.params["AlarmName"])

    @property
    def actions_enabled(self) -> bool:
        return bool(self.params.get("ActionsEnabled", True))

    @property
    def period(self) -> int:
        """Seconds; of metric math, the longest of its queries'."""
        return period_of(self.params)

    @property
    def periods(self) -> int:
        return int(self.params["EvaluationPeriods"])


def period_of(params: Params) -> int:
    if "Period" in params:
        return int(params["Period"])
    periods = [
        q["MetricStat"]["Period"] if "MetricStat" in q else q.get("Period", 1)
        for q in params.get("Metrics") or []
    ]
    return int(max(periods, default=60))


@dataclass(frozen=True)
class Point:
    """A period's start (epoch seconds), its value, and of how many samples where that is known."""

    at: int
    value: float
    samples: float | None = None


@dataclass(frozen=True)
class Outcome:
    """``state`` is None when the alarm stays as it is; ``points`` were evaluated, newest first."""

    state: str | None
    points: tuple[Point, ...]
    breaching: int
    filled: int


def evaluate(params: Params, points: Sequence[Point | None]) -> Outcome:
    """The state by the points of the evaluation range, oldest first; None where none came."""
    n = int(params["EvaluationPeriods"])
    m = int(params.get("DatapointsToAlarm", n))
    breaches = COMPARISONS[params["ComparisonOperator"]]
    threshold = float(params["Threshold"])
    real = [(age, p) for age, p in enumerate(reversed(points), start=1) if p is not None][:n]
    breaching = sum(breaches(p.value, threshold) for _, p in real)
    filled = n - len(real)
    state = _state(
        params.get("TreatMissingData", "missing"),
        m,
        _Count(breaching, len(real), filled, real[-1][0] if real else 0),
    )
    return Outcome(state, tuple(p for _, p in real), breaching, filled)


@dataclass(frozen=True)
class _Count:
    """Points that count; ``oldest_age`` is 1 for a point of the newest period."""

    breaching: int
    real: int
    filled: int
    oldest_age: int


def _state(mode: str, m: int, count: _Count) -> str | None:
    if count.breaching >= m:
        return ALARM
    if count.filled == 0:
        return OK
    match mode:
        case "breaching":
            return ALARM if count.breaching + count.filled >= m else OK
        case "notBreaching":
            return OK
        case "ignore":
            # Only a real point within the threshold says anything.
            return None if count.breaching == count.real else OK
        case _:
            if count.real == 0:
                return INSUFFICIENT_DATA
            # Fewer than M points breach. That is an alarm only when all do, and the oldest did so
            # long ago that the next point could no longer clear it up.
            is_too_early = count.breaching < count.real or count.oldest_age < m
            return OK if is_too_early else ALARM


def low_samples(params: Params, samples: float) -> bool:
    """Whether ``EvaluateLowSampleCountPercentile=ignore`` keeps the state.

    Below 10/(1 − p) samples, for percentiles under the median 10/p (user guide,
    "Percentile-based alarms and low data samples").
    """
    statistic = str(params.get("ExtendedStatistic") or "")
    if params.get("EvaluateLowSampleCountPercentile") != "ignore" or statistic[:1] != "p":
        return False
    share = float(statistic[1:]) / 100.0
    outer = 1.0 - share if share >= 0.5 else share
    return outer > 0 and samples < 10.0 / outer - 1e-9

"""When an alarm is in which state: M of N, missing data, comparison (fact sheet 5). Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.service import ServiceError

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
# CloudWatch looks at a somewhat longer range than EvaluationPeriods for real points (3 -> 5).
EXTRA_PERIODS = 2
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
MISSING_MODES = ("missing", "ignore", "breaching", "notBreaching")


@dataclass
class Alarm:
    """One metric alarm: what PutMetricAlarm was given, its state, and its tags."""

    arn: str
    params: dict[str, Any]
    configured: float
    state: str = INSUFFICIENT_DATA
    reason: str = "Unchecked: Initial alarm creation"
    state_updated: float = 0.0
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        return str(self.params["AlarmName"])

    @property
    def period(self) -> int:
        """Seconds; of metric math, the longest of its metrics'."""
        if "Period" in self.params:
            return int(self.params["Period"])
        periods = [
            q["MetricStat"]["Period"] if "MetricStat" in q else q.get("Period", 60)
            for q in self.params.get("Metrics", [])
        ]
        return int(max(periods, default=60))

    @property
    def periods(self) -> int:
        return int(self.params["EvaluationPeriods"])


@dataclass(frozen=True)
class Verdict:
    state: str
    reason: str


def evaluate(alarm: Alarm, points: Sequence[float | None]) -> Verdict:
    """The state by the points of the evaluation range, oldest first; None where none came."""
    params = alarm.params
    n = alarm.periods
    m = int(params.get("DatapointsToAlarm", n))
    breaches = COMPARISONS[params["ComparisonOperator"]]
    threshold = float(params["Threshold"])
    real = [p for p in points if p is not None][-n:]
    breaching = sum(breaches(p, threshold) for p in real)
    absent = n - len(real)
    state = _state(params.get("TreatMissingData", "missing"), m, breaching, len(real), absent)
    if state is None:
        return Verdict(alarm.state, alarm.reason)
    return Verdict(state, _reason(alarm, real, breaching, absent))


def _state(mode: str, m: int, breaching: int, real: int, absent: int) -> str | None:
    """None keeps the state that there is."""
    if breaching >= m:
        return ALARM
    if absent == 0:
        return OK
    match mode:
        case "breaching":
            return ALARM if breaching + absent >= m else OK
        case "notBreaching":
            return OK
        case "ignore":
            return None if breaching == real else OK
        case _:
            if real == 0:
                return INSUFFICIENT_DATA
            return ALARM if breaching == real else OK


def _reason(alarm: Alarm, real: Sequence[float], breaching: int, absent: int) -> str:
    threshold = float(alarm.params["Threshold"])
    if not real:
        return f"Insufficient Data: {absent} datapoints were unknown."
    shown = ", ".join(f"{p:g}" for p in real)
    return (
        f"Threshold Crossed: {breaching} out of the last {len(real)} datapoints [{shown}] "
        f"breached the threshold ({threshold:g}), {absent} missing."
    )


def check(params: dict[str, Any]) -> None:
    """What PutMetricAlarm refuses beyond its service model."""
    has_metrics = bool(params.get("Metrics"))
    statistics = [k for k in ("Statistic", "ExtendedStatistic") if params.get(k)]
    if has_metrics and (params.get("MetricName") or statistics):
        raise _refuse("Metrics list and a single metric cannot be used together.")
    if not has_metrics:
        if not params.get("MetricName") or not params.get("Namespace"):
            raise ServiceError("MissingParameter", "MetricName and Namespace are required.")
        if len(statistics) != 1:
            raise _refuse("Exactly one of Statistic and ExtendedStatistic is required.")
        _check_period(params.get("Period"))
    if params.get("ComparisonOperator") not in COMPARISONS:
        raise _refuse(f"ComparisonOperator must be one of {', '.join(COMPARISONS)}.")
    if "Threshold" not in params:
        raise ServiceError("MissingParameter", "Threshold is required.")
    if params.get("DatapointsToAlarm", 1) > params["EvaluationPeriods"]:
        raise _refuse("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    if params.get("TreatMissingData", "missing") not in MISSING_MODES:
        raise _refuse(f"TreatMissingData must be one of {', '.join(MISSING_MODES)}.")
    period = int(params.get("Period", 60))
    limit = 604_800 if period >= 3_600 else 86_400
    if period * params["EvaluationPeriods"] > limit:
        raise _refuse(
            "Metrics cannot be checked across more than a day (EvaluationPeriods*Period)."
        )


def _check_period(period: int | None) -> None:
    if period is None:
        raise ServiceError("MissingParameter", "Period is required.")
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise _refuse("Period must be 10, 20, 30 or a multiple of 60.")


def _refuse(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)

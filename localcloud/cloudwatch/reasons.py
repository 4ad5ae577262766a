"""StateReason and StateReasonData in AWS's words. Pure."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from localcloud.cloudwatch.alarms import ALARM, INSUFFICIENT_DATA, Outcome, Params, Point
from localcloud.cloudwatch.paging import when

MAX_REASON = 1_023
MAX_DATA = 4_000
_WORDS = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}
_SHOWN = 5


def reason(params: Params, state: str, outcome: Outcome) -> str:
    """Why a metric alarm goes into ``state``."""
    n = int(params["EvaluationPeriods"])
    m = int(params.get("DatapointsToAlarm", n))
    treated = _TREATED.get(params.get("TreatMissingData", "missing"))
    missing = _plural(outcome.filled, "missing datapoint")
    if not outcome.points:
        if state == INSUFFICIENT_DATA or treated is None:
            return f"Insufficient Data: {_plural(n, 'datapoint')} {_was(n)} unknown."
        return (
            f"Threshold Crossed: no datapoints were received for {_plural(n, 'period')} and "
            f"{missing} {_was(outcome.filled)} treated as [{treated}]."
        )
    is_alarm = state == ALARM
    real = len(outcome.points)
    count = outcome.breaching if is_alarm else real - outcome.breaching
    shown = ", ".join(_shown(p) for p in outcome.points[:_SHOWN])
    comparison = f"{_was(count)}{'' if is_alarm else ' not'} {_WORDS[params['ComparisonOperator']]}"
    change = "OK -> ALARM" if is_alarm else "ALARM -> OK"
    needed = m if is_alarm else n - m + 1
    text = (
        f"Threshold Crossed: {count} out of the last {real} datapoints [{shown}] "
        f"{comparison} the threshold ({float(params['Threshold'])}) "
        f"(minimum {_plural(needed, 'datapoint')} for {change} transition)."
    )
    if outcome.filled and treated is not None:
        text = f"{text[:-1]}, {missing} {_was(outcome.filled)} treated as [{treated}]."
    return text[:MAX_REASON]


def reason_data(params: Params, period: int, outcome: Outcome, now: float) -> str:
    """StateReasonData: a JSON object."""
    points = outcome.points
    data: dict[str, Any] = {"version": "1.0", "queryDate": stamp(when(now))}
    if points:
        data["startDate"] = stamp(when(points[-1].at))
    if statistic := params.get("Statistic") or params.get("ExtendedStatistic"):
        data["statistic"] = statistic
    if "Unit" in params:
        data["unit"] = params["Unit"]
    data |= {
        "period": period,
        "recentDatapoints": [p.value for p in reversed(points)],
        "threshold": float(params["Threshold"]),
        "evaluatedDatapoints": [_evaluated(p) for p in points],
    }
    text = json.dumps(data, separators=(",", ":"))
    while len(text) > MAX_DATA and data["evaluatedDatapoints"]:
        data["evaluatedDatapoints"].pop()
        data["recentDatapoints"] = data["recentDatapoints"][1:]
        text = json.dumps(data, separators=(",", ":"))
    return text


def stamp(moment: dt.datetime) -> str:
    """``2026-11-24T10:01:03.000+0000``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def _evaluated(point: Point) -> dict[str, Any]:
    found: dict[str, Any] = {"timestamp": stamp(when(point.at))}
    if point.samples is not None:
        found["sampleCount"] = point.samples
    return {**found, "value": point.value}


def _shown(point: Point) -> str:
    return f"{point.value} ({when(point.at):%d/%m/%y %H:%M:%S})"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"

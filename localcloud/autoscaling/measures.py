"""What a policy's alarms say now, by CloudWatch's own operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.autoscaling.decisions import Point
from localcloud.autoscaling.records import Policy
from localcloud.cloudwatch.alarm_rules import queries_of
from localcloud.cloudwatch.alarms import ALARM, period_of
from localcloud.cloudwatch.evaluation import LAG_SECONDS
from localcloud.cloudwatch.paging import when
from localcloud.in_process import Caller
from localcloud.service import ServiceError

Params = dict[str, Any]
CLOUDWATCH = "cloudwatch"


@dataclass(frozen=True)
class Alarm:
    """An alarm of a policy; ``points`` are those of its evaluation periods, oldest first."""

    name: str
    is_in_alarm: bool
    threshold: float
    points: tuple[Point, ...]


def alarms_of(call: Caller, policy: Policy) -> list[Params]:
    """The alarms that have the policy as their action, as DescribeAlarms tells them."""
    params: Params = {"ActionPrefix": policy.arn, "MaxRecords": 100}
    return call(CLOUDWATCH, "DescribeAlarms", policy.region, params)["MetricAlarms"]


def measured(call: Caller, policy: Policy, now: float) -> list[Alarm]:
    """All alarms of the policy with what they measured up to ``now`` (epoch seconds)."""
    return [_measured(call, policy.region, alarm, now) for alarm in alarms_of(call, policy)]


def _measured(call: Caller, region: str, alarm: Params, now: float) -> Alarm:
    period = period_of(alarm)
    # The same whole periods that CloudWatch has judged.
    end = int(now - LAG_SECONDS) // period * period
    start = end - period * int(alarm["EvaluationPeriods"])
    params: Params = {
        "MetricDataQueries": queries_of(alarm),
        "StartTime": when(start),
        "EndTime": when(end),
        "ScanBy": "TimestampAscending",
    }
    points: tuple[Point, ...] = ()
    try:
        results = call(CLOUDWATCH, "GetMetricData", region, params)["MetricDataResults"]
    except ServiceError:
        # What cannot be computed is no point; the alarm itself says why.
        results = []
    for found in results:
        pairs = zip(found["Timestamps"], found["Values"], strict=True)
        points = tuple(Point(at.timestamp(), value) for at, value in pairs)
    is_in_alarm = alarm["StateValue"] == ALARM
    return Alarm(alarm["AlarmName"], is_in_alarm, float(alarm["Threshold"]), points)

"""CloudWatch: minutes of traffic, rollback alarms, and the gates' verdict as a metric."""

from __future__ import annotations

import math
from typing import Any

from release.actions import PublishVerdict, PutAlarm, PutGateAlarm
from release.aws.call import call
from release.observation import MetricQuery, Series, VariantMinute

NAMESPACE = "AWS/SageMaker"
VERDICT_NAMESPACE = "Slipway/Releases"
VERDICT_METRIC = "GateFailed"
STATISTICS = (
    ("requests", "Invocations", "Sum"),
    ("errors", "InvocationModelErrors", "Sum"),
    ("p95", "ModelLatency", "p95"),
)


def dimensions(endpoint_name: str, variant: str, config: str) -> list[dict[str, str]]:
    """With the configuration's name, so that old and new fleet are never mixed (facts 5)."""
    return [
        {"Name": "EndpointName", "Value": endpoint_name},
        {"Name": "VariantName", "Value": variant},
        {"Name": "EndpointConfigName", "Value": config},
    ]


def metric_queries(endpoint_name: str, query: MetricQuery) -> list[dict[str, Any]]:
    return [
        {
            "Id": f"{key}{i}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": dimensions(endpoint_name, variant, query.config),
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for i, variant in enumerate(query.variants)
        for key, metric, statistic in _statistics(query)
    ]


def _statistics(query: MetricQuery) -> tuple[tuple[str, str, str], ...]:
    if query.over_us is None:
        return STATISTICS
    # Answers above the limit; where CloudWatch offers no count, it answers nothing (facts 5).
    return (*STATISTICS, ("slow", "ModelLatency", f"TC({_plain(query.over_us)}:)"))


def _plain(number: float) -> str:
    """Without an exponent, which the statistic's syntax does not know."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def read_series(cloudwatch: Any, endpoint_name: str, query: MetricQuery) -> Series:
    """Complete minutes only: one without requests or without error counts is missing."""
    asked = metric_queries(endpoint_name, query)
    values: dict[str, dict[float, float]] = {q["Id"]: {} for q in asked}
    token: dict[str, str] = {}
    while True:
        answer = call(
            cloudwatch.get_metric_data,
            MetricDataQueries=asked,
            StartTime=query.since,
            EndTime=query.until + 60,
            ScanBy="TimestampAscending",
            **token,
        )
        for result in answer["MetricDataResults"]:
            pairs = zip(result["Timestamps"], result["Values"], strict=True)
            values[result["Id"]] |= {at.timestamp(): v for at, v in pairs if math.isfinite(v)}
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    return {query.alias or variant: _minutes(values, i) for i, variant in enumerate(query.variants)}


def _minutes(values: dict[str, dict[float, float]], index: int) -> dict[float, VariantMinute]:
    requests, errors = values[f"requests{index}"], values[f"errors{index}"]
    p95, slow = values[f"p95{index}"], values.get(f"slow{index}", {})
    return {
        at: VariantMinute(
            round(requests[at]),
            round(errors[at]),
            p95.get(at),
            # A count of none may be left out where there are others (facts 5); but a minute
            # without any latency has not been measured yet.
            round(slow.get(at, 0.0)) if slow and at in p95 else None,
        )
        for at in sorted(requests.keys() & errors.keys())
    }


def alarm_input(endpoint_name: str, alarm: PutAlarm) -> dict[str, Any]:
    spec = alarm.spec
    is_percentile = spec.statistic.startswith("p")
    kind = "ExtendedStatistic" if is_percentile else "Statistic"
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": "Rollback alarm of a running slipway release; removed at its end.",
        "Namespace": NAMESPACE,
        "MetricName": spec.metric_name,
        "Dimensions": dimensions(endpoint_name, alarm.variant, alarm.config),
        kind: spec.statistic,
        "Period": spec.period_seconds,
        "EvaluationPeriods": spec.evaluation_periods,
        "DatapointsToAlarm": spec.datapoints_to_alarm,
        "Threshold": spec.threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": [{"Key": k, "Value": v} for k, v in sorted(alarm.tags.items())],
    }


def gate_alarm_input(alarm: PutGateAlarm) -> dict[str, Any]:
    """Rings within a few seconds of a failed verdict, and goes on ringing for minutes."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": "The gates' verdict on a running slipway release; removed at its end.",
        "Namespace": VERDICT_NAMESPACE,
        "MetricName": VERDICT_METRIC,
        "Dimensions": [{"Name": "Release", "Value": alarm.release_id}],
        "Statistic": "Maximum",
        "Period": 10,
        "EvaluationPeriods": 30,
        "DatapointsToAlarm": 1,
        "Threshold": 0.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": [{"Key": k, "Value": v} for k, v in sorted(alarm.tags.items())],
    }


def verdict_input(verdict: PublishVerdict) -> dict[str, Any]:
    return {
        "Namespace": VERDICT_NAMESPACE,
        "MetricData": [
            {
                "MetricName": VERDICT_METRIC,
                "Dimensions": [{"Name": "Release", "Value": verdict.release_id}],
                "Value": float(verdict.failed),
                "Unit": "None",
                # A period of ten seconds sees only metrics of high resolution.
                "StorageResolution": 1,
            }
        ],
    }

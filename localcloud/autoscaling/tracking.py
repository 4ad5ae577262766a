"""The CloudWatch alarms that a target tracking policy makes for itself. Pure.

Their names, description and action are as AWS writes them; that the high one wants three points and
the low one fifteen minutes below 90 % of the target is what is seen in the field, not documented.
"""

from __future__ import annotations

from typing import Any

from localcloud.autoscaling.records import Policy, split

Params = dict[str, Any]
HIGH, LOW = "AlarmHigh", "AlarmLow"
MINUTE = 60
_POINTS = {HIGH: 3, LOW: 15}
_LOW_SHARE = 0.9
# Metric, statistic, and the period of the high alarm; scaling in is as slow for both (facts 6).
PREDEFINED = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum", MINUTE),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        "ConcurrentRequestsPerModel",
        "Maximum",
        10,
    ),
}
_SINGLE = ("Namespace", "MetricName", "Dimensions", "Statistic", "Unit")


def metric_of(policy: Policy) -> Params:
    """What tells one tracked metric from another: two policies must not track the same."""
    config = policy.config
    predefined = config.get("PredefinedMetricSpecification")
    if predefined is not None:
        return {"Predefined": predefined["PredefinedMetricType"]}
    return dict(config["CustomizedMetricSpecification"])


def alarm(policy: Policy, kind: str, name: str, unique: str) -> Params:
    """PutMetricAlarm's parameters of the alarm ``kind`` (``AlarmHigh``, ``AlarmLow``)."""
    action = f"{policy.arn}:createdBy/{unique}"
    target = float(policy.config["TargetValue"])
    return {
        "AlarmName": name,
        "AlarmDescription": (f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {action}."),
        "ActionsEnabled": True,
        "AlarmActions": [action],
        "EvaluationPeriods": _POINTS[kind],
        "Threshold": target if kind == HIGH else _LOW_SHARE * target,
        "ComparisonOperator": "GreaterThanThreshold" if kind == HIGH else "LessThanThreshold",
        **_metric(policy, kind),
    }


def alarm_name(policy: Policy, kind: str, unique: str) -> str:
    return f"TargetTracking-{policy.resource_id}-{kind}-{unique}"


def is_low(alarm_name: str) -> bool:
    return f"-{LOW}-" in alarm_name


def _metric(policy: Policy, kind: str) -> Params:
    predefined = policy.config.get("PredefinedMetricSpecification")
    if predefined is not None:
        metric, statistic, period = PREDEFINED[predefined["PredefinedMetricType"]]
        endpoint, variant = split(policy.resource_id) or ("", "")
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
            "Statistic": statistic,
            "Period": period if kind == HIGH else MINUTE,
        }
    custom = policy.config["CustomizedMetricSpecification"]
    if custom.get("Metrics"):
        return {"Metrics": [_query(q) for q in custom["Metrics"]]}
    return {**{k: custom[k] for k in _SINGLE if k in custom}, "Period": MINUTE}


def _query(query: Params) -> Params:
    """A TargetTrackingMetricDataQuery has no periods: it is always minutes."""
    if "MetricStat" not in query:
        return dict(query)
    return {**query, "MetricStat": {**query["MetricStat"], "Period": MINUTE}}

"""The message that an alarm's SNS action publishes. Pure."""

from __future__ import annotations

import json
from typing import Any

from localcloud.cloudwatch.alarm_rules import ACTION_KEYS
from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.paging import when
from localcloud.cloudwatch.reasons import stamp
from localcloud.service import ACCOUNT_ID

Params = dict[str, Any]
MAX_SUBJECT = 100
_STATISTICS = {
    "SampleCount": "SAMPLE_COUNT",
    "Average": "AVERAGE",
    "Sum": "SUM",
    "Minimum": "MINIMUM",
    "Maximum": "MAXIMUM",
}
# A few names as SNS messages have them; other regions go by their code.
_REGIONS = {
    "eu-central-1": "EU (Frankfurt)",
    "eu-west-1": "EU (Ireland)",
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-2": "US West (Oregon)",
}


def subject(alarm: Alarm, region: str) -> str:
    text = f'{alarm.state}: "{alarm.name}" in {_REGIONS.get(region, region)}'
    # SNS refuses longer subjects, and any that are not printable ASCII.
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MAX_SUBJECT]


def message(alarm: Alarm, old_state: str, region: str) -> str:
    """What subscribers get, as JSON."""
    params = alarm.params
    content: Params = {
        "AlarmName": alarm.name,
        "AlarmDescription": params.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT_ID,
        "AlarmConfigurationUpdatedTimestamp": stamp(when(alarm.configured)),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": stamp(when(alarm.state_updated)),
        "Region": _REGIONS.get(region, region),
        "AlarmArn": alarm.arn,
        "OldStateValue": old_state,
        **{key: params.get(key) or [] for key in ACTION_KEYS},
    }
    if alarm.type == "CompositeAlarm":
        content["AlarmRule"] = params["AlarmRule"]
    else:
        content["Trigger"] = _trigger(alarm)
    return json.dumps(content)


def _trigger(alarm: Alarm) -> Params:
    params = alarm.params
    trigger: Params = {
        "Period": alarm.period,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": int(params.get("DatapointsToAlarm", alarm.periods)),
        "ComparisonOperator": params["ComparisonOperator"],
        "Threshold": float(params["Threshold"]),
        "TreatMissingData": params.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": params.get("EvaluateLowSampleCountPercentile", ""),
    }
    if params.get("Metrics"):
        return {**trigger, "Metrics": params["Metrics"]}
    if "Statistic" in params:
        statistic = {
            "StatisticType": "Statistic",
            "Statistic": _STATISTICS[params["Statistic"]],
        }
    else:
        statistic = {
            "StatisticType": "ExtendedStatistic",
            "ExtendedStatistic": params["ExtendedStatistic"],
        }
    dimensions = params.get("Dimensions") or []
    return {
        "MetricName": params["MetricName"],
        "Namespace": params["Namespace"],
        **statistic,
        "Unit": params.get("Unit"),
        "Dimensions": [{"value": d["Value"], "name": d["Name"]} for d in dimensions],
        **trigger,
    }

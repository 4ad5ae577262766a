"""An alarm's change as EventBridge and Lambda functions get it. Pure."""

from __future__ import annotations

import json
import uuid
from typing import Any

from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.paging import when
from localcloud.cloudwatch.reasons import stamp
from localcloud.service import ACCOUNT_ID

Params = dict[str, Any]
OldState = tuple[str, str, str | None, float]


def alarm_data(alarm: Alarm, old: OldState) -> Params:
    """Name, states and configuration; ``old`` is state, reason, reason data and time."""
    return {
        "alarmName": alarm.name,
        "state": _state(alarm.state, alarm.reason, alarm.reason_data, alarm.state_updated),
        "previousState": _state(*old),
        "configuration": _configuration(alarm),
    }


def entry(alarm: Alarm, data: Params) -> Params:
    """The entry of PutEvents for the default bus."""
    return {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Resources": [alarm.arn],
        "Time": alarm.state_updated,
        "Detail": json.dumps(data),
    }


def function_payload(alarm: Alarm, data: Params, region: str) -> str:
    """The event of a function that is an alarm's action."""
    return json.dumps(
        {
            "source": "aws.cloudwatch",
            "alarmArn": alarm.arn,
            "accountId": ACCOUNT_ID,
            "time": stamp(when(alarm.state_updated)),
            "region": region,
            "alarmData": data,
        }
    )


def _state(value: str, reason: str, data: str | None, moment: float) -> Params:
    state: Params = {"value": value, "reason": reason, "timestamp": stamp(when(moment))}
    if data:
        state["reasonData"] = data
    return state


def _configuration(alarm: Alarm) -> Params:
    params = alarm.params
    if alarm.type == "CompositeAlarm":
        return {
            "alarmRule": params["AlarmRule"],
            "actionsSuppressor": params.get("ActionsSuppressor"),
            "description": params.get("AlarmDescription"),
        }
    found: Params = {"metrics": _metrics(params)}
    if params.get("AlarmDescription"):
        found["description"] = params["AlarmDescription"]
    return found


def _metrics(params: Params) -> list[Params]:
    if params.get("Metrics"):
        return [_lower(query) for query in params["Metrics"]]
    stat = {
        "metric": {
            "namespace": params["Namespace"],
            "name": params["MetricName"],
            "dimensions": {d["Name"]: d["Value"] for d in params.get("Dimensions") or []},
        },
        "period": params["Period"],
        "stat": params.get("Statistic") or params["ExtendedStatistic"],
    }
    return [{"id": str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(stat))), "metricStat": stat,
             "returnData": True}]  # fmt: skip


def _lower(value: Any) -> Any:
    """Keys as events have them: ``MetricStat`` is ``metricStat``."""
    if isinstance(value, dict):
        return {k[:1].lower() + k[1:]: _lower(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return value

"""Alarms in the shapes of the API: botocore itself checks the requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.stub import Stubber

from localcloud.provider.configuration import Settings
from localcloud.provider.resources.base import Call
from localcloud.provider.resources.cloudwatch import CompositeAlarm, MetricAlarm
from localcloud.provider.schema import resource_type
from localcloud.provider.session import Clients, Session

TOPIC = "arn:aws:sns:eu-west-1:123456789012:topic"


def call_of(token: str, inputs: dict[str, Any], resource_id: str = "") -> tuple[Call, Stubber]:
    session = Session(Settings("eu-west-1"), Clients("http://127.0.0.1:1"))
    found = resource_type(token)
    assert found is not None
    call = Call(found, session, inputs, {}, resource_id)
    return call, Stubber(call.client())


def test_a_composite_alarm_and_its_suppressor() -> None:
    inputs = {
        "alarmName": "all",
        "alarmRule": "ALARM(a) OR ALARM(b)",
        "actionsEnabled": True,
        "okActions": [TOPIC],
        "actionsSuppressor": {"alarm": "quiet", "extensionPeriod": 10, "waitPeriod": 20},
        "tagsAll": {"k": "v"},
    }
    request = {
        "AlarmName": "all",
        "AlarmRule": "ALARM(a) OR ALARM(b)",
        "ActionsEnabled": True,
        "OKActions": [TOPIC],
        "ActionsSuppressor": "quiet",
        "ActionsSuppressorExtensionPeriod": 10,
        "ActionsSuppressorWaitPeriod": 20,
    }
    call, stub = call_of(CompositeAlarm.token, inputs)
    stub.add_response("put_composite_alarm", {}, {**request, "Tags": [{"Key": "k", "Value": "v"}]})
    arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:all"
    stub.add_response("describe_alarms", {"CompositeAlarms": [{**request, "AlarmArn": arn}]})
    stub.add_response("list_tags_for_resource", {"Tags": [{"Key": "k", "Value": "v"}]})
    with stub:
        CompositeAlarm().create(call)
        found = CompositeAlarm().read(call)
    assert call.id == "all"
    assert found == {**inputs, "arn": arn}


def test_metric_math_survives_the_way_there_and_back() -> None:
    queries = [
        {"id": "f", "expression": "e / n", "returnData": True},
        {
            "id": "e",
            "returnData": False,
            "metric": {
                "metricName": "Errors",
                "namespace": "N",
                "period": 60,
                "stat": "p95",
                "unit": "Count",
                "dimensions": {"b": "2", "a": "1"},
            },
        },
    ]
    inputs = {
        "name": "math",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
        "threshold": 0,
        "treatMissingData": "missing",
        "metricQueries": queries,
    }
    request: dict[str, Any] = {
        "AlarmName": "math",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 0.0,
        "TreatMissingData": "missing",
        "Metrics": [
            {"Id": "f", "Expression": "e / n", "ReturnData": True},
            {
                "Id": "e",
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {
                        "MetricName": "Errors",
                        "Namespace": "N",
                        "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
                    },
                    "Period": 60,
                    "Stat": "p95",
                    "Unit": "Count",
                },
            },
        ],
    }
    call, stub = call_of(MetricAlarm.token, inputs)
    stub.add_response("put_metric_alarm", {}, request)
    arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:math"
    updated = {"StateUpdatedTimestamp": datetime(2026, 1, 1, tzinfo=UTC)}
    stub.add_response(
        "describe_alarms", {"MetricAlarms": [{**request, **updated, "AlarmArn": arn}]}
    )
    stub.add_response("list_tags_for_resource", {"Tags": []})
    with stub:
        MetricAlarm().create(call)
        found = MetricAlarm().read(call)
    assert found == {**inputs, "arn": arn, "tagsAll": {}}


def test_an_alarm_that_is_gone_reads_as_nothing() -> None:
    call, stub = call_of(MetricAlarm.token, {}, "gone")
    stub.add_response(
        "describe_alarms",
        {"MetricAlarms": []},
        {"AlarmNames": ["gone"], "AlarmTypes": ["MetricAlarm"]},
    )
    with stub:
        assert MetricAlarm().read(call) is None

"""Alarms of a stock client: evaluated by the cloud's clock, acting through SNS, kept on disk."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud import connect
from tests.functional.conftest import Cloud

PATIENCE_SECONDS = 20.0


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.05)


def cloud_time(cloud: Cloud) -> datetime:
    return datetime.fromisoformat(str(cloud.status().now))


def put_alarm(client: Any, name: str, namespace: str, **more: Any) -> None:
    client.put_metric_alarm(
        AlarmName=name,
        **{
            "Namespace": namespace,
            "MetricName": "errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **more,
        },
    )


def state(client: Any, name: str) -> str:
    (found,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found["StateValue"]


def publish(client: Any, namespace: str, value: float, **more: Any) -> None:
    datum = {"MetricName": "errors", "Value": value, **more}
    client.put_metric_data(Namespace=namespace, MetricData=[datum])


def test_an_alarm_tells_its_topic_and_calms_down_again(cloud: Cloud) -> None:
    client, sns, sqs = (cloud.client(name) for name in ("cloudwatch", "sns", "sqs"))
    name, namespace = unique("alarm"), unique("space")
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    put_alarm(
        client,
        name,
        namespace,
        AlarmActions=[topic],
        OKActions=[topic],
        TreatMissingData="notBreaching",
    )
    publish(client, namespace, 5.0)
    until(lambda: state(client, name) == "ALARM", "ALARM")
    publish(client, namespace, 0.0)
    until(lambda: state(client, name) == "OK", "OK")

    changes: list[tuple[str, str]] = []

    def told() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            content = json.loads(json.loads(message["Body"])["Message"])
            changes.append((content["OldStateValue"], content["NewStateValue"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return ("ALARM", "OK") in changes

    until(told, "both messages")
    assert any(new == "ALARM" for _, new in changes), changes


def test_a_state_that_was_set_lasts_until_the_next_evaluation(cloud: Cloud) -> None:
    client, name = cloud.client("cloudwatch"), unique("set")
    put_alarm(client, name, unique("space"), TreatMissingData="notBreaching")
    until(lambda: state(client, name) == "OK", "OK")
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    history = client.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")
    assert "Alarm updated from OK to ALARM" in [
        item["HistorySummary"] for item in history["AlarmHistoryItems"]
    ]
    until(lambda: state(client, name) == "OK", "OK again")


def test_a_ten_second_alarm_does_not_wait_for_the_minute(fresh_cloud: Cloud) -> None:
    client, name, namespace = fresh_cloud.client("cloudwatch"), unique("fast"), unique("space")
    put_alarm(client, name, namespace, Period=10)
    publish(client, namespace, 5.0, StorageResolution=1)
    until(lambda: state(client, name) == "ALARM", "ALARM")
    (found,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    data = json.loads(found["StateReasonData"])
    assert (data["period"], data["recentDatapoints"]) == (10, [5.0])


def test_boto3_pages_through_data_and_alarms(cloud: Cloud) -> None:
    client, namespace, prefix = cloud.client("cloudwatch"), unique("space"), unique("page")
    now = cloud_time(cloud)
    for minute in range(10):
        publish(client, namespace, float(minute), Timestamp=now - timedelta(minutes=20 - minute))
    metric = {"Namespace": namespace, "MetricName": "errors"}
    pages = list(
        client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[
                {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
            ],
            StartTime=now - timedelta(hours=1),
            EndTime=now,
            ScanBy="TimestampAscending",
            MaxDatapoints=4,
        )
    )
    values = [v for page in pages for r in page["MetricDataResults"] for v in r["Values"]]
    assert values == [float(v) for v in range(10)]
    assert [p["MetricDataResults"][0]["StatusCode"] for p in pages] == [
        "PartialData",
        "PartialData",
        "Complete",
    ]
    for number in range(5):
        put_alarm(client, f"{prefix}-{number}", namespace)
    paginator = client.get_paginator("describe_alarms")
    found = paginator.paginate(AlarmNamePrefix=prefix, PaginationConfig={"PageSize": 2})
    assert len([a for page in found for a in page["MetricAlarms"]]) == 5


def test_old_and_future_points_are_refused_by_the_clouds_clock(cloud: Cloud) -> None:
    client, now = cloud.client("cloudwatch"), cloud_time(cloud)
    for at in (now - timedelta(days=15), now + timedelta(hours=5)):
        with pytest.raises(ClientError, match="must specify a time") as caught:
            publish(client, unique("space"), 1.0, Timestamp=at)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_alarms_and_points_stand_after_a_kill(fresh_cloud: Cloud) -> None:
    client, namespace = fresh_cloud.client("cloudwatch"), unique("space")
    at = cloud_time(fresh_cloud) - timedelta(hours=1)
    publish(client, namespace, 41.0, Timestamp=at)
    put_alarm(client, "a", namespace, TreatMissingData="ignore")
    client.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(a)")
    client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="a test")
    client.put_dashboard(DashboardName="d", DashboardBody='{"widgets":[]}')

    daemon = psutil.Process(fresh_cloud.status().pid)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(15)
    found = connect.start(fresh_cloud.home)

    assert found.restored is not None
    assert found.restored["cloudwatch"] == "ok"
    assert state(client, "a") == "ALARM", "missing data is ignored, so nothing moved it"
    (composite,) = client.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert (composite["AlarmName"], composite["StateValue"]) == ("c", "ALARM")
    assert [e["DashboardName"] for e in client.list_dashboards()["DashboardEntries"]] == ["d"]
    points = client.get_metric_statistics(
        Namespace=namespace,
        MetricName="errors",
        StartTime=at - timedelta(minutes=5),
        EndTime=at + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert [p["Sum"] for p in points] == [41.0]


def test_a_reset_leaves_nothing(fresh_cloud: Cloud) -> None:
    client = fresh_cloud.client("cloudwatch")
    put_alarm(client, "a", "N")
    publish(client, "N", 1.0)
    client.put_dashboard(DashboardName="d", DashboardBody="{}")
    connect.reset(fresh_cloud.home)
    assert client.describe_alarms()["MetricAlarms"] == []
    assert client.list_metrics()["Metrics"] == []
    assert client.list_dashboards()["DashboardEntries"] == []

"""The three wire protocols of CloudWatch's clients, by botocore's own serializers and parsers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
import requests

from tests.functional.conftest import Cloud

MODEL = botocore.session.Session().get_service_model("cloudwatch")
PROTOCOLS = ("query", "json", "smithy-rpc-v2-cbor")


@dataclass(frozen=True)
class Speaker:
    """A client that speaks one protocol; errors come back as parsed answers."""

    url: str
    protocol: str

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        model = MODEL.operation_model(operation)
        serializer = botocore.serialize.create_serializer(self.protocol, include_validation=False)
        request = serializer.serialize_to_request(params, model)
        body: Any = request["body"]
        if isinstance(body, dict):
            body = urlencode(body)
        answer = requests.request(
            request["method"],
            self.url + request["url_path"],
            headers=dict(request["headers"]),
            data=body,
            timeout=30,
        )
        parser = botocore.parsers.create_parser(self.protocol)
        raw = {"body": answer.content, "headers": answer.headers, "status_code": answer.status_code}
        return parser.parse(raw, model.output_shape)

    def error(self, operation: str, **params: Any) -> tuple[int, str, str]:
        found = self.call(operation, **params)
        status = found["ResponseMetadata"]["HTTPStatusCode"]
        return status, found["Error"]["Code"], found["Error"]["Message"]


@pytest.fixture(params=PROTOCOLS)
def speaker(request: pytest.FixtureRequest, cloud: Cloud) -> Speaker:
    return Speaker(cloud.endpoint_url, request.param)


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def cloud_time(cloud: Cloud) -> datetime:
    return datetime.fromisoformat(str(cloud.status().now))


def test_points_go_in_and_come_back(speaker: Speaker, cloud: Cloud) -> None:
    namespace = unique("points")
    at = cloud_time(cloud) - timedelta(minutes=2)
    datum = {
        "MetricName": "latency",
        "Dimensions": [{"Name": "Variant", "Value": "a & b <ü>"}],
        "Timestamp": at,
        "Values": [float(v) for v in range(1, 101)],
        "Counts": [1.0] * 100,
        "Unit": "Microseconds",
    }
    put = speaker.call("PutMetricData", Namespace=namespace, MetricData=[datum])
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200, put

    metric = {
        "Namespace": namespace,
        "MetricName": "latency",
        "Dimensions": datum["Dimensions"],
    }
    found = speaker.call(
        "GetMetricData",
        MetricDataQueries=[
            {"Id": "p95", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "p95"}},
            {"Id": "ms", "Expression": "p95 / 1000", "Label": "in ms"},
        ],
        StartTime=at - timedelta(minutes=5),
        EndTime=at + timedelta(minutes=5),
        ScanBy="TimestampAscending",
    )
    first, second = found["MetricDataResults"]
    assert (first["Id"], first["Values"], first["StatusCode"]) == ("p95", [95.0], "Complete")
    assert (second["Label"], second["Values"]) == ("in ms", [0.095])
    assert first["Timestamps"][0].timestamp() == at.timestamp() // 60 * 60

    statistics = speaker.call(
        "GetMetricStatistics",
        **metric,
        StartTime=at - timedelta(minutes=5),
        EndTime=at + timedelta(minutes=5),
        Period=60,
        ExtendedStatistics=["p95", "TM(10%:90%)"],
    )
    (point,) = statistics["Datapoints"]
    assert point["ExtendedStatistics"] == {"p95": 95.0, "TM(10%:90%)": 50.5}
    assert point["Unit"] == "Microseconds"
    listed = speaker.call("ListMetrics", Namespace=namespace)["Metrics"]
    assert listed == [metric]


def test_an_alarm_goes_in_and_comes_back(speaker: Speaker) -> None:
    name = unique("alarm")
    given = {
        "AlarmName": name,
        "AlarmDescription": "more than 5 % & <rising>",
        "Namespace": "N",
        "MetricName": "m",
        "Dimensions": [{"Name": "D", "Value": "v"}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 0.05,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
        "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:t"],
    }
    put = speaker.call("PutMetricAlarm", **given)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200, put
    (found,) = speaker.call("DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    assert {k: found[k] for k in given} == given
    assert (found["StateValue"], found["ActionsEnabled"]) == ("INSUFFICIENT_DATA", True)
    assert isinstance(found["StateUpdatedTimestamp"], datetime)
    history = speaker.call("DescribeAlarmHistory", AlarmName=name)["AlarmHistoryItems"]
    assert [h["HistoryItemType"] for h in history] == ["ConfigurationUpdate"]
    deleted = speaker.call("DeleteAlarms", AlarmNames=[name])
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 200, deleted


def test_errors_have_the_codes_of_their_protocol(speaker: Speaker) -> None:
    status, code, message = speaker.error(
        "PutMetricData", Namespace="N", MetricData=[{"MetricName": "m", "Value": 2.0**361}]
    )
    assert status == 400, message
    assert code == "InvalidParameterValue", "botocore reads x-amzn-query-error, too"
    assert "MetricData.member.1.Value is invalid" in message

    status, code, message = speaker.error("DescribeAlarms", NextToken="nonsense")
    assert (status, code) == (400, "InvalidNextToken"), message

    status, code, message = speaker.error(
        "SetAlarmState", AlarmName=unique("gone"), StateValue="OK", StateReason="x"
    )
    assert (status, code) == (404, "ResourceNotFound"), message


def test_validation_by_the_service_model(speaker: Speaker) -> None:
    status, code, message = speaker.error("PutMetricAlarm", AlarmName="x" * 256)
    assert status == 400
    assert code == "ValidationError"
    assert "'alarmName'" in message

    status, code, message = speaker.error("GetMetricData", MetricDataQueries=[])
    assert (status, code) == (400, "MissingParameter"), message


def test_a_bad_expression_is_a_validation_error(speaker: Speaker, cloud: Cloud) -> None:
    now = cloud_time(cloud)
    status, code, message = speaker.error(
        "GetMetricData",
        MetricDataQueries=[{"Id": "e", "Expression": "NOPE(1)"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now,
    )
    assert (status, code) == (400, "ValidationError")
    assert message == "Error in expression 'e': Unknown function 'NOPE'"


def test_what_is_not_offered_is_refused_in_words(speaker: Speaker) -> None:
    status, _, message = speaker.error("ListMetricStreams")
    assert status == 400
    assert "does not offer ListMetricStreams" in message

"""Requests as botocore writes them, answers as botocore reads them, in each protocol."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore import parsers, serialize

from localcloud.protocol.adapter import ProtocolAdapter
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

MOMENT = datetime(2026, 11, 24, 12, 30, 15, tzinfo=UTC)
PROTOCOLS = ["query", "json", "smithy-rpc-v2-cbor"]
CLOUDWATCH = ProtocolAdapter("cloudwatch")
SAGEMAKER = ProtocolAdapter("sagemaker")

PUT_METRIC_DATA = {
    "Namespace": "Slipway/Test",
    "MetricData": [
        {
            "MetricName": "Errors & <more>",
            "Dimensions": [{"Name": "Endpoint", "Value": "a=b&c"}, {"Name": "V", "Value": "live"}],
            "Timestamp": MOMENT,
            "Value": 0.25,
            "Unit": "Count",
            "StorageResolution": 60,
        },
        {"MetricName": "Other", "Values": [1.0, 2.5], "Counts": [3.0, 1.0]},
    ],
}
GET_METRIC_DATA = {
    "MetricDataQueries": [
        {
            "Id": "m1",
            "MetricStat": {
                "Metric": {"Namespace": "N", "MetricName": "M", "Dimensions": []},
                "Period": 60,
                "Stat": "p95",
            },
            "ReturnData": False,
        },
        {"Id": "e1", "Expression": "m1 * 2"},
    ],
    "StartTime": MOMENT,
    "EndTime": MOMENT,
}


def request_of(
    adapter: ProtocolAdapter, protocol: str, operation: str, params: dict[str, Any]
) -> WireRequest:
    """What a client sends that speaks ``protocol``."""
    model = adapter.model.operation_model(operation)
    made = serialize.create_serializer(protocol, False).serialize_to_request(params, model)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    raw = body.encode() if isinstance(body, str) else bytes(body)
    return WireRequest(made["method"], made["url_path"], tuple(made["headers"].items()), raw)


def parse(adapter: ProtocolAdapter, request: WireRequest) -> tuple[str, dict[str, Any]]:
    assert adapter.claims(request)
    operation, params = adapter.parse(adapter.protocol(request), request)
    return operation.name, params


def read(adapter: ProtocolAdapter, protocol: str, operation: str, answer: WireAnswer) -> Any:
    """The answer as a client reads it that speaks ``protocol``."""
    response = {
        "status_code": answer.status,
        "headers": {name.lower(): value for name, value in answer.headers},
        "body": answer.body,
        "context": {"operation_name": operation},
    }
    shape = adapter.model.operation_model(operation).output_shape
    return parsers.create_parser(protocol).parse(response, shape)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("PutMetricData", PUT_METRIC_DATA),
        ("GetMetricData", GET_METRIC_DATA),
        ("DescribeAlarms", {}),
        (
            "PutMetricAlarm",
            {
                "AlarmName": "ä b",
                "EvaluationPeriods": 3,
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 1e-9,
                "ActionsEnabled": True,
                "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:t"],
                "Tags": [{"Key": "k", "Value": ""}],
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_arrive_as_boto3_got_them(
    protocol: str, operation: str, params: dict[str, Any]
) -> None:
    request = request_of(CLOUDWATCH, protocol, operation, params)
    name, found = parse(CLOUDWATCH, request)
    assert name == operation
    if protocol == "query":
        # An empty list cannot be told from an absent one in form fields.
        params = json.loads(json.dumps(params, default=str).replace('"Dimensions": [], ', ""))
        found = json.loads(json.dumps(found, default=str).replace('"Dimensions": [], ', ""))
        found = json.loads(json.dumps(found).replace(', "Dimensions": []', ""))
        params = json.loads(json.dumps(params).replace(', "Dimensions": []', ""))
    assert found == params


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_reach_boto3_as_the_service_gave_them(protocol: str) -> None:
    answer = {
        "MetricDataResults": [
            {
                "Id": "m1",
                "Label": "a < b & c",
                "Timestamps": [MOMENT],
                "Values": [0.1, 3.0],
                "StatusCode": "Complete",
            }
        ],
        "NextToken": None,
    }
    request = request_of(CLOUDWATCH, protocol, "GetMetricData", GET_METRIC_DATA)
    wire = CLOUDWATCH.protocol(request)
    model = CLOUDWATCH.model.operation_model("GetMetricData")

    seen = read(
        CLOUDWATCH, protocol, "GetMetricData", CLOUDWATCH.render(wire, model, answer, "id-1")
    )

    assert seen["MetricDataResults"] == answer["MetricDataResults"]
    assert "NextToken" not in seen
    assert seen["ResponseMetadata"]["RequestId"] == "id-1"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        ("ResourceNotFound", "ResourceNotFound"),
        ("InvalidParameterValue", "InvalidParameterValue"),
        ("InvalidParameterValueException", "InvalidParameterValue"),
        ("LimitExceeded", "LimitExceeded"),
    ],
)
def test_errors_keep_their_query_code_in_every_protocol(
    protocol: str, raised: str, seen: str
) -> None:
    request = request_of(CLOUDWATCH, protocol, "DescribeAlarms", {})
    wire = CLOUDWATCH.protocol(request)

    answer = CLOUDWATCH.render_error(wire, ServiceError(raised, "no such <thing>", 404), "id-2")
    found = read(CLOUDWATCH, protocol, "DescribeAlarms", answer)

    assert answer.status == 404
    assert found["Error"]["Message"] == "no such <thing>"
    if protocol == "query":
        assert found["Error"]["Code"] == seen
    else:
        assert ("x-amzn-query-error", f"{seen};Sender") in answer.headers


def test_a_sagemaker_error_is_named_in_json() -> None:
    request = request_of(SAGEMAKER, "json", "ListEndpoints", {})
    answer = SAGEMAKER.render_error(
        SAGEMAKER.protocol(request), ServiceError("ResourceInUse", "it is"), "id-3"
    )
    found = read(SAGEMAKER, "json", "ListEndpoints", answer)
    assert found["Error"]["Code"] == "ResourceInUse"
    assert found["Error"]["Message"] == "it is"


def test_a_gzipped_body_is_unpacked() -> None:
    plain = request_of(CLOUDWATCH, "smithy-rpc-v2-cbor", "PutMetricData", PUT_METRIC_DATA)
    packed = WireRequest(
        plain.method,
        plain.target,
        (*plain.headers, ("Content-Encoding", "gzip")),
        gzip.compress(plain.body),
    )
    assert parse(CLOUDWATCH, packed) == ("PutMetricData", PUT_METRIC_DATA)


@pytest.mark.parametrize(
    ("adapter", "request_", "code"),
    [
        (
            SAGEMAKER,
            WireRequest("POST", "/", (("X-Amz-Target", "SageMaker.Nonsense"),), b"{}"),
            "UnknownOperationException",
        ),
        (
            SAGEMAKER,
            WireRequest("POST", "/", (("X-Amz-Target", "SageMaker.ListEndpoints"),), b"{"),
            "SerializationException",
        ),
        (
            SAGEMAKER,
            WireRequest(
                "POST", "/", (("X-Amz-Target", "SageMaker.ListEndpoints"),), b'{"MaxResults": "x"}'
            ),
            "SerializationException",
        ),
        (
            CLOUDWATCH,
            WireRequest("GET", "/?Action=Nonsense&Version=2010-08-01", (), b""),
            "InvalidAction",
        ),
        (
            CLOUDWATCH,
            WireRequest(
                "POST",
                "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
                (("smithy-protocol", "rpc-v2-cbor"),),
                b"\xff\xff",
            ),
            "SerializationException",
        ),
        (
            CLOUDWATCH,
            WireRequest(
                "GET", "/?Action=DescribeAlarms&MaxRecords=many&Version=2010-08-01", (), b""
            ),
            "MalformedInput",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_code(
    adapter: ProtocolAdapter, request_: WireRequest, code: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        parse(adapter, request_)
    assert caught.value.code == code


def test_numbers_of_json_may_be_whole_floats_but_not_fractions() -> None:
    target = (("X-Amz-Target", "SageMaker.ListEndpoints"),)
    whole = WireRequest("POST", "/", target, b'{"MaxResults": 5.0}')
    assert parse(SAGEMAKER, whole) == ("ListEndpoints", {"MaxResults": 5})
    with pytest.raises(ServiceError, match="NUMBER_VALUE can not be converted to Integer"):
        parse(SAGEMAKER, WireRequest("POST", "/", target, b'{"MaxResults": 5.5}'))


def test_unknown_and_null_members_are_left_out() -> None:
    request = WireRequest(
        "POST",
        "/",
        (("X-Amz-Target", "SageMaker.ListEndpoints"),),
        b'{"MaxResults": null, "Unheard": {"of": 1}, "SortBy": "Name"}',
    )
    assert parse(SAGEMAKER, request) == ("ListEndpoints", {"SortBy": "Name"})

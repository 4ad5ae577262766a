"""InvokeEndpoint's headers, error texts, metrics and capture lines, without a server."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker import runtime_errors
from localcloud.sagemaker.capture import (
    Captured,
    CaptureSettings,
    is_sampled,
    line,
    object_key,
)
from localcloud.sagemaker.metrics import Invocation, record_invocation
from localcloud.sagemaker.runtime_errors import Place
from localcloud.sagemaker.runtime_request import InvalidHeaderError, parse, signed_region

AT = datetime(2024, 1, 19, 20, 6, 8, 62_345, tzinfo=UTC)
PLACE = Place("eu-west-1", "mine", "live", "i-1")
CAPTURE: dict[str, Any] = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/a/b",
    "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    },
}


def settings(**more: Any) -> CaptureSettings:
    found = CaptureSettings.of({**CAPTURE, **more})
    assert found is not None
    return found


def fields(result: runtime_errors.InvokeResult) -> dict[str, Any]:
    return json.loads(result.body)


def test_only_what_sagemaker_forwards_reaches_the_container() -> None:
    request = parse(
        {
            "content-type": "text/csv",
            "Accept": "application/json",
            "X-Amzn-SageMaker-Custom-Attributes": "c=1",
            "x-amzn-sagemaker-target-variant": "live",
            "X-Amzn-SageMaker-Inference-Id": "id",
            "X-Other": "no",
            "Authorization": "AWS4-HMAC-SHA256 Credential=K/20240119/eu-west-1/sagemaker/"
            "aws4_request, SignedHeaders=host, Signature=0",
        }
    )
    assert request.forwarded == (
        b"Content-Type: text/csv\r\nAccept: application/json\r\n"
        b"X-Amzn-SageMaker-Custom-Attributes: c=1\r\n"
    )
    assert (request.region, request.target_variant, request.inference_id) == (
        "eu-west-1",
        "live",
        "id",
    )


@given(st.text("ABC/,= "))
def test_an_unsigned_request_is_for_the_default_region(text: str) -> None:
    assert signed_region(text) == "us-east-1"


@pytest.mark.parametrize(
    "value", ["a\r\nX-Evil: 1", "snow☃", "x" * 1025], ids=["line break", "not ASCII", "long"]
)
def test_headers_cannot_smuggle(value: str) -> None:
    for name in ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes"):
        with pytest.raises(InvalidHeaderError):
            parse({name: value})


@given(st.integers(400, 599), st.text(max_size=50))
def test_model_errors_have_awss_words(status: int, body: str) -> None:
    result = runtime_errors.model_error(PLACE, status, body.encode("utf-8", "replace"))
    blame = "client" if status < 500 else "server"
    assert (result.status, result.headers["x-amzn-ErrorType"]) == (424, "ModelError")
    found = fields(result)
    assert found["Message"].startswith(
        f"Received {blame} error ({status}) from primary with message "
    )
    assert found["Message"].endswith("in account 123456789012 for more information.")
    assert found["OriginalStatusCode"] == status
    assert found["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/mine:log-stream:live/i-1")


def test_bytes_that_are_no_text_are_told_all_the_same() -> None:
    assert fields(runtime_errors.model_error(PLACE, 500, b"\xff"))["OriginalMessage"] == "�"


def test_without_instances_the_service_is_unavailable() -> None:
    result = runtime_errors.service_unavailable()
    assert (result.status, result.headers["x-amzn-ErrorType"]) == (503, "ServiceUnavailable")


def test_a_timeout_counts_as_model_error_but_not_as_5xx() -> None:
    recorded: list[tuple[str, dict[str, str], float]] = []

    class Sink:
        def record(self, *given: Any, **more: Any) -> None:
            recorded.append((given[1], given[2], given[3]))

    record_invocation(Sink(), Invocation("us-east-1", "e", "live", "c", 0, True, 6e7, 100.0, 4), AT)
    by_variant = {m: v for m, d, v in recorded if "EndpointConfigName" not in d}
    by_config = {m: v for m, d, v in recorded if d.get("EndpointConfigName") == "c"}
    assert by_variant == by_config
    assert by_variant == {
        "Invocations": 1.0,
        "Invocation4XXErrors": 0.0,
        "Invocation5XXErrors": 0.0,
        "InvocationModelErrors": 1.0,
        "ModelLatency": 6e7,
        "OverheadLatency": 100.0,
        "InvocationsPerInstance": 0.25,
    }


def test_capture_is_on_unless_it_says_no() -> None:
    assert CaptureSettings.of(None) is None
    assert CaptureSettings.of({**CAPTURE, "EnableCapture": False}) is None
    assert settings().modes == {"Input", "Output"}


def test_a_capture_line_is_the_documented_one() -> None:
    captured = Captured(AT, None, "text/csv", b"1,2\n", "application/json; charset=utf-8", b"[1]")
    assert json.loads(line(settings(), captured, "event")) == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2\n",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "application/json; charset=utf-8",
                "mode": "OUTPUT",
                "data": "[1]",
                "encoding": "JSON",
            },
        },
        "eventMetadata": {"eventId": "event", "inferenceTime": "2024-01-19T20:06:08Z"},
        "eventVersion": "0",
    }


@given(st.binary(), st.sampled_from(["text/csv", "TEXT/CSV", "application/json", "image/png", ""]))
def test_any_payload_can_be_captured(body: bytes, content_type: str) -> None:
    text = line(settings(), Captured(AT, "id", content_type, body, content_type, body), "event")
    assert "\n" not in text
    side = json.loads(text)["captureData"]["endpointInput"]
    assert side["encoding"] in ("CSV", "JSON", "BASE64")


def test_capture_keys_are_by_hour_and_utc() -> None:
    key = object_key(settings(), "mine", "live", AT)
    assert key.startswith("a/b/mine/live/2024/01/19/20/06-08-062-")
    assert key.endswith(".jsonl")
    bare = settings(DestinationS3Uri="s3://bucket")
    assert object_key(bare, "mine", "live", AT).startswith("mine/live/2024/")


def test_sampling_takes_its_percentage() -> None:
    rng = random.Random(7)
    assert not any(is_sampled(settings(InitialSamplingPercentage=0), rng) for _ in range(500))
    assert all(is_sampled(settings(InitialSamplingPercentage=100), rng) for _ in range(500))
    taken = sum(is_sampled(settings(InitialSamplingPercentage=25), rng) for _ in range(4000))
    assert 850 < taken < 1150

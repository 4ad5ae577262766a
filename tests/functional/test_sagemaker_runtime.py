"""InvokeEndpoint through boto3: headers, errors, limits, metrics, data capture."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker.routing import EndpointRoute, Fleet, Router, VariantRoute
from localcloud.sagemaker.runtime import Runtime
from tests.functional.sagemaker_bench import Bench, Recorded, has_ended, running_bench, wait_for

LIMIT = 6 * 1024 * 1024
JSON = "application/json"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("runtime")) as found:
        yield found


@pytest.fixture(scope="module")
def endpoint(bench: Bench) -> str:
    model = bench.model("1")
    config = bench.config(bench.variant("live", model, 2), bench.variant("candidate", model))
    return bench.endpoint(config, "runtime")


def failure(bench: Bench, endpoint: str, body: Any, **more: Any) -> dict[str, Any]:
    """The error answer to an order that the fake container carries out."""
    with pytest.raises(ClientError) as caught:
        bench.invoke(endpoint, json.dumps(body), ContentType=JSON, **more)
    return caught.value.response


def test_headers_go_to_the_container_and_come_back_as_aws_does_it(
    bench: Bench, endpoint: str
) -> None:
    answer = bench.invoke(
        endpoint,
        b"1,2,3\n",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="id 1",
        TargetVariant="candidate",
    )
    seen = json.loads(answer["Body"].read())
    assert seen["body"] == "1,2,3\n"
    assert seen["threads"] == "1"
    assert seen["headers"]["content-type"] == "text/csv"
    assert seen["headers"]["accept"] == "application/json"
    assert seen["headers"]["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert not {"authorization", "x-amzn-sagemaker-inference-id", "user-agent"} & set(
        seen["headers"]
    )
    assert answer["ContentType"] == JSON
    assert answer["InvokedProductionVariant"] == "candidate"
    # They return only if the container sets them.
    assert "CustomAttributes" not in answer
    answer = bench.invoke(endpoint, json.dumps({"attributes": "mine=2"}), ContentType=JSON)
    assert answer["CustomAttributes"] == "mine=2"


@pytest.mark.parametrize(("status", "blame"), [(400, "client"), (503, "server"), (302, "server")])
def test_what_the_container_refuses_is_a_model_error(
    bench: Bench, endpoint: str, status: int, blame: str
) -> None:
    response = failure(
        bench, endpoint, {"status": status, "body": '{"error": "no"}'}, TargetVariant="live"
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"] == {
        "Code": "ModelError",
        "Message": (
            f'Received {blame} error ({status}) from primary with message "{{"error": "no"}}". See '
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
            "#logEventViewer:group=/aws/sagemaker/Endpoints/runtime in account 123456789012 for "
            "more information."
        ),
    }
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == '{"error": "no"}'
    assert re.fullmatch(
        r"arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/runtime"
        r":log-stream:live/i-[0-9a-f]{17}",
        response["LogStreamArn"],
    )


def test_a_model_that_takes_too_long_is_status_0(bench: Bench, endpoint: str) -> None:
    began = time.monotonic()
    response = failure(bench, endpoint, {"seconds": 3})
    assert time.monotonic() - began < 2.5
    assert response["OriginalStatusCode"] == 0
    assert response["Error"]["Message"].startswith(
        'Received server error (0) from primary with message "Your invocation timed out while '
        "waiting for a response from container primary. Review the latency metrics for each "
        'container in Amazon CloudWatch, resolve the issue, and try again.". See https://'
    )


def test_an_answer_that_breaks_off_is_a_model_error(bench: Bench, endpoint: str) -> None:
    response = failure(bench, endpoint, {"cut": True})
    assert response["Error"]["Message"].startswith(
        "Received server error (500) from primary and could not load the entire response body. See"
    )
    assert response["OriginalStatusCode"] == 500


def test_a_container_that_dies_is_a_model_error_and_the_request_is_not_repeated(
    bench: Bench,
) -> None:
    endpoint = bench.endpoint(bench.config(bench.variant("live", bench.model(), 2)), "dying")
    pids = {json.loads(bench.invoke(endpoint)["Body"].read())["pid"] for _ in range(30)}
    assert len(pids) == 2
    response = failure(bench, endpoint, {"die": True})
    assert response["OriginalStatusCode"] == 0
    assert "could not load the entire response body" in response["Error"]["Message"]
    wait_for(lambda: any(has_ended(pid) for pid in pids), "the end of the one that died")
    # The other instance was spared, and answers.
    assert json.loads(bench.invoke(endpoint)["Body"].read())["pid"] in pids


def test_six_mebibytes_pass_and_one_byte_more_does_not(bench: Bench, endpoint: str) -> None:
    answer = bench.invoke(endpoint, b"x" * LIMIT, ContentType="text/csv")
    assert json.loads(answer["Body"].read())["length"] == LIMIT
    with pytest.raises(ClientError) as caught:
        bench.invoke(endpoint, b"x" * (LIMIT + 1), ContentType="text/csv")
    assert caught.value.response["Error"] == {
        "Code": "413",
        "Message": f"HTTP content length exceeded {LIMIT} bytes.",
    }
    answer = bench.invoke(endpoint, json.dumps({"size": LIMIT}), ContentType=JSON)
    assert len(answer["Body"].read()) == LIMIT
    response = failure(bench, endpoint, {"size": LIMIT + 1})
    assert "could not load the entire response body" in response["Error"]["Message"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"EndpointName": "nobody"}, "Endpoint nobody of account 123456789012 not found."),
        ({"TargetVariant": "nobody"}, "Variant nobody of endpoint runtime not found."),
        ({"TargetVariant": "under_score"}, "Value 'under_score' at 'targetVariant' failed"),
        ({"InferenceId": "x" * 65}, "at 'inferenceId' failed to satisfy constraint"),
        ({"CustomAttributes": "x" * 1025}, "custom-attributes' failed to satisfy constraint"),
        ({"TargetModel": "other.tar.gz"}, "TargetModel needs a multi-model endpoint"),
        ({"InferenceComponentName": "c"}, "InferenceComponentName needs inference components"),
        ({"SessionId": "NEW_SESSION"}, "SessionId needs a container with stateful sessions"),
    ],
)
def test_bad_requests_are_validation_errors(
    bench: Bench, endpoint: str, params: dict[str, str], message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        bench.runtime.invoke_endpoint(**{"EndpointName": endpoint, "Body": b"1", **params})
    response = caught.value.response
    assert response["Error"]["Code"] == "ValidationError"
    assert message in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_every_request_is_measured_with_zeros_and_by_configuration(bench: Bench) -> None:
    config = bench.config(bench.variant("live", bench.model(), 2))
    endpoint = bench.endpoint(config, "measured")
    before = bench.clock.now()
    bench.invoke(endpoint, json.dumps({"seconds": 0.2}), ContentType=JSON)
    failure(bench, endpoint, {"status": 400})
    failure(bench, endpoint, {"status": 500})
    failure(bench, endpoint, {"seconds": 3})
    variant = {"EndpointName": endpoint, "VariantName": "live"}
    for dimensions in (variant, {**variant, "EndpointConfigName": config}):
        values = {
            metric: bench.metrics.values(metric, **dimensions)
            for metric in (
                "Invocations",
                "Invocation4XXErrors",
                "Invocation5XXErrors",
                "InvocationModelErrors",
                "InvocationsPerInstance",
            )
        }
        assert values == {
            "Invocations": [1, 1, 1, 1],
            "Invocation4XXErrors": [0, 1, 0, 0],
            "Invocation5XXErrors": [0, 0, 1, 0],
            "InvocationModelErrors": [0, 1, 1, 1],
            "InvocationsPerInstance": [0.5, 0.5, 0.5, 0.5],
        }
        latency = bench.metrics.values("ModelLatency", **dimensions)
        assert 200_000 <= latency[0] < 400_000
        overhead = bench.metrics.values("OverheadLatency", **dimensions)
        assert len(overhead) == 4
        assert 0 < overhead[0] < 100_000
    mine = [s for s in bench.metrics.samples if s[2].get("EndpointName") == endpoint]
    ours = [s for s in mine if s[0] == "AWS/SageMaker"]
    assert {s[6] for s in ours} == {"us-east-1"}
    assert {(s[0], s[4]) for s in ours if s[1] == "ModelLatency"} == {
        ("AWS/SageMaker", "Microseconds")
    }
    assert all(isinstance(s[5], datetime) and s[5] >= before for s in ours)


def test_instances_are_measured_every_minute(bench: Bench, endpoint: str) -> None:
    dimensions = {"EndpointName": endpoint, "VariantName": "live"}
    for metric in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        values = wait_for(lambda m=metric: bench.metrics.values(m, **dimensions), metric)
        assert all(0 <= v <= 100 * (psutil.cpu_count() or 1) for v in values)
    sample = next(s for s in bench.metrics.samples if s[1] == "CPUUtilization")
    assert (sample[0], sample[4]) == ("/aws/sagemaker/Endpoints", "Percent")


def test_captured_requests_are_json_lines_in_s3(bench: Bench) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captures/some/prefix/",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }
    config = bench.config(bench.variant("live", bench.model()), DataCaptureConfig=capture)
    endpoint = bench.endpoint(config, "captured")
    summary = bench.describe(endpoint)["DataCaptureConfig"]
    assert (summary["CaptureStatus"], summary["CurrentSamplingPercentage"]) == ("Started", 100)
    bench.invoke(endpoint, "1,ä\n", ContentType="text/csv; charset=utf-8", InferenceId="mine")
    bench.invoke(endpoint, b"\x00\xff", ContentType="application/octet-stream")
    failure(bench, endpoint, {"status": 400})

    def captured() -> dict[str, list[dict[str, Any]]]:
        return {
            key: [json.loads(text) for text in content.decode().splitlines()]
            for key, content in bench.s3.objects.items()
            if key.startswith("s3://captures/some/prefix/captured/live/")
        }

    wait_for(lambda: sum(map(len, captured().values())) >= 2, "two captured records")
    lines = [line for key in sorted(captured()) for line in captured()[key]]
    assert len(lines) == 2
    pattern = (
        r"s3://captures/some/prefix/captured/live/\d{4}/\d\d/\d\d/\d\d/"
        r"\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl"
    )
    assert all(re.fullmatch(pattern, key) for key in captured())
    first = next(line for line in lines if "inferenceId" in line["eventMetadata"])
    assert first["eventVersion"] == "0"
    assert first["eventMetadata"]["inferenceId"] == "mine"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["eventMetadata"]["inferenceTime"])
    assert first["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv; charset=utf-8",
        "mode": "INPUT",
        "data": "1,ä\n",
        "encoding": "CSV",
    }
    output = first["captureData"]["endpointOutput"]
    assert (output["mode"], output["encoding"]) == ("OUTPUT", "JSON")
    assert json.loads(output["data"])["version"] == "1"
    other = next(line for line in lines if "inferenceId" not in line["eventMetadata"])
    assert other["captureData"]["endpointInput"]["encoding"] == "BASE64"
    assert base64.b64decode(other["captureData"]["endpointInput"]["data"]) == b"\x00\xff"


def test_only_the_wanted_side_is_captured_and_a_missing_bucket_breaks_nothing(
    bench: Bench,
) -> None:
    def capture(bucket: str, percentage: int) -> dict[str, Any]:
        return {
            "InitialSamplingPercentage": percentage,
            "DestinationS3Uri": f"s3://{bucket}/side",
            "CaptureOptions": [{"CaptureMode": "Output"}],
        }

    model = bench.model()
    for name, bucket, percentage in (
        ("output", "captures", 100),
        ("nothing", "captures", 0),
        ("nowhere", "no-such-bucket", 100),
    ):
        config = bench.config(
            bench.variant("live", model), DataCaptureConfig=capture(bucket, percentage)
        )
        endpoint = bench.endpoint(config, f"side-{name}")
        assert bench.invoke(endpoint)["InvokedProductionVariant"] == "live"

    def keys(endpoint: str) -> list[str]:
        return [k for k in list(bench.s3.objects) if k.startswith(f"s3://captures/side/{endpoint}")]

    (key,) = wait_for(lambda: keys("side-output"), "the captured output")
    (line,) = [json.loads(text) for text in bench.s3.objects[key].splitlines()]
    assert set(line["captureData"]) == {"endpointOutput"}
    assert line["captureData"]["endpointOutput"]["encoding"] == "BASE64"
    assert keys("side-nothing") == []


def test_least_outstanding_requests_avoids_the_busy_instance(bench: Bench) -> None:
    from concurrent.futures import ThreadPoolExecutor

    variant = bench.variant(
        "live",
        bench.model(),
        2,
        RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    )
    endpoint = bench.endpoint(bench.config(variant), "least")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(bench.invoke, endpoint, json.dumps({"seconds": 1}), ContentType=JSON)
        router: Any = bench.service.runtime._router  # pyright: ignore[reportPrivateUsage]
        fleet = router.get("us-east-1", endpoint).variants[0].fleet
        wait_for(lambda: any(i.in_flight for i in fleet.instances), "the slow request")
        pids = {json.loads(bench.invoke(endpoint)["Body"].read())["pid"] for _ in range(10)}
        busy = json.loads(slow.result()["Body"].read())["pid"]
    assert len(pids) == 1
    assert busy not in pids


class Stub:
    """An instance as the runtime sees it."""

    def __init__(self, port: int) -> None:
        self.id, self.port = "i-0", port
        self.in_flight, self.idle = 0, list[Any]()


def test_where_nobody_takes_the_connection_the_request_goes_elsewhere(
    bench: Bench, endpoint: str
) -> None:
    inner: Any = bench.service.runtime
    served = inner._router.get("us-east-1", endpoint).variants[0].fleet.instances[0]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead, alive = Stub(closed.getsockname()[1]), Stub(served.port)
        instances: Any = (dead, alive)
        router = Router(random.Random(1))
        fleet = Fleet(instances)
        route = VariantRoute("live", 1.0, "LEAST_OUTSTANDING_REQUESTS", fleet)
        router.publish(EndpointRoute("us-east-1", "e", "c", (route,)))
        metrics = Recorded()
        runtime = Runtime(router, bench.clock, metrics, inner._capture)

        async def invoke(times: int) -> list[int]:
            return [(await runtime.invoke("e", {}, b"1")).status for _ in range(times)]

        assert asyncio.run(invoke(20)) == [200] * 20
        assert (dead.in_flight, alive.in_flight) == (0, 0)
        fleet.instances = instances[:1]
        assert asyncio.run(invoke(1)) == [503]
    dimensions = {"EndpointName": "e", "VariantName": "live"}
    assert metrics.values("InvocationModelErrors", **dimensions) == [0] * 20 + [1]

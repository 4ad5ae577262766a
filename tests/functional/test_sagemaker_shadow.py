"""Shadow variants with real processes: copies, their metrics and records, and their manners."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.deployments import blue_green, rolling, size, update
from tests.functional.sagemaker_bench import Bench, running_bench, wait_for

CAPTURE = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://captures/shadowed",
    "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("shadow")) as found:
        yield found


def shadowed(bench: Bench, weight: float = 1.0, count: int = 1, **more: Any) -> str:
    """A configuration with a production variant and its shadow."""
    shadow = bench.variant("next", bench.model("2"), count, InitialVariantWeight=weight)
    return bench.config(
        bench.variant("live", bench.model("1"), count), ShadowProductionVariants=[shadow], **more
    )


def copies(bench: Bench, endpoint: str) -> list[float]:
    return bench.metrics.values("Invocations", EndpointName=endpoint, VariantName="next")


def test_a_shadow_gets_copies_and_nobody_its_answers(bench: Bench) -> None:
    config = shadowed(bench, DataCaptureConfig=CAPTURE)
    endpoint = bench.endpoint(config)
    described = bench.describe(endpoint)
    (shadow,) = described["ShadowProductionVariants"]
    assert (shadow["VariantName"], shadow["CurrentInstanceCount"]) == ("next", 1)
    assert [v["VariantName"] for v in described["ProductionVariants"]] == ["live"]
    for number in range(10):
        answer = bench.invoke(
            endpoint, b"{}", ContentType="application/json", InferenceId=f"id-{number}"
        )
        assert answer["InvokedProductionVariant"] == "live"
        assert json.loads(answer["Body"].read())["version"] == "1"
    wait_for(lambda: len(copies(bench, endpoint)) == 10, "ten copies")
    by_config = {"EndpointName": endpoint, "VariantName": "next", "EndpointConfigName": config}
    assert len(bench.metrics.values("ModelLatency", **by_config)) == 10
    assert sum(bench.metrics.values("InvocationModelErrors", **by_config)) == 0

    def records(variant: str) -> dict[str, tuple[str, str]]:
        """eventId and answering version by inferenceId."""
        found: dict[str, tuple[str, str]] = {}
        for uri, body in list(bench.s3.objects.items()):
            if f"/shadowed/{endpoint}/{variant}/" in uri:
                for line in body.splitlines():
                    record = json.loads(line)
                    output = json.loads(record["captureData"]["endpointOutput"]["data"])
                    meta = record["eventMetadata"]
                    found[meta["inferenceId"]] = meta["eventId"], output["version"]
        return found

    wait_for(lambda: len(records("live")) == len(records("next")) == 10, "the records")
    live, shadow_records = records("live"), records("next")
    assert {k: v[0] for k, v in live.items()} == {k: v[0] for k, v in shadow_records.items()}
    assert {v[1] for v in live.values()} == {"1"}
    assert {v[1] for v in shadow_records.values()} == {"2"}
    assert len({v[0] for v in live.values()}) == 10


def test_the_share_is_the_shadows_weight_over_the_productions(bench: Bench) -> None:
    endpoint = bench.endpoint(shadowed(bench, 0.5))
    for _ in range(100):
        bench.invoke(endpoint)
    wait_for(lambda: len(copies(bench, endpoint)) > 20, "copies")
    assert len(copies(bench, endpoint)) < 80
    none = bench.endpoint(shadowed(bench, 0.0))
    for _ in range(20):
        bench.invoke(none)
    assert copies(bench, none) == []


def test_a_slow_or_dead_shadow_costs_the_client_nothing(bench: Bench) -> None:
    endpoint = bench.endpoint(shadowed(bench))
    fleets = bench.service._standing.own["us-east-1", endpoint]
    (server,) = fleets["next"].instances
    os.kill(server.pid, signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(20):
        bench.invoke(endpoint)
    assert time.monotonic() - began < 1.4, "the model's limit on this bench is 1.5 s"
    os.kill(server.pid, signal.SIGKILL)
    for _ in range(20):
        bench.invoke(endpoint)
    errors = {"EndpointName": endpoint, "VariantName": "next"}
    wait_for(lambda: sum(bench.metrics.values("InvocationModelErrors", **errors)) > 0, "errors")
    production = {"EndpointName": endpoint, "VariantName": "live"}
    assert sum(bench.metrics.values("InvocationModelErrors", **production)) == 0


def test_an_update_leads_into_a_shadow_and_out_of_it(bench: Bench) -> None:
    plain = bench.config(bench.variant("live", bench.model("1"), 2))
    endpoint = bench.endpoint(plain)
    config = shadowed(bench, count=2)
    for refused in (blue_green("CANARY", CanarySize=size(1)), rolling(1)):
        with pytest.raises(ClientError, match="is not supported for shadow variants"):
            update(bench, endpoint, config, refused)
    update(bench, endpoint, config)
    pending = bench.describe(endpoint)["PendingDeploymentSummary"]
    assert pending["ShadowProductionVariants"][0]["DesiredInstanceCount"] == 2
    assert len(bench.settled(endpoint)["ShadowProductionVariants"]) == 1
    with pytest.raises(ClientError, match='"next" is/are not present'):
        bench.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "next", "DesiredWeight": 0.5}],
        )
    with pytest.raises(ClientError, match="Variant next of endpoint"):
        bench.invoke(endpoint, TargetVariant="next")
    # Promotion: the shadow becomes the production variant, all at once.
    promoted = bench.config(bench.variant("next", bench.model("2")))
    update(bench, endpoint, promoted, blue_green("ALL_AT_ONCE", TerminationWaitInSeconds=60))
    described = bench.settled(endpoint)
    assert described["EndpointConfigName"] == promoted
    assert "ShadowProductionVariants" not in described
    answer = bench.invoke(endpoint)
    assert answer["InvokedProductionVariant"] == "next"


def test_copies_that_pile_up_are_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.sagemaker.shadow.MAX_COPIES", 3)
    endpoint = bench.endpoint(shadowed(bench))
    (server,) = bench.service._standing.own["us-east-1", endpoint]["next"].instances
    os.kill(server.pid, signal.SIGSTOP)
    for _ in range(10):
        bench.invoke(endpoint)
    assert bench.service.runtime._shadows.dropped[endpoint] >= 7

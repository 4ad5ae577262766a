"""Endpoints when the cloud restarts, is reset, or closes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil

from tests.functional.sagemaker_bench import (
    MemoryS3,
    running_bench,
    wait_for,
)
from tests.functional.sagemaker_calls import answered, refused, variants, weights


def test_after_a_restart_what_stood_stands_again(tmp_path: Path) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        config = first.config(first.variant("live", first.model("3"), 2))
        endpoint = first.endpoint(config, "again", Tags=[{"Key": "slipway:stack", "Value": "x"}])
        weights(first, endpoint, live=0.25)
        before = first.settled(endpoint)
        bad = first.config(first.variant("live", first.model("4", PING="never")))
        first.sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName=bad)
        assert first.settled("broken")["EndpointStatus"] == "Failed"
        pids = {answered(first.invoke(endpoint))["pid"] for _ in range(20)}
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with running_bench(tmp_path, s3) as second:
        assert second.describe("broken")["EndpointStatus"] == "Failed"
        assert second.describe(endpoint)["EndpointStatus"] in ("SystemUpdating", "InService")
        after = second.settled(endpoint)
        assert variants(after) == variants(before) == {"live": (0.25, 0.25, 2, 2)}
        assert after["CreationTime"] == before["CreationTime"]
        assert answered(second.invoke(endpoint))["version"] == "3"
        tags = second.sagemaker.list_tags(ResourceArn=after["EndpointArn"])["Tags"]
        assert tags == [{"Key": "slipway:stack", "Value": "x"}]


def test_an_update_that_a_restart_interrupted_goes_on(tmp_path: Path) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        endpoint = first.endpoint(first.config(first.variant("live", first.model("1"))), "half")
        slow = first.config(first.variant("live", first.model("2", PING="later:8")))
        first.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=slow)
        assert first.describe(endpoint)["EndpointStatus"] == "Updating"
    with running_bench(tmp_path, s3) as second:
        described = second.settled(endpoint)
        assert described["EndpointConfigName"] == slow
        assert answered(second.invoke(endpoint))["version"] == "2"


def test_a_restart_without_the_artifact_says_so_and_goes_on_when_it_is_back(
    tmp_path: Path,
) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        model = first.model("1")
        endpoint = first.endpoint(first.config(first.variant("live", model)), "lost")
    url = f"s3://artifacts/{model}/model.tar.gz"
    content = s3.objects.pop(url)
    with running_bench(tmp_path, s3) as second:
        described = wait_for(
            lambda: (d := second.describe(endpoint)) and "FailureReason" in d and d, "the reason"
        )
        assert described["EndpointStatus"] == "SystemUpdating"
        assert described["FailureReason"].startswith("Failed to download model data")
        code, _ = refused(second.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")
        assert code == "ServiceUnavailable"
        s3.objects[url] = content
        assert second.settled(endpoint)["EndpointStatus"] == "InService"
        assert answered(second.invoke(endpoint))["version"] == "1"


def servers(home: Path) -> list[psutil.Process]:
    """Our children that serve models of this home."""
    found = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in found if any(str(home) in part for part in p.cmdline())]


def test_reset_ends_every_process_and_forgets_everything(tmp_path: Path) -> None:
    with running_bench(tmp_path) as bench:
        endpoint = bench.endpoint(bench.config(bench.variant("live", bench.model(), 2)))
        slow = bench.config(bench.variant("live", bench.model(PING="never")))
        bench.sagemaker.create_endpoint(EndpointName="slow", EndpointConfigName=slow)
        wait_for(lambda: len(servers(tmp_path)) == 3, "three servers")
        bench.service.reset()
        assert servers(tmp_path) == []
        assert bench.sagemaker.list_endpoints()["Endpoints"] == []
        assert bench.sagemaker.list_models()["Models"] == []
        code, _ = refused(bench.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")
        assert code == "ValidationError"
        bench.endpoint(bench.config(bench.variant("live", bench.model())), endpoint)


def test_closing_takes_less_than_five_seconds_whatever_runs(tmp_path: Path) -> None:
    with running_bench(tmp_path) as bench:
        bench.endpoint(bench.config(bench.variant("live", bench.model(), 2)))
        slow = bench.config(bench.variant("live", bench.model(PING="never"), 4))
        bench.sagemaker.create_endpoint(EndpointName="slow", EndpointConfigName=slow)
        began = time.monotonic()
        bench.service.close()
        assert time.monotonic() - began < 5
        assert servers(tmp_path) == []
        assert json.loads(bench.service.snapshot())["endpoints"]

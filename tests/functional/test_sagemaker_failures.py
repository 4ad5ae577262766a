"""Model servers that fail, artifacts that are not there, instances that die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.functional.sagemaker_bench import (
    ROLE,
    Bench,
    archive,
    has_ended,
    running_bench,
    wait_for,
)
from tests.functional.sagemaker_calls import answered, arn, capacity, refused, variants


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("sagemaker")) as found:
        yield found


def test_a_server_that_never_answers_ping_fails_and_an_update_keeps_the_old(bench: Bench) -> None:
    good, bad = bench.model("good"), bench.model("bad", PING="never")
    ping = (
        "The primary container for production variant live did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    old = bench.config(bench.variant("live", good))
    new = bench.config(bench.variant("live", bad, 2))
    bench.sagemaker.create_endpoint(EndpointName="no-ping", EndpointConfigName=new)
    described = bench.settled("no-ping")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(ping)
    log = described["FailureReason"].rpartition(" in ")[2].removesuffix(".")
    assert '"listening"' in Path(log).read_text()
    _, message = refused(
        bench.sagemaker.update_endpoint, EndpointName="no-ping", EndpointConfigName=old
    )
    assert "can only be deleted" in message

    endpoint = bench.endpoint(old)
    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    assert answered(bench.invoke(endpoint))["version"] == "good"
    described = bench.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == old
    assert described["FailureReason"].startswith(ping)
    assert answered(bench.invoke(endpoint))["version"] == "good"

    bench.sagemaker.delete_endpoint(EndpointName="no-ping")
    wait_for(lambda: "no-ping" not in str(bench.sagemaker.list_endpoints()), "its deletion")


@pytest.mark.parametrize("ping", ["exit", "later:3"])
def test_a_server_that_ends_or_takes_its_time(bench: Bench, ping: str) -> None:
    config = bench.config(bench.variant("live", bench.model(PING=ping)))
    name = f"ping-{ping.partition(':')[0]}"
    bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    wanted = "Failed" if ping == "exit" else "InService"
    assert bench.settled(name)["EndpointStatus"] == wanted


def links() -> bytes:
    import gzip
    import io
    import tarfile

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    return gzip.compress(content.getvalue())


@pytest.mark.parametrize(
    "content",
    [b"no archive", archive()[:-9], archive()[:40], archive({"../out": b"x"}), links()],
    ids=["nothing", "cut-at-the-end", "cut", "outside", "link"],
)
def test_a_corrupt_archive_fails_with_its_reason(bench: Bench, content: bytes) -> None:
    model = bench.model("1", content)
    url = f"s3://artifacts/{model}/model.tar.gz"
    name = f"for-{model}"
    config = bench.config(bench.variant("live", model))
    bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = bench.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        f'Failed to extract model data archive for container "container_1" from URL "{url}". '
        "Please ensure that the object located at the URL is a valid tar.gz archive."
    )


def test_missing_data_and_unknown_images_fail_with_their_reason(bench: Bench) -> None:
    model = bench.model()
    del bench.s3.objects[f"s3://artifacts/{model}/model.tar.gz"]
    bench.sagemaker.create_model(
        ModelName="alien",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "slipway-local@sha256:" + "0" * 64},
    )
    for name, reason in (
        (model, 'Failed to download model data for container "container_1" from URL: "s3://'),
        ("alien", "Please make sure all images included in the model for the production variant"),
    ):
        endpoint = f"fails-{name}"
        config = bench.config(bench.variant("live", name))
        bench.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        described = bench.settled(endpoint)
        assert described["EndpointStatus"] == "Failed"
        assert described["FailureReason"].startswith(reason)
    assert described["FailureReason"].endswith(
        " only; inference/ or contracts/ changed since this version was staged, and `slipway up` "
        "stages it with what they are now."
    )


def test_without_its_model_a_variant_cannot_scale_out(bench: Bench) -> None:
    model = bench.model()
    endpoint = bench.endpoint(bench.config(bench.variant("live", model)))
    bench.sagemaker.delete_model(ModelName=model)
    capacity(bench, endpoint, "live", 2)
    described = bench.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["FailureReason"] == f'Could not find model "{arn("model", model)}".'
    assert variants(described) == {"live": (1.0, 1.0, 1, 1)}


def test_an_instance_that_dies_is_replaced_and_one_that_hangs_too(
    bench: Bench, tmp_path: Path
) -> None:
    model = bench.model(CONTROL=str(tmp_path))
    endpoint = bench.endpoint(bench.config(bench.variant("live", model, 2)))
    pids = {answered(bench.invoke(endpoint))["pid"] for _ in range(30)}
    assert len(pids) == 2
    victim = pids.pop()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: has_ended(victim), "its end")
    # Requests that find nobody there go to the other instance: none is lost.
    for _ in range(30):
        assert answered(bench.invoke(endpoint))["pid"] != victim
    wait_for(
        lambda: variants(bench.describe(endpoint)) == {"live": (1.0, 1.0, 2, 2)}, "a replacement"
    )
    hanging = pids.pop()
    (tmp_path / f"hang-{hanging}").touch()
    wait_for(lambda: not psutil.pid_exists(hanging), "the end of the hanging one")
    wait_for(
        lambda: variants(bench.describe(endpoint)) == {"live": (1.0, 1.0, 2, 2)}, "a replacement"
    )

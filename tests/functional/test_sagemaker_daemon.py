"""The real daemon with the real model server: deaths, restarts, other services beside it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import signal
import tarfile
import time
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from contracts.canonical import sha256_text
from contracts.package import ArchiveIndex, FileEntry
from localcloud import connect
from localcloud.home import CloudHome
from localcloud.image import local_image
from tests.functional.conftest import Cloud
from tests.functional.sagemaker_bench import ROLE, has_ended, wait_for

START_SECONDS = 60.0


def model_archive(intercept: float) -> tuple[bytes, str]:
    """A packaged scikit-learn model that answers 2·a + 3·b + intercept, and its index' sha256."""
    import numpy as np
    import skops.io
    from sklearn.linear_model import LinearRegression

    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    model = LinearRegression().fit(rows, rows @ np.array([2.0, 3.0]) + intercept)
    content = skops.io.dumps(model)
    index = ArchiveIndex(
        model="linear",
        version="1",
        engine="sklearn",
        output="predict",
        inputs={
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "x-columns": ["a", "b"],
        },
        outputs={},
        files=(FileEntry("model/model.skops", len(content), hashlib.sha256(content).hexdigest()),),
    ).to_json()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in (("slipway.json", index.encode()), ("model/model.skops", content)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(archive.getvalue()), sha256_text(index)


def make_config(cloud: Cloud, name: str, intercept: float, count: int = 2) -> None:
    """Bucket, artifact, model and configuration of one name."""
    content, digest = model_archive(intercept)
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    s3.create_bucket(Bucket=f"artifacts-{name}")
    s3.put_object(Bucket=f"artifacts-{name}", Key="x/model.tar.gz", Body=content)
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": local_image(),
            "ModelDataUrl": f"s3://artifacts-{name}/x/model.tar.gz",
            "Environment": {"SLIPWAY_MANIFEST_SHA256": digest},
        },
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "live",
                "ModelName": name,
                "InitialInstanceCount": count,
                "InstanceType": "ml.m5.large",
            }
        ],
        DataCaptureConfig={
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://artifacts-{name}/capture",
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        },
    )


def status(cloud: Cloud, name: str) -> str:
    return cloud.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]


def in_service(cloud: Cloud, name: str) -> None:
    passing = ("Creating", "Updating", "SystemUpdating")
    found = wait_for(
        lambda: (s := status(cloud, name)) not in passing and s, f"{name}", START_SECONDS
    )
    assert found == "InService"


def predict(cloud: Cloud, name: str) -> Any:
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body="1,1\n", ContentType="text/csv", Accept="application/json"
    )
    return json.loads(answer["Body"].read())


def children(cloud: Cloud) -> list[psutil.Process]:
    """The model servers: forks of the nursery."""
    daemon = psutil.Process(cloud.status().pid)
    nurseries = [p for p in daemon.children() if "localcloud.sagemaker.nursery" in p.cmdline()]
    return [server for nursery in nurseries for server in nursery.children()]


@pytest.mark.timeout(240)
def test_a_real_model_answers_survives_a_kill_and_ends_with_a_reset(fresh_cloud: Cloud) -> None:
    cloud, sagemaker = fresh_cloud, fresh_cloud.client("sagemaker")
    make_config(cloud, "one", 10.0)
    make_config(cloud, "two", 20.0)
    sagemaker.create_endpoint(EndpointName="linear", EndpointConfigName="one")
    in_service(cloud, "linear")
    assert "15" in str(predict(cloud, "linear"))
    with pytest.raises(ClientError) as caught:
        cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="linear", Body="1,x\n", ContentType="text/csv"
        )
    assert caught.value.response["OriginalStatusCode"] == 400
    assert "'b'" in caught.value.response["OriginalMessage"]

    s3 = cloud.client("s3")
    wait_for(
        lambda: s3.list_objects_v2(Bucket="artifacts-one", Prefix="capture/linear/live/").get(
            "Contents"
        ),
        "captured data",
    )

    sagemaker.update_endpoint(EndpointName="linear", EndpointConfigName="two")
    in_service(cloud, "linear")
    assert "25" in str(predict(cloud, "linear"))
    shown = [e for e in cloud.status().endpoints if e["name"] == "linear"]
    assert shown == [
        {
            "name": "linear",
            "region": "us-east-1",
            "status": "InService",
            "variants": {"live": 2},
        }
    ]

    servers = children(cloud)
    assert len(servers) == 2
    # A background change is on disk a moment after it is shown.
    kept = CloudHome.of(cloud.home).state / "own" / "sagemaker.state"
    wait_for(lambda: b'"status": "InService"' in kept.read_bytes(), "the update's end on disk")
    daemon = psutil.Process(cloud.status().pid)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(15)
    wait_for(lambda: all(has_ended(p.pid) for p in servers), "the servers to end with the daemon")

    connect.start(cloud.home)
    assert status(Cloud(cloud.home, str(cloud.status().endpoint_url), cloud.speed), "linear") in (
        "SystemUpdating",
        "InService",
    )
    again = Cloud(cloud.home, str(cloud.status().endpoint_url), cloud.speed)
    in_service(again, "linear")
    assert "25" in str(predict(again, "linear"))

    servers = children(again)
    connect.reset(again.home)
    assert all(has_ended(p.pid) for p in servers)
    assert again.status().endpoints == []

    began = time.monotonic()
    connect.stop(again.home)
    assert time.monotonic() - began < 10

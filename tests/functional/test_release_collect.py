"""The collector against SageMaker and S3 of the local cloud: it finds its own, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.history import manifest_key
from contracts.release_manifest import TAG_HASH, TAG_MODEL, TAG_STACK, ReleaseManifest
from localcloud.image import local_image
from release import collect
from release.aws import AwsCloud
from release.state import EndpointState
from tests.functional.conftest import Cloud
from tests.functional.sagemaker_bench import ROLE
from tests.unit.fake_cloud import ENDPOINT, manifest, target

BUCKET, HISTORY = "collect-artifacts", "collect-history"


def stage(cloud: Cloud, version: str, stack: str = "test") -> str:
    """Artifact, model and configuration of one version; returns the configuration's name."""
    name, key = f"{stack}-wine-{version}", f"{stack}/{version}/model.tar.gz"
    sagemaker = cloud.client("sagemaker")
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"a model")
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": local_image(), "ModelDataUrl": f"s3://{BUCKET}/{key}"},
    )
    tags = {TAG_STACK: stack, TAG_MODEL: "wine", TAG_HASH: f"hash-{version}"}
    variant = {
        "VariantName": "live",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[variant],
        Tags=[{"Key": k, "Value": v} for k, v in tags.items()],
    )
    return name


def staged_manifest(cloud: Cloud, config: str) -> ReleaseManifest:
    """The manifest of version 2, written where a driver reads what is staged now."""
    staged = replace(
        manifest("2"),
        history_bucket=HISTORY,
        region="us-east-1",
        target=replace(target("2"), endpoint_config_name=config, model_name=config),
    )
    body = staged.to_json().encode()
    cloud.client("s3").put_object(Bucket=HISTORY, Key=manifest_key(ENDPOINT), Body=body)
    return staged


def names(answer: dict[str, Any], key: str, name: str) -> set[str]:
    return {item[name] for item in answer[key] if "wine" in item[name]}


def test_only_what_nothing_needs_of_this_stacks_model_is_removed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MIN_AGE_SECONDS", 0.0)
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    for bucket in (BUCKET, HISTORY):
        s3.create_bucket(Bucket=bucket)
    old, kept, other = stage(cloud, "1"), stage(cloud, "2"), stage(cloud, "1", stack="prod")
    staged = staged_manifest(cloud, kept)
    run = collect.collector(AwsCloud("us-east-1", lambda name, _: cloud.client(name)))
    assert run(EndpointState(ENDPOINT), staged) == [
        old,
        old,
        f"s3://{BUCKET}/test/1/model.tar.gz",
    ]
    configs = sagemaker.list_endpoint_configs(NameContains="wine")
    assert names(configs, "EndpointConfigs", "EndpointConfigName") == {kept, other}
    assert names(sagemaker.list_models(NameContains="wine"), "Models", "ModelName") == {kept, other}
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == ["prod/1/model.tar.gz", "test/2/model.tar.gz"]
    assert run(EndpointState(ENDPOINT), staged) == []

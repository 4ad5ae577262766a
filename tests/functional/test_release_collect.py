"""The collector against SageMaker and S3 of the local cloud: it finds its own, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contracts.history import manifest_key
from contracts.release_manifest import TAG_HASH, TAG_MODEL, TAG_STACK, ReleaseManifest
from localcloud.image import local_image
from release.aws.cloud import AwsCloud, UnavailableError
from release.driver import collect
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


def staged_manifest(cloud: Cloud, config: str, stack: str = "test") -> ReleaseManifest:
    """The manifest of version 2, written where a driver reads what is staged now."""
    staged = replace(
        manifest("2"),
        stack=stack,
        history_bucket=HISTORY,
        region="us-east-1",
        target=replace(target("2"), endpoint_config_name=config, model_name=config),
    )
    body = staged.to_json().encode()
    cloud.client("s3").put_object(Bucket=HISTORY, Key=manifest_key(ENDPOINT), Body=body)
    return staged


def names(answer: dict[str, Any], key: str, name: str, part: str = "wine") -> set[str]:
    return {item[name] for item in answer[key] if part in item[name]}


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
    assert names(configs, "EndpointConfigs", "EndpointConfigName") >= {kept, other}
    assert old not in names(configs, "EndpointConfigs", "EndpointConfigName")
    models = names(sagemaker.list_models(NameContains="wine"), "Models", "ModelName")
    assert models >= {kept, other}
    assert old not in models
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert [k for k in keys if k.startswith(("prod/", "test/"))] == [
        "prod/1/model.tar.gz",
        "test/2/model.tar.gz",
    ]
    assert run(EndpointState(ENDPOINT), staged) == []


class Throttled:
    """SageMaker, but for the deletion of models."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def delete_model(self, **_asked: Any) -> None:
        error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
        raise ClientError(error, "DeleteModel")  # pyright: ignore[reportArgumentType]


def test_what_a_collection_that_fails_left_behind_is_found_by_the_next_one(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MIN_AGE_SECONDS", 0.0)
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    for bucket in (BUCKET, HISTORY):
        s3.create_bucket(Bucket=bucket)
    stage(cloud, "1", "second")
    kept = stage(cloud, "2", "second")
    staged = staged_manifest(cloud, kept, "second")
    clients = {"sagemaker": Throttled(sagemaker)}
    throttled = AwsCloud("us-east-1", lambda name, _: clients.get(name) or cloud.client(name))
    with pytest.raises(UnavailableError, match="DeleteModel: ThrottlingException"):
        collect.collector(throttled)(EndpointState(ENDPOINT), staged)
    run = collect.collector(AwsCloud("us-east-1", lambda name, _: cloud.client(name)))
    run(EndpointState(ENDPOINT), staged)
    models = sagemaker.list_models(NameContains="wine")
    assert names(models, "Models", "ModelName", "second") == {kept}
    configs = sagemaker.list_endpoint_configs(NameContains="wine")
    assert names(configs, "EndpointConfigs", "EndpointConfigName", "second") == {kept}
    left = s3.list_objects_v2(Bucket=BUCKET, Prefix="second/")["Contents"]
    assert [o["Key"] for o in left] == ["second/2/model.tar.gz"]


def test_a_releases_own_configuration_is_found_by_the_endpoints_name(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MIN_AGE_SECONDS", 0.0)
    for bucket in (BUCKET, HISTORY):
        cloud.client("s3").create_bucket(Bucket=bucket)
    made = staged_manifest(cloud, stage(cloud, "2", "third"), "third")
    staged = replace(made, endpoint_name="checkout")
    sagemaker = cloud.client("sagemaker")
    left = sagemaker.describe_endpoint_config(EndpointConfigName="third-wine-2")
    sagemaker.create_endpoint_config(
        EndpointConfigName="checkout-t-0123456789ab",
        ProductionVariants=left["ProductionVariants"],
        Tags=[{"Key": TAG_STACK, "Value": "third"}, {"Key": TAG_MODEL, "Value": "wine"}],
    )
    found = collect.find(AwsCloud("us-east-1", lambda name, _: cloud.client(name)), staged)
    assert [f.config for f in found] == ["third-wine-2", "checkout-t-0123456789ab"]

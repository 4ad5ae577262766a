"""Models, configurations, listings and tags through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.image import local_image
from tests.functional.sagemaker_bench import ROLE, Bench, running_bench

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("catalog")) as found:
        yield found


def message(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


def test_a_model_is_described_as_it_was_made_and_made_once(bench: Bench) -> None:
    container = {
        "Image": local_image(),
        "ModelDataUrl": "s3://artifacts/m/model.tar.gz",
        "Environment": {"A": "1"},
    }
    params = {"ModelName": "Mine", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/mine"
    assert bench.sagemaker.create_model(**params)["ModelArn"] == arn
    described = bench.sagemaker.describe_model(ModelName="Mine")
    assert described["PrimaryContainer"] == {"Mode": "SingleModel", **container}
    assert (described["ExecutionRoleArn"], described["ModelArn"]) == (ROLE, arn)
    assert described["EnableNetworkIsolation"] is False
    assert message(bench.sagemaker.create_model, **params) == (
        f'Cannot create already existing model "{arn}".'
    )
    bench.sagemaker.delete_model(ModelName="Mine")
    assert message(bench.sagemaker.describe_model, ModelName="Mine") == (
        f'Could not find model "{arn}".'
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "exactly one of PrimaryContainer or Containers"),
        ({"PrimaryContainer": {}}, "needs an Image"),
        (
            {"PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/model.zip"}},
            "must be the S3 path of a .tar.gz file",
        ),
        (
            {"PrimaryContainer": {"Image": "i", "Mode": "MultiModel"}},
            "does not offer multi-model containers",
        ),
        ({"Containers": [{"Image": "i"}]}, "does not offer models of several containers"),
    ],
)
def test_models_that_cannot_be_are_refused(
    bench: Bench, params: dict[str, Any], words: str
) -> None:
    assert words in message(
        bench.sagemaker.create_model, ModelName="m", ExecutionRoleArn=ROLE, **params
    )


def test_configurations_that_cannot_be_are_refused(bench: Bench) -> None:
    model = bench.model()
    live = bench.variant("live", model)
    create = bench.sagemaker.create_endpoint_config

    def refused(*variants: dict[str, Any], **more: Any) -> str:
        return message(create, EndpointConfigName="c", ProductionVariants=list(variants), **more)

    assert refused(live, live) == 'The variant name "live" was non-unique within the request.'
    assert "needs InstanceType" in refused({"VariantName": "live", "ModelName": model})
    assert "needs a ModelName" in refused({k: v for k, v in live.items() if k != "ModelName"})
    assert refused(
        live,
        ShadowProductionVariants=[{**live, "VariantName": "shadow", "InitialVariantWeight": 2}],
    ) == (
        'The weight of the shadow variant "shadow" is 2; it must be at most that of the production '
        "variant, 1."
    )
    assert "Could not find model" in refused(
        live, ShadowProductionVariants=[{**live, "VariantName": "shadow", "ModelName": "nobody"}]
    )
    assert "exactly one production variant and one shadow variant" in refused(
        live,
        {**live, "VariantName": "other"},
        ShadowProductionVariants=[{**live, "VariantName": "shadow"}],
    )
    assert "PREFIX_AWARE" in refused({**live, "RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}})
    assert "serverless" in refused(
        {
            "VariantName": "live",
            "ModelName": model,
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
        }
    )
    capture = {
        "InitialSamplingPercentage": 101,
        "DestinationS3Uri": "s3://b/p",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    assert "less than or equal to 100" in refused(live, DataCaptureConfig=capture)
    assert "regular expression pattern" in refused({**live, "VariantName": "under_score"})
    assert "enum value set" in refused({**live, "InstanceType": "ml.m5.tiny"})
    assert "it is one of 10, 30, 60" in refused(
        live, MetricsConfig={"MetricPublishFrequencyInSeconds": 7}
    )
    assert "does not offer Elastic Inference" in refused(
        {**live, "AcceleratorType": "ml.eia2.medium"}
    )


def test_a_configuration_says_what_it_was_given_and_the_default_weight(bench: Bench) -> None:
    model = bench.model()
    zero = bench.variant("zero", model, InitialVariantWeight=0.0)
    name = bench.config(bench.variant("live", model), zero)
    described = bench.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert [v["InitialVariantWeight"] for v in described["ProductionVariants"]] == [1.0, 0.0]
    assert described["EndpointConfigArn"].endswith(f"endpoint-config/{name}")
    assert message(
        bench.sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[bench.variant("live", model)],
    ).startswith("Cannot create already existing endpoint configuration")


def test_listings_are_filtered_sorted_and_paged(bench: Bench) -> None:
    model = bench.model()
    names = [f"paged-{n:02d}" for n in range(13)]
    for name in names:
        bench.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[bench.variant("live", model)]
        )
    first = bench.sagemaker.list_endpoint_configs(NameContains="PAGED-")
    listed = [c["EndpointConfigName"] for c in first["EndpointConfigs"]]
    assert listed == names[:2:-1]  # the default: ten, the newest first
    paginator = bench.sagemaker.get_paginator("list_endpoint_configs")
    pages = paginator.paginate(
        NameContains="paged-",
        SortBy="Name",
        SortOrder="Ascending",
        PaginationConfig={"PageSize": 5},
    )
    assert [c["EndpointConfigName"] for p in pages for c in p["EndpointConfigs"]] == names
    third = bench.sagemaker.describe_endpoint_config(EndpointConfigName="paged-02")
    older = bench.sagemaker.list_endpoint_configs(
        NameContains="paged-", CreationTimeBefore=third["CreationTime"]
    )
    assert [c["EndpointConfigName"] for c in older["EndpointConfigs"]] == ["paged-01", "paged-00"]
    assert "NextToken" in message(bench.sagemaker.list_endpoint_configs, NextToken="x")


def test_tags_are_kept_changed_and_bounded(bench: Bench) -> None:
    name = "tagged"
    arn = bench.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "i"},
        Tags=[{"Key": "slipway:stack", "Value": "one"}, {"Key": "other", "Value": ""}],
    )["ModelArn"]
    sagemaker = bench.sagemaker

    def tags() -> dict[str, str]:
        return {t["Key"]: t["Value"] for t in sagemaker.list_tags(ResourceArn=arn)["Tags"]}

    assert tags() == {"slipway:stack": "one", "other": ""}
    assert "Tags" not in sagemaker.describe_model(ModelName=name)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "slipway:stack", "Value": "two"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["other", "absent"])
    assert tags() == {"slipway:stack": "two"}
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
    assert "at most 50 tags" in message(sagemaker.add_tags, ResourceArn=arn, Tags=many)
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert "unique" in message(sagemaker.add_tags, ResourceArn=arn, Tags=twice)
    reserved = [{"Key": "aws:mine", "Value": "1"}]
    assert "reserved" in message(sagemaker.add_tags, ResourceArn=arn, Tags=reserved)
    assert tags() == {"slipway:stack": "two"}

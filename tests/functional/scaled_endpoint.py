"""An endpoint of the daemon whose variants may be registered with Application Auto Scaling."""

from __future__ import annotations

from typing import Any

from localcloud.image import local_image
from tests.functional.conftest import Cloud
from tests.functional.sagemaker_bench import ROLE, wait_for
from tests.functional.test_sagemaker_daemon import model_archive

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
START_SECONDS = 120.0


def make_endpoint(cloud: Cloud, region: str, name: str, variants: list[str]) -> None:
    """In service, with one instance of each variant."""
    content, digest = model_archive(1.0)
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker", region=region)
    s3.create_bucket(Bucket=f"artifacts-{name}")
    s3.put_object(Bucket=f"artifacts-{name}", Key="model.tar.gz", Body=content)
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": local_image(),
            "ModelDataUrl": f"s3://artifacts-{name}/model.tar.gz",
            "Environment": {"SLIPWAY_MANIFEST_SHA256": digest},
        },
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": variant,
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
            for variant in variants
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    in_service(sagemaker, name)


def in_service(sagemaker: Any, name: str) -> None:
    def status() -> bool:
        found = sagemaker.describe_endpoint(EndpointName=name)
        assert found["EndpointStatus"] != "Failed", found["FailureReason"]
        return found["EndpointStatus"] == "InService"

    wait_for(status, f"{name} in service", START_SECONDS)


def resource(endpoint: str, variant: str) -> dict[str, str]:
    """What names a target to boto3."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }

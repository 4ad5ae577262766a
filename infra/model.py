"""The target: the staged version's artifact, Model and EndpointConfiguration, by content hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from contracts.release_manifest import LIVE_VARIANT
from contracts.variables import LOCK_SHA256, MANIFEST_SHA256
from infra.naming import artifact_key, capture_prefix, hashed
from infra.settings import ModelConfig

CSV_CONTENT_TYPES = ("text/csv",)
JSON_CONTENT_TYPES = ("application/json",)


@dataclass(frozen=True)
class TargetModelArgs:
    model: ModelConfig
    content_hash: str
    bucket_name: pulumi.Output[str]
    execution_role_arn: pulumi.Output[str]
    tags: dict[str, str]


class TargetModel(pulumi.ComponentResource):
    """All three are kept when the next version is staged: what serves, serves by them.

    Model and EndpointConfiguration get their physical names from Pulumi, so that going back to a
    version meets nothing that is still there (fact 10.3).
    """

    artifact_uri: pulumi.Output[str]
    model_name: pulumi.Output[str]
    endpoint_config_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: TargetModelArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:model:TargetModel", name, {}, opts)
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        resource_name = hashed(args.model.name, args.content_hash)
        artifact = aws.s3.BucketObjectv2(
            f"{resource_name}-artifact",
            bucket=args.bucket_name,
            key=artifact_key(args.content_hash),
            source=pulumi.FileAsset(str(args.model.package.archive)),
            content_type="application/gzip",
            tags=args.tags,
            opts=kept,
        )
        self.artifact_uri = pulumi.Output.concat("s3://", artifact.bucket, "/", artifact.key)
        # Only once the object is there: SageMaker reads it when the endpoint is made.
        uploaded_uri = pulumi.Output.all(self.artifact_uri, artifact.id).apply(lambda both: both[0])
        model = aws.sagemaker.Model(
            resource_name,
            execution_role_arn=args.execution_role_arn,
            primary_container={
                "image": args.model.image,
                "model_data_url": uploaded_uri,
                "environment": {**args.model.environment, **own_variables(args.model)},
            },
            tags=args.tags,
            opts=kept,
        )
        self.model_name = model.name
        count_path = "productionVariants[0].initialInstanceCount"
        configuration = aws.sagemaker.EndpointConfiguration(
            resource_name,
            production_variants=[
                {
                    "variant_name": LIVE_VARIANT,
                    "model_name": model.name,
                    "instance_type": args.model.instance_type,
                    "initial_instance_count": args.model.scaling.min_instances,
                    "initial_variant_weight": 1,
                }
            ],
            data_capture_config=_capture_inputs(args),
            tags=args.tags,
            # Bounds of the scaling take effect at once; they make no new target.
            opts=pulumi.ResourceOptions.merge(
                kept, pulumi.ResourceOptions(ignore_changes=[count_path])
            ),
        )
        self.endpoint_config_name = configuration.name
        self.register_outputs(
            {
                "artifact_uri": self.artifact_uri,
                "model_name": self.model_name,
                "endpoint_config_name": self.endpoint_config_name,
            }
        )


def own_variables(model: ModelConfig) -> dict[str, str]:
    """What the server holds the archive against, and a native model's environment."""
    manifest = model.package.manifest
    lock = {LOCK_SHA256: manifest.lock_sha256} if manifest.lock_sha256 else {}
    return {MANIFEST_SHA256: manifest.index_sha256, **lock}


def _capture_inputs(args: TargetModelArgs) -> Any:
    if args.model.capture_percent is None:
        return None
    prefix = capture_prefix(args.model.endpoint_name)
    return {
        # The provider's default is false (fact 10.1).
        "enable_capture": True,
        "initial_sampling_percentage": args.model.capture_percent,
        "destination_s3_uri": pulumi.Output.concat("s3://", args.bucket_name, "/", prefix),
        "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
        "capture_content_type_header": {
            "csv_content_types": list(CSV_CONTENT_TYPES),
            "json_content_types": list(JSON_CONTENT_TYPES),
        },
    }


def capture_config(model: ModelConfig, bucket_name: str) -> dict[str, Any] | None:
    """The API's ``DataCaptureConfig`` of the same."""
    if model.capture_percent is None:
        return None
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": model.capture_percent,
        "DestinationS3Uri": f"s3://{bucket_name}/{capture_prefix(model.endpoint_name)}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": list(CSV_CONTENT_TYPES),
            "JsonContentTypes": list(JSON_CONTENT_TYPES),
        },
    }

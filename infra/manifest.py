"""The release manifest: written last of all, it says that everything it names stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from contracts.history import history_bucket_name, manifest_key
from contracts.release_manifest import Controller, ReleaseManifest, ScalingBounds, Target
from infra.events import EVENT_BUS
from infra.model import capture_config
from infra.naming import model_tags
from infra.settings import ModelConfig
from infra.surroundings import Serving
from monitoring.alarms import rollback_alarms


@dataclass(frozen=True)
class ReleaseManifestArgs:
    """``serving``: what the endpoint serves by, where it has the target's content already.

    ``state_machine_arn`` is None where the terminal drives the stack's releases.
    """

    stack: str
    account_id: str
    region: str
    model: ModelConfig
    content_hash: str
    serving: Serving | None
    execution_role_arn: pulumi.Output[str]
    endpoint_config_name: pulumi.Output[str]
    model_name: pulumi.Output[str]
    artifact_uri: pulumi.Output[str]
    artifact_bucket: pulumi.Output[str]
    history_bucket: pulumi.Output[str]
    standing_alarms: tuple[str, ...]
    topic_arn: pulumi.Output[str]
    state_machine_arn: pulumi.Output[str] | None
    tags: dict[str, str]
    after: Sequence[pulumi.Resource]


class StagedManifest(pulumi.ComponentResource):
    """The object that ``slipway release`` reads."""

    def __init__(
        self, name: str, args: ReleaseManifestArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:manifest:StagedManifest", name, {}, opts)
        content = pulumi.Output.all(
            args.endpoint_config_name,
            args.model_name,
            args.artifact_uri,
            args.artifact_bucket,
            args.execution_role_arn,
            args.topic_arn,
            args.state_machine_arn,
        ).apply(lambda known: manifest(args, *known).to_json())
        stored = aws.s3.BucketObjectv2(
            f"{name}-manifest",
            bucket=args.history_bucket,
            key=manifest_key(args.model.endpoint_name),
            content=content,
            content_type="application/json",
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.register_outputs({"key": stored.key})


def manifest(
    args: ReleaseManifestArgs,
    endpoint_config_name: str,
    model_name: str,
    artifact_uri: str,
    artifact_bucket: str,
    role_arn: str,
    topic_arn: str,
    state_machine_arn: str | None,
) -> ReleaseManifest:
    """The manifest once every name is known."""
    model, package = args.model, args.model.package.manifest
    if args.serving is not None and args.serving.content_hash == args.content_hash:
        endpoint_config_name = args.serving.endpoint_config_name
        model_name = args.serving.model_name
    bounds = ScalingBounds(model.scaling.min_instances, model.scaling.max_instances)
    return ReleaseManifest(
        stack=args.stack,
        model=model.name,
        endpoint_name=model.endpoint_name,
        region=args.region,
        account_id=args.account_id,
        execution_role_arn=role_arn,
        target=Target(
            version=package.version,
            content_hash=args.content_hash,
            endpoint_config_name=endpoint_config_name,
            model_name=model_name,
            instance_type=model.instance_type,
            initial_instance_count=model.scaling.min_instances,
            image=model.image,
            artifact_uri=artifact_uri,
            package_sha256=package.sha256,
            registry_uri=package.registry_uri,
            run_id=package.run_id,
            metrics=package.metrics,
            data_capture=capture_config(model, artifact_bucket),
        ),
        release=model.release,
        rollback_alarms=rollback_alarms(model.alarms),
        standing_alarms=args.standing_alarms,
        scaling=bounds if model.scaling.is_enabled else None,
        history_bucket=history_bucket_name(args.stack, args.account_id, args.region),
        tags=model_tags(args.stack, model),
        controller=Controller(state_machine_arn, topic_arn, EVENT_BUS),
    )

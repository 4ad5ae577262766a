"""Autoscaling of the serving variant by invocations per instance."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from contracts.release_manifest import LIVE_VARIANT
from infra.settings import Scaling

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"


@dataclass(frozen=True)
class AutoscalingArgs:
    endpoint_name: str
    scaling: Scaling
    tags: dict[str, str]


class Autoscaling(pulumi.ComponentResource):
    """Depends on the endpoint: only a variant that exists can be registered (fact 10.3)."""

    def __init__(
        self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:scaling:Autoscaling", name, {}, opts)
        target = aws.appautoscaling.Target(
            f"{name}-instances",
            min_capacity=args.scaling.min_instances,
            max_capacity=args.scaling.max_instances,
            resource_id=f"endpoint/{args.endpoint_name}/variant/{LIVE_VARIANT}",
            scalable_dimension=DIMENSION,
            service_namespace="sagemaker",
            tags=args.tags,
            # A release suspends scaling in while it runs.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["suspendedState"]),
        )
        aws.appautoscaling.Policy(
            f"{name}-invocations",
            policy_type="TargetTrackingScaling",
            resource_id=target.resource_id,
            scalable_dimension=target.scalable_dimension,
            service_namespace=target.service_namespace,
            target_tracking_scaling_policy_configuration={
                "target_value": args.scaling.invocations_per_instance,
                "predefined_metric_specification": {"predefined_metric_type": METRIC},
                "scale_in_cooldown": args.scaling.scale_in_cooldown_seconds,
                "scale_out_cooldown": args.scaling.scale_out_cooldown_seconds,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

"""A model, its versions and their configurations, as the tests of releases use them."""

from __future__ import annotations

from typing import Any

from contracts.release_manifest import (
    TAG_HASH,
    TAG_MODEL,
    TAG_STACK,
    TAG_VERSION,
    AlarmSpec,
    Canary,
    ErrorGate,
    LatencyGate,
    ReleaseManifest,
    ReleaseSettings,
    ScalingBounds,
    Step,
    Target,
    Tolerance,
)
from release.observation import Config, ScalingTarget

ENDPOINT = "wine-test"
NOT_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


def target(version: str) -> Target:
    return Target(
        version=version,
        content_hash=f"hash-{version}",
        endpoint_config_name=f"wine-test-c{version}",
        model_name=f"wine-test-m{version}",
        instance_type="ml.c7i.large",
        initial_instance_count=2,
        image="image@sha256:0",
        artifact_uri=f"s3://artifacts/{version}/model.tar.gz",
        package_sha256=f"sha-{version}",
        registry_uri=f"models:/wine/{version}",
        run_id=f"run-{version}",
        metrics={"auc": 0.7},
        data_capture=None,
    )


def manifest(version: str = "2", **settings: Any) -> ReleaseManifest:
    values: dict[str, Any] = {
        "strategy": Canary(
            (Step(10, Tolerance(5, 5), 120, 3600), Step(50, Tolerance(2, 2), 120, 3600))
        ),
        "gates": (ErrorGate(), LatencyGate(50_000, 1.25)),
        "on_inconclusive": "rollback",
        "settle_seconds": 60.0,
        "warm_up_seconds": 60.0,
        "post_bake_seconds": 120.0,
        "keep_versions": 3,
    } | settings
    if "steps" in values:
        values["strategy"] = Canary(values.pop("steps"))
    return ReleaseManifest(
        stack="test",
        model="wine",
        endpoint_name=ENDPOINT,
        region="eu-west-1",
        account_id="123456789012",
        execution_role_arn="arn:aws:iam::123456789012:role/wine",
        target=target(version),
        release=ReleaseSettings(**values),
        rollback_alarms=(AlarmSpec("errors", "InvocationModelErrors", "Average", 0.2, 60, 3, 2),),
        standing_alarms=(),
        scaling=ScalingBounds(2, 8),
        history_bucket="history",
        tags={TAG_STACK: "test", TAG_MODEL: "wine"},
    )


def config_of(version: str, count: int = 2) -> Config:
    staged = target(version)
    variant = {
        "VariantName": "live",
        "ModelName": staged.model_name,
        "InstanceType": staged.instance_type,
        "InitialInstanceCount": count,
        "InitialVariantWeight": 1.0,
    }
    tags = {
        TAG_STACK: "test",
        TAG_MODEL: "wine",
        TAG_VERSION: version,
        TAG_HASH: staged.content_hash,
    }
    return Config(staged.endpoint_config_name, {"ProductionVariants": [variant]}, tags)


def scaling_target(**changes: Any) -> ScalingTarget:
    """As Pulumi registers it, with its policy, and a schedule that somebody added."""
    values: dict[str, Any] = {
        "min_capacity": 2,
        "max_capacity": 8,
        "suspended": dict(NOT_SUSPENDED),
        "policies": ({"PolicyName": "invocations", "PolicyType": "TargetTrackingScaling"},),
        "scheduled": ({"ScheduledActionName": "morning", "Schedule": "cron(0 6 * * ? *)"},),
    }
    return ScalingTarget(**(values | changes))

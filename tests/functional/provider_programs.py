"""Pulumi programs for the tests of the provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": ["codebuild.amazonaws.com", "sagemaker.amazonaws.com"]},
        }
    ],
}


# The endpoint whose variants are scaled: the test makes it beforehand.
SCALED = "provider-test"


def policy(actions: list[str], resource: str) -> str:
    statement = {"Sid": "A", "Effect": "Allow", "Action": actions, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def alarm(name: str, threshold: float, **more: Any) -> aws.cloudwatch.MetricAlarm:
    options = more.pop("opts", None)
    return aws.cloudwatch.MetricAlarm(
        name,
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        metric_name="Errors",
        namespace="Slipway/Test",
        period=60,
        statistic="Sum",
        threshold=threshold,
        opts=options,
        **more,
    )


def everything(folder: Path) -> None:
    """One resource of nearly every type, wired as a real program wires them."""
    identity = aws.get_caller_identity()
    pulumi.export("account", identity.account_id)
    pulumi.export("region", aws.get_region().description)
    pulumi.export("partition", aws.get_partition().partition)
    key = aws.kms.Key("key", enable_key_rotation=True, deletion_window_in_days=7)
    aws.kms.Alias("alias", target_key_id=key.arn)
    bucket = aws.s3.Bucket("data", tags={"purpose": "test"})
    aws.s3.BucketVersioning(
        "versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}
    )
    encryption = aws.s3.BucketServerSideEncryptionConfiguration(
        "encryption",
        bucket=bucket.id,
        rules=[
            {
                "apply_server_side_encryption_by_default": {
                    "sse_algorithm": "aws:kms",
                    "kms_master_key_id": key.arn,
                },
                "bucket_key_enabled": True,
            }
        ],
    )
    block = aws.s3.BucketPublicAccessBlock(
        "block",
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    aws.s3.BucketOwnershipControls(
        "ownership", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}
    )
    tls_only = aws.iam.get_policy_document_output(
        statements=[
            {
                "sid": "TlsOnly",
                "effect": "Deny",
                "actions": ["s3:*"],
                "resources": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                "principals": [{"type": "*", "identifiers": ["*"]}],
                "conditions": [
                    {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}
                ],
            }
        ]
    )
    aws.s3.BucketPolicy(
        "policy",
        bucket=bucket.id,
        policy=tls_only.json,
        opts=pulumi.ResourceOptions(depends_on=[block]),
    )
    aws.s3.BucketLifecycleConfiguration(
        "lifecycle",
        bucket=bucket.id,
        rules=[
            {
                "id": "old",
                "status": "Enabled",
                "filter": {"prefix": "artifacts/"},
                "noncurrent_version_expiration": {"noncurrent_days": 30},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 2},
            }
        ],
    )
    aws.s3.BucketObjectv2(
        "artifact",
        bucket=bucket.id,
        key="artifacts/model.tar.gz",
        source=pulumi.FileAsset(str(folder / "asset")),
        opts=pulumi.ResourceOptions(depends_on=[encryption]),
    )
    role = aws.iam.Role("role", assume_role_policy=json.dumps(TRUST))
    aws.iam.RolePolicy(
        "reads",
        role=role.name,
        policy=bucket.arn.apply(lambda arn: policy(["s3:GetObject"], f"{arn}/*")),
    )
    aws.iam.RolePolicyAttachment(
        "attachment",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy",
    )
    topic = aws.sns.Topic("topic")
    aws.sns.TopicPolicy(
        "publish", arn=topic.arn, policy=topic.arn.apply(lambda arn: policy(["SNS:Publish"], arn))
    )
    aws.sns.TopicSubscription(
        "subscription", topic=topic.arn, protocol="email", endpoint="team@example.com"
    )
    alarm("errors", 5, alarm_actions=[topic.arn], dimensions={"EndpointName": "e"})
    aws.cloudwatch.MetricAlarm(
        "fraction",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=3,
        datapoints_to_alarm=2,
        threshold=0.05,
        treat_missing_data="notBreaching",
        metric_queries=[
            {"id": "fraction", "expression": "errors / requests", "return_data": True},
            *(
                {
                    "id": name,
                    "metric": {
                        "metric_name": metric,
                        "namespace": "AWS/SageMaker",
                        "period": 60,
                        "stat": "Sum",
                        "dimensions": {"EndpointName": "e", "VariantName": "live"},
                    },
                }
                for name, metric in (
                    ("errors", "InvocationModelErrors"),
                    ("requests", "Invocations"),
                )
            ),
        ],
    )
    logs = aws.cloudwatch.LogGroup("logs", retention_in_days=7)
    aws.codebuild.Project(
        "builds",
        service_role=role.arn,
        source={"type": "S3", "location": pulumi.Output.concat(bucket.bucket, "/context.zip")},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "compute_type": "BUILD_GENERAL1_SMALL",
            "environment_variables": [{"name": "A", "value": "1"}],
        },
        logs_config={"cloudwatch_logs": {"group_name": logs.name}},
        build_timeout=30,
    )
    target = aws.appautoscaling.Target(
        "scaling",
        min_capacity=1,
        max_capacity=4,
        resource_id=f"endpoint/{SCALED}/variant/everything",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        service_namespace="sagemaker",
    )
    aws.appautoscaling.Policy(
        "tracking",
        policy_type="TargetTrackingScaling",
        resource_id=target.resource_id,
        scalable_dimension=target.scalable_dimension,
        service_namespace=target.service_namespace,
        target_tracking_scaling_policy_configuration={
            "target_value": 1200,
            "predefined_metric_specification": {
                "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
            },
            "scale_in_cooldown": 300,
            "scale_out_cooldown": 60,
        },
    )
    aws.ecr.Repository("images", image_tag_mutability="IMMUTABLE", force_delete=True)

"""What the program declares: the inputs of every resource, in both modes."""

from __future__ import annotations

import pytest

from infra.settings import Scaling
from tests.unit.declared_stack import (
    ARTIFACT_BUCKET,
    CONFIG_NAME,
    EMPTY,
    ENDPOINT,
    HASH,
    HISTORY_BUCKET,
    MODEL_TAGS,
    ROLE,
    STACK_TAGS,
    TARGET,
    VERSION_TAGS,
    both_modes,
    declared,
    stack_of,
)
from tests.unit.infra_recording import (
    ACCOUNT,
    REGION,
    declare,
    policy_statements,
    role_arn,
)
from tests.unit.infra_samples import DIGEST, IMAGE, model_config

# What AWS has no tags for.
UNTAGGED = {
    "s3:BucketVersioning",
    "s3:BucketServerSideEncryptionConfiguration",
    "s3:BucketPublicAccessBlock",
    "s3:BucketLifecycleConfiguration",
    "s3:BucketPolicy",
    "iam:RolePolicy",
    "sns:TopicPolicy",
    "appautoscaling:Policy",
}


@both_modes
def test_everything_that_can_have_tags_has_those_of_stack_model_and_version(preview: bool) -> None:
    for found in declared(preview).custom():
        if found.token in UNTAGGED:
            assert "tags" not in found.inputs
        elif found.token in ("s3:Bucket", "sns:Topic"):
            assert found.inputs["tags"] == STACK_TAGS, found.name
        elif found.name.startswith(TARGET):
            assert found.inputs["tags"] == VERSION_TAGS, found.name
        else:
            assert found.inputs["tags"] == MODEL_TAGS, found.name


def test_of_artifacts_only_what_was_deleted_or_written_over_goes() -> None:
    """No rule touches a current object: an old version's artifact is needed to go back to it."""
    (found,) = declared().of("s3:BucketLifecycleConfiguration")

    assert found.inputs == {
        "bucket": ARTIFACT_BUCKET,
        "rules": [
            {
                "id": "deleted-or-written-over",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrentVersionExpiration": {"noncurrentDays": 30},
                "expiration": {"expiredObjectDeleteMarker": True},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            }
        ],
    }


@pytest.mark.parametrize(
    ("name", "bucket"),
    [("slipway-prod-artifacts", ARTIFACT_BUCKET), ("slipway-prod-history", HISTORY_BUCKET)],
)
def test_a_bucket_is_versioned_encrypted_private_and_reached_over_tls_only(
    name: str, bucket: str
) -> None:
    found = declared()

    assert found.one("s3:BucketVersioning", f"{name}-versioning").inputs == {
        "bucket": bucket,
        "versioningConfiguration": {"status": "Enabled"},
    }
    encryption = found.one("s3:BucketServerSideEncryptionConfiguration", f"{name}-encryption")
    assert encryption.inputs == {
        "bucket": bucket,
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
    }
    assert found.one("s3:BucketPublicAccessBlock", f"{name}-private").inputs == {
        "bucket": bucket,
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    policy = found.one("s3:BucketPolicy", f"{name}-tls-only").inputs
    assert policy["bucket"] == bucket
    assert policy_statements(policy["policy"]) == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


@both_modes
def test_buckets_never_lose_what_is_in_them(preview: bool) -> None:
    for bucket in declared(preview).of("s3:Bucket"):
        assert "forceDestroy" not in bucket.inputs
    assert (
        "bucket" not in declared(preview).one("s3:Bucket", "slipway-prod-artifacts-bucket").inputs
    )
    history = declared(preview).one("s3:Bucket", "slipway-prod-history-bucket")
    assert history.inputs["bucket"] == HISTORY_BUCKET


@both_modes
def test_only_sagemaker_may_take_the_execution_role(preview: bool) -> None:
    role = declared(preview).one("iam:Role")

    assert role.inputs["name"] == ROLE
    assert policy_statements(role.inputs["assumeRolePolicy"]) == [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }
    ]


def test_the_execution_role_may_do_what_serving_needs_on_what_is_its_own() -> None:
    artifacts = f"arn:aws:s3:::{ARTIFACT_BUCKET}"
    logs = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{ENDPOINT}"
    policy = declared().one("iam:RolePolicy").inputs

    allowed = {s["Sid"]: (s["Action"], s["Resource"]) for s in policy_statements(policy["policy"])}

    assert policy["role"] == ROLE
    assert allowed == {
        "ReadArtifacts": (["s3:GetObject"], [f"{artifacts}/artifacts/*"]),
        "WriteLogs": (
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [logs, f"{logs}:*"],
        ),
        "WriteMetrics": (["cloudwatch:PutMetricData"], ["*"]),
        "WatchDeployments": (
            ["cloudwatch:DescribeAlarms"],
            [f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:*"],
        ),
        "PullImage": (
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            ["arn:aws:ecr:eu-west-1:111122223333:repository/slipway"],
        ),
        "LogInToRegistry": (["ecr:GetAuthorizationToken"], ["*"]),
        "WriteCaptures": (["s3:PutObject"], [f"{artifacts}/capture/{ENDPOINT}/*"]),
    }


def test_no_policy_allows_every_action_or_every_resource_without_need() -> None:
    """CloudWatch metrics and the registry's log-in know no resources; the first has a condition."""
    policies = [r.inputs["policy"] for r in declared().of("iam:RolePolicy")]
    statements = [s for policy in policies for s in policy_statements(policy)]

    assert len(statements) == 7
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert [a for a in statement["Action"] if "*" in a] == []
    everywhere = {s["Sid"]: s.get("Condition") for s in statements if s["Resource"] == ["*"]}
    assert everywhere == {
        "WriteMetrics": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        "LogInToRegistry": None,
    }


def test_a_role_without_capture_and_private_image_may_neither_write_captures_nor_pull() -> None:
    model = model_config(capture_percent=None, image=f"slipway-local@sha256:{DIGEST}")

    policy = declare(stack_of(model), EMPTY).one("iam:RolePolicy").inputs["policy"]

    sids = [statement["Sid"] for statement in policy_statements(policy)]
    assert sids == ["ReadArtifacts", "WriteLogs", "WriteMetrics", "WatchDeployments"]


def test_the_artifact_lies_under_the_full_hash() -> None:
    artifact = declared().one("s3:BucketObjectv2", f"{TARGET}-artifact").inputs

    assert artifact == {
        "bucket": ARTIFACT_BUCKET,
        "key": f"artifacts/{HASH}/model.tar.gz",
        "source": "/project/dist/wine/3/model.tar.gz",
        "contentType": "application/gzip",
        "tags": VERSION_TAGS,
    }


def test_the_model_runs_the_pinned_image_on_the_uploaded_artifact() -> None:
    model = declared().one("sagemaker:Model").inputs

    assert model == {
        "executionRoleArn": role_arn(ROLE),
        "primaryContainer": {
            "image": IMAGE,
            "modelDataUrl": f"s3://{ARTIFACT_BUCKET}/artifacts/{HASH}/model.tar.gz",
            "environment": {"LEVEL": "debug", "SLIPWAY_MANIFEST_SHA256": "cd" * 32},
        },
        "tags": VERSION_TAGS,
    }


def test_the_target_configuration_has_one_variant_live_and_captures() -> None:
    configuration = declared().one("sagemaker:EndpointConfiguration").inputs

    assert configuration == {
        "productionVariants": [
            {
                "variantName": "live",
                "modelName": CONFIG_NAME,
                "instanceType": "ml.c7i.large",
                "initialInstanceCount": 2,
                "initialVariantWeight": 1,
            }
        ],
        "dataCaptureConfig": {
            "enableCapture": True,
            "initialSamplingPercentage": 20,
            "destinationS3Uri": f"s3://{ARTIFACT_BUCKET}/capture/{ENDPOINT}",
            "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
            "captureContentTypeHeader": {
                "csvContentTypes": ["text/csv"],
                "jsonContentTypes": ["application/json"],
            },
        },
        "tags": VERSION_TAGS,
    }


@both_modes
def test_without_capture_the_configuration_says_nothing_of_it(preview: bool) -> None:
    found = declare(stack_of(model_config(capture_percent=None)), EMPTY, preview)

    assert "dataCaptureConfig" not in found.one("sagemaker:EndpointConfiguration").inputs


def test_the_endpoint_starts_on_the_target() -> None:
    assert declared().one("sagemaker:Endpoint").inputs == {
        "name": ENDPOINT,
        "endpointConfigName": CONFIG_NAME,
        "tags": MODEL_TAGS,
    }


@both_modes
def test_live_scales_on_invocations_per_instance_between_the_bounds(preview: bool) -> None:
    scaling = Scaling(2, 8, 1200, 240, 30)
    found = declare(stack_of(model_config(scaling=scaling)), EMPTY, preview)
    variant = {
        "resourceId": "endpoint/wine-prod/variant/live",
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "serviceNamespace": "sagemaker",
    }

    assert found.one("appautoscaling:Target").inputs == {
        **variant,
        "minCapacity": 2,
        "maxCapacity": 8,
        "tags": MODEL_TAGS,
    }
    assert found.one("appautoscaling:Policy").inputs == {
        **variant,
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 1200,
            "predefinedMetricSpecification": {
                "predefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "scaleInCooldown": 240,
            "scaleOutCooldown": 30,
        },
    }


@both_modes
def test_the_standing_alarms_watch_live_whatever_configuration_serves(preview: bool) -> None:
    found = declared(preview)
    same = {
        "namespace": "AWS/SageMaker",
        "dimensions": {"EndpointName": ENDPOINT, "VariantName": "live"},
        "period": 60,
        "evaluationPeriods": 5,
        "datapointsToAlarm": 3,
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "tags": MODEL_TAGS,
    }

    assert found.one("cloudwatch:MetricAlarm", "wine-errors").inputs == {
        **same,
        "name": "wine-prod-errors",
        "alarmDescription": "More than 2% of wine-prod's requests fail.",
        "metricName": "InvocationModelErrors",
        "statistic": "Average",
        "threshold": 0.02,
    }
    assert found.one("cloudwatch:MetricAlarm", "wine-latency").inputs == {
        **same,
        "name": "wine-prod-latency",
        "alarmDescription": "p95 of wine-prod's model is above 80 ms.",
        "metricName": "ModelLatency",
        "extendedStatistic": "p95",
        "threshold": 80_000,
    }

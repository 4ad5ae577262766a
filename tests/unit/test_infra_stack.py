"""What the program declares: children, inputs and options of every resource, in both modes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from contracts.release_manifest import Controller, ReleaseManifest, ScalingBounds
from infra.naming import role_name, target_hash
from infra.settings import ModelConfig, Scaling, StackConfig
from infra.surroundings import Serving, Surroundings
from monitoring.alarms import AlarmLimits, rollback_alarms
from release.state import EndpointState, Entry, GoodVersion
from tests.unit.infra_recording import (
    ACCOUNT,
    REGION,
    UNKNOWN,
    Declared,
    Registered,
    declare,
    policy_statements,
    role_arn,
)
from tests.unit.infra_samples import DIGEST, IMAGE, model_config, package_manifest

ENDPOINT = "wine-prod"
ROLE = "slipway-wine-prod-eu-west-1"
HISTORY_BUCKET = f"slipway-history-prod-{ACCOUNT}-{REGION}"
ARTIFACT_BUCKET = "slipway-prod-artifacts-bucket-1234567"
HASH = target_hash(model_config(), ROLE)
TARGET = f"wine-{HASH[:8]}"
CONFIG_NAME = f"{TARGET}-1234567"
EMPTY = Surroundings(ACCOUNT, REGION)
STACK_TAGS = {"slipway:stack": "prod"}
MODEL_TAGS = {**STACK_TAGS, "slipway:model": "wine"}
VERSION_TAGS = {**MODEL_TAGS, "slipway:version": "3", "slipway:hash": HASH}

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


def stack_of(*models: ModelConfig) -> StackConfig:
    return StackConfig("prod", models)


@cache
def declared(preview: bool = False) -> Declared:
    """The stack of the sample model, where nothing stands yet."""
    return declare(stack_of(model_config()), EMPTY, preview)


def with_history(good: bool = True, closed: bool = False) -> dict[str, EndpointState]:
    version = GoodVersion("2", "22" * 32, "wine-22222222-abc", "wine-22222222-abc", "p", "r", 0.0)
    older = replace(version, version="1", endpoint_config_name="wine-11111111-abc")
    return {
        ENDPOINT: EndpointState(
            ENDPOINT,
            good=(version, older) if good else (),
            releases=("r-1", "r-2"),
            closed=Entry(0.0, "closed", "destroyed", {}) if closed else None,
        )
    }


both_modes = pytest.mark.parametrize("preview", [False, True], ids=["up", "preview"])


DELETED = {"s3:BucketLifecycleConfiguration slipway-prod-artifacts-deleted": {}}


def private_bucket(name: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        f"slipway:storage:PrivateBucket {name}": {
            **(more or {}),
            f"s3:Bucket {name}-bucket": {},
            f"s3:BucketVersioning {name}-versioning": {},
            f"s3:BucketServerSideEncryptionConfiguration {name}-encryption": {},
            f"s3:BucketPublicAccessBlock {name}-private": {},
            f"s3:BucketPolicy {name}-tls-only": {},
        }
    }


# --- which resources there are


@both_modes
def test_the_stack_has_these_components_with_these_children(preview: bool) -> None:
    assert declared(preview).tree() == {
        "slipway:storage:ArtifactStorage slipway-prod": private_bucket(
            "slipway-prod-artifacts", DELETED
        ),
        "slipway:history:History slipway-prod": private_bucket("slipway-prod-history"),
        "slipway:events:ReleaseEvents slipway-prod": {
            "sns:Topic slipway-prod-releases": {},
            "sns:TopicPolicy slipway-prod-releases-tls-only": {},
        },
        "slipway:roles:ExecutionRole wine": {
            "iam:Role wine-execution": {},
            "iam:RolePolicy wine-serving": {},
        },
        "slipway:model:TargetModel wine": {
            f"s3:BucketObjectv2 {TARGET}-artifact": {},
            f"sagemaker:Model {TARGET}": {},
            f"sagemaker:EndpointConfiguration {TARGET}": {},
        },
        "slipway:endpoint:ServingEndpoint wine": {"sagemaker:Endpoint wine-endpoint": {}},
        "slipway:scaling:Autoscaling wine": {
            "appautoscaling:Target wine-instances": {},
            "appautoscaling:Policy wine-invocations": {},
        },
        "slipway:alarms:StandingAlarms wine": {
            "cloudwatch:MetricAlarm wine-errors": {},
            "cloudwatch:MetricAlarm wine-latency": {},
        },
        "slipway:manifest:StagedManifest wine": {"s3:BucketObjectv2 wine-manifest": {}},
    }


@both_modes
def test_every_model_has_resources_of_its_own_and_shares_the_two_buckets(preview: bool) -> None:
    beer = model_config(name="beer", endpoint_name="beer-prod")

    found = declare(stack_of(model_config(), beer), EMPTY, preview)

    assert {r.inputs["name"] for r in found.of("sagemaker:Endpoint")} == {"wine-prod", "beer-prod"}
    assert {r.inputs["name"] for r in found.of("iam:Role")} == {
        "slipway-wine-prod-eu-west-1",
        "slipway-beer-prod-eu-west-1",
    }
    assert len(found.of("s3:Bucket")) == 2
    assert len({r.urn for r in found.resources}) == len(found.resources)


@both_modes
def test_scaling_is_left_out_where_the_bounds_are_one_number(preview: bool) -> None:
    found = declare(stack_of(model_config(scaling=Scaling(3, 3))), EMPTY, preview)

    assert [r for r in found.resources if "caling" in r.token] == []
    assert len(found.of("sagemaker:Endpoint")) == 1


def test_what_aws_will_answer_is_unknown_in_a_preview() -> None:
    """An ``apply`` never runs there: these inputs are asserted by the tests of an ``up``."""
    buckets = ("slipway-prod-artifacts", "slipway-prod-history")
    parts = ("versioning", "encryption", "private", "tls-only")

    assert declared(preview=True).unknown_inputs() == {
        *(f"{bucket}-{part}.bucket" for bucket in buckets for part in parts),
        *(f"{bucket}-tls-only.policy" for bucket in buckets),
        "slipway-prod-artifacts-deleted.bucket",
        "slipway-prod-releases-tls-only.arn",
        "slipway-prod-releases-tls-only.policy",
        "wine-serving.policy",
        f"{TARGET}-artifact.bucket",
        f"{TARGET}.executionRoleArn",
        f"{TARGET}.primaryContainer.modelDataUrl",
        f"{TARGET}.productionVariants[0].modelName",
        f"{TARGET}.dataCaptureConfig.destinationS3Uri",
        "wine-endpoint.endpointConfigName",
        "wine-manifest.bucket",
        "wine-manifest.content",
    }
    assert declared(preview=True).exports == []


def test_everything_is_known_in_an_up_and_exported_once() -> None:
    found = declared()

    assert found.unknown_inputs() == set()
    assert found.exports == [
        {
            "artifactBucket": ARTIFACT_BUCKET,
            "historyBucket": HISTORY_BUCKET,
            "models": {"wine": {"endpoint": ENDPOINT, "stagedVersion": "3", "stagedHash": HASH}},
        }
    ]


# --- options


@both_modes
def test_the_endpoint_is_protected_made_before_deleted_and_left_to_the_controller(
    preview: bool,
) -> None:
    endpoint = declared(preview).one("sagemaker:Endpoint")

    assert endpoint.protect
    assert endpoint.delete_before_replace is False, "an explicit name would turn it on"
    assert set(endpoint.ignore_changes) == {"endpointConfigName", "deploymentConfig"}
    assert endpoint.before_create == ("wine-no-release-history",)
    assert "deploymentConfig" not in endpoint.inputs


@both_modes
def test_only_the_endpoint_is_protected(preview: bool) -> None:
    assert [r.token for r in declared(preview).resources if r.protect] == ["sagemaker:Endpoint"]


@both_modes
def test_buckets_artifact_model_and_configuration_outlive_their_deletion(preview: bool) -> None:
    """What serves, serves by them; evidence and artifacts end where ``slipway destroy`` ends."""
    kept = {r.name for r in declared(preview).custom() if r.retain_on_delete}

    parts = ("bucket", "versioning", "encryption", "private", "tls-only")
    assert kept == {
        *(f"slipway-prod-artifacts-{part}" for part in (*parts, "deleted")),
        *(f"slipway-prod-history-{part}" for part in parts),
        f"{TARGET}-artifact",
        TARGET,
    }


@both_modes
def test_what_a_release_changes_is_ignored_and_nothing_else(preview: bool) -> None:
    ignored = {r.token: r.ignore_changes for r in declared(preview).resources if r.ignore_changes}

    assert ignored == {
        "sagemaker:Endpoint": ("endpointConfigName", "deploymentConfig"),
        "sagemaker:EndpointConfiguration": ("productionVariants[0].initialInstanceCount",),
        "appautoscaling:Target": ("suspendedState",),
    }


@both_modes
def test_model_and_configuration_are_named_by_the_short_hash_and_by_pulumi(preview: bool) -> None:
    for token in ("sagemaker:Model", "sagemaker:EndpointConfiguration"):
        found = declared(preview).one(token)
        assert found.name == f"wine-{HASH[:8]}"
        assert "name" not in found.inputs, "a name of our own would clash on the way back"
        assert "namePrefix" not in found.inputs


def test_the_longest_model_name_leaves_room_for_hash_and_random_suffix() -> None:
    found = declare(stack_of(model_config(name="w" * 45)), EMPTY)

    name = found.one("sagemaker:EndpointConfiguration").name
    assert len(f"{name}-1234567") <= 63


@both_modes
def test_nothing_is_taken_over_where_nothing_stands(preview: bool) -> None:
    assert [r.name for r in declared(preview).resources if r.import_id] == []


@both_modes
def test_role_endpoint_and_history_bucket_that_stand_already_are_taken_over(preview: bool) -> None:
    around = replace(
        EMPTY, history_stands=True, roles=frozenset({ROLE}), endpoints=frozenset({ENDPOINT})
    )

    found = declare(stack_of(model_config()), around, preview)

    assert {r.name: r.import_id for r in found.resources if r.import_id} == {
        "wine-execution": ROLE,
        "wine-endpoint": ENDPOINT,
        "slipway-prod-history-bucket": HISTORY_BUCKET,
    }


# --- order


def all_dependencies(found: Declared, start: Registered) -> set[str]:
    """Names of the custom resources that exist before ``start``: its own and its parents'."""
    urns = {r.urn: r for r in found.resources}
    reached: set[str] = set()
    open_ends = [start]
    while open_ends:
        resource = open_ends.pop()
        above = urns.get(resource.parent)
        following = [urns[urn] for urn in resource.dependencies if urn in urns]
        for each in [*following, *([above] if above else [])]:
            if each.urn not in reached:
                reached.add(each.urn)
                open_ends.append(each)
    return {urns[urn].name for urn in reached if urns[urn].is_custom}


@both_modes
def test_the_manifest_is_written_after_everything_else(preview: bool) -> None:
    found = declared(preview)
    manifest = found.one("s3:BucketObjectv2", "wine-manifest")

    direct = {found.by_urn(urn).name for urn in manifest.dependencies}

    assert {r.name for r in found.custom()} - direct == {"wine-manifest"}


@both_modes
def test_the_model_waits_for_the_roles_policy_and_the_uploaded_artifact(preview: bool) -> None:
    found = declared(preview)

    names = all_dependencies(found, found.one("sagemaker:Model"))

    assert {"wine-execution", "wine-serving", f"{TARGET}-artifact"} <= names


@both_modes
def test_the_endpoint_waits_for_role_policy_artifact_model_and_configuration(
    preview: bool,
) -> None:
    found = declared(preview)

    names = all_dependencies(found, found.one("sagemaker:Endpoint"))

    assert {"wine-execution", "wine-serving", f"{TARGET}-artifact", TARGET} <= names


@both_modes
def test_scaling_waits_for_the_endpoint(preview: bool) -> None:
    found = declared(preview)

    for token in ("appautoscaling:Target", "appautoscaling:Policy"):
        assert "wine-endpoint" in all_dependencies(found, found.one(token))


@both_modes
def test_nothing_is_uploaded_before_plain_http_is_refused(preview: bool) -> None:
    found = declared(preview)

    for name, bucket in ((f"{TARGET}-artifact", "artifacts"), ("wine-manifest", "history")):
        names = all_dependencies(found, found.one("s3:BucketObjectv2", name))
        assert f"slipway-prod-{bucket}-tls-only" in names


# --- inputs


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


# --- the manifest


def staged(around: Surroundings = EMPTY, **changes: Any) -> ReleaseManifest:
    found = declare(stack_of(model_config(**changes)), around)
    stored = found.one("s3:BucketObjectv2", "wine-manifest").inputs
    assert stored["bucket"] == HISTORY_BUCKET
    assert stored["key"] == "manifests/wine-prod.json"
    assert stored["contentType"] == "application/json"
    return ReleaseManifest.from_json(stored["content"], "the manifest")


def test_the_manifest_says_what_was_staged_and_how_it_is_to_be_released() -> None:
    manifest, model, package = staged(), model_config(), package_manifest()

    assert (manifest.stack, manifest.model, manifest.endpoint_name) == ("prod", "wine", ENDPOINT)
    assert (manifest.region, manifest.account_id) == (REGION, ACCOUNT)
    assert manifest.execution_role_arn == role_arn(ROLE)
    assert manifest.history_bucket == HISTORY_BUCKET
    assert manifest.release == model.release
    assert manifest.rollback_alarms == rollback_alarms(model.alarms)
    assert manifest.standing_alarms == ("wine-prod-errors", "wine-prod-latency")
    assert manifest.scaling == ScalingBounds(2, 8)
    assert manifest.tags == MODEL_TAGS
    assert manifest.controller == Controller(
        None, f"arn:aws:any:{REGION}:{ACCOUNT}:topic/slipway-prod-releases-1234567", "default"
    )
    target = manifest.target
    assert (target.version, target.content_hash) == ("3", HASH)
    assert (target.endpoint_config_name, target.model_name) == (CONFIG_NAME, CONFIG_NAME)
    assert (target.instance_type, target.initial_instance_count) == ("ml.c7i.large", 2)
    assert target.image == IMAGE
    assert target.artifact_uri == f"s3://{ARTIFACT_BUCKET}/artifacts/{HASH}/model.tar.gz"
    assert target.package_sha256 == package.sha256
    assert (target.registry_uri, target.run_id) == ("models:/wine/3", "run-3")
    assert target.metrics == {"auc": 0.7}
    assert target.data_capture == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": f"s3://{ARTIFACT_BUCKET}/capture/{ENDPOINT}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }


def test_the_manifest_leaves_out_scaling_and_capture_that_there_are_not() -> None:
    manifest = staged(scaling=Scaling(2, 2), capture_percent=None)

    assert manifest.scaling is None
    assert manifest.target.data_capture is None


def test_the_manifest_points_at_live_where_live_has_the_targets_content() -> None:
    live = Serving(HASH, "wine-live-config", "wine-live-model")

    target = staged(replace(EMPTY, serving={ENDPOINT: live})).target

    assert (target.endpoint_config_name, target.model_name) == (
        "wine-live-config",
        "wine-live-model",
    )
    assert target.content_hash == HASH


def test_the_manifest_points_at_the_target_where_live_has_other_content() -> None:
    live = Serving("0" * 64, "wine-live-config", "wine-live-model")

    target = staged(replace(EMPTY, serving={ENDPOINT: live})).target

    assert (target.endpoint_config_name, target.model_name) == (CONFIG_NAME, CONFIG_NAME)


# --- identity


REPLACING: dict[str, dict[str, Any]] = {
    "image": {"image": IMAGE.replace("slipway@", "other@")},
    "environment": {"environment": {"LEVEL": "info"}},
    "instance type": {"instance_type": "ml.c7i.xlarge"},
    "capture": {"capture_percent": 21},
    "no capture": {"capture_percent": None},
    "role": {"endpoint_name": "wine-of-today"},
    "version": {"package": replace(model_config().package, manifest=package_manifest(version="4"))},
    "archive": {
        "package": replace(model_config().package, manifest=package_manifest(sha256="0" * 64))
    },
    "index of the archive": {
        "package": replace(model_config().package, manifest=package_manifest(index_sha256="0" * 64))
    },
}

OPERATIONAL: dict[str, dict[str, Any]] = {
    "scaling bounds": {"scaling": Scaling(4, 20)},
    "scaling off": {"scaling": Scaling(2, 2)},
    "alarm limits": {"alarms": AlarmLimits(0.5, 1)},
    "release settings": {"release": replace(model_config().release, keep_versions=9)},
}


@pytest.mark.parametrize("changes", REPLACING.values(), ids=REPLACING.keys())
def test_what_only_a_release_may_change_makes_a_new_target(changes: dict[str, Any]) -> None:
    found = declare(stack_of(model_config(**changes)), EMPTY, preview=True)

    configuration = found.one("sagemaker:EndpointConfiguration")
    assert configuration.name != TARGET
    digest = configuration.inputs["tags"]["slipway:hash"]
    assert configuration.name == f"wine-{digest[:8]}"
    assert found.one("sagemaker:Model").name == configuration.name
    artifact = found.one("s3:BucketObjectv2", f"{configuration.name}-artifact")
    assert artifact.inputs["key"] == f"artifacts/{digest}/model.tar.gz"


@pytest.mark.parametrize("changes", OPERATIONAL.values(), ids=OPERATIONAL.keys())
def test_what_takes_effect_at_once_makes_no_new_target(changes: dict[str, Any]) -> None:
    before, after = declared(), declare(stack_of(model_config(**changes)), EMPTY)

    for token in ("sagemaker:Model", "sagemaker:EndpointConfiguration"):
        assert without_count(after.one(token)) == without_count(before.one(token))


def without_count(found: Registered) -> Registered:
    """As the engine compares it: the ignored count aside."""
    inputs = json.loads(json.dumps(found.inputs))
    for variant in inputs.get("productionVariants", []):
        variant.pop("initialInstanceCount")
    return replace(found, inputs=inputs)


def test_a_long_role_name_is_cut_to_what_iam_takes_and_stays_distinct() -> None:
    names = [role_name("e" * 62 + last, "ap-southeast-1") for last in "ab"]

    assert [len(name) for name in names] == [64, 64]
    assert names[0] != names[1]
    assert role_name(ENDPOINT, "us-east-1") != role_name(ENDPOINT, REGION), "IAM is global"


# --- the guard


GUARDED = (
    "endpoint wine-prod would be created or replaced, but it has release history (2 releases): "
    "it would serve a version that was never released; if it was deleted, "
    "`slipway up --recreate-endpoint` makes it from the last good configuration; if its name or "
    "region was changed, change it back"
)


@both_modes
def test_an_endpoint_without_history_is_made(preview: bool) -> None:
    assert declared(preview).refusals == ()


@both_modes
def test_an_endpoint_with_release_history_is_not_made_anew(preview: bool) -> None:
    around = replace(EMPTY, history_stands=True, states=with_history())

    found = declare(stack_of(model_config()), around, preview)

    assert found.refusals == (GUARDED,)


@both_modes
def test_recreating_makes_it_from_the_last_good_configuration(preview: bool) -> None:
    around = replace(EMPTY, recreate=True, states=with_history())

    found = declare(stack_of(model_config()), around, preview)

    assert found.refusals == ()
    endpoint = found.one("sagemaker:Endpoint").inputs
    assert endpoint["endpointConfigName"] == "wine-22222222-abc"


@both_modes
def test_recreating_is_refused_where_no_version_ever_served_well(preview: bool) -> None:
    around = replace(EMPTY, recreate=True, states=with_history(good=False))

    found = declare(stack_of(model_config()), around, preview)

    assert found.refusals == (GUARDED,)
    expected = UNKNOWN if preview else CONFIG_NAME
    assert found.one("sagemaker:Endpoint").inputs["endpointConfigName"] == expected


@both_modes
def test_a_history_that_ended_with_its_stack_does_not_stop_a_new_endpoint(preview: bool) -> None:
    around = replace(EMPTY, history_stands=True, states=with_history(closed=True))

    assert declare(stack_of(model_config()), around, preview).refusals == ()

"""What the program declares: which resources, with which options, in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infra.settings import Scaling
from tests.unit.declared_stack import (
    ARTIFACT_BUCKET,
    EMPTY,
    ENDPOINT,
    HASH,
    HISTORY_BUCKET,
    ROLE,
    TARGET,
    both_modes,
    declared,
    stack_of,
)
from tests.unit.infra_recording import (
    Declared,
    Registered,
    declare,
)
from tests.unit.infra_samples import model_config

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

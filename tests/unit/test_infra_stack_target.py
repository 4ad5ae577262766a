"""The manifest, what makes a new target, and endpoints that are not made anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.release_manifest import Controller, ReleaseManifest, ScalingBounds
from infra.naming import role_name
from infra.settings import Scaling
from infra.surroundings import Serving, Surroundings
from monitoring.alarms import AlarmLimits, rollback_alarms
from tests.unit.declared_stack import (
    ARTIFACT_BUCKET,
    CONFIG_NAME,
    EMPTY,
    ENDPOINT,
    HASH,
    HISTORY_BUCKET,
    MODEL_TAGS,
    ROLE,
    TARGET,
    both_modes,
    declared,
    stack_of,
    with_history,
)
from tests.unit.infra_recording import (
    ACCOUNT,
    REGION,
    UNKNOWN,
    Registered,
    declare,
    role_arn,
)
from tests.unit.infra_samples import IMAGE, model_config, package_manifest

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

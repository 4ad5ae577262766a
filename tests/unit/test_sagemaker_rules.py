"""What SageMaker refuses, in its words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker import rules
from localcloud.sagemaker.deployments import check_deployment
from localcloud.sagemaker.records import (
    CREATING,
    DELETING,
    FAILED,
    IN_SERVICE,
    SYSTEM_UPDATING,
    UPDATING,
    Endpoint,
)
from localcloud.service import ServiceError

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine"
AT_ONCE = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
ONE = {"Type": "INSTANCE_COUNT", "Value": 1}


def endpoint(status: str) -> Endpoint:
    return Endpoint("Mine", ARN, "us-east-1", 0, 0, "c", {"ProductionVariants": []}, status, {})


def message(call: Any, *args: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        call(*args)
    assert caught.value.code == "ValidationException"
    assert caught.value.status == 400
    return caught.value.message


def blue_green(routing: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}


def rolling(kind: str, value: int) -> dict[str, Any]:
    size = {"Type": kind, "Value": value}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0}}


@pytest.mark.parametrize("status", [CREATING, UPDATING, SYSTEM_UPDATING, DELETING])
def test_while_something_is_under_way_nothing_else_begins(status: str) -> None:
    words = f'Cannot update in-progress endpoint "{ARN}".'
    assert message(rules.check_updatable, endpoint(status)) == words
    assert message(rules.check_not_in_progress, endpoint(status)) == words


def test_a_failed_endpoint_can_only_be_deleted() -> None:
    assert "can only be deleted" in message(rules.check_updatable, endpoint(FAILED))
    rules.check_not_in_progress(endpoint(FAILED))
    rules.check_updatable(endpoint(IN_SERVICE))


def test_any_other_status_cannot_be_updated_either() -> None:
    assert "RollingBack" in message(rules.check_updatable, endpoint("RollingBack"))


@given(st.text("abcXYZ019-", min_size=1, max_size=63))
def test_arns_are_lower_case(name: str) -> None:
    arn = rules.arn("endpoint-config", "eu-west-1", "123456789012", name)
    assert arn == f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/{name.lower()}"


def test_errors_name_the_kind_as_sagemaker_does() -> None:
    assert rules.could_not_find("endpoint-config", "x").message == (
        'Could not find endpoint configuration "x".'
    )
    assert rules.already_exists("endpoint", ARN).message == (
        f'Cannot create already existing endpoint "{ARN}".'
    )


def test_excluded_properties_need_retention() -> None:
    weight = [{"VariantPropertyType": "DesiredWeight"}]
    params: dict[str, Any] = {"ExcludeRetainedVariantProperties": weight}
    assert "RetainAllVariantProperties is true" in message(rules.excluded_properties, params)
    params["RetainAllVariantProperties"] = True
    assert rules.excluded_properties(params) == {"DesiredWeight"}
    capture = [{"VariantPropertyType": "DataCaptureConfig"}]
    assert "DataCaptureConfig is not supported" in message(
        rules.excluded_properties, {**params, "ExcludeRetainedVariantProperties": capture}
    )
    assert rules.excluded_properties({}) == frozenset()


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        ({}, "exactly one of BlueGreenUpdatePolicy and RollingUpdatePolicy"),
        (
            {**blue_green(AT_ONCE), **rolling("CAPACITY_PERCENT", 50)},
            "exactly one of BlueGreenUpdatePolicy and RollingUpdatePolicy",
        ),
        (
            {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
            "exactly one of BlueGreenUpdatePolicy and RollingUpdatePolicy",
        ),
        (blue_green({"Type": "CANARY", "WaitIntervalInSeconds": 0}), "CanarySize must be given"),
        (blue_green({**AT_ONCE, "CanarySize": ONE}), "CanarySize must be given when, and only"),
        (
            blue_green({"Type": "LINEAR", "WaitIntervalInSeconds": 0}),
            "LinearStepSize must be given",
        ),
        (
            blue_green(
                {
                    "Type": "LINEAR",
                    "WaitIntervalInSeconds": 0,
                    "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 5},
                }
            ),
            "use 10 to 50 %",
        ),
        (
            blue_green(
                {
                    "Type": "CANARY",
                    "WaitIntervalInSeconds": 0,
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 60},
                }
            ),
            "use 1 to 50 %",
        ),
        (rolling("CAPACITY_PERCENT", 4), "use 5 to 50 %"),
        (
            blue_green(AT_ONCE, TerminationWaitInSeconds=600, MaximumExecutionTimeoutInSeconds=600),
            "it must exceed the waits, 600 s",
        ),
    ],
)
def test_deployments_that_cannot_be(deployment: dict[str, Any], words: str) -> None:
    assert words in message(check_deployment, deployment)


def test_scaled_variants_keep_name_and_type() -> None:
    def variant(name: str, kind: str = "ml.m5.large") -> dict[str, Any]:
        return {"VariantName": name, "InstanceType": kind}

    old = [variant("live"), variant("candidate")]
    rules.check_scaled_variants(old, [variant("live")], {"live"})
    rules.check_scaled_variants(old, [variant("other")], set())
    for new in ([variant("candidate")], [variant("live", "ml.c5.large")]):
        assert '"live" is registered as a scalable target' in message(
            rules.check_scaled_variants, old, new, {"live"}
        )


def test_weights_name_every_unknown_variant() -> None:
    updates = [{"VariantName": "x", "DesiredWeight": 1.0}, {"VariantName": "y"}]
    assert message(rules.check_weights, updates, {"live"}, "conf") == (
        'The variant name(s) "x", "y" is/are not present within endpoint configuration "conf".'
    )

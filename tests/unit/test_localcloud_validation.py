from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from localcloud.protocol import patterns, validation
from localcloud.service import ServiceError

MODEL = botocore.session.Session().get_service_model("sagemaker")
CLOUDWATCH = botocore.session.Session().get_service_model("cloudwatch")
AUTOSCALING = botocore.session.Session().get_service_model("application-autoscaling")

VARIANT = {
    "VariantName": "live",
    "ModelName": "flight-delay",
    "InitialInstanceCount": 2,
    "InstanceType": "ml.c7i.large",
}


def sagemaker(operation: str, **params: Any) -> str:
    """The message of the refusal."""
    with pytest.raises(ServiceError) as caught:
        validation.check_json(MODEL.operation_model(operation).input_shape, params)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_good_parameters_pass() -> None:
    params = {
        "EndpointConfigName": "a-b",
        "ProductionVariants": [VARIANT],
        "Tags": [{"Key": "slipway:stack", "Value": "lokal ü 1"}],
    }
    shape = MODEL.operation_model("CreateEndpointConfig").input_shape
    assert validation.problems(shape, params) == []


def test_a_pattern_is_matched_in_full_and_named() -> None:
    message = sagemaker("DescribeEndpoint", EndpointName="under_score")
    assert message == (
        "1 validation error detected: Value 'under_score' at 'endpointName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
        "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_missing_member_is_null() -> None:
    assert sagemaker("DescribeEndpoint") == (
        "1 validation error detected: Value null at 'endpointName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_every_problem_is_told_at_once_with_its_path() -> None:
    variant = {**VARIANT, "InstanceType": "ml.none", "InitialInstanceCount": 0}
    message = sagemaker(
        "CreateEndpointConfig", EndpointConfigName="a", ProductionVariants=[variant]
    )
    assert message.startswith("2 validation errors detected: ")
    assert (
        "Value '0' at 'productionVariants.1.member.initialInstanceCount' failed to satisfy "
        "constraint: Member must have value greater than or equal to 1"
    ) in message
    assert (
        "Value 'ml.none' at 'productionVariants.1.member.instanceType' failed to satisfy "
        "constraint: Member must satisfy enum value set: ["
    ) in message


def test_upper_bounds_are_checked_though_boto3_does_not() -> None:
    long = sagemaker("DescribeEndpoint", EndpointName="a" * 64)
    assert "at 'endpointName' failed" in long
    assert "Member must have length less than or equal to 63" in long
    none = sagemaker("CreateEndpointConfig", EndpointConfigName="a", ProductionVariants=[])
    assert "Value '[]' at 'productionVariants'" in none
    many = sagemaker(
        "CreateEndpointConfig", EndpointConfigName="a", ProductionVariants=[VARIANT] * 11
    )
    assert "Member must have length less than or equal to 10" in many


def test_query_services_name_a_missing_parameter() -> None:
    shape = CLOUDWATCH.operation_model("PutMetricData").input_shape
    with pytest.raises(ServiceError) as caught:
        validation.check_query(shape, {"MetricData": []})
    assert caught.value.code == "MissingParameter"
    assert caught.value.message == "The request must contain the parameter Namespace."


def test_query_services_have_their_own_code_for_the_rest() -> None:
    shape = CLOUDWATCH.operation_model("PutMetricAlarm").input_shape
    params = {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "Above"}
    with pytest.raises(ServiceError) as caught:
        validation.check_query(shape, params)
    assert caught.value.code == "ValidationError"
    assert "Value 'Above' at 'comparisonOperator'" in caught.value.message


@pytest.mark.parametrize("model", [MODEL, CLOUDWATCH, AUTOSCALING], ids=lambda m: m.service_name)
def test_every_pattern_of_the_models_can_be_read(model: Any) -> None:
    for name in model.shape_names:
        pattern = model.shape_for(name).metadata.get("pattern")
        if pattern:
            patterns.matches(pattern, "x")


def test_unicode_categories_stand_for_their_characters() -> None:
    tag = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"
    assert patterns.matches(tag, "Größe 12 日本/a-b@c")
    assert not patterns.matches(tag, "a#b")

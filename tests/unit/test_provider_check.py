"""Check: from what a program gives to complete inputs, or to what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.provider.check import CheckContext, Failure, check
from localcloud.provider.naming import Mode, NameRequest
from localcloud.provider.schema import ResourceType, all_types, resource_type
from localcloud.provider.tags import TagSettings
from localcloud.provider.values import DEFAULTS_KEY, UNKNOWN

BUCKET = "aws:s3/bucket:Bucket"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
ROLE = "aws:iam/role:Role"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
GOOD_ALARM: dict[str, Any] = {
    "comparisonOperator": "GreaterThanThreshold",
    "evaluationPeriods": 1,
    "metricName": "Errors",
    "namespace": "N",
    "period": 60,
    "statistic": "Sum",
    "threshold": 0,
}


def contract(token: str) -> ResourceType:
    found = resource_type(token)
    assert found is not None
    return found


def run(
    token: str,
    news: dict[str, Any],
    olds: dict[str, Any] | None = None,
    name: NameRequest | None = None,
    tags: TagSettings | None = None,
) -> tuple[dict[str, Any], list[Failure]]:
    context = CheckContext(
        "eu-west-1", tags or TagSettings(), name or NameRequest("thing", b"seed")
    )
    return check(contract(token), news, olds or {}, context)


def failures(token: str, news: dict[str, Any]) -> dict[str, str]:
    return {f.property: f.reason for f in run(token, news)[1]}


def test_a_bucket_gets_region_name_tags_and_defaults() -> None:
    inputs, found = run(BUCKET, {"tags": {"a": "b"}}, tags=TagSettings({"stack": "dev"}))
    assert found == []
    assert inputs["bucket"].startswith("thing-")
    assert len(inputs["bucket"]) == len("thing-") + 7
    assert inputs["region"] == "eu-west-1"
    assert inputs["tagsAll"] == {"a": "b", "stack": "dev"}
    assert inputs["forceDestroy"] is False
    assert inputs[DEFAULTS_KEY] == ["bucket", "forceDestroy"]


def test_a_made_name_stays_while_the_program_gives_none() -> None:
    first, _ = run(BUCKET, {})
    again, _ = run(BUCKET, {}, olds=first, name=NameRequest("thing", b"other seed"))
    assert again["bucket"] == first["bucket"]
    given_before = {**first, DEFAULTS_KEY: ["forceDestroy"]}
    fresh, _ = run(BUCKET, {}, olds=given_before, name=NameRequest("thing", b"other seed"))
    assert fresh["bucket"] != first["bucket"]


def test_the_seed_makes_names_repeatable() -> None:
    assert run(BUCKET, {})[0]["bucket"] == run(BUCKET, {})[0]["bucket"]


def test_names_follow_the_types_own_rules() -> None:
    named = NameRequest("My.Thing", b"seed")
    assert run(BUCKET, {}, name=named)[0]["bucket"].startswith("my.thing-")
    alias = run("aws:kms/alias:Alias", {"targetKeyId": "k"}, name=NameRequest("thing", b"s"))[0]
    assert alias["name"].startswith("alias/thing-")
    topic = run("aws:sns/topic:Topic", {"fifoTopic": True}, name=NameRequest("thing", b"s"))[0]
    assert topic["name"].endswith(".fifo")
    item = run("aws:s3/bucketObjectv2:BucketObjectv2", {"bucket": "b"})[0]
    assert item["key"] == "thing"


def test_a_name_too_long_says_what_to_do() -> None:
    _, found = run(BUCKET, {}, name=NameRequest("x" * 60, b"seed"))
    assert found[0].property == "bucket"
    assert "is longer than maximum length 63" in found[0].reason


@pytest.mark.parametrize(("mode", "expected"), [(Mode.ENFORCE, "Wanted"), (Mode.PROPOSE, "wanted")])
def test_the_engines_naming_configuration_is_honoured(mode: Mode, expected: str) -> None:
    request = NameRequest("thing", b"seed", mode, "Wanted")
    assert run(BUCKET, {}, name=request)[0]["bucket"] == expected


def test_disabled_naming_needs_a_name_where_the_cloud_makes_none() -> None:
    request = NameRequest("thing", b"seed", Mode.DISABLE)
    _, found = run("aws:ecr/repository:Repository", {}, name=request)
    assert [f.property for f in found] == ["name"]


def test_a_prefix_takes_the_place_of_a_made_name() -> None:
    inputs, found = run(ROLE, {"assumeRolePolicy": TRUST, "namePrefix": "x-"})
    assert found == []
    assert "name" not in inputs


def test_unknown_missing_and_ill_typed_properties_are_named_together() -> None:
    assert failures(
        CONFIGURATION,
        {
            "productionVariants": [{"initialInstanceCount": "two", "colour": "red"}],
            "dataCaptureConfig": {"destinationS3Uri": "s3://b/x", "captureOptions": []},
            "surprise": 1,
        },
    ) == {
        "surprise": "invalid or unknown key",
        "productionVariants[0].initialInstanceCount": "expected an integer, got 'two'",
        "productionVariants[0].colour": "invalid or unknown key",
        "dataCaptureConfig.captureOptions": (
            "expected number of items to be in the range (1 - 2), got 0"
        ),
        "dataCaptureConfig.initialSamplingPercentage": (
            "missing required property 'initialSamplingPercentage'"
        ),
    }


def test_an_instance_type_that_does_not_exist_is_refused() -> None:
    variant = {"instanceType": "ml.c7i.lagre", "initialInstanceCount": 1}
    found = failures(CONFIGURATION, {"productionVariants": [variant]})
    assert "got ml.c7i.lagre" in found["productionVariants[0].instanceType"]


def test_a_conflict_deep_inside_is_told_by_its_path() -> None:
    both = {
        "targetValue": 1,
        "customizedMetricSpecification": {"metricName": "m"},
        "predefinedMetricSpecification": {"predefinedMetricType": "t"},
    }
    ids = dict.fromkeys(("resourceId", "scalableDimension", "serviceNamespace"), "x")
    block = "targetTrackingScalingPolicyConfiguration"
    assert failures("aws:appautoscaling/policy:Policy", {**ids, block: both}) == {
        f"{block}.customizedMetricSpecification": (
            f"conflicts with {block}.predefinedMetricSpecification"
        )
    }


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"period": 45}, "period", "multiple of 60"),
        ({"statistic": "p95"}, "statistic", "expected one of"),
        ({"statistic": None}, "metricName", "one of statistic, extendedStatistic"),
        ({"extendedStatistic": "p95"}, "statistic", "conflicts with extendedStatistic"),
        ({"metricName": None}, "metricName", "exactly one of metricName, metricQueries"),
        ({"comparisonOperator": None}, "comparisonOperator", "is required"),
        ({"alarmActions": ["topic"]}, "alarmActions[0]", "invalid ARN"),
        ({"treatMissingData": "maybe"}, "treatMissingData", "expected one of"),
        ({"evaluationPeriods": 0}, "evaluationPeriods", "at least 1"),
        ({"evaluationWindow": {}}, "evaluationWindow", "does not emulate"),
    ],
)
def test_what_the_real_provider_refuses_of_an_alarm(
    change: dict[str, Any], where: str, what: str
) -> None:
    assert failures(ALARM, GOOD_ALARM) == {}
    assert what in failures(ALARM, {**GOOD_ALARM, **change})[where]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (" {}", "leading space"),
        ("[]", "leading space characters or no object"),
        ('{"Version": 1, "Version": 2}', "duplicate key"),
        ("", "empty string"),
    ],
)
def test_iam_takes_no_policy_that_is_not_plain_json(policy: str, reason: str) -> None:
    assert reason in failures(ROLE, {"assumeRolePolicy": policy})["assumeRolePolicy"]


def test_a_policy_given_as_an_object_becomes_json() -> None:
    inputs, found = run(ROLE, {"assumeRolePolicy": {"Version": "2012-10-17", "Statement": []}})
    assert found == []
    assert json.loads(inputs["assumeRolePolicy"]) == json.loads(TRUST)


def test_unknown_values_pass_and_stay_unknown() -> None:
    inputs, found = run(
        ALARM, {**GOOD_ALARM, "alarmActions": [UNKNOWN], "period": UNKNOWN, "tags": {"a": UNKNOWN}}
    )
    assert found == []
    assert inputs["alarmActions"] == [UNKNOWN]
    assert inputs["tagsAll"] is UNKNOWN


def test_an_explicit_zero_is_a_value() -> None:
    assert run(ALARM, GOOD_ALARM)[0]["threshold"] == 0
    variant = {"instanceType": "ml.m5.large", "initialVariantWeight": 0}
    inputs, _ = run(CONFIGURATION, {"productionVariants": [variant]})
    assert inputs["productionVariants"][0]["initialVariantWeight"] == 0


def test_nested_defaults_are_filled_and_marked() -> None:
    inputs, _ = run(CONFIGURATION, {"productionVariants": [{"instanceType": "ml.m5.large"}]})
    variant = inputs["productionVariants"][0]
    assert variant["initialVariantWeight"] == 1
    assert variant[DEFAULTS_KEY] == ["initialVariantWeight"]


@given(st.sampled_from(sorted(all_types())), st.text(min_size=1, max_size=12))
def test_no_type_takes_a_property_it_does_not_have(token: str, name: str) -> None:
    known = contract(token)
    if name in known.inputs or name in known.unsupported or name == DEFAULTS_KEY:
        return
    assert "invalid or unknown key" in [f.reason for f in run(token, {name: "x"})[1]]

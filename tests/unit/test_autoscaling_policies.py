"""Scaling policies and their alarms: what Application Auto Scaling takes and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.service import ServiceError
from tests.unit.autoscaling_world import (
    SHOWN,
    WHERE,
    Client,
    stepping,
    tracking,
)


@pytest.fixture
def client() -> Any:
    found = Client()
    yield found
    found.service.close()


def test_target_tracking_makes_two_alarms_as_aws_does(client: Client) -> None:
    client.register()
    answer = client.track()
    arn = answer["PolicyARN"]
    assert arn.startswith("arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:")
    assert arn.endswith(":resource/sagemaker/endpoint/e/variant/live:policyName/p")
    high, low = client.world.alarms.values()
    assert [a["AlarmName"] for a in answer["Alarms"]] == [high["AlarmName"], low["AlarmName"]]
    assert high["AlarmName"].startswith("TargetTracking-endpoint/e/variant/live-AlarmHigh-")
    assert low["AlarmName"].startswith("TargetTracking-endpoint/e/variant/live-AlarmLow-")
    for alarm in (high, low):
        (action,) = alarm["AlarmActions"]
        assert action.startswith(f"{arn}:createdBy/")
        assert alarm["AlarmDescription"] == (
            f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {action}."
        )
        assert alarm["MetricName"] == "InvocationsPerInstance"
        assert (alarm["Statistic"], alarm["Period"]) == ("Sum", 60)
    assert (high["Threshold"], high["EvaluationPeriods"]) == (100.0, 3)
    assert (low["Threshold"], low["EvaluationPeriods"]) == (90.0, 15)
    assert high["ComparisonOperator"] == "GreaterThanThreshold"
    assert low["ComparisonOperator"] == "LessThanThreshold"


def test_the_high_resolution_metric_is_looked_at_every_ten_seconds(client: Client) -> None:
    client.register()
    kind = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    client.track(PredefinedMetricSpecification={"PredefinedMetricType": kind})
    high, low = client.world.alarms.values()
    assert (high["MetricName"], high["Statistic"]) == ("ConcurrentRequestsPerModel", "Maximum")
    assert (high["Period"], low["Period"]) == (10, 60)


def test_a_policy_that_is_put_again_keeps_its_alarms_unless_it_tracks_another_metric(
    client: Client,
) -> None:
    client.register()
    first = client.track()
    before = set(client.world.alarms)
    second = client.track(TargetValue=50.0)
    assert second == first
    assert {a["Threshold"] for a in client.world.alarms.values()} == {50.0, 45.0}
    custom = {"Namespace": "N", "MetricName": "m", "Statistic": "Average"}
    third = client.track(PredefinedMetricSpecification=None, CustomizedMetricSpecification=custom)
    assert third["PolicyARN"] == first["PolicyARN"]
    assert len(client.world.alarms) == 2
    assert before.isdisjoint(client.world.alarms)


def test_metric_math_is_tracked_by_the_minute(client: Client) -> None:
    client.register()
    stat = {"Metric": {"Namespace": "N", "MetricName": "m"}, "Stat": "Average"}
    metrics = [
        {"Id": "m1", "MetricStat": stat, "ReturnData": False},
        {"Id": "e1", "Expression": "m1 * 2"},
    ]
    client.track(
        PredefinedMetricSpecification=None, CustomizedMetricSpecification={"Metrics": metrics}
    )
    for alarm in client.world.alarms.values():
        assert alarm["Metrics"][0]["MetricStat"]["Period"] == 60
        assert "Period" not in alarm


def test_what_cloudwatch_refuses_makes_no_policy(client: Client) -> None:
    client.register()
    client.world.refusal = ServiceError("ValidationError", "no such expression")
    code = client.refused("PutScalingPolicy", **tracking())
    assert code == ("ValidationException", "no such expression")
    assert client.call("DescribeScalingPolicies", ServiceNamespace="sagemaker") == {
        "ScalingPolicies": []
    }


def test_a_policy_needs_its_target_and_a_deletion_its_policy(client: Client) -> None:
    assert client.refused("PutScalingPolicy", **tracking()) == (
        "ObjectNotFoundException",
        f"No scalable target registered for {SHOWN}",
    )
    assert client.refused("DeleteScalingPolicy", **WHERE, PolicyName="p") == (
        "ObjectNotFoundException",
        f"No scaling policy found for {SHOWN}, policy name: p",
    )


def test_the_alarms_go_with_the_policy_even_where_somebody_deleted_one(client: Client) -> None:
    client.register()
    client.track()
    client.world.alarms.popitem()
    (policy,) = client.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]
    assert len(policy["Alarms"]) == 1
    client.call("DeleteScalingPolicy", **WHERE, PolicyName="p")
    assert client.world.alarms == {}


CUSTOM = {"Namespace": "N", "MetricName": "m", "Statistic": "Average"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (tracking(CustomizedMetricSpecification=CUSTOM), "Exactly one of Predefined"),
        (tracking(PredefinedMetricSpecification=None), "Exactly one of Predefined"),
        (tracking(TargetValue=0.0), "TargetValue must be greater than 0; it is 0"),
        (tracking(ScaleInCooldown=-1), "ScaleInCooldown must not be negative; it is -1"),
        (
            tracking(
                PredefinedMetricSpecification={
                    "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
                }
            ),
            "ECSServiceAverageCPUUtilization is not supported for sagemaker:variant",
        ),
        (
            tracking(
                PredefinedMetricSpecification=None,
                CustomizedMetricSpecification={"MetricName": "m"},
            ),
            "CustomizedMetricSpecification needs Namespace, Statistic",
        ),
        ({**tracking(), "PolicyType": "StepScaling"}, "cannot be specified for a policy of type"),
        ({**WHERE, "PolicyName": "p"}, "A policy of type StepScaling needs its configuration"),
        ({**tracking(), "PolicyType": "PredictiveScaling"}, "PredictiveScaling is not supported"),
        (stepping(StepAdjustments=[]), "needs AdjustmentType and StepAdjustments"),
        (stepping(MinAdjustmentMagnitude=1), "only for PercentChangeInCapacity"),
        (
            stepping(
                AdjustmentType="ExactCapacity",
                StepAdjustments=[{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": -1}],
            ),
            "must not be negative with ExactCapacity",
        ),
        (stepping(StepAdjustments=[{"ScalingAdjustment": 1}]), "cannot both be null"),
        (
            stepping(
                StepAdjustments=[
                    {
                        "MetricIntervalLowerBound": 0.0,
                        "MetricIntervalUpperBound": 5.0,
                        "ScalingAdjustment": 1,
                    },
                    {"MetricIntervalLowerBound": 6.0, "ScalingAdjustment": 1},
                ]
            ),
            "cannot overlap or have a gap",
        ),
        (
            stepping(
                StepAdjustments=[
                    {
                        "MetricIntervalLowerBound": 0.0,
                        "MetricIntervalUpperBound": 5.0,
                        "ScalingAdjustment": 1,
                    }
                ]
            ),
            "one step adjustment needs a null upper bound",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused(
    client: Client, params: dict[str, Any], message: str
) -> None:
    client.register()
    code, text = client.refused("PutScalingPolicy", **params)
    assert code == "ValidationException"
    assert message in text
    assert client.world.alarms == {}


def test_one_metric_is_tracked_by_one_policy(client: Client) -> None:
    client.register()
    client.track("p")
    assert client.refused("PutScalingPolicy", **tracking("q", TargetValue=7.0)) == (
        "ValidationException",
        "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
    )
    assert client.refused("PutScalingPolicy", **stepping())[1].startswith(
        "The policy p is of type TargetTrackingScaling, which cannot be changed"
    )

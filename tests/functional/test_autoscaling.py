"""Application Auto Scaling really scales endpoints of the local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.sagemaker_bench import wait_for
from tests.functional.scaling_bench import CONCURRENT, ScalingBench, running_scaling_bench

# Invocations of an instance in a minute, which is half a second here.
TARGET = 5


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ScalingBench]:
    with running_scaling_bench(tmp_path) as found:
        yield found


def endpoint(bench: ScalingBench, count: int = 1) -> str:
    return bench.endpoint(bench.config(bench.variant("live", bench.model(), count)))


def not_scaled(bench: ScalingBench, name: str, code: str) -> dict[str, Any] | None:
    """The newest activity that came to nothing for this reason."""
    found = bench.activities(name, IncludeNotScaledActivities=True)
    reasons = ((a, r["Code"]) for a in found for r in a.get("NotScaledReasons", []))
    return next((a for a, reason in reasons if reason == code), None)


def test_traffic_scales_out_and_less_of_it_in(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name, 1, 3)
    made = bench.track(name, TARGET)
    high, low = [a["AlarmName"] for a in made["Alarms"]]
    assert high.startswith(f"TargetTracking-endpoint/{name}/variant/live-AlarmHigh-")
    assert low.startswith(f"TargetTracking-endpoint/{name}/variant/live-AlarmLow-")

    with bench.traffic(name):
        bench.scaled(name, 3)
        wait_for(
            lambda: bench.activities(name)[0]["StatusCode"] == "Successful", "the activity to end"
        )
        out = bench.activities(name)[0]
        assert out["Description"] == "Setting desired instance count to 3."
        assert out["Cause"] == f"monitor alarm {high} in state ALARM triggered policy load"
        assert out["StatusMessage"] == (
            "Successfully set desired instance count to 3. Change successfully fulfilled by "
            "sagemaker."
        )
        held = wait_for(lambda: not_scaled(bench, name, "AlreadyAtMaxCapacity"), "the maximum", 60)
        assert held["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3}]
        assert (held["StatusCode"], held["Cause"]) == ("Failed", out["Cause"])
        assert "NotScaledReasons" not in bench.activities(name)[0]

    wait_for(lambda: bench.trickle(name) and bench.count(name) == 1, "scaling in", 60)
    assert bench.activities(name)[0]["Cause"].startswith(f"monitor alarm {low} in state ALARM")


def test_requests_at_once_scale_out_by_the_high_resolution_metric(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name, 1, 3)
    kind = {"PredefinedMetricType": CONCURRENT}
    bench.track(name, 1, PredefinedMetricSpecification=kind)
    slow = {"ContentType": "application/json", "body": '{"seconds": 0.2}'}
    with bench.traffic(name, 4, **slow):
        bench.scaled(name, 3)
    assert all("AlarmHigh" in activity["Cause"] for activity in bench.activities(name))


def test_suspended_scale_in_keeps_the_count(bench: ScalingBench) -> None:
    name = endpoint(bench, 2)
    suspended = {"DynamicScalingInSuspended": True}
    bench.register(name, 1, 3, SuspendedState=suspended)
    bench.track(name, 10_000)
    (_, low) = sorted(bench.alarm_names())

    def in_alarm() -> bool:
        bench.trickle(name)
        (alarm,) = bench.cloudwatch.describe_alarms(AlarmNames=[low])["MetricAlarms"]
        return alarm["StateValue"] == "ALARM"

    wait_for(in_alarm, "the low alarm", 60)
    after = bench.clock.timestamp() + 300
    wait_for(lambda: bench.trickle(name) and bench.clock.timestamp() > after, "five minutes")
    assert bench.count(name) == 2
    assert bench.activities(name) == []

    bench.scaling.register_scalable_target(
        **bench.resource(name), SuspendedState={"DynamicScalingInSuspended": False}
    )
    wait_for(lambda: bench.trickle(name) and bench.count(name) == 1, "scaling in once resumed", 60)


def test_a_scaled_count_outlives_an_update_that_retains_it(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name, 1, 3)
    bench.track(name, TARGET)
    with bench.traffic(name):
        bench.scaled(name, 3)
        second = bench.config(bench.variant("live", bench.model("2"), 1))
        bench.settled(name)
        bench.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=second, RetainAllVariantProperties=True
        )
        settled = bench.settled(name)
        assert settled["EndpointConfigName"] == second
        assert bench.count(name) == 3


def test_while_the_endpoint_is_updating_scaling_fails_and_is_tried_again(
    bench: ScalingBench, tmp_path: Path
) -> None:
    name = endpoint(bench)
    bench.register(name, 1, 2)
    second = bench.config(bench.variant("live", bench.model("2", PING="later:30"), 1))
    with bench.traffic(name):
        bench.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
        bench.track(name, TARGET)
        failed = wait_for(
            lambda: [a for a in bench.activities(name) if a["StatusCode"] == "Failed"],
            "a failed activity",
        )[0]
        assert failed["StatusMessage"].startswith(
            "Failed to set desired instance count to 2. Reason: Cannot update in-progress endpoint"
        )
        bench.scaled(name, 2, 60)


def test_a_step_policy_follows_an_alarm_of_ones_own(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name, 1, 4)
    arn = bench.scaling.put_scaling_policy(
        **bench.resource(name),
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [
                {
                    "MetricIntervalLowerBound": 0,
                    "MetricIntervalUpperBound": 10,
                    "ScalingAdjustment": 1,
                },
                {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3},
            ],
            "Cooldown": 86400,
        },
    )["PolicyARN"]
    bench.cloudwatch.put_metric_alarm(
        AlarmName="mine",
        Namespace="Mine",
        MetricName="load",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=100,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[arn],
    )
    (policy,) = bench.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]
    assert [a["AlarmName"] for a in policy["Alarms"]] == ["mine"]

    def load(value: float) -> None:
        bench.cloudwatch.put_metric_data(
            Namespace="Mine", MetricData=[{"MetricName": "load", "Value": value}]
        )

    def reached(value: float, count: int) -> bool:
        load(value)
        return bench.count(name) == count

    wait_for(lambda: reached(105, 2), "one more")
    # The cooldown counts what the first scale-out added: three more than one.
    wait_for(lambda: reached(130, 4), "three more than at first")
    bench.scaling.delete_scaling_policy(**bench.resource(name), PolicyName="steps")
    assert bench.alarm_names() == ["mine"], "an alarm of one's own stays"


def test_the_count_is_brought_within_the_bounds(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name, 2, 3)
    bench.scaled(name, 2)
    bench.scaling.register_scalable_target(**bench.resource(name), MinCapacity=1)
    bench.scaling.register_scalable_target(**bench.resource(name), MaxCapacity=1)
    bench.scaled(name, 1)
    wait_for(lambda: bench.activities(name)[0]["StatusCode"] == "Successful", "the end")
    assert [a["Cause"] for a in bench.activities(name)] == [
        "maximum capacity was set to 1",
        "minimum capacity was set to 2",
    ]


def test_a_scheduled_action_changes_the_bounds_on_the_simulated_clock(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name, 1, 4)
    bench.scaling.put_scheduled_action(
        **bench.resource(name),
        ScheduledActionName="morning",
        Schedule="rate(5 minutes)",
        ScalableTargetAction={"MinCapacity": 2},
    )
    bench.scaled(name, 2)
    (target,) = bench.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)


def test_everything_goes_with_the_endpoint(bench: ScalingBench) -> None:
    name = endpoint(bench)
    bench.register(name)
    bench.track(name, TARGET)
    assert len(bench.alarm_names()) == 2
    bench.sagemaker.delete_endpoint(EndpointName=name)
    empty = {"ServiceNamespace": "sagemaker"}
    assert bench.scaling.describe_scalable_targets(**empty)["ScalableTargets"] == []
    assert bench.scaling.describe_scaling_policies(**empty)["ScalingPolicies"] == []
    assert bench.alarm_names() == []


def test_all_is_there_after_a_restart_and_goes_on_acting(tmp_path: Path) -> None:
    with running_scaling_bench(tmp_path / "cloud") as bench:
        name = endpoint(bench)
        arn = bench.register(name, 1, 3, Tags={"a": "b"})
        bench.track(name, TARGET)
        s3 = bench.s3
    with running_scaling_bench(tmp_path / "cloud", s3) as bench:
        assert bench.settled(name)["EndpointStatus"] == "InService"
        assert bench.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"a": "b"}
        with bench.traffic(name):
            bench.scaled(name, 3)

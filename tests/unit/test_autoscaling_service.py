"""What Application Auto Scaling takes, keeps and refuses, with SageMaker and CloudWatch faked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.autoscaling.service import AutoScaling
from localcloud.clock import Clock
from localcloud.service import AlarmAction, RequestContext, ServiceError

NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
REGION = "us-east-1"
WHERE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/live",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
SHOWN = (
    "service namespace: sagemaker, resource ID: endpoint/e/variant/live, scalable dimension: "
    "sagemaker:variant:DesiredInstanceCount"
)
INVOCATIONS = {
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
}
STEPS: dict[str, Any] = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
}


class World:
    """One endpoint with one variant, alarms as a table, metrics of one value."""

    def __init__(self) -> None:
        self.status, self.count, self.failure = "InService", 2, None
        self.alarms: dict[str, dict[str, Any]] = {}
        self.value: float | None = None
        self.refusal: ServiceError | None = None
        self.updates: list[int] = []

    def __call__(
        self, service: str, operation: str, region: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        match operation:
            case "DescribeEndpoint":
                if params["EndpointName"].lower() != "e" or region != REGION:
                    raise ServiceError("ValidationException", "Could not find endpoint")
                variant = {"VariantName": "live", "DesiredInstanceCount": self.count}
                return {
                    "EndpointName": "e",
                    "EndpointStatus": self.status,
                    "ProductionVariants": [variant],
                    "FailureReason": self.failure,
                }
            case "UpdateEndpointWeightsAndCapacities":
                if self.refusal is not None:
                    raise self.refusal
                (update,) = params["DesiredWeightsAndCapacities"]
                self.count = update["DesiredInstanceCount"]
                self.updates.append(self.count)
                self.status = "Updating"
                return {}
            case "PutMetricAlarm":
                if self.refusal is not None:
                    raise self.refusal
                known = self.alarms.get(params["AlarmName"], {"StateValue": "INSUFFICIENT_DATA"})
                arn = f"arn:aws:cloudwatch:{region}:123456789012:alarm:{params['AlarmName']}"
                self.alarms[params["AlarmName"]] = {**known, **params, "AlarmArn": arn}
                return {}
            case "DeleteAlarms":
                for name in params["AlarmNames"]:
                    if self.alarms.pop(name, None) is None:
                        raise ServiceError("ResourceNotFound", "no such alarm")
                return {}
            case "DescribeAlarms":
                prefix = params["ActionPrefix"]
                found = [
                    a
                    for _, a in sorted(self.alarms.items())
                    if any(x.startswith(prefix) for x in a["AlarmActions"])
                ]
                return {"MetricAlarms": found}
            case "GetMetricData":
                times = [params["EndTime"] - timedelta(seconds=60)] if self.value else []
                values = [self.value] if self.value else []
                return {"MetricDataResults": [{"Timestamps": times, "Values": values}]}
            case _:
                raise AssertionError(operation)


class Client:
    def __init__(self) -> None:
        self.world = World()
        self.ticks = 0.0
        clock = Clock(start=NOW, ticks=lambda: self.ticks)
        self.clock = clock
        self.changes = 0
        self.service = AutoScaling(clock, self.world, self._changed)
        self.service.start()

    def _changed(self) -> None:
        self.changes += 1

    def call(self, operation: str, region: str = REGION, **params: Any) -> dict[str, Any]:
        context = RequestContext("123456789012", region, "request", self.clock.now())
        return self.service.handle(operation, params, context)

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            self.call(operation, **params)
        return caught.value.code, caught.value.message

    def register(self, low: int = 1, high: int = 5, **more: Any) -> str:
        params = {**WHERE, "MinCapacity": low, "MaxCapacity": high, **more}
        return self.call("RegisterScalableTarget", **params)["ScalableTargetARN"]

    def track(self, name: str = "p", **config: Any) -> dict[str, Any]:
        return self.call("PutScalingPolicy", **tracking(name, **config))

    def target(self) -> dict[str, Any]:
        found = self.call("DescribeScalableTargets", ServiceNamespace="sagemaker")
        return found["ScalableTargets"][0]

    def activities(self, **more: Any) -> list[dict[str, Any]]:
        return self.call("DescribeScalingActivities", ServiceNamespace="sagemaker", **more)[
            "ScalingActivities"
        ]

    def fire(self, kind: str, value: float) -> None:
        """The alarm is in ALARM and its action is carried out."""
        self.world.value = value
        for name, alarm in self.world.alarms.items():
            alarm["StateValue"] = "ALARM" if kind in name else "OK"
        (alarm,) = [a for n, a in self.world.alarms.items() if kind in n]
        self.act(alarm["AlarmActions"][0], alarm["AlarmName"])

    def act(self, arn: str, alarm: str = "alarm") -> None:
        self.service.take(AlarmAction(arn, REGION, alarm, "ALARM", "", "", self.clock.now()))

    def settle(self) -> None:
        self.world.status = "InService"


def tracking(name: str = "p", **config: Any) -> dict[str, Any]:
    wanted = {"TargetValue": 100.0, **INVOCATIONS, **config}
    return {
        **WHERE,
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            k: v for k, v in wanted.items() if v is not None
        },
    }


def stepping(**config: Any) -> dict[str, Any]:
    return {
        **WHERE,
        "PolicyName": "p",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {**STEPS, **config},
    }


@pytest.fixture
def client() -> Any:
    found = Client()
    yield found
    found.service.close()


# targets


def test_a_target_is_described_as_aws_does(client: Client) -> None:
    arn = client.register(SuspendedState={"DynamicScalingInSuspended": True}, Tags={"a": "b"})
    assert arn.startswith("arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/")
    assert client.target() == {
        **WHERE,
        "MinCapacity": 1,
        "MaxCapacity": 5,
        "RoleARN": (
            "arn:aws:iam::123456789012:role/aws-service-role/"
            "sagemaker.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        ),
        "CreationTime": NOW,
        "SuspendedState": {
            "DynamicScalingInSuspended": True,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": False,
        },
        "ScalableTargetARN": arn,
    }
    assert client.call("ListTagsForResource", ResourceARN=arn) == {"Tags": {"a": "b"}}
    client.call("TagResource", ResourceARN=arn, Tags={"c": "d"})
    client.call("UntagResource", ResourceARN=arn, TagKeys=["a"])
    assert client.call("ListTagsForResource", ResourceARN=arn) == {"Tags": {"c": "d"}}


def test_what_a_later_registration_leaves_out_stays(client: Client) -> None:
    arn = client.register(SuspendedState={"DynamicScalingInSuspended": True})
    assert client.call("RegisterScalableTarget", **WHERE, MaxCapacity=9) == {
        "ScalableTargetARN": arn
    }
    suspended = {"ScheduledScalingSuspended": True}
    client.call("RegisterScalableTarget", **WHERE, SuspendedState=suspended)
    found = client.target()
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 9)
    assert found["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": True,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"MinCapacity": 3, "MaxCapacity": 2}, "Maximum capacity cannot be less than minimum"),
        ({"MinCapacity": 0, "MaxCapacity": 2}, "Minimum capacity 0 is not supported"),
        ({"MinCapacity": 1}, "MinCapacity and MaxCapacity are required"),
        ({"ResourceId": "endpoint/none/variant/live"}, "SageMaker endpoint variant doesn't exist"),
        ({"ResourceId": "endpoint/e/variant/none"}, "SageMaker endpoint variant doesn't exist"),
        ({"ResourceId": "endpoint/E/variant/live"}, "SageMaker endpoint variant doesn't exist"),
        ({"ResourceId": "table/x"}, "Unsupported service namespace, resource type or scalable"),
        ({"ServiceNamespace": "ecs"}, "The local cloud scales sagemaker:variant"),
        ({"MinCapacity": 1, "MaxCapacity": 2, "Tags": {"aws:a": "b"}}, "begin with aws:"),
    ],
)
def test_a_target_that_cannot_be_is_refused(
    client: Client, given: dict[str, Any], message: str
) -> None:
    code, text = client.refused("RegisterScalableTarget", **{**WHERE, **given})
    assert code == "ValidationException"
    assert message in text


def test_tags_are_for_new_targets_only(client: Client) -> None:
    client.register()
    code, text = client.refused("RegisterScalableTarget", **WHERE, Tags={"a": "b"})
    assert (code, "use TagResource to tag it" in text) == ("ValidationException", True)
    assert client.refused("TagResource", ResourceARN="arn:x", Tags={"a": "b"})[0] == (
        "ResourceNotFoundException"
    )


def test_an_endpoint_that_changes_is_registered_without_touching_its_count(client: Client) -> None:
    client.world.status = "Updating"
    client.register(3, 5)
    assert client.world.updates == []
    client.world.status = "UpdateRollbackFailed"
    client.call("RegisterScalableTarget", **WHERE, MaxCapacity=6)
    client.world.status = "Failed"
    assert client.refused("RegisterScalableTarget", **WHERE, MaxCapacity=9)[0] == (
        "ValidationException"
    )


def test_a_count_outside_the_bounds_is_brought_inside(client: Client) -> None:
    client.register(3, 5)
    assert client.world.updates == [3]
    (found,) = client.activities()
    assert (found["StatusCode"], found["Cause"]) == ("InProgress", "minimum capacity was set to 3")
    client.settle()
    (found,) = client.activities()
    assert found["StatusCode"] == "Successful"
    assert found["EndTime"] == NOW


def test_deregistering_takes_policies_alarms_and_schedules_with_it(client: Client) -> None:
    assert client.refused("DeregisterScalableTarget", **WHERE) == (
        "ObjectNotFoundException",
        f"No scalable target found for {SHOWN}",
    )
    client.register()
    client.track()
    client.call("PutScheduledAction", **WHERE, **morning())
    client.call("DeregisterScalableTarget", **WHERE)
    empty = {"ServiceNamespace": "sagemaker"}
    assert client.call("DescribeScalingPolicies", **empty) == {"ScalingPolicies": []}
    assert client.call("DescribeScheduledActions", **empty) == {"ScheduledActions": []}
    assert client.world.alarms == {}


def test_regions_are_apart(client: Client) -> None:
    client.register()
    found = client.call("DescribeScalableTargets", region="eu-west-1", ServiceNamespace="sagemaker")
    assert found == {"ScalableTargets": []}
    assert client.service.scaled_variants(REGION, "E") == {"live"}
    assert client.service.scaled_variants("eu-west-1", "e") == set()


# policies


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


# acting


def test_an_alarm_scales_out_then_another_in(client: Client) -> None:
    client.register(1, 8)
    client.track(ScaleInCooldown=60)
    client.fire("AlarmHigh", 250.0)
    assert client.world.updates == [5]
    client.fire("AlarmHigh", 250.0)
    assert client.world.updates == [5], "it is under way"
    client.settle()
    client.fire("AlarmLow", 30.0)
    assert client.world.updates == [5, 2]
    client.settle()
    client.fire("AlarmLow", 30.0)
    assert client.world.updates == [5, 2], "it cools down"
    client.ticks += 181
    client.fire("AlarmLow", 30.0)
    assert client.world.updates == [5, 2, 1]


def test_what_sagemaker_refuses_is_a_failed_activity_and_tried_again(client: Client) -> None:
    client.register(1, 8)
    client.track()
    client.world.refusal = ServiceError("ResourceLimitExceeded", "The account-level limit is 2.")
    client.fire("AlarmHigh", 250.0)
    client.fire("AlarmHigh", 250.0)
    found = client.activities()
    assert [a["StatusCode"] for a in found] == ["Failed", "Failed"]
    assert found[0]["StatusMessage"] == (
        "Failed to set desired instance count to 5. Reason: The account-level limit is 2. "
        "(Service: SageMaker; Error Code: ResourceLimitExceeded)"
    )
    client.world.refusal = None
    client.fire("AlarmHigh", 250.0)
    assert client.world.updates == [5]


@pytest.mark.parametrize(
    ("count", "status", "message"),
    [(2, "Failed", "no capacity"), (3, "Overridden", "updated by a newer scaling event")],
)
def test_what_becomes_of_an_activity(client: Client, count: int, status: str, message: str) -> None:
    client.register(1, 8)
    client.track()
    client.fire("AlarmHigh", 250.0)
    client.world.count, client.world.failure = count, "no capacity"
    client.settle()
    (found,) = client.activities()
    assert found["StatusCode"] == status
    assert message in found["StatusMessage"]


def test_a_reason_not_to_scale_is_told_once_and_only_when_asked_for(client: Client) -> None:
    client.register(1, 2)
    client.track()
    for _ in range(3):
        client.fire("AlarmHigh", 250.0)
    assert client.activities() == []
    (found,) = client.activities(IncludeNotScaledActivities=True)
    assert found["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 2}]
    assert found["Description"] == "Attempting to scale due to alarm triggered"


def test_an_action_without_its_policy_is_an_error(client: Client) -> None:
    with pytest.raises(ServiceError, match="No scaling policy found for arn:aws:autoscaling:x"):
        client.act("arn:aws:autoscaling:x")


def test_a_step_policy_acts_without_a_point(client: Client) -> None:
    client.register(1, 8)
    arn = client.call("PutScalingPolicy", **stepping())["PolicyARN"]
    client.world.alarms["mine"] = {
        "AlarmName": "mine",
        "AlarmArn": "arn:mine",
        "AlarmActions": [arn],
        "StateValue": "ALARM",
        "Threshold": 5.0,
        "EvaluationPeriods": 1,
        "Namespace": "N",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
    }
    client.act(arn, "mine")
    assert client.world.updates == [3]


# scheduled actions


def morning(**more: Any) -> dict[str, Any]:
    return {
        "ScheduledActionName": "morning",
        "Schedule": "cron(0 8 * * ? *)",
        "ScalableTargetAction": {"MinCapacity": 2},
        **more,
    }


def test_a_scheduled_action_is_kept_and_changed(client: Client) -> None:
    assert client.refused("PutScheduledAction", **WHERE, **morning()) == (
        "ObjectNotFoundException",
        f"No scalable target registered for {SHOWN}",
    )
    client.register()
    end = NOW + timedelta(days=3)
    client.call("PutScheduledAction", **WHERE, **morning(EndTime=end, Timezone="Europe/Berlin"))
    client.call(
        "PutScheduledAction",
        **WHERE,
        ScheduledActionName="morning",
        ScalableTargetAction={"MaxCapacity": 4},
    )
    (found,) = client.call("DescribeScheduledActions", ServiceNamespace="sagemaker")[
        "ScheduledActions"
    ]
    assert found["Schedule"] == "cron(0 8 * * ? *)"
    assert found["Timezone"] == "Europe/Berlin"
    assert found["ScalableTargetAction"] == {"MaxCapacity": 4}
    assert "EndTime" not in found, "start and end are taken anew"
    client.call("DeleteScheduledAction", **WHERE, ScheduledActionName="morning")
    assert client.refused("DeleteScheduledAction", **WHERE, ScheduledActionName="morning")[0] == (
        "ObjectNotFoundException"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ScalableTargetAction": {}}, "At least one of minimum capacity and maximum capacity"),
        ({"Schedule": "daily"}, "does not take the schedule daily"),
        ({"StartTime": NOW, "EndTime": NOW}, "The end time must be later than the start time"),
        ({"ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2}}, "cannot be less than"),
    ],
)
def test_a_scheduled_action_that_cannot_be_is_refused(
    client: Client, more: dict[str, Any], message: str
) -> None:
    client.register()
    code, text = client.refused("PutScheduledAction", **WHERE, **morning(**more))
    assert code == "ValidationException"
    assert message in text


# lists and state


def test_lists_come_in_pages(client: Client) -> None:
    client.register()
    for index in range(3):
        custom = {"Namespace": "N", "MetricName": f"m{index}", "Statistic": "Average"}
        name = f"p{index}"
        client.track(name, PredefinedMetricSpecification=None, CustomizedMetricSpecification=custom)
    wanted: dict[str, Any] = {"ServiceNamespace": "sagemaker", "MaxResults": 2}
    first = client.call("DescribeScalingPolicies", **wanted)
    rest = client.call("DescribeScalingPolicies", **wanted, NextToken=first["NextToken"])
    names = [p["PolicyName"] for p in [*first["ScalingPolicies"], *rest["ScalingPolicies"]]]
    assert names == ["p0", "p1", "p2"]
    assert "NextToken" not in rest
    assert client.refused("DescribeScalingPolicies", **wanted, NextToken="x")[0] == (
        "InvalidNextTokenException"
    )
    assert client.refused(
        "DescribeScalableTargets", ServiceNamespace="sagemaker", MaxResults=51
    ) == ("ValidationException", "MaxResults must be between 1 and 50; it is 51.")
    dimension = WHERE["ScalableDimension"]
    for operation in ("DescribeScalingPolicies", "DescribeScalingActivities"):
        _, text = client.refused(
            operation, ServiceNamespace="sagemaker", ScalableDimension=dimension
        )
        assert "you must also specify a resource ID" in text


def test_the_state_outlives_a_restart(client: Client) -> None:
    client.register(1, 8)
    client.track()
    client.call("PutScheduledAction", **WHERE, **morning())
    client.fire("AlarmHigh", 250.0)
    client.settle()
    assert client.activities()[0]["StatusCode"] == "Successful"
    data = client.service.snapshot()
    client.service.reset()
    assert client.call("DescribeScalableTargets", ServiceNamespace="sagemaker") == {
        "ScalableTargets": []
    }
    client.service.restore(data)
    assert client.service.snapshot() == data
    assert client.target()["MaxCapacity"] == 8
    client.fire("AlarmHigh", 250.0)
    assert client.world.updates == [5], "what added three still cools down"


def test_what_is_not_offered_says_so(client: Client) -> None:
    code, text = client.refused("GetPredictiveScalingForecast", **WHERE)
    assert code == "UnknownOperationException"
    assert "GetPredictiveScalingForecast" in text

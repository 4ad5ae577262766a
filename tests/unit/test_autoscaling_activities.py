"""What becomes of an alarm: capacities that change, activities that fail."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.service import ServiceError
from tests.unit.autoscaling_world import (
    Client,
    stepping,
)


@pytest.fixture
def client() -> Any:
    found = Client()
    yield found
    found.service.close()


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

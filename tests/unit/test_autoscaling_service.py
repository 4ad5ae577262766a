"""Scheduled actions, pages of lists, restarts, and what is not offered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.autoscaling_world import (
    NOW,
    SHOWN,
    WHERE,
    Client,
    morning,
)


@pytest.fixture
def client() -> Any:
    found = Client()
    yield found
    found.service.close()


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

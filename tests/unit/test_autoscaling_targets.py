"""Scalable targets: what Application Auto Scaling takes, keeps and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.autoscaling_world import (
    NOW,
    REGION,
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

"""The real Pulumi engine over the local cloud's AWS provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation as auto
import pulumi_aws as aws
import pytest

from tests.functional.conftest import Cloud
from tests.functional.provider_programs import SCALED, TRUST, alarm, everything
from tests.functional.provider_stack import ProviderStack
from tests.functional.scaled_endpoint import DIMENSION, make_endpoint, resource

MakeStack = Callable[..., ProviderStack]


@pytest.fixture(scope="module")
def scaled(cloud: Cloud) -> str:
    """An endpoint with a variant for each test that scales one."""
    make_endpoint(
        cloud, "eu-west-1", SCALED, ["everything", "drift", "options", "imported", "policies"]
    )
    return SCALED


@pytest.fixture
def make_stack(cloud: Cloud, tmp_path: Path) -> MakeStack:
    def make(program: Callable[[], None]) -> ProviderStack:
        stack = ProviderStack(cloud.environment(), tmp_path / "stack", program)
        stack.configure(region="eu-west-1")
        return stack

    return make


def test_every_type_comes_up_stays_unchanged_and_goes(
    make_stack: MakeStack, tmp_path: Path, cloud: Cloud, scaled: str
) -> None:
    (tmp_path / "asset").write_bytes(b"model")
    stack = make_stack(lambda: everything(tmp_path))
    stack.configure(defaultTags=json.dumps({"tags": {"slipway:stack": "test"}}))

    assert stack.preview().changes == {"create": 24}
    assert stack.up().changes == {"create": 24}
    assert stack.output("account") == "123456789012"
    assert stack.output("region") == "Europe (Ireland)"
    assert stack.preview().changes == {"same": 24}
    assert stack.refresh().changes == {"same": 24}
    assert stack.preview().changes == {"same": 24}

    bucket = stack.outputs("data")
    assert bucket["tagsAll"] == {"purpose": "test", "slipway:stack": "test"}
    s3 = cloud.client("s3", region="eu-west-1")
    body = s3.get_object(Bucket=bucket["bucket"], Key="artifacts/model.tar.gz")["Body"].read()
    assert body == b"model"
    written = s3.get_bucket_tagging(Bucket=bucket["bucket"])["TagSet"]
    assert {t["Key"]: t["Value"] for t in written} == bucket["tagsAll"]

    assert stack.destroy().changes == {"delete": 24}
    assert bucket["bucket"] not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_drift_behind_pulumis_back_is_seen_and_put_right(
    make_stack: MakeStack, cloud: Cloud, scaled: str
) -> None:
    def program() -> None:
        alarm("errors", 5)
        alarm("latency", 7)
        bucket = aws.s3.Bucket("data", tags={"a": "b"})
        document = bucket.arn.apply(
            lambda arn: json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": f"{arn}/*",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                }
            )
        )
        aws.s3.BucketPolicy("policy", bucket=bucket.id, policy=document)
        aws.appautoscaling.Target(
            "scaling",
            min_capacity=1,
            max_capacity=4,
            resource_id="endpoint/provider-test/variant/drift",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            service_namespace="sagemaker",
        )

    stack = make_stack(program)
    stack.up()
    cloudwatch = cloud.client("cloudwatch", region="eu-west-1")
    s3 = cloud.client("s3", region="eu-west-1")
    bucket = stack.outputs("data")["bucket"]
    name = stack.outputs("errors")["name"]
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="Slipway/Test",
        Period=60,
        Statistic="Sum",
        Threshold=99,
    )
    cloudwatch.delete_alarms(AlarmNames=[stack.outputs("latency")["name"]])
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "changed"}]})
    s3.delete_bucket_policy(Bucket=bucket)
    cloud.client("application-autoscaling", region="eu-west-1").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/provider-test/variant/drift",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=40,
    )

    with pytest.raises(auto.CommandError, match="no changes were expected"):
        stack.refresh(preview_only=True, expect_no_changes=True)
    refreshed = stack.refresh()
    assert refreshed.changes == {"same": 1, "update": 3, "delete": 2}
    drifted = stack.resources()["errors"]
    assert drifted["inputs"]["threshold"] == 99
    assert drifted["outputs"]["threshold"] == 99

    planned = stack.preview()
    assert planned.changes == {"same": 1, "update": 3, "create": 2}
    assert planned.details["errors"] == {"threshold": "update"}
    stack.up()
    assert stack.preview().changes == {"same": 6}
    found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    assert found["Threshold"] == 5


def test_scaling_is_made_changed_seen_and_taken_away(
    make_stack: MakeStack, cloud: Cloud, scaled: str
) -> None:
    settings: dict[str, Any] = {"maximum": 4, "target": 100.0}
    where = resource(scaled, "policies")

    def program() -> None:
        target = aws.appautoscaling.Target(
            "scaling",
            min_capacity=1,
            max_capacity=settings["maximum"],
            resource_id=where["ResourceId"],
            scalable_dimension=DIMENSION,
            service_namespace="sagemaker",
            tags={"a": "b"},
        )
        aws.appautoscaling.Policy(
            "tracking",
            policy_type="TargetTrackingScaling",
            resource_id=target.resource_id,
            scalable_dimension=target.scalable_dimension,
            service_namespace=target.service_namespace,
            target_tracking_scaling_policy_configuration={
                "target_value": settings["target"],
                "predefined_metric_specification": {
                    "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
                },
            },
        )

    scaling = cloud.client("application-autoscaling", region="eu-west-1")
    cloudwatch = cloud.client("cloudwatch", region="eu-west-1")

    def alarms() -> list[dict[str, Any]]:
        prefix = f"TargetTracking-{where['ResourceId']}-"
        return cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]

    stack = make_stack(program)
    stack.up()
    assert stack.preview().changes == {"same": 3}
    assert stack.refresh().changes == {"same": 3}
    assert sorted(stack.outputs("tracking")["alarmArns"]) == [a["AlarmArn"] for a in alarms()]

    settings.update(maximum=5, target=50.0)
    assert stack.up().changes == {"same": 1, "update": 2}
    assert [a["Threshold"] for a in alarms()] == [50.0, 45.0]

    tags = {"ResourceARN": stack.outputs("scaling")["arn"], "Tags": {"a": "other"}}
    scaling.tag_resource(**tags)
    scaling.register_scalable_target(
        **where, MinCapacity=1, MaxCapacity=9, SuspendedState={"DynamicScalingInSuspended": True}
    )
    scaling.put_scaling_policy(
        **where,
        PolicyName=stack.outputs("tracking")["name"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 70.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    )
    assert stack.refresh().changes == {"same": 1, "update": 2}
    planned = stack.preview()
    assert planned.details["scaling"]["maxCapacity"] == "update"
    assert "targetTrackingScalingPolicyConfiguration.targetValue" in planned.details["tracking"]
    stack.up()
    assert [a["Threshold"] for a in alarms()] == [50.0, 45.0]
    assert stack.preview().changes == {"same": 3}

    cloudwatch.delete_alarms(AlarmNames=[alarms()[1]["AlarmName"]])
    stack.refresh()
    assert stack.outputs("tracking")["alarmArns"] == [alarms()[0]["AlarmArn"]]
    scaling.delete_scaling_policy(**where, PolicyName=stack.outputs("tracking")["name"])
    assert stack.refresh().changes == {"same": 2, "delete": 1}
    assert stack.up().changes == {"same": 2, "create": 1}
    assert stack.destroy().changes == {"delete": 3}
    assert alarms() == []


def test_what_application_auto_scaling_refuses_fails_the_up(make_stack: MakeStack) -> None:
    def program() -> None:
        aws.appautoscaling.Target(
            "scaling",
            min_capacity=1,
            max_capacity=2,
            resource_id="endpoint/nowhere/variant/live",
            scalable_dimension=DIMENSION,
            service_namespace="sagemaker",
        )

    stack = make_stack(program)
    with pytest.raises(auto.CommandError, match="SageMaker endpoint variant doesn't exist"):
        stack.up()


def test_what_cannot_change_is_replaced_in_the_right_order(make_stack: MakeStack) -> None:
    settings: dict[str, Any] = {"path": "/a/", "named": "/a/"}

    def program() -> None:
        trust = json.dumps(TRUST)
        aws.iam.Role("auto", assume_role_policy=trust, path=settings["path"])
        aws.iam.Role(
            "named", name="provider-test-named", assume_role_policy=trust, path=settings["named"]
        )

    stack = make_stack(program)
    stack.up()
    before = stack.outputs("auto")["name"]
    settings.update(path="/b/", named="/b/")
    planned = stack.preview()
    assert planned.changes == {"same": 1, "replace": 2}
    assert planned.details["auto"] == {"path": "update-replace"}
    done = stack.up()
    order = [(op, name) for op, name in done.steps if name in ("auto", "named")]
    made, gone = (
        order.index(("create-replacement", "auto")),
        order.index(("delete-replaced", "auto")),
    )
    assert made < gone
    made = order.index(("create-replacement", "named"))
    assert order.index(("delete-replaced", "named")) < made
    assert stack.outputs("auto")["name"] != before
    assert stack.preview().changes == {"same": 3}


def test_options_of_the_engine_hold(make_stack: MakeStack, cloud: Cloud, scaled: str) -> None:
    settings: dict[str, Any] = {"threshold": 1.0, "tag": "one", "retained": True}

    def program() -> None:
        alarm(
            "ignoring",
            settings["threshold"],
            tags={"t": settings["tag"]},
            opts=pulumi.ResourceOptions(ignore_changes=["threshold"]),
        )
        if settings["retained"]:
            aws.s3.Bucket("kept", opts=pulumi.ResourceOptions(retain_on_delete=True))
        aws.sns.Topic("guarded", opts=pulumi.ResourceOptions(protect=True))
        aws.appautoscaling.Target(
            "scaling",
            min_capacity=1,
            max_capacity=2,
            resource_id="endpoint/provider-test/variant/options",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            service_namespace="sagemaker",
            tags={"t": settings["tag"]},
        )

    stack = make_stack(program)
    stack.up()
    name, bucket = stack.outputs("ignoring")["name"], stack.outputs("kept")["bucket"]
    cloudwatch = cloud.client("cloudwatch", region="eu-west-1")

    settings.update(threshold=2.0)
    assert stack.preview().changes == {"same": 5}
    settings.update(tag="two", retained=False)
    changed = stack.up()
    assert changed.changes == {"same": 2, "update": 2, "delete": 1}
    assert stack.outputs("scaling")["tags"] == {"t": "two"}
    found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    assert found["Threshold"] == 1.0
    tags = cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert tags == [{"Key": "t", "Value": "two"}]
    s3 = cloud.client("s3", region="eu-west-1")
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]

    with pytest.raises(auto.CommandError, match="protected"):
        stack.destroy()


def test_a_failing_up_keeps_what_stood_and_the_next_goes_on(
    make_stack: MakeStack, cloud: Cloud
) -> None:
    settings: dict[str, Any] = {"bucket": "provider-test-taken"}
    s3 = cloud.client("s3", region="us-east-1")
    s3.create_bucket(Bucket="provider-test-taken")

    def program() -> None:
        first = aws.sns.Topic("first")
        aws.s3.Bucket(
            "second",
            bucket=settings["bucket"],
            region="us-east-1",
            opts=pulumi.ResourceOptions(depends_on=[first]),
        )

    stack = make_stack(program)
    with pytest.raises(auto.CommandError) as failure:
        stack.up()
    assert "creating S3 Bucket (provider-test-taken): BucketAlreadyExists" in str(failure.value)
    assert "first" in stack.resources()
    assert "second" not in stack.resources()
    settings.update(bucket="provider-test-free")
    assert stack.up().changes == {"same": 2, "create": 1}


def test_what_exists_half_is_known_and_finished_later(make_stack: MakeStack, cloud: Cloud) -> None:
    settings: dict[str, Any] = {"tag": "aws:reserved"}

    def program() -> None:
        aws.s3.Bucket("half", bucket="provider-test-half", tags={settings["tag"]: "x"})

    stack = make_stack(program)
    with pytest.raises(auto.CommandError):
        stack.up()
    known = stack.resources()["half"]
    assert known["id"] == "provider-test-half"
    assert known["initErrors"]
    settings.update(tag="fine")
    stack.up()
    s3 = cloud.client("s3", region="eu-west-1")
    tags = s3.get_bucket_tagging(Bucket="provider-test-half")["TagSet"]
    assert tags == [{"Key": "fine", "Value": "x"}]
    assert "initErrors" not in stack.resources()["half"]


def test_what_exists_can_be_imported(make_stack: MakeStack, cloud: Cloud, scaled: str) -> None:
    cloud.client("logs", region="eu-west-1").create_log_group(logGroupName="/provider/imported")
    cloud.client("application-autoscaling", region="eu-west-1").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/provider-test/variant/imported",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=2,
        MaxCapacity=3,
    )
    dimension = "sagemaker:variant:DesiredInstanceCount"
    ids = {
        "logs": "/provider/imported",
        "scaling": f"sagemaker/endpoint/provider-test/variant/imported/{dimension}",
    }

    def options(name: str) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(import_=ids.get(name))

    def program() -> None:
        aws.cloudwatch.LogGroup("logs", name="/provider/imported", opts=options("logs"))
        aws.appautoscaling.Target(
            "scaling",
            min_capacity=1,
            max_capacity=3,
            resource_id="endpoint/provider-test/variant/imported",
            scalable_dimension=dimension,
            service_namespace="sagemaker",
            opts=options("scaling"),
        )

    stack = make_stack(program)
    # What was found is taken over as it is, then changed to what the program wants.
    assert stack.up().changes == {"create": 1, "import": 2, "update": 1}
    assert stack.resources()["scaling"]["id"] == "endpoint/provider-test/variant/imported"
    assert stack.outputs("scaling")["minCapacity"] == 1
    ids.clear()
    assert stack.preview().changes == {"same": 3}


def test_unknown_types_properties_and_values_fail_loudly(make_stack: MakeStack) -> None:
    def program() -> None:
        pulumi.CustomResource("aws:s3/bucket:Bucket", "odd", {"buckett": "x"})

    stack = make_stack(program)
    with pytest.raises(auto.CommandError, match="buckett"):
        stack.preview()
    stack.program = lambda: aws.sqs.Queue("queue") and None
    with pytest.raises(auto.CommandError, match="aws:sqs/queue:Queue is not emulated"):
        stack.preview()
    stack.program = lambda: alarm("bad", 1, unit="Parsecs") and None
    with pytest.raises(auto.CommandError, match=r"expected one of \[Seconds"):
        stack.preview()
    stack.program = lambda: aws.s3.Bucket("old", acl="private") and None
    with pytest.raises(auto.CommandError, match="does not emulate"):
        stack.preview()


def test_secrets_stay_secret(make_stack: MakeStack) -> None:
    def program() -> None:
        bucket = aws.s3.Bucket("data", force_destroy=True)
        aws.s3.BucketObjectv2(
            "hidden", bucket=bucket.id, content=pulumi.Output.secret("not for the state")
        )

    stack = make_stack(program)
    stack.up()
    hidden = stack.outputs("hidden")
    assert hidden["content"]["plaintext"] == '"not for the state"'
    text = stack.checkpoint()
    assert "hidden" in text
    assert "not for the state" not in text


def test_two_providers_keep_their_own_configuration(make_stack: MakeStack) -> None:
    def program() -> None:
        other = aws.Provider("other", region="us-west-2", default_tags={"tags": {"from": "other"}})
        aws.sns.Topic("here")
        aws.sns.Topic("there", opts=pulumi.ResourceOptions(provider=other))

    stack = make_stack(program)
    stack.up()
    assert ":eu-west-1:" in stack.outputs("here")["arn"]
    there = stack.outputs("there")
    assert ":us-west-2:" in there["arn"]
    assert there["tagsAll"] == {"from": "other"}

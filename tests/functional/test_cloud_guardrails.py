"""Guardrails in the real daemon: CloudWatch's alarms, EventBridge's bus, faults by command."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from localcloud import connect
from tests.functional.conftest import Cloud
from tests.functional.deployments import blue_green
from tests.functional.infra_project import SLIPWAY
from tests.functional.sagemaker_bench import wait_for
from tests.functional.test_sagemaker_daemon import in_service, make_config

SECONDS = 60.0
ALARM = {
    "Namespace": "Guardrails",
    "MetricName": "Errors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}


def queue_of_events(cloud: Cloud, endpoint: str) -> str:
    """A queue that gets SageMaker's events of one endpoint, by a rule."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName=f"events-{endpoint}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["aws.sagemaker"], "detail": {"EndpointName": [endpoint]}}
    events.put_rule(Name=f"rule-{endpoint}", EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": arn["QueueArn"]}
    events.put_targets(Rule=f"rule-{endpoint}", Targets=[target])
    return url


def received(cloud: Cloud, url: str) -> list[dict[str, Any]]:
    answer = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def slipway(cloud: Cloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SLIPWAY, "cloud", "fault", *arguments, "--home", str(cloud.home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.timeout(240)
def test_an_alarm_of_cloudwatch_rolls_back_and_events_are_on_the_bus(cloud: Cloud) -> None:
    sagemaker, cloudwatch = cloud.client("sagemaker"), cloud.client("cloudwatch")
    url = queue_of_events(cloud, "railed")
    make_config(cloud, "railed-1", 1.0, 1)
    make_config(cloud, "railed-2", 2.0, 1)
    sagemaker.create_endpoint(EndpointName="railed", EndpointConfigName="railed-1")
    in_service(cloud, "railed")
    cloudwatch.put_metric_alarm(AlarmName="railed-errors", **ALARM)
    deployment = blue_green("ALL_AT_ONCE", 0, ("railed-errors",), TerminationWaitInSeconds=3600)
    sagemaker.update_endpoint(
        EndpointName="railed", EndpointConfigName="railed-2", DeploymentConfig=deployment
    )

    def status() -> str:
        described = sagemaker.describe_endpoint(EndpointName="railed")
        pending = described.get("PendingDeploymentSummary")
        if pending is None:
            return described["EndpointStatus"]
        return pending["ProductionVariants"][0]["VariantStatus"][0]["Status"]

    wait_for(lambda: status() == "Baking", "the bake", SECONDS)
    datum = {"MetricName": "Errors", "Value": 5.0}
    cloudwatch.put_metric_data(Namespace="Guardrails", MetricData=[datum])
    wait_for(lambda: status() == "InService", "the rollback", SECONDS)
    described = sagemaker.describe_endpoint(EndpointName="railed")
    assert described["EndpointConfigName"] == "railed-1"
    assert "are in ALARM state: railed-errors" in described["FailureReason"]

    told: list[tuple[str, str]] = []

    def all_came() -> bool:
        for event in received(cloud, url):
            assert event["source"] == "aws.sagemaker"
            assert event["resources"] == [described["EndpointArn"]]
            told.append((event["detail-type"], event["detail"]["EndpointStatus"]))
        states = [s for kind, s in told if kind == "SageMaker Endpoint State Change"]
        return states[:4] == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE"]

    wait_for(all_came, "the events")
    assert ("SageMaker Endpoint Deployment State Change", "UPDATING") in told
    sagemaker.delete_endpoint(EndpointName="railed")


def test_faults_are_ordered_by_command(cloud: Cloud) -> None:
    added = slipway(
        cloud, "add", "api_error", "service=sagemaker", "operation=ListModels",
        "code=ThrottlingException", "times=2",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    assert "api_error service=sagemaker operation=ListModels" in added.stdout
    sagemaker = cloud.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError, match="ThrottlingException"):
        sagemaker.list_models()
    (fault,) = json.loads(slipway(cloud, "list", "--json").stdout)["faults"]
    assert (fault["kind"], fault["times"], fault["struck"]) == ("api_error", 2, 1)
    assert slipway(cloud, "clear", fault["id"]).stdout == "1 cleared\n"
    assert slipway(cloud, "list").stdout == "no fault is ordered\n"
    sagemaker.list_models()

    refused = slipway(cloud, "add", "earthquake")
    assert refused.returncode != 0
    assert "the fault is refused: kind is 'earthquake'; it must be one of" in refused.stderr
    assert "write NAME=VALUE" in slipway(cloud, "add", "timeout", "endpoint").stderr


def test_faults_are_ordered_by_the_client(cloud: Cloud) -> None:
    with pytest.raises(connect.CloudError, match="endpoint is missing"):
        connect.add_fault({"kind": "timeout"}, cloud.home)
    added = connect.add_fault({"kind": "timeout", "endpoint": "e"}, cloud.home)
    assert connect.faults(cloud.home) == [added]
    assert connect.clear_faults(home=cloud.home) == 1


def test_the_quota_of_the_account_is_enforced(cloud: Cloud) -> None:
    make_config(cloud, "quota", 1.0, 41)
    sagemaker = cloud.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match="is 40 Instances"):
        sagemaker.create_endpoint(EndpointName="quota", EndpointConfigName="quota")

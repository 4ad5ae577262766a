"""China and GovCloud: every ARN that is written down is one of the account's own partition."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import infra
import release
from infra.settings import StackConfig
from infra.state_machine import definition
from infra.surroundings import look
from release.aws.cloud import AwsCloud
from tests.unit.infra_samples import model_config

PARTITIONS = ["aws", "aws-cn", "aws-us-gov"]
REGIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
ACCOUNT = "123456789012"


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_loop_calls_services_of_its_own_partition(partition: str) -> None:
    place = f"{REGIONS[partition]}:{ACCOUNT}"
    text = definition(
        f"arn:{partition}:lambda:{place}:function:turn", f"arn:{partition}:sns:{place}:t"
    )

    resources = {s["Resource"] for s in json.loads(text)["States"].values() if "Resource" in s}

    called = ("lambda:invoke", "states:startExecution", "sns:publish")
    assert resources == {f"arn:{partition}:states:::{name}" for name in called}


def missing(code: str, operation: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": 404},
    }
    return ClientError(answer, operation)


class Service:
    """Answers what ``look`` asks; remembers whose tags were asked for."""

    def __init__(self, partition: str, asked: list[str]) -> None:
        self._partition, self._asked = partition, asked

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Arn": f"arn:{self._partition}:sts::{ACCOUNT}:assumed-role/deployer/me"}

    def describe_endpoint(self, **_name: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {"EndpointStatus": "InService", "LastModifiedTime": now, "EndpointConfigName": ""}

    def list_tags(self, ResourceArn: str) -> dict[str, Any]:
        self._asked.append(ResourceArn)
        return {"Tags": []}

    def head_bucket(self, **_bucket: str) -> None:
        raise missing("404", "HeadBucket")

    def get_role(self, **_role: str) -> None:
        raise missing("NoSuchEntity", "GetRole")


@pytest.mark.parametrize("partition", PARTITIONS)
def test_an_endpoint_is_looked_up_in_the_callers_partition(partition: str) -> None:
    asked: list[str] = []
    region = REGIONS[partition]
    cloud = AwsCloud(region, lambda *_: Service(partition, asked))

    look(StackConfig("prod", (model_config(),)), cloud, ACCOUNT, recreate=False)

    assert asked == [f"arn:{partition}:sagemaker:{region}:{ACCOUNT}:endpoint/wine-prod"]


@pytest.mark.parametrize("package", [infra, release])
def test_no_partition_is_written_down(package: Any) -> None:
    folder = Path(str(package.__file__)).parent
    found = [p.name for p in folder.rglob("*.py") if "arn:aws:" in p.read_text("utf-8")]
    assert found == []

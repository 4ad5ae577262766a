"""Models, endpoint configurations and endpoints through the real Pulumi engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation as auto
import pulumi_aws as aws
import pytest

from localcloud.image import local_image
from tests.functional.provider_stack import ProviderStack, provider_of
from tests.functional.sagemaker_bench import ROLE, Bench, archive, running_bench

ENDPOINT = "flight-delay-test"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    home = tmp_path / "cloud"
    home.mkdir()
    with running_bench(home) as found:
        found.s3.objects["s3://artifacts/model.tar.gz"] = archive()
        yield found


class Program:
    """A model version on an endpoint; what differs between operations are its attributes."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {"VERSION": "1"}
        self.instances = 1
        self.tags = {"slipway:version": "1"}
        self.endpoint_options: dict[str, Any] = {}
        self.deployment: dict[str, Any] | None = None

    def __call__(self) -> None:
        model = aws.sagemaker.Model(
            "model",
            execution_role_arn=ROLE,
            primary_container={
                "image": local_image(),
                "model_data_url": "s3://artifacts/model.tar.gz",
                "environment": self.environment,
            },
            tags=self.tags,
        )
        config = aws.sagemaker.EndpointConfiguration(
            "config",
            production_variants=[
                {
                    "variant_name": "live",
                    "model_name": model.name,
                    "instance_type": "ml.m5.large",
                    "initial_instance_count": self.instances,
                }
            ],
            data_capture_config={
                "enable_capture": True,
                "initial_sampling_percentage": 100,
                "destination_s3_uri": "s3://captures/flight-delay",
                "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
            },
            tags=self.tags,
        )
        aws.sagemaker.Endpoint(
            "endpoint",
            name=ENDPOINT,
            endpoint_config_name=config.name,
            deployment_config=self.deployment,
            tags=self.tags,
            opts=pulumi.ResourceOptions(delete_before_replace=False, **self.endpoint_options),
        )


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def stack(bench: Bench, tmp_path: Path, program: Program) -> Iterator[ProviderStack]:
    with provider_of(f"http://127.0.0.1:{bench.port}") as variables:
        made = ProviderStack(variables, tmp_path / "stack", program)
        made.configure(region="us-east-1")
        yield made


def test_an_endpoint_is_born_moved_and_taken_away(
    stack: ProviderStack, bench: Bench, program: Program
) -> None:
    assert stack.preview().changes == {"create": 4}
    assert stack.up().changes == {"create": 4}
    assert bench.describe(ENDPOINT)["EndpointStatus"] == "InService"
    assert stack.preview().changes == {"same": 4}
    assert stack.refresh().changes == {"same": 4}

    program.tags = {"slipway:version": "2", "more": "yes"}
    tagged = stack.up()
    assert tagged.changes == {"same": 1, "update": 3}
    listed = bench.sagemaker.list_tags(ResourceArn=stack.outputs("endpoint")["arn"])["Tags"]
    assert {t["Key"]: t["Value"] for t in listed} == program.tags

    before = stack.outputs("config")["name"]
    program.environment = {"VERSION": "2"}
    planned = stack.preview()
    assert planned.changes == {"same": 1, "replace": 2, "update": 1}
    assert planned.details["model"] == {"primaryContainer.environment.VERSION": "update-replace"}
    done = stack.up()
    steps = [step for step in done.steps if step[1] in ("config", "endpoint")]
    assert steps.index(("create-replacement", "config")) < steps.index(("update", "endpoint"))
    assert steps.index(("update", "endpoint")) < steps.index(("delete-replaced", "config"))
    assert bench.describe(ENDPOINT)["EndpointConfigName"] != before
    assert bench.invoke(ENDPOINT)["Body"].read()
    assert stack.preview().changes == {"same": 4}

    assert stack.destroy().changes == {"delete": 4}
    assert bench.sagemaker.list_endpoints()["Endpoints"] == []


def test_pulumi_leaves_alone_what_the_controller_moved(
    stack: ProviderStack, bench: Bench, program: Program
) -> None:
    program.endpoint_options = {"ignore_changes": ["endpointConfigName", "deploymentConfig"]}
    stack.up()
    moved = bench.config(bench.variant("live", bench.model("other")))
    bench.sagemaker.update_endpoint(
        EndpointName=ENDPOINT,
        EndpointConfigName=moved,
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "ALL_AT_ONCE",
                    "WaitIntervalInSeconds": 0,
                }
            }
        },
    )
    assert bench.settled(ENDPOINT)["EndpointConfigName"] == moved

    # Not known to Pulumi yet: neither a new target nor a tag may move the endpoint.
    program.instances = 2
    program.tags = {"slipway:version": "2"}
    stack.up()
    assert bench.describe(ENDPOINT)["EndpointConfigName"] == moved
    stack.refresh()
    assert stack.outputs("endpoint")["endpointConfigName"] == moved
    program.tags = {"slipway:version": "3"}
    assert stack.up().changes == {"same": 1, "update": 3}
    assert bench.describe(ENDPOINT)["EndpointConfigName"] == moved
    assert stack.preview().changes == {"same": 4}


def test_a_creation_that_fails_is_told_and_not_recorded(
    stack: ProviderStack, bench: Bench, program: Program
) -> None:
    program.environment = {"VERSION": "1", "PING": "exit"}
    with pytest.raises(auto.CommandError) as failure:
        stack.up()
    text = str(failure.value)
    assert f"creating SageMaker AI Endpoint ({ENDPOINT})" in text
    assert "unexpected state 'Failed', wanted target 'InService'. last error:" in text
    known = stack.resources()
    assert "endpoint" not in known
    assert {"model", "config"} <= known.keys()
    assert bench.describe(ENDPOINT)["EndpointStatus"] == "Failed"

    # The name is taken by what AWS has and Pulumi does not know, until somebody deletes it.
    program.environment = {"VERSION": "1"}
    with pytest.raises(auto.CommandError, match="already existing"):
        stack.up()
    bench.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    stack.up()
    assert stack.preview().changes == {"same": 4}


def test_a_rolled_back_update_is_reported_as_success(
    stack: ProviderStack, bench: Bench, program: Program
) -> None:
    program.deployment = {
        "blue_green_update_policy": {
            "traffic_routing_configuration": {
                "type": "ALL_AT_ONCE",
                "wait_interval_in_seconds": 0,
            },
            "termination_wait_in_seconds": 0,
        }
    }
    stack.up()
    assert stack.preview().changes == {"same": 4}
    good = stack.outputs("config")["name"]
    program.environment = {"VERSION": "2", "PING": "exit"}
    program.endpoint_options = {}
    # The engine then deletes the old configuration, which still serves: the trap of the real one.
    stack.up()
    assert bench.settled(ENDPOINT)["EndpointConfigName"] == good
    assert stack.outputs("endpoint")["endpointConfigName"] == good
    assert "endpoint" in stack.preview().details


def test_what_went_away_is_made_again(stack: ProviderStack, bench: Bench, program: Program) -> None:
    stack.up()
    bench.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    bench.sagemaker.delete_model(ModelName=stack.outputs("model")["name"])
    refreshed = stack.refresh()
    assert refreshed.changes == {"same": 2, "delete": 2}
    assert stack.up().changes["create"] == 2
    assert bench.describe(ENDPOINT)["EndpointStatus"] == "InService"
    # Deleting what is gone already is no error.
    bench.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    assert stack.destroy().changes["delete"] == 4

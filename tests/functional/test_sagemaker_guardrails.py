"""Deployment guardrails with real processes: shifts, bakes, alarms, and every way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.functional.deployments import (
    LONG,
    baking,
    blue_green,
    order,
    rolling,
    size,
    status_of,
    update,
    versions,
)
from tests.functional.sagemaker_bench import Bench, MemoryS3, running_bench, wait_for

ONE = size(1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("guardrails")) as found:
        yield found


def pair(bench: Bench, count: int = 2, **new: Any) -> tuple[str, str, str]:
    """An endpoint in service, its configuration, and the next one."""
    old = bench.config(bench.variant("live", bench.model("1"), count))
    endpoint = bench.endpoint(old)
    return endpoint, old, bench.config(bench.variant("live", bench.model("2", **new), count))


def rolled_back(bench: Bench, endpoint: str, old: str) -> dict[str, Any]:
    described = bench.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == old
    assert "PendingDeploymentSummary" not in described
    assert "VariantStatus" not in described["ProductionVariants"][0]
    assert versions(bench, endpoint, 20) == {"1": 20}
    return described


def test_a_canary_bakes_then_takes_all_and_the_old_fleet_ends(bench: Bench) -> None:
    endpoint, old, new = pair(bench)
    deployment = blue_green("CANARY", LONG, CanarySize=ONE, TerminationWaitInSeconds=60)
    update(bench, endpoint, new, deployment)
    described = baking(bench, endpoint)
    assert status_of(described) == (
        "Baking",
        (
            "Baking for 3600 seconds (WaitIntervalInSeconds) with traffic enabled on canary "
            "capacity of 1 instance(s)."
        ),
    )
    assert described["EndpointStatus"] == "Updating"
    assert described["EndpointConfigName"] == old
    pending = described["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == new
    assert pending["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert 15 < versions(bench, endpoint, 80)["2"] < 65
    both = bench.metrics.values("Invocations", EndpointName=endpoint, VariantName="live")
    green = bench.metrics.values(
        "Invocations", EndpointName=endpoint, VariantName="live", EndpointConfigName=new
    )
    assert 0 < len(green) < len(both) == 80

    described = bench.settled(endpoint)
    assert described["EndpointConfigName"] == new
    assert described["LastDeploymentConfig"] == deployment
    assert "FailureReason" not in described
    assert versions(bench, endpoint, 20) == {"2": 20}
    assert len(instances(bench, endpoint)) == 2


def instances(bench: Bench, endpoint: str) -> list[psutil.Process]:
    """The model servers of an endpoint that run."""
    logs = bench.home / "logs" / endpoint
    ids = {p.stem for p in logs.rglob("*.log")}
    fleets = [f for f in bench.service._deployer.fleets() if f.spec.endpoint == endpoint]
    found = [i for fleet in fleets for i in fleet.instances]
    assert all(i.id in ids for i in found)
    return [psutil.Process(i.pid) for i in found]


def test_an_alarm_in_the_bake_brings_all_traffic_back(bench: Bench) -> None:
    endpoint, old, new = pair(bench)
    bench.alarms["canary-errors"] = "OK"
    deployment = blue_green("CANARY", LONG, ("canary-errors",), CanarySize=ONE)
    update(bench, endpoint, new, deployment)
    baking(bench, endpoint)
    bench.alarms["canary-errors"] = "ALARM"
    described = rolled_back(bench, endpoint, old)
    assert described["FailureReason"] == (
        "One or more alarms of the AutoRollbackConfiguration are in ALARM state: canary-errors. "
        "The deployment was rolled back."
    )
    assert "LastDeploymentConfig" not in described
    assert len(instances(bench, endpoint)) == 2


def test_an_alarm_that_is_in_alarm_already_trips_and_missing_data_does_not(bench: Bench) -> None:
    endpoint, old, new = pair(bench, 1)
    bench.alarms |= {"already": "ALARM", "no-data": "INSUFFICIENT_DATA"}
    update(bench, endpoint, new, blue_green("ALL_AT_ONCE", 0, ("already",)))
    assert "already" in rolled_back(bench, endpoint, old)["FailureReason"]
    update(bench, endpoint, new, blue_green("ALL_AT_ONCE", 0, ("no-data",)))
    assert bench.settled(endpoint)["EndpointConfigName"] == new


def test_an_alarm_in_the_final_bake_brings_the_whole_old_fleet_back(bench: Bench) -> None:
    endpoint, old, new = pair(bench, 1)
    bench.alarms["late"] = "OK"
    deployment = blue_green("ALL_AT_ONCE", 0, ("late",), TerminationWaitInSeconds=LONG)
    update(bench, endpoint, new, deployment)
    baking(bench, endpoint, "TerminationWaitInSeconds) with traffic enabled on full capacity of 1")
    assert versions(bench, endpoint, 10) == {"2": 10}
    del bench.alarms["late"]
    assert "do not exist any more: late" in rolled_back(bench, endpoint, old)["FailureReason"]


def test_linear_steps_shift_more_each_time(bench: Bench) -> None:
    endpoint, _, new = pair(bench)
    update(bench, endpoint, new, blue_green("LINEAR", 1200, LinearStepSize=size(50, True)))
    baking(bench, endpoint, "canary capacity of 1 ")
    assert 5 < versions(bench, endpoint, 40)["2"] < 35
    described = bench.settled(endpoint)
    assert described["EndpointConfigName"] == new
    told = [
        d["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]["Status"]
        for d in bench.bus.of("SageMaker Endpoint Deployment State Change", endpoint)
        if "PendingDeploymentSummary" in d
    ]
    assert told == [
        "Creating", "ActivatingTraffic", "Baking", "ActivatingTraffic", "Baking", "Baking",
    ]  # fmt: skip


def test_rolling_replaces_batch_by_batch(bench: Bench) -> None:
    endpoint, _, new = pair(bench)
    update(bench, endpoint, new, rolling(1, 1200))
    described = baking(bench, endpoint, "canary capacity of 1 ")
    assert (
        described["PendingDeploymentSummary"]["ProductionVariants"][0]
        | {
            "CurrentInstanceCount": 1,
            "DesiredInstanceCount": 2,
        }
        == described["PendingDeploymentSummary"]["ProductionVariants"][0]
    )
    assert 5 < versions(bench, endpoint, 40)["2"] < 35
    described = baking(bench, endpoint, "full capacity of 2 ")
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert bench.settled(endpoint)["EndpointConfigName"] == new
    assert versions(bench, endpoint, 20) == {"2": 20}
    assert len(instances(bench, endpoint)) == 2


def test_a_rolling_update_is_rolled_back_with_a_new_old_fleet(bench: Bench) -> None:
    endpoint, old, new = pair(bench)
    bench.alarms["rolling"] = "OK"
    update(bench, endpoint, new, rolling(1, LONG, ("rolling",), RollbackMaximumBatchSize=ONE))
    baking(bench, endpoint, "full capacity of 2 ")
    bench.alarms["rolling"] = "ALARM"
    described = rolled_back(bench, endpoint, old)
    assert "rolling" in described["FailureReason"]
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert len(instances(bench, endpoint)) == 2


def test_a_silent_rollback_leaves_no_reason(bench: Bench) -> None:
    endpoint, old, new = pair(bench, 1)
    order(bench, "silent_rollback", endpoint=endpoint)
    update(bench, endpoint, new)
    assert "FailureReason" not in rolled_back(bench, endpoint, old)
    update(bench, endpoint, new)
    assert bench.settled(endpoint)["EndpointConfigName"] == new


def test_a_deployment_that_takes_too_long_is_rolled_back(bench: Bench) -> None:
    old = bench.config(bench.variant("live", bench.model("1")))
    endpoint = bench.endpoint(old)
    never = bench.model("2", PING="never")
    slow = bench.variant("live", never, ContainerStartupHealthCheckTimeoutInSeconds=3600)
    deployment = blue_green("ALL_AT_ONCE", MaximumExecutionTimeoutInSeconds=600)
    update(bench, endpoint, bench.config(slow), deployment)
    assert rolled_back(bench, endpoint, old)["FailureReason"] == (
        "The deployment exceeded the maximum execution timeout of 600 seconds and was rolled back."
    )
    order(bench, "timeout", endpoint=endpoint)
    update(bench, endpoint, bench.config(bench.variant("live", bench.model("2"))))
    assert rolled_back(bench, endpoint, old)["FailureReason"] == (
        "The deployment exceeded the maximum execution timeout and was rolled back."
    )


def test_a_capacity_shortage_rolls_back_and_fails_a_creation(bench: Bench) -> None:
    endpoint, old, new = pair(bench)
    words = (
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
        "error. Please retry using a different ML instance type or after some time."
    )
    order(bench, "capacity", instance_type="ml.m5.large", after=1, endpoint=endpoint)
    update(bench, endpoint, new)
    assert rolled_back(bench, endpoint, old)["FailureReason"] == words
    order(bench, "capacity", instance_type="ml.m5.large", endpoint="born-poor", times=2)
    bench.sagemaker.create_endpoint(EndpointName="born-poor", EndpointConfigName=new)
    described = bench.settled("born-poor")
    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", words)


def test_the_quota_counts_both_fleets(bench: Bench) -> None:
    old = bench.config(bench.variant("live", bench.model("1"), 2, InstanceType="ml.c5.large"))
    endpoint = bench.endpoint(old)
    order(bench, "quota", instance_type="ml.c5.large", limit=3)
    with pytest.raises(ClientError) as caught:
        update(bench, endpoint, old)
    error = caught.value.response["Error"]
    assert error["Code"] == "ResourceLimitExceeded"
    assert error["Message"].startswith(
        "The account-level service limit 'ml.c5.large for endpoint usage' is 3 Instances, with "
        "current utilization of 2 Instances and a request delta of 2 Instances."
    )
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        bench.sagemaker.create_endpoint(EndpointName="too-much", EndpointConfigName=old)
    assert "too-much" not in str(bench.sagemaker.list_endpoints())
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        bench.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "live", "DesiredInstanceCount": 4}],
        )
    # A rolling update needs no more than its batch.
    update(bench, endpoint, old, rolling(1))
    assert bench.settled(endpoint)["EndpointStatus"] == "InService"
    bench.faults.clear()


def test_a_rollback_that_fails_leaves_a_mix_which_an_update_repairs(bench: Bench) -> None:
    endpoint, old, new = pair(bench)
    bench.alarms["mix"] = "OK"
    update(bench, endpoint, new, rolling(1, LONG, ("mix",)))
    baking(bench, endpoint, "full capacity of 2 ")
    # The old fleet is provisioned again for the rollback; there is no capacity for it.
    order(bench, "capacity", instance_type="ml.m5.large", endpoint=endpoint, times=9)
    bench.alarms["mix"] = "ALARM"
    described = bench.settled(endpoint)
    assert described["EndpointStatus"] == "UpdateRollbackFailed"
    assert "The rollback failed: Unable to provision" in described["FailureReason"]
    bench.faults.clear()
    with pytest.raises(ClientError, match="in status UpdateRollbackFailed"):
        bench.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "live", "DesiredWeight": 1.0}],
        )
    with pytest.raises(ClientError, match="use a blue/green one"):
        update(bench, endpoint, old, rolling(1))
    update(bench, endpoint, old, blue_green("CANARY", 0, CanarySize=ONE))
    rolled_back(bench, endpoint, old)
    assert len(instances(bench, endpoint)) == 2


def test_a_mix_survives_a_restart_and_can_be_deleted(tmp_path: Path) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        endpoint = mixed(first)
        assert set(versions(first, endpoint, 40)) == {"1", "2"}
    with running_bench(tmp_path, s3) as second:
        described = second.settled(endpoint)
        assert described["EndpointStatus"] == "UpdateRollbackFailed"
        assert "The rollback failed" in described["FailureReason"]
        assert set(versions(second, endpoint, 40)) == {"1", "2"}
        servers = instances(second, endpoint)
        assert len(servers) == 4
        second.sagemaker.delete_endpoint(EndpointName=endpoint)
        wait_for(lambda: endpoint not in str(second.sagemaker.list_endpoints()), "its deletion")
        assert not any(p.is_running() for p in servers)


def mixed(bench: Bench) -> str:
    """Three instances, rolled one by one, stuck in the second bake: two old, two new."""
    endpoint, _, new = pair(bench, 3)
    bench.alarms["half"] = "OK"
    order(bench, "rollback_fails", endpoint=endpoint)
    update(bench, endpoint, new, rolling(1, LONG, ("half",)))
    baking(bench, endpoint, "canary capacity of 2 ")
    bench.alarms["half"] = "ALARM"
    assert bench.settled(endpoint)["EndpointStatus"] == "UpdateRollbackFailed"
    return endpoint


def test_a_deployment_that_a_restart_interrupts_begins_anew(tmp_path: Path) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        endpoint, _, new = pair(first)
        update(first, endpoint, new, rolling(1, LONG))
        baking(first, endpoint, "full capacity of 2 ")
    with running_bench(tmp_path, s3) as second:
        baking(second, endpoint, "canary capacity of 1 ")
        assert set(versions(second, endpoint, 40)) == {"1", "2"}


def restored(
    tmp_path: Path, s3: MemoryS3, edit: Callable[[dict[str, Any]], None]
) -> Iterator[tuple[Bench, str, str]]:
    """A cloud that reads what another one wrote while it baked, as ``edit`` left it."""
    with running_bench(tmp_path / "first", s3) as first:
        endpoint, old, new = pair(first, 1)
        update(first, endpoint, new, blue_green("ALL_AT_ONCE", TerminationWaitInSeconds=LONG))
        baking(first, endpoint)
        state = json.loads(first.service.snapshot())
    edit(state["endpoints"][0]["value"])
    with running_bench(tmp_path / "second", s3) as second:
        second.service.restore(json.dumps(state).encode())
        yield second, endpoint, old


def test_a_rollback_that_a_restart_interrupts_is_completed(tmp_path: Path) -> None:
    def edit(endpoint: dict[str, Any]) -> None:
        assert endpoint["pending"]["rollback_reason"] is None
        endpoint["pending"]["rollback_reason"] = "an alarm"

    for bench, endpoint, old in restored(tmp_path, MemoryS3(), edit):
        assert rolled_back(bench, endpoint, old)["FailureReason"] == "an alarm"


def test_what_an_older_version_wrote_is_read(tmp_path: Path) -> None:
    def edit(endpoint: dict[str, Any]) -> None:
        del endpoint["shadows"], endpoint["leftover"]
        del endpoint["pending"]["shadows"], endpoint["pending"]["rollback_reason"]
        for side in (endpoint, endpoint["pending"]):
            for variant in side["variants"].values():
                del variant["progress"]

    for bench, endpoint, _ in restored(tmp_path, MemoryS3(), edit):
        baking(bench, endpoint)
        assert versions(bench, endpoint, 1) == {"2": 1}


def test_the_last_deployment_config_is_used_again(bench: Bench) -> None:
    endpoint, _, new = pair(bench)
    canary = blue_green("CANARY", 0, CanarySize=ONE)
    update(bench, endpoint, new, canary)
    bench.settled(endpoint)
    with pytest.raises(ClientError, match="not both"):
        update(bench, endpoint, new, canary, RetainDeploymentConfig=True)
    update(bench, endpoint, new, RetainDeploymentConfig=True)
    told = [
        status_of(d)
        for d in bench.bus.of("SageMaker Endpoint Deployment State Change", endpoint)
        if d["PendingDeploymentSummary"]["StartTime"] > 0
    ]
    assert bench.settled(endpoint)["LastDeploymentConfig"] == canary
    assert ("ActivatingTraffic", "Activating traffic on canary capacity of 1 instance(s).") in told


def test_what_guardrails_do_not_do_is_refused(bench: Bench) -> None:
    model = bench.model("1")
    one = bench.config(bench.variant("live", model))
    other = bench.config(bench.variant("other", model, 2))
    two = bench.config(bench.variant("live", model, 2), bench.variant("b", model, 2))
    bench.alarms["there"] = "OK"
    endpoint = bench.endpoint(one)

    def refused(config: str, deployment: Any) -> str:
        with pytest.raises(ClientError) as caught:
            update(bench, endpoint, config, deployment)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        return caught.value.response["Error"]["Message"]

    canary = blue_green("CANARY", 0, CanarySize=ONE)
    assert "CanarySize is 1 instance(s), and the variant live has 1" in refused(one, canary)
    assert refused(other, canary) == (
        "A CANARY deployment needs the same variant names in both configurations; "
        f'"{one}" has "live", the new one has "other".'
    )
    assert refused(one, blue_green("ALL_AT_ONCE", 0, ("there", "absent"))).startswith(
        'The alarm(s) "absent" of AutoRollbackConfiguration could not be found'
    )
    assert "must be unique" in refused(one, blue_green("ALL_AT_ONCE", 0, ("there", "there")))
    assert "it must exceed the waits, 900 s" in refused(
        one,
        blue_green(
            "ALL_AT_ONCE", TerminationWaitInSeconds=900, MaximumExecutionTimeoutInSeconds=900
        ),
    )
    for more in (
        blue_green("ALL_AT_ONCE", 3601),
        blue_green("ALL_AT_ONCE", TerminationWaitInSeconds=3601),
        blue_green("ALL_AT_ONCE", MaximumExecutionTimeoutInSeconds=28801),
        blue_green("ALL_AT_ONCE", 0, tuple(f"a{i}" for i in range(11))),
    ):
        refused(one, more)
    update(bench, endpoint, two)
    bench.settled(endpoint)
    assert refused(two, rolling(1)) == (
        "A rolling deployment supports one production variant; 2 came."
    )
    linear = blue_green(
        "LINEAR", 600, LinearStepSize=ONE, MaximumExecutionTimeoutInSeconds=601,
        TerminationWaitInSeconds=1,
    )  # fmt: skip
    assert "it must exceed the waits, 601 s" in refused(two, linear)
    update(bench, endpoint, two, blue_green("LINEAR", 0, LinearStepSize=ONE))
    assert bench.settled(endpoint)["EndpointConfigName"] == two


def test_events_tell_states_in_upper_snake(bench: Bench) -> None:
    endpoint, old, new = pair(bench, 1)
    update(bench, endpoint, new)
    bench.settled(endpoint)
    bench.sagemaker.delete_endpoint(EndpointName=endpoint)
    wait_for(lambda: endpoint not in str(bench.sagemaker.list_endpoints()), "its deletion")
    found = bench.bus.of("SageMaker Endpoint State Change", endpoint)
    assert [(d["EndpointStatus"], d["EndpointConfigName"]) for d in found] == [
        ("CREATING", old),
        ("IN_SERVICE", old),
        ("UPDATING", old),
        ("IN_SERVICE", new),
        ("DELETING", new),
    ]
    assert isinstance(found[0]["CreationTime"], int)
    assert found[0]["CreationTime"] > 1e12


def test_an_error_of_the_api_can_be_ordered(bench: Bench) -> None:
    order(
        bench, "api_error", service="sagemaker", operation="ListEndpoints",
        code="ThrottlingException", times=2,
    )  # fmt: skip
    for _ in range(2):
        with pytest.raises(ClientError, match="ThrottlingException"):
            bench.sagemaker.list_endpoints()
    bench.sagemaker.list_endpoints()

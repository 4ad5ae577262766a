"""DeploymentConfig: what makes one valid, and which the local cloud carries out. Pure."""

from __future__ import annotations

from typing import Any

from localcloud.sagemaker.rules import not_offered, refuse

Params = dict[str, Any]
_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


def check_deployment(deployment: Params | None) -> None:
    """The rules that hold wherever a DeploymentConfig is given (fact sheet 3.1)."""
    if deployment is None:
        return
    has_blue_green = "BlueGreenUpdatePolicy" in deployment
    if has_blue_green == ("RollingUpdatePolicy" in deployment):
        raise refuse("Specify exactly one of BlueGreenUpdatePolicy and RollingUpdatePolicy.")
    if has_blue_green:
        _check_blue_green(deployment["BlueGreenUpdatePolicy"])
    else:
        _check_size(deployment["RollingUpdatePolicy"]["MaximumBatchSize"], 5, 50)


def check_offered(deployment: Params | None) -> None:
    """What an update carries out: a whole new fleet, and then the whole traffic at once."""
    if deployment is None:
        return
    if "RollingUpdatePolicy" in deployment:
        raise not_offered("rolling deployments")
    policy: Params = deployment["BlueGreenUpdatePolicy"]
    kind = policy["TrafficRoutingConfiguration"]["Type"]
    if kind != "ALL_AT_ONCE":
        raise not_offered(f"blue/green deployments with {kind} traffic")
    if policy.get("TerminationWaitInSeconds", 0) > 0:
        raise not_offered("blue/green deployments that bake (TerminationWaitInSeconds above 0)")
    if (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms"):
        raise not_offered("deployments that alarms roll back")


def _check_blue_green(policy: Params) -> None:
    routing: Params = policy["TrafficRoutingConfiguration"]
    for kind, field in _SIZES.items():
        if (routing["Type"] == kind) != (field in routing):
            raise refuse(f"{field} must be given when, and only when, the traffic type is {kind}.")
    if "CanarySize" in routing:
        _check_size(routing["CanarySize"], 1, 50)
    if "LinearStepSize" in routing:
        _check_size(routing["LinearStepSize"], 10, 50)
    waits = routing["WaitIntervalInSeconds"] + policy.get("TerminationWaitInSeconds", 0)
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is not None and limit <= waits:
        raise refuse(
            f"MaximumExecutionTimeoutInSeconds is {limit}; it must exceed the waits, {waits} s."
        )


def _check_size(size: Params, low: int, high: int) -> None:
    """A share of the fleet in percent; a number of instances is held against the fleet later."""
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= high:
        raise refuse(f"A size of {size['Value']} % is not allowed; use {low} to {high} %.")

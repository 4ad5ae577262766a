"""DeploymentConfig: what makes one valid, by itself and for one update. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.sagemaker.policies import AllAtOnce, Guardrails, Rolling, check_sizes
from localcloud.sagemaker.records import (
    PRODUCTION,
    SHADOW,
    UPDATE_ROLLBACK_FAILED,
    Endpoint,
    VariantState,
)
from localcloud.sagemaker.rules import refuse
from localcloud.sagemaker.script import script, total_wait
from localcloud.service import ServiceError

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
        rolling: Params = deployment["RollingUpdatePolicy"]
        _check_size(rolling["MaximumBatchSize"], 5, 50)
        if "RollbackMaximumBatchSize" in rolling:
            _check_size(rolling["RollbackMaximumBatchSize"], 5, 100)
    alarms: list[Params] = (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    names = [alarm["AlarmName"] for alarm in alarms]
    if len(set(names)) != len(names):
        raise refuse("The alarms of AutoRollbackConfiguration must be unique.")


def check_rollout(
    endpoint: Endpoint, config: Params, variants: dict[str, VariantState], rails: Guardrails
) -> None:
    """The rules that hold for one update: its policy against old and new variants (3.1, 3.2).

    Whether SageMaker refuses what its exclusions name, or falls back to all at once, is not known;
    here it is refused.
    """
    policy = rails.policy
    if not isinstance(policy, AllAtOnce):
        kind = type(policy).__name__.upper()
        old, new = _names(endpoint.config), _names(config)
        if old != new:
            raise refuse(
                f"A {kind} deployment needs the same variant names in both configurations; "
                f'"{endpoint.config_name}" has {_listed(old)}, the new one has {_listed(new)}.'
            )
        if endpoint.config.get(SHADOW) or config.get(SHADOW):
            raise refuse(
                f"A {kind} deployment is not supported for shadow variants; use ALL_AT_ONCE."
            )
    if isinstance(policy, Rolling):
        if len(variants) > 1:
            raise refuse(
                f"A rolling deployment supports one production variant; {len(variants)} came."
            )
        if endpoint.status == UPDATE_ROLLBACK_FAILED:
            raise refuse(
                f"An endpoint in status {UPDATE_ROLLBACK_FAILED} cannot be repaired by a rolling "
                "deployment; use a blue/green one."
            )
    green = {name: state.desired_count for name, state in variants.items()}
    check_sizes(policy, green)
    blue = {name: state.desired_count for name, state in endpoint.variants.items()}
    waits = total_wait(script(policy, blue, green))
    if rails.timeout is not None and rails.timeout <= waits:
        raise _too_short(rails.timeout, waits)


def check_alarms(alarms: Sequence[str], states: Mapping[str, str]) -> None:
    """What SageMaker does about an alarm that does not exist is not known; here it is refused."""
    missing = [name for name in alarms if name not in states]
    if missing:
        listed = ", ".join(f'"{name}"' for name in missing)
        raise refuse(
            f"The alarm(s) {listed} of AutoRollbackConfiguration could not be found in CloudWatch; "
            "only metric alarms of the same region can be used."
        )


def _names(config: Params) -> list[str]:
    return sorted(v["VariantName"] for v in config[PRODUCTION])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _too_short(timeout: int, waits: int) -> ServiceError:
    return refuse(
        f"MaximumExecutionTimeoutInSeconds is {timeout}; it must exceed the waits, {waits} s."
    )


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
        raise _too_short(limit, waits)


def _check_size(size: Params, low: int, high: int) -> None:
    """A share of the fleet in percent; a number of instances is held against the fleet later."""
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= high:
        raise refuse(f"A size of {size['Value']} % is not allowed; use {low} to {high} %.")

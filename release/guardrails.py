"""SageMaker's deployment guardrails: the DeploymentConfig of a strategy, and how long it takes."""

from __future__ import annotations

import math
from typing import Any

from contracts.release_manifest import (
    AllAtOnce,
    BlueGreen,
    CanaryShift,
    LinearShift,
    Rolling,
)

SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 600, 28800
# A new fleet may take twice as long as the last one did, and something always comes on top.
TURNOVER_MARGIN = 2.0
SPARE_SECONDS = 600.0


def waits_of(strategy: BlueGreen | Rolling) -> list[int]:
    """Each bake of the deployment in its order, in seconds."""
    if isinstance(strategy, Rolling):
        return [strategy.wait_seconds] * math.ceil(100 / strategy.batch_percent)
    final = strategy.final_wait_seconds
    match strategy.shift:
        case CanaryShift(wait_seconds=wait):
            return [wait, final]
        case LinearShift(percent=percent, wait_seconds=wait):
            return [wait] * (math.ceil(100 / percent) - 1) + [final]
        case AllAtOnce():
            return [final]


def shares_of(strategy: BlueGreen | Rolling) -> list[float]:
    """The new fleet's share of the traffic during each bake of :func:`waits_of`."""
    count = len(waits_of(strategy))
    match strategy:
        case Rolling(batch_percent=percent):
            return [min(1.0, (i + 1) * percent / 100) for i in range(count)]
        case BlueGreen(shift=CanaryShift(percent=percent) | LinearShift(percent=percent)):
            rising = [min(1.0, (i + 1) * percent / 100) for i in range(count - 1)]
            return [*rising, 1.0]
        case BlueGreen():
            return [1.0]


def turnovers_of(strategy: BlueGreen | Rolling) -> int:
    """How often instances are provisioned one after another."""
    return math.ceil(100 / strategy.batch_percent) if isinstance(strategy, Rolling) else 1


def timeout_of(strategy: BlueGreen | Rolling, turnover_seconds: float) -> int:
    """MaximumExecutionTimeoutInSeconds: what is set, else waits and turnovers with a margin."""
    if strategy.timeout_seconds is not None:
        return strategy.timeout_seconds
    work = turnovers_of(strategy) * turnover_seconds * TURNOVER_MARGIN + SPARE_SECONDS
    needed = math.ceil(sum(waits_of(strategy)) + work)
    return min(LONGEST_TIMEOUT, max(SHORTEST_TIMEOUT, needed))


def deployment_config(
    strategy: BlueGreen | Rolling, alarms: tuple[str, ...], turnover_seconds: float
) -> dict[str, Any]:
    timeout = timeout_of(strategy, turnover_seconds)
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": a} for a in alarms]}}
    if isinstance(strategy, Rolling):
        policy: dict[str, Any] = {
            "MaximumBatchSize": _percent(strategy.batch_percent),
            "WaitIntervalInSeconds": strategy.wait_seconds,
            "MaximumExecutionTimeoutInSeconds": timeout,
        }
        if strategy.rollback_batch_percent is not None:
            policy["RollbackMaximumBatchSize"] = _percent(strategy.rollback_batch_percent)
        return {"RollingUpdatePolicy": policy, **rollback}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": _routing(strategy),
            "TerminationWaitInSeconds": strategy.final_wait_seconds,
            "MaximumExecutionTimeoutInSeconds": timeout,
        },
        **rollback,
    }


def _routing(strategy: BlueGreen) -> dict[str, Any]:
    match strategy.shift:
        case AllAtOnce():
            # Required although it means nothing here (facts 3.1).
            return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        case CanaryShift(percent=percent, wait_seconds=wait):
            return {
                "Type": "CANARY",
                "CanarySize": _percent(percent),
                "WaitIntervalInSeconds": wait,
            }
        case LinearShift(percent=percent, wait_seconds=wait):
            return {
                "Type": "LINEAR",
                "LinearStepSize": _percent(percent),
                "WaitIntervalInSeconds": wait,
            }


def _percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def is_last_comparison(strategy: BlueGreen | Rolling, active: int, total: int) -> bool:
    """Whether no other share of the traffic comes between ``active`` of ``total`` and all."""
    match strategy:
        case Rolling(batch_percent=percent):
            size = percent
        case BlueGreen(shift=LinearShift(percent=percent)):
            size = percent
        case _:
            return True
    # AWS takes 33 % of 3 as one instance (facts 3.1).
    return active + max(1, math.floor(total * size / 100 + 0.5)) >= total

"""SageMaker's deployment guardrails: the DeploymentConfig of a strategy, and how long it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from contracts.fleet import instances_of
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


@dataclass(frozen=True)
class Bake:
    """Traffic stays for ``seconds`` while ``active`` of ``total`` new instances take it."""

    seconds: int
    active: int
    total: int

    @property
    def share(self) -> float:
        """The new fleet's share of the traffic."""
        return self.active / self.total

    @property
    def weight(self) -> float:
        """The share in percent, to 0.1, as it is told."""
        return round(100 * self.share, 1)


def bakes_of(strategy: BlueGreen | Rolling, count: int) -> list[Bake]:
    """Each bake of the deployment of ``count`` instances in its order (facts 3.3)."""
    count = max(1, count)
    if isinstance(strategy, Rolling):
        rungs = ladder(strategy.batch_percent, count)
        return [Bake(strategy.wait_seconds, active, count) for active in rungs]
    final = Bake(strategy.final_wait_seconds, count, count)
    match strategy.shift:
        case CanaryShift(percent=percent, wait_seconds=wait):
            return [Bake(wait, instances_of(percent, count), count), final]
        case LinearShift(percent=percent, wait_seconds=wait):
            return [*(Bake(wait, active, count) for active in ladder(percent, count)[:-1]), final]
        case AllAtOnce():
            return [final]


def ladder(percent: int, count: int) -> list[int]:
    """How many instances there are after each step of ``percent``, the last one with all."""
    step = instances_of(percent, count)
    return [*range(step, count, step), count]


def exposure_of(strategy: BlueGreen | Rolling, count: int) -> float:
    """The largest weight in percent that the new fleet has before it is sure to have a verdict."""
    weights = [bake.weight for bake in bakes_of(strategy, count)]
    # What compares has to pass before all traffic is shifted.
    return max(weights[:-1] or weights)


def turnovers_of(strategy: BlueGreen | Rolling, count: int) -> int:
    """How often instances are provisioned one after another."""
    return len(bakes_of(strategy, count)) if isinstance(strategy, Rolling) else 1


def timeout_of(strategy: BlueGreen | Rolling, count: int, turnover_seconds: float) -> int:
    """MaximumExecutionTimeoutInSeconds: what is set, else waits and turnovers with a margin."""
    if strategy.timeout_seconds is not None:
        return strategy.timeout_seconds
    work = turnovers_of(strategy, count) * turnover_seconds * TURNOVER_MARGIN + SPARE_SECONDS
    needed = math.ceil(sum(bake.seconds for bake in bakes_of(strategy, count)) + work)
    return min(LONGEST_TIMEOUT, max(SHORTEST_TIMEOUT, needed))


def deployment_config(
    strategy: BlueGreen | Rolling, alarms: tuple[str, ...], count: int, turnover_seconds: float
) -> dict[str, Any]:
    """The DeploymentConfig of an update to a fleet of ``count`` instances."""
    timeout = timeout_of(strategy, count, turnover_seconds)
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
    return active + instances_of(size, total) >= total

"""What tests of deployments share: DeploymentConfigs, orders of faults, who answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from localcloud.faults import parse
from tests.functional.sagemaker_bench import Bench, wait_for

LONG = 3600  # six seconds on the bench's clock


def size(value: int, percent: bool = False) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT" if percent else "INSTANCE_COUNT", "Value": value}


def blue_green(
    kind: str, wait: int = 0, alarms: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """``more``: CanarySize or LinearStepSize, and fields of the policy."""
    sizes = {k: more.pop(k) for k in ("CanarySize", "LinearStepSize") if k in more}
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    return _watched({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}},
                    alarms)  # fmt: skip


def rolling(batch: int, wait: int = 0, alarms: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    policy = {"MaximumBatchSize": size(batch), "WaitIntervalInSeconds": wait, **more}
    return _watched({"RollingUpdatePolicy": policy}, alarms)


def _watched(deployment: dict[str, Any], alarms: tuple[str, ...]) -> dict[str, Any]:
    if not alarms:
        return deployment
    listed = [{"AlarmName": name} for name in alarms]
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": listed}}


def order(bench: Bench, kind: str, **fields: Any) -> None:
    bench.faults.add(parse({"kind": kind, **fields}))


def update(bench: Bench, endpoint: str, config: str, deployment: Any = None, **more: Any) -> None:
    if deployment is not None:
        more["DeploymentConfig"] = deployment
    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **more)


def versions(bench: Bench, endpoint: str, count: int) -> Counter[str]:
    """Who answers, by version."""
    return Counter(
        json.loads(bench.invoke(endpoint)["Body"].read())["version"] for _ in range(count)
    )


def status_of(described: dict[str, Any]) -> tuple[str, str] | None:
    """What the pending side's first variant is at."""
    pending = described.get("PendingDeploymentSummary")
    if pending is None:
        return None
    found = pending["ProductionVariants"][0]["VariantStatus"][0]
    return found["Status"], found["StatusMessage"]


def baking(bench: Bench, endpoint: str, words: str = "") -> dict[str, Any]:
    """The endpoint, once it bakes with ``words`` in its message."""

    def found() -> dict[str, Any] | None:
        described = bench.describe(endpoint)
        status = status_of(described)
        is_there = status is not None and status[0] == "Baking" and words in status[1]
        return described if is_there else None

    return wait_for(found, f"{endpoint} to bake {words}")

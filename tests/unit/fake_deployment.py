"""A guardrail deployment in memory: its script, its refusals and its way back (facts 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from contracts.fleet import instances_of
from release.aws.cloud import RefusedError

SLOW_ROLLBACK_SECONDS = 40.0


@dataclass(frozen=True)
class Part:
    """From ``start`` on: ``active`` new instances take traffic; alarms are watched while baking."""

    start: float
    status: str
    seconds: float
    active: int


@dataclass
class FakeDeployment:
    """One update behind guardrails of ``total`` instances, begun at ``now``."""

    config: dict[str, Any]
    now: float
    total: int
    provision_seconds: float
    parts: list[Part] = field(default_factory=list[Part])
    rolling_back_at: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        check(self.config, self.total)
        rolling = self.config.get("RollingUpdatePolicy")
        if rolling is not None:
            self._rolling(rolling)
        else:
            self._blue_green(self.config["BlueGreenUpdatePolicy"])
        waits = sum(part.seconds for part in self.parts if part.status == "Baking")
        timeout = self.policy["MaximumExecutionTimeoutInSeconds"]
        if timeout <= waits:
            _refuse(f"a timeout of {timeout} does not exceed the waits of {waits}")

    @property
    def policy(self) -> dict[str, Any]:
        return self.config.get("RollingUpdatePolicy") or self.config["BlueGreenUpdatePolicy"]

    @property
    def is_rolling(self) -> bool:
        return "RollingUpdatePolicy" in self.config

    @property
    def alarms(self) -> list[str]:
        rollback = self.config.get("AutoRollbackConfiguration", {})
        return [a["AlarmName"] for a in rollback.get("Alarms", [])]

    @property
    def end(self) -> float:
        last = self.parts[-1]
        return last.start + last.seconds

    def part_at(self, now: float) -> Part:
        return [p for p in self.parts if p.start <= now][-1]

    def _add(self, status: str, seconds: float, active: int) -> None:
        start = self.end if self.parts else self.now
        self.parts.append(Part(start, status, seconds, active))

    def _blue_green(self, policy: dict[str, Any]) -> None:
        routing = policy["TrafficRoutingConfiguration"]
        wait, final = routing["WaitIntervalInSeconds"], policy["TerminationWaitInSeconds"]
        self._add("Creating", self.provision_seconds, 0)
        if routing["Type"] == "CANARY":
            self._add("Baking", wait, taken(routing["CanarySize"], self.total))
        if routing["Type"] == "LINEAR":
            active = step = taken(routing["LinearStepSize"], self.total)
            while active < self.total:
                self._add("Baking", wait, active)
                active += step
        self._add("Baking", final, self.total)

    def _rolling(self, policy: dict[str, Any]) -> None:
        step, active = taken(policy["MaximumBatchSize"], self.total), 0
        while active < self.total:
            batch = min(step, self.total - active)
            self._add("Creating", self.provision_seconds, active)
            active += batch
            self._add("Baking", policy["WaitIntervalInSeconds"], active)


def taken(size: dict[str, Any], total: int) -> int:
    if size["Type"] == "INSTANCE_COUNT":
        return int(size["Value"])
    return instances_of(size["Value"], total)


def check(config: dict[str, Any], total: int) -> None:
    """Refuse what SageMaker refuses."""
    policies = [k for k in ("BlueGreenUpdatePolicy", "RollingUpdatePolicy") if k in config]
    if len(policies) != 1:
        _refuse("exactly one policy is allowed")
    policy = config[policies[0]]
    alarms = config.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    if not 1 <= len(alarms) <= 10:
        _refuse(f"{len(alarms)} rollback alarms")
    timeout = policy["MaximumExecutionTimeoutInSeconds"]
    if not 600 <= timeout <= 28800:
        _refuse(f"a timeout of {timeout}")
    if policies[0] == "RollingUpdatePolicy":
        size = policy["MaximumBatchSize"]
        low = 5
    else:
        routing = policy["TrafficRoutingConfiguration"]
        size = routing.get("CanarySize") or routing.get("LinearStepSize")
        low = 10 if routing["Type"] == "LINEAR" else 1
    if size is None:
        return
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= 50:
        _refuse(f"a size of {size['Value']} %")
    if taken(size, total) * 2 > total:
        _refuse(f"{taken(size, total)} of {total} instances are more than half")


def _refuse(what: str) -> None:
    raise RefusedError(f"ValidationException: {what}", "ValidationException")

"""How an update moves traffic: the alternatives of a DeploymentConfig as types. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contracts.fleet import instances_of
from localcloud.sagemaker.rules import refuse

Params = dict[str, Any]
# Guardrails do not apply to these: SageMaker falls back to all at once, without a bake (facts 3.2).
UNGUARDED_TYPES = ("ml.inf1.", "ml.eia")


@dataclass(frozen=True)
class Size:
    """A CapacitySize: so many instances, or so many percent of the fleet."""

    value: int
    is_percent: bool

    @staticmethod
    def of(params: Params) -> Size:
        return Size(int(params["Value"]), params["Type"] == "CAPACITY_PERCENT")

    def of_fleet(self, instances: int) -> int:
        """Whole instances, of as many as the fleet has."""
        return instances_of(self.value, instances) if self.is_percent else self.value


@dataclass(frozen=True)
class AllAtOnce:
    termination_wait: int = 0


@dataclass(frozen=True)
class Canary:
    size: Size
    wait: int
    termination_wait: int


@dataclass(frozen=True)
class Linear:
    step: Size
    wait: int
    termination_wait: int


@dataclass(frozen=True)
class Rolling:
    """``rollback`` None: the whole old fleet comes back at once."""

    batch: Size
    wait: int
    rollback: Size | None


Policy = AllAtOnce | Canary | Linear | Rolling


@dataclass(frozen=True)
class Guardrails:
    """A DeploymentConfig, ready for use; ``timeout`` are simulated seconds, None is no limit."""

    policy: Policy
    alarms: tuple[str, ...] = ()
    timeout: int | None = None
    is_guarded: bool = True


NONE = Guardrails(AllAtOnce())
EXCLUDED = Guardrails(AllAtOnce(), is_guarded=False)


def guardrails_of(deployment: Params | None, config: Params) -> Guardrails:
    """What an update to ``config`` does; raises ``ValueError`` for a traffic type it cannot know.

    No DeploymentConfig is all at once, without a bake (fact sheet 3.1).
    """
    if _is_unguarded(config):
        return EXCLUDED
    if deployment is None:
        return NONE
    rollback: Params = deployment.get("AutoRollbackConfiguration") or {}
    alarms = tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms") or ())
    policy: Params = deployment.get("BlueGreenUpdatePolicy") or deployment["RollingUpdatePolicy"]
    timeout = policy.get("MaximumExecutionTimeoutInSeconds")
    return Guardrails(_policy(deployment), alarms, timeout)


def _is_unguarded(config: Params) -> bool:
    types = [str(v.get("InstanceType", "")) for v in config["ProductionVariants"]]
    accelerated = any(v.get("AcceleratorType") for v in config["ProductionVariants"])
    return accelerated or any(t.startswith(UNGUARDED_TYPES) for t in types)


def _policy(deployment: Params) -> Policy:
    if "RollingUpdatePolicy" in deployment:
        rolling: Params = deployment["RollingUpdatePolicy"]
        back = rolling.get("RollbackMaximumBatchSize")
        return Rolling(
            Size.of(rolling["MaximumBatchSize"]),
            int(rolling["WaitIntervalInSeconds"]),
            None if back is None else Size.of(back),
        )
    blue_green: Params = deployment["BlueGreenUpdatePolicy"]
    routing: Params = blue_green["TrafficRoutingConfiguration"]
    wait = int(routing["WaitIntervalInSeconds"])
    termination_wait = int(blue_green.get("TerminationWaitInSeconds", 0))
    match routing["Type"]:
        case "ALL_AT_ONCE":
            return AllAtOnce(termination_wait)
        case "CANARY":
            return Canary(Size.of(routing["CanarySize"]), wait, termination_wait)
        case "LINEAR":
            return Linear(Size.of(routing["LinearStepSize"]), wait, termination_wait)
        case unknown:
            raise ValueError(f"the traffic type {unknown!r} is not known")


def check_sizes(policy: Policy, green: dict[str, int]) -> None:
    """A step is at most half of each variant's fleet, so one instance cannot be split (3.1)."""
    match policy:
        case AllAtOnce():
            return
        case Canary(size=size):
            name, low = "CanarySize", 0
        case Linear(step=size):
            name, low = "LinearStepSize", 10
        case Rolling(batch=size):
            name, low = "MaximumBatchSize", 5
    for variant, instances in green.items():
        taken = size.of_fleet(instances)
        # A percentage was held against its range before; here it is a matter of whole instances.
        too_small = not size.is_percent and taken * 100 < low * instances
        if taken * 2 > instances or too_small:
            least = f"at least {low} % and " if low else ""
            raise refuse(
                f"{name} is {taken} instance(s), and the variant {variant} has {instances}; it "
                f"must be {least}at most 50 % of the instances of each variant."
            )

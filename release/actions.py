"""What the controller may do to AWS: plain data, each safe to execute twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from contracts.release_manifest import AlarmSpec
from release.observation import BUSY_STATUSES, Endpoint, ScalingTarget

RELATIVE_WEIGHT_ERROR = 1e-4  # The API keeps weights as 32-bit floats.


@dataclass(frozen=True)
class CreateConfig:
    """Create an endpoint configuration unless it exists; ``body``: CreateEndpointConfig's input."""

    name: str
    body: dict[str, Any]
    tags: dict[str, str]


@dataclass(frozen=True)
class DeleteConfig:
    name: str


@dataclass(frozen=True)
class UpdateEndpoint:
    """Move the endpoint to ``config``; counts of variants that stay are kept, weights never are.

    ``exclude_weights``: they are the configuration's own, and not those of what served.
    ``deployment`` is the API's DeploymentConfig: guardrails.
    """

    config: str
    exclude_weights: bool
    deployment: dict[str, Any] | None = None


@dataclass(frozen=True)
class SetWeights:
    weights: dict[str, float]


@dataclass(frozen=True)
class SetCapacity:
    """Instances of one variant: the API takes one variant's capacity in a call (facts 3.4)."""

    variant: str
    count: int


@dataclass(frozen=True)
class PutAlarm:
    """A rollback alarm on one variant under one configuration."""

    name: str
    variant: str
    config: str
    spec: AlarmSpec
    tags: dict[str, str]


@dataclass(frozen=True)
class DeleteAlarms:
    names: tuple[str, ...]


@dataclass(frozen=True)
class PutGateAlarm:
    """The alarm on the gates' own verdict, one of the rollback alarms of a deployment."""

    name: str
    release_id: str
    tags: dict[str, str]


@dataclass(frozen=True)
class PublishVerdict:
    """Publish the gates' verdict as a metric: 1 failed, which makes the alarm on it ring."""

    release_id: str
    failed: int


@dataclass(frozen=True)
class SetScaling:
    """Set the suspended state of ``live``'s scalable target; nothing where there is no target."""

    suspended: dict[str, bool]


@dataclass(frozen=True)
class RemoveScaling:
    """Deregister a variant's scalable target with its policies; nothing where there is none.

    SageMaker refuses to remove or retype a variant that is scaled (facts 6).
    """

    variant: str


@dataclass(frozen=True)
class RestoreScaling:
    """Register ``live``'s scalable target again, with all that belonged to it."""

    target: ScalingTarget


Action = (
    CreateConfig
    | DeleteConfig
    | UpdateEndpoint
    | SetWeights
    | SetCapacity
    | PutAlarm
    | DeleteAlarms
    | PutGateAlarm
    | PublishVerdict
    | SetScaling
    | RemoveScaling
    | RestoreScaling
)


def describe(action: Action) -> str:
    """The action in a few words, for logs and errors."""
    match action:
        case CreateConfig(name):
            text = f"create endpoint configuration {name}"
        case DeleteConfig(name):
            text = f"delete endpoint configuration {name}"
        case UpdateEndpoint(config, deployment=deployment):
            how = "" if deployment is None else " behind guardrails"
            text = f"update the endpoint to {config}{how}"
        case SetWeights(weights):
            shown = ", ".join(f"{name} {weight:.6g}" for name, weight in weights.items())
            text = f"set weights: {shown}"
        case SetCapacity(variant, count):
            text = f"set {variant} to {count} instance{'' if count == 1 else 's'}"
        case PutAlarm(name) | PutGateAlarm(name):
            text = f"put alarm {name}"
        case DeleteAlarms(names):
            text = f"delete {len(names)} alarm{'' if len(names) == 1 else 's'}"
        case PublishVerdict(failed=failed):
            text = f"publish the gates' verdict: {'failed' if failed else 'not failed'}"
        case SetScaling(suspended):
            word = "suspend" if suspended.get("DynamicScalingInSuspended") else "resume"
            text = f"{word} scale-in of live"
        case RemoveScaling(variant):
            text = f"remove the scaling of {variant}"
        case RestoreScaling():
            text = "register the scaling of live again"
    return text


def still_needed(action: Action, endpoint: Endpoint) -> bool:
    """Whether an action that was decided but perhaps not executed has yet to be executed.

    Only changes of the endpoint can tell; everything else is simply done again.
    """
    match action:
        case UpdateEndpoint(config):
            return config not in (endpoint.config_name, endpoint.pending_config)
        case SetWeights(weights):
            return not all(
                (variant := endpoint.variant(name)) is not None
                and same_weight(variant.desired_weight, weight)
                for name, weight in weights.items()
            )
        case SetCapacity(name, count):
            variant = endpoint.variant(name)
            return variant is None or variant.desired_count != count
        case _:
            return True


def is_in_the_way(action: Action, endpoint: Endpoint) -> bool:
    """Whether AWS can only have refused ``action`` because another change is under way."""
    changes = isinstance(action, UpdateEndpoint | SetWeights | SetCapacity)
    return changes and endpoint.status in BUSY_STATUSES


def same_weight(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RELATIVE_WEIGHT_ERROR, abs_tol=1e-9)

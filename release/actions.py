"""What the controller may do to AWS: plain data, each safe to execute twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from contracts.release_manifest import AlarmSpec
from release.observation import Endpoint

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

    ``exclude_weights`` is False only where the weights are to stay (into the transition).
    """

    config: str
    exclude_weights: bool


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
class SetScaling:
    """Set the suspended state of ``live``'s scalable target; nothing where there is no target."""

    suspended: dict[str, bool]


Action = (
    CreateConfig
    | DeleteConfig
    | UpdateEndpoint
    | SetWeights
    | SetCapacity
    | PutAlarm
    | DeleteAlarms
    | SetScaling
)


def describe(action: Action) -> str:
    """The action in a few words, for logs and errors."""
    match action:
        case CreateConfig(name):
            return f"create endpoint configuration {name}"
        case DeleteConfig(name):
            return f"delete endpoint configuration {name}"
        case UpdateEndpoint(config):
            return f"update the endpoint to {config}"
        case SetWeights(weights):
            shown = ", ".join(f"{name} {weight:.6g}" for name, weight in weights.items())
            return f"set weights: {shown}"
        case SetCapacity(variant, count):
            return f"set {variant} to {count} instance{'' if count == 1 else 's'}"
        case PutAlarm(name):
            return f"put alarm {name}"
        case DeleteAlarms(names):
            return f"delete {len(names)} alarm{'' if len(names) == 1 else 's'}"
        case SetScaling(suspended):
            word = "suspend" if suspended.get("DynamicScalingInSuspended") else "resume"
            return f"{word} scale-in of live"


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


def same_weight(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RELATIVE_WEIGHT_ERROR, abs_tol=1e-9)

"""What SageMaker remembers: models, configurations, endpoints; plain data."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Params = dict[str, Any]

CREATING, UPDATING, SYSTEM_UPDATING = "Creating", "Updating", "SystemUpdating"
IN_SERVICE, FAILED, DELETING = "InService", "Failed", "Deleting"
# With these UpdateEndpoint, weights and DeleteEndpoint answer "in-progress".
IN_PROGRESS = frozenset({CREATING, UPDATING, SYSTEM_UPDATING, DELETING})
# With these the endpoint takes invocations; an endpoint that is being created is not found.
INVOCABLE = frozenset({IN_SERVICE, UPDATING, SYSTEM_UPDATING})
DEFAULT_WEIGHT = 1.0


@dataclass
class Stored:
    """A model or a configuration: what Create was given, and when (epoch seconds, simulated)."""

    name: str
    arn: str
    created: float
    params: Params
    tags: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class VariantState:
    """Weight and instance count of one variant: what is asked for, and what there is.

    ``image`` is what its model named when it was deployed; ``resolved`` is when that was.
    """

    name: str
    desired_weight: float
    current_weight: float
    desired_count: int
    current_count: int
    image: str | None = None
    resolved: float = 0.0


@dataclass
class Pending:
    """The deployment that is under way: its configuration and the variants that it will leave."""

    config_name: str
    config: Params
    started: float
    variants: dict[str, VariantState]
    deployment: Params | None = None


@dataclass
class Endpoint:
    """One endpoint. ``config`` is its own copy: a configuration may be deleted while it serves."""

    name: str
    arn: str
    region: str
    created: float
    modified: float
    config_name: str
    config: Params
    status: str
    variants: dict[str, VariantState]
    tags: dict[str, str] = field(default_factory=dict[str, str])
    failure_reason: str | None = None
    pending: Pending | None = None
    last_deployment: Params | None = None


def stamp(now: datetime) -> float:
    """Epoch seconds in whole milliseconds: what is shown is what is compared."""
    return math.floor(now.timestamp() * 1000) / 1000


def initial_weight(variant: Params) -> float:
    """A weight of 0 is a weight; only an absent one is 1."""
    weight = variant.get("InitialVariantWeight")
    return DEFAULT_WEIGHT if weight is None else float(weight)


def fresh_variants(config: Params) -> dict[str, VariantState]:
    """Every production variant as the configuration's ``Initial*`` values say; none runs yet."""
    return {
        v["VariantName"]: VariantState(
            name=v["VariantName"],
            desired_weight=initial_weight(v),
            current_weight=initial_weight(v),
            desired_count=int(v["InitialInstanceCount"]),
            current_count=0,
        )
        for v in config["ProductionVariants"]
    }


def updated_variants(
    current: dict[str, VariantState], config: Params, retain: bool, excluded: frozenset[str]
) -> dict[str, VariantState]:
    """The variants that UpdateEndpoint is to leave (fact sheet 3.1).

    Without ``RetainAllVariantProperties`` weights and counts are the new configuration's. With it,
    variants of the same name keep theirs, but for the properties that are excluded.
    """
    result = fresh_variants(config)
    if not retain:
        return result
    for name, variant in result.items():
        old = current.get(name)
        if old is None:
            continue
        if "DesiredWeight" not in excluded:
            variant.desired_weight = variant.current_weight = old.desired_weight
        if "DesiredInstanceCount" not in excluded:
            variant.desired_count = old.desired_count
    return result


def variant_params(config: Params, name: str) -> Params:
    """The configuration's entry of one production variant."""
    return next(v for v in config["ProductionVariants"] if v["VariantName"] == name)


def to_json(value: Stored | Endpoint) -> Params:
    return dataclasses.asdict(value)


def stored_from_json(value: Params) -> Stored:
    return Stored(**value)


def endpoint_from_json(value: Params) -> Endpoint:
    fields = copy.deepcopy(value)
    fields["variants"] = _variants_from_json(fields["variants"])
    if fields["pending"] is not None:
        pending = fields["pending"]
        pending["variants"] = _variants_from_json(pending["variants"])
        fields["pending"] = Pending(**pending)
    return Endpoint(**fields)


def _variants_from_json(value: Params) -> dict[str, VariantState]:
    return {name: VariantState(**state) for name, state in value.items()}

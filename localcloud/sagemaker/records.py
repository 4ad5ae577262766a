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
UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
# With these UpdateEndpoint, weights and DeleteEndpoint answer "in-progress".
IN_PROGRESS = frozenset({CREATING, UPDATING, SYSTEM_UPDATING, DELETING})
# With these the endpoint takes invocations; an endpoint that is being created is not found.
INVOCABLE = frozenset({IN_SERVICE, UPDATING, SYSTEM_UPDATING, UPDATE_ROLLBACK_FAILED})
DEFAULT_WEIGHT = 1.0
PRODUCTION, SHADOW = "ProductionVariants", "ShadowProductionVariants"


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
    ``progress`` is what a deployment does to it: Status, StatusMessage, StartTime.
    """

    name: str
    desired_weight: float
    current_weight: float
    desired_count: int
    current_count: int
    image: str | None = None
    resolved: float = 0.0
    progress: Params | None = None


@dataclass
class Pending:
    """The deployment that is under way: its configuration and the variants that it will leave.

    ``rollback_reason`` is there from the moment that it is rolled back; empty for a silent one.
    """

    config_name: str
    config: Params
    started: float
    variants: dict[str, VariantState]
    deployment: Params | None = None
    shadows: dict[str, VariantState] = field(default_factory=dict[str, VariantState])
    rollback_reason: str | None = None


@dataclass
class Leftover:
    """What a rolling update left that could not be rolled back, and that still takes traffic.

    ``shares`` is its part of each variant's traffic, ``own_counts`` how many instances the
    endpoint's own configuration has left.
    """

    config_name: str
    config: Params
    variants: dict[str, VariantState]
    shares: dict[str, float]
    own_counts: dict[str, int]


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
    shadows: dict[str, VariantState] = field(default_factory=dict[str, VariantState])
    leftover: Leftover | None = None


def stamp(now: datetime) -> float:
    """Epoch seconds in whole milliseconds: what is shown is what is compared."""
    return math.floor(now.timestamp() * 1000) / 1000


def initial_weight(variant: Params) -> float:
    """A weight of 0 is a weight; only an absent one is 1."""
    weight = variant.get("InitialVariantWeight")
    return DEFAULT_WEIGHT if weight is None else float(weight)


def fresh_variants(config: Params, role: str = PRODUCTION) -> dict[str, VariantState]:
    """Every variant of a role as the configuration's ``Initial*`` values say; none runs yet."""
    return {
        v["VariantName"]: VariantState(
            name=v["VariantName"],
            desired_weight=initial_weight(v),
            current_weight=initial_weight(v),
            desired_count=int(v["InitialInstanceCount"]),
            current_count=0,
        )
        for v in config.get(role) or ()
    }


def updated_variants(
    current: dict[str, VariantState],
    config: Params,
    retain: bool,
    excluded: frozenset[str],
    role: str = PRODUCTION,
) -> dict[str, VariantState]:
    """The variants that UpdateEndpoint is to leave (fact sheet 3.1).

    Without ``RetainAllVariantProperties`` weights and counts are the new configuration's. With it,
    variants of the same name keep theirs, but for the properties that are excluded.
    """
    result = fresh_variants(config, role)
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
    """The configuration's entry of one variant, production or shadow."""
    entries = [*config[PRODUCTION], *(config.get(SHADOW) or ())]
    return next(v for v in entries if v["VariantName"] == name)


def to_json(value: Stored | Endpoint) -> Params:
    return dataclasses.asdict(value)


def stored_from_json(value: Params) -> Stored:
    return Stored(**value)


def endpoint_from_json(value: Params) -> Endpoint:
    """Fields that an older version did not know have their defaults."""
    fields = _with_variants(copy.deepcopy(value))
    if fields["pending"] is not None:
        fields["pending"] = Pending(**_with_variants(fields["pending"]))
    if fields.get("leftover") is not None:
        fields["leftover"] = Leftover(**_with_variants(fields["leftover"]))
    return Endpoint(**fields)


def _with_variants(fields: Params) -> Params:
    for role in ("variants", "shadows"):
        if role in fields:
            states = fields[role].items()
            fields[role] = {name: VariantState(**state) for name, state in states}
    return fields

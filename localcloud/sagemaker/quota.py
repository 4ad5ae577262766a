"""Instances that an account's endpoints run, against what it may run. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from localcloud.sagemaker.records import DELETING, FAILED, Endpoint, Params, variant_params
from localcloud.service import ServiceError


def by_type(config: Params, counts: Mapping[str, int]) -> dict[str, int]:
    """How many instances of each type the variants' counts are."""
    found: Counter[str] = Counter()
    for name, count in counts.items():
        found[variant_params(config, name)["InstanceType"]] += count
    return dict(found)


def in_use(endpoints: Iterable[Endpoint]) -> dict[str, int]:
    """What all endpoints run, with both fleets of those that are deployed."""
    found: Counter[str] = Counter()
    for endpoint in endpoints:
        if endpoint.status in (FAILED, DELETING):
            continue
        sides = [(endpoint.config, {**endpoint.variants, **endpoint.shadows})]
        if endpoint.pending is not None:
            pending = endpoint.pending
            sides.append((pending.config, {**pending.variants, **pending.shadows}))
        if endpoint.leftover is not None:
            sides.append((endpoint.leftover.config, endpoint.leftover.variants))
        for config, states in sides:
            found.update(by_type(config, {n: s.desired_count for n, s in states.items()}))
    return dict(found)


def check(instance_type: str, limit: int | None, used: int, more: int) -> None:
    """Raises ``ResourceLimitExceeded`` in SageMaker's words (fact sheet 11)."""
    if limit is None or more == 0 or used + more <= limit:
        return
    raise ServiceError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{instance_type} for endpoint usage' is {limit} "
        f"Instances, with current utilization of {used} Instances and a request delta of {more} "
        "Instances. Please use AWS Service Quotas to request an increase for this quota. If AWS "
        "Service Quotas is not available, contact AWS support to request an increase for this "
        "quota.",
    )


def growth(updates: Iterable[Params], endpoint: Endpoint) -> dict[str, int]:
    """By how many instances UpdateEndpointWeightsAndCapacities lets the variants grow."""
    more: dict[str, int] = {}
    for update in updates:
        variant = endpoint.variants[update["VariantName"]]
        wanted = int(update.get("DesiredInstanceCount", variant.desired_count))
        more[variant.name] = max(0, wanted - variant.desired_count)
    return more

"""DescribeEndpoint's answer as what the controller sees."""

from __future__ import annotations

import re
from typing import Any

from release.observation import Deployment, Endpoint, Variant

# "Baking for 300 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1
# instance(s)." or "… on full capacity of 3 instance(s)." (facts 3.3)
CAPACITY = re.compile(r"(?P<kind>canary|full) capacity of (?P<count>\d+) instance")
SECONDS = re.compile(r"(?P<seconds>\d+) seconds?")


def describe_endpoint(answer: dict[str, Any], now: float) -> Endpoint:
    pending: dict[str, Any] = answer.get("PendingDeploymentSummary") or {}
    return Endpoint(
        now=now,
        status=answer["EndpointStatus"],
        config_name=answer.get("EndpointConfigName", ""),
        last_modified=answer["LastModifiedTime"].timestamp(),
        variants=tuple(_variant(v) for v in answer.get("ProductionVariants", [])),
        pending_config=pending.get("EndpointConfigName"),
        failure_reason=answer.get("FailureReason", ""),
        shadows=tuple(_variant(v) for v in answer.get("ShadowProductionVariants", [])),
        deployment=_deployment(pending, now),
    )


def _variant(summary: dict[str, Any]) -> Variant:
    return Variant(
        name=summary["VariantName"],
        current_weight=float(summary.get("CurrentWeight", 0.0)),
        desired_weight=float(summary.get("DesiredWeight", 0.0)),
        current_count=int(summary.get("CurrentInstanceCount", 0)),
        desired_count=int(summary.get("DesiredInstanceCount", 0)),
    )


def _deployment(pending: dict[str, Any], now: float) -> Deployment | None:
    """How far the new fleet of the only variant is; None where nothing tells."""
    variants: list[dict[str, Any]] = pending.get("ProductionVariants") or []
    statuses: list[dict[str, Any]] = variants[0].get("VariantStatus") or [] if variants else []
    if not statuses:
        return None
    latest = max(statuses, key=lambda s: s["StartTime"].timestamp() if "StartTime" in s else 0.0)
    message = str(latest.get("StatusMessage", ""))
    capacity, seconds = CAPACITY.search(message), SECONDS.search(message)
    total = int(variants[0].get("DesiredInstanceCount") or 0)
    active = int(capacity["count"]) if capacity else 0
    is_full = bool(capacity) and (capacity["kind"] == "full" or 0 < total <= active)
    return Deployment(
        status=str(latest.get("Status", "")),
        since=latest["StartTime"].timestamp() if "StartTime" in latest else now,
        seconds=float(seconds["seconds"]) if seconds else 0.0,
        active=active,
        total=total,
        is_full=is_full,
    )

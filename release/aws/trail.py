"""CloudTrail: who changed an endpoint that a release moves, as far as it is known by now."""

from __future__ import annotations

import json
from typing import Any

from release.aws.call import call

# CloudTrail has events some minutes after the calls; what changed it was seen within one look.
SINCE_SECONDS = 900.0
CHANGES = ("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint")


def changed_by(cloudtrail: Any, endpoint_name: str, now: float, own: str) -> str:
    """Who changed it last and by which call, but for ``own`` (an ARN); empty where none is known.

    Raises:
        AwsError: CloudTrail may not be asked, or did not answer.
    """
    found: list[tuple[float, str]] = []
    for name in CHANGES:
        # By name and request: that such events list their endpoint as a resource is not documented.
        answer = call(
            cloudtrail.lookup_events,
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=now - SINCE_SECONDS,
            EndTime=now,
        )
        for event in answer.get("Events", []):
            told: dict[str, Any] = json.loads(event.get("CloudTrailEvent") or "{}")
            who = str((told.get("userIdentity") or {}).get("arn") or "")
            if who and who != own and _is_change(told, endpoint_name):
                at = event["EventTime"]
                found.append((at.timestamp(), f"{who} ({name} at {at:%H:%M:%S} UTC)"))
    return max(found)[1] if found else ""


def _is_change(told: dict[str, Any], endpoint_name: str) -> bool:
    """Whether it was taken, and is more than a scaling of instances, which no release minds."""
    asked: dict[str, Any] = told.get("requestParameters") or {}
    if told.get("errorCode") or asked.get("endpointName") != endpoint_name:
        return False
    variants: list[dict[str, Any]] = asked.get("desiredWeightsAndCapacities") or []
    return not variants or any("desiredWeight" in variant for variant in variants)

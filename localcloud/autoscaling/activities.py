"""DescribeScalingActivities."""

from __future__ import annotations

from typing import Any

from localcloud.autoscaling import rules
from localcloud.autoscaling.pages import page
from localcloud.autoscaling.records import DIMENSION, NAMESPACE, Activity, State
from localcloud.cloudwatch.paging import when
from localcloud.service import RequestContext

Params = dict[str, Any]


def describe(state: State, params: Params, context: RequestContext) -> Params:
    """Newest first; those that came to nothing only where they are asked for."""
    rules.check_filter(params)
    resource_id = params.get("ResourceId")
    with state.lock:
        found = [
            _described(activity)
            for activity in reversed(state.activities)
            if activity.region == context.region
            and params["ServiceNamespace"] == NAMESPACE
            and params.get("ScalableDimension", DIMENSION) == DIMENSION
            and resource_id in (None, activity.resource_id)
            and (activity.not_scaled is None or params.get("IncludeNotScaledActivities", False))
        ]
    return page(found, params, "ScalingActivities")


def _described(activity: Activity) -> Params:
    found: Params = {
        "ActivityId": activity.id,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": activity.resource_id,
        "ScalableDimension": DIMENSION,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": when(activity.start),
        "StatusCode": activity.status,
    }
    if activity.ended is not None:
        found["EndTime"] = when(activity.ended)
    if activity.message is not None:
        found["StatusMessage"] = activity.message
    if activity.not_scaled is not None:
        found["NotScaledReasons"] = [dict(activity.not_scaled)]
    return found

"""The answers of Describe and List, as SageMaker gives them. Pure."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable
from typing import Any

from localcloud.sagemaker.records import (
    CREATING,
    DEFAULT_WEIGHT,
    FAILED,
    INVOCABLE,
    PRODUCTION,
    SHADOW,
    Endpoint,
    Pending,
    Stored,
    VariantState,
    variant_params,
)
from localcloud.sagemaker.rules import refuse

Params = dict[str, Any]
PAGE = 10
REASON_LIMIT = 1024


def when(timestamp: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC)


def model(stored: Stored) -> Params:
    given = {k: v for k, v in stored.params.items() if k != "Tags"}
    if "PrimaryContainer" in given:
        given["PrimaryContainer"] = {"Mode": "SingleModel", **given["PrimaryContainer"]}
    return {
        "EnableNetworkIsolation": False,
        **given,
        "ModelArn": stored.arn,
        "CreationTime": when(stored.created),
    }


def config(stored: Stored) -> Params:
    given = {k: v for k, v in stored.params.items() if k != "Tags"}
    weighted = {
        role: [{"InitialVariantWeight": DEFAULT_WEIGHT, **v} for v in given[role]]
        for role in (PRODUCTION, SHADOW)
        if given.get(role)
    }
    return {
        **given,
        **weighted,
        "EndpointConfigArn": stored.arn,
        "CreationTime": when(stored.created),
    }


def endpoint(record: Endpoint) -> Params:
    """``PendingDeploymentSummary`` shows the green side; everything else is blue until success."""
    answer: Params = {
        "EndpointName": record.name,
        "EndpointArn": record.arn,
        "EndpointStatus": record.status,
        "CreationTime": when(record.created),
        "LastModifiedTime": when(record.modified),
        "EndpointConfigName": record.config_name,
    }
    if record.status not in (CREATING, FAILED):
        answer[PRODUCTION] = [
            {**_summary(record.config, state), **_scaling(record, state)}
            for state in record.variants.values()
        ]
        if record.shadows:
            answer[SHADOW] = [_summary(record.config, s) for s in record.shadows.values()]
        capture = record.config.get("DataCaptureConfig")
        if capture is not None:
            answer["DataCaptureConfig"] = _capture(capture, record.status)
    if record.pending is not None:
        answer["PendingDeploymentSummary"] = _pending(record.pending)
    if record.failure_reason:
        answer["FailureReason"] = record.failure_reason[:REASON_LIMIT]
    if record.last_deployment is not None:
        answer["LastDeploymentConfig"] = record.last_deployment
    return answer


def _capture(capture: Params, status: str) -> Params:
    enabled = bool(capture.get("EnableCapture", True))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled and status in INVOCABLE else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }


def _pending(pending: Pending) -> Params:
    summary: Params = {
        "EndpointConfigName": pending.config_name,
        "StartTime": when(pending.started),
        PRODUCTION: [_coming(pending, state) for state in pending.variants.values()],
    }
    if pending.shadows:
        summary[SHADOW] = [_coming(pending, state) for state in pending.shadows.values()]
    return summary


def _coming(pending: Pending, state: VariantState) -> Params:
    launching = {
        "Status": "Creating",
        "StatusMessage": f"Launching {state.desired_count} instance(s).",
        "StartTime": when(pending.started),
    }
    return {
        "VariantStatus": [launching],
        **_summary(pending.config, state),
        "InstanceType": variant_params(pending.config, state.name)["InstanceType"],
    }


def _summary(configuration: Params, state: VariantState) -> Params:
    summary: Params = {
        "VariantName": state.name,
        "CurrentWeight": state.current_weight,
        "DesiredWeight": state.desired_weight,
        "CurrentInstanceCount": state.current_count,
        "DesiredInstanceCount": state.desired_count,
    }
    if state.image is not None:
        image = {
            "SpecifiedImage": state.image,
            "ResolvedImage": state.image,
            "ResolutionTime": when(state.resolved),
        }
        summary["DeployedImages"] = [image]
    routing = variant_params(configuration, state.name).get("RoutingConfig")
    if routing is not None:
        summary["RoutingConfig"] = routing
    if state.progress is not None:
        started = when(state.progress["StartTime"])
        summary["VariantStatus"] = [{**state.progress, "StartTime": started}]
    return summary


def _scaling(record: Endpoint, state: VariantState) -> Params:
    is_deployed = record.pending is not None or record.leftover is not None
    if is_deployed or state.desired_count == state.current_count:
        return {}
    direction = "out" if state.desired_count > state.current_count else "in"
    return {
        "VariantStatus": [
            {
                "Status": "Updating",
                "StatusMessage": f"Scaling {direction} desired instance count to "
                f"{state.desired_count}.",
                "StartTime": when(record.modified),
            }
        ]
    }


def endpoint_entry(record: Endpoint) -> Params:
    return {
        "EndpointName": record.name,
        "EndpointArn": record.arn,
        "CreationTime": when(record.created),
        "LastModifiedTime": when(record.modified),
        "EndpointStatus": record.status,
    }


def overview(record: Endpoint) -> Params:
    """What a person wants to see first; no answer of AWS."""
    shown = () if record.status in (CREATING, FAILED) else record.variants.values()
    return {
        "name": record.name,
        "region": record.region,
        "status": record.status,
        "variants": {state.name: state.current_count for state in shown},
    }


def stored_entry(stored: Stored, kind: str) -> Params:
    """``kind`` is ``Model`` or ``EndpointConfig``."""
    return {
        f"{kind}Name": stored.name,
        f"{kind}Arn": stored.arn,
        "CreationTime": when(stored.created),
    }


def page(items: Iterable[Params], params: Params, key: str, name_of: str) -> Params:
    """One page of a listing: filtered, sorted, and the token of the next page."""
    chosen = [item for item in items if _wanted(item, params, name_of)]
    sort_by: str = params.get("SortBy", "CreationTime")
    field = {"Name": name_of, "Status": "EndpointStatus"}.get(sort_by, sort_by)
    chosen.sort(
        key=lambda item: (item[field], item[name_of]),
        reverse=params.get("SortOrder", "Descending") == "Descending",
    )
    start = _offset(params.get("NextToken"))
    size = int(params.get("MaxResults", PAGE))
    answer: Params = {key: chosen[start : start + size]}
    if start + size < len(chosen):
        answer["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return answer


def tag_page(tags: dict[str, str], params: Params) -> Params:
    listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    start = _offset(params.get("NextToken"))
    size = int(params.get("MaxResults", 50))
    answer: Params = {"Tags": listed[start : start + size]}
    if start + size < len(listed):
        answer["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return answer


def _wanted(item: Params, params: Params, name_of: str) -> bool:
    needle = params.get("NameContains")
    if needle is not None and needle.lower() not in item[name_of].lower():
        return False
    status = params.get("StatusEquals")
    if status is not None and item["EndpointStatus"] != status:
        return False
    for time_field in ("CreationTime", "LastModifiedTime"):
        after, before = params.get(f"{time_field}After"), params.get(f"{time_field}Before")
        if after is not None and not item[time_field] > after:
            return False
        if before is not None and not item[time_field] < before:
            return False
    return True


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except ValueError:
        raise refuse("The NextToken in the request is not valid.") from None

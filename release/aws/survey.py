"""The edge that makes a survey: CloudWatch, Service Quotas and IAM, asked once before a plan."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from contracts.release_manifest import LIVE_VARIANT, AlarmGate, LatencyGate, ReleaseManifest
from release.aws.cloud import AwsCloud, RefusedError, UnavailableError, call
from release.aws.metrics import NAMESPACE
from release.controller.start import Snapshot
from release.planning.lint.capacity import instance_types
from release.planning.survey import AlarmSeen, Quota, Survey, Traffic

WEEK = 7 * 86400.0
PERIOD = 300
RECENT_SECONDS = 3600.0
# Of traffic that began within the last hour no fewer periods are averaged.
MIN_PERIODS = 2
QUOTA_NAME = "{} for endpoint usage"
MAX_ENDPOINTS = 200
DESCRIBE_ALARMS = "cloudwatch:DescribeAlarms"


def survey(
    cloud: AwsCloud, manifest: ReleaseManifest, snapshot: Snapshot, seconds: float
) -> Survey:
    """Ask AWS for what the plan of a release that lasts ``seconds`` needs to know."""
    untold: list[str] = []
    types = instance_types(manifest, snapshot)
    allowed = _told(untold, "the quota", _allowed_instances, cloud, types) or {}
    in_use = _told(untold, "the use", _instances_in_use, cloud) if allowed else None
    quotas: dict[str, Quota] = {}
    if in_use is not None:
        quotas = {kind: Quota(most, in_use[kind]) for kind, most in allowed.items()}
    now = snapshot.endpoint.now
    is_driven_by_lambda = manifest.controller.state_machine_arn is not None
    return Survey(
        traffic=_told(untold, "the traffic", traffic, cloud, manifest, now, seconds),
        alarms=_told(untold, "the alarms", _alarms, cloud, manifest),
        quotas=quotas,
        may_describe_alarms=_told(untold, "the role", _may_describe_alarms, cloud, manifest),
        driver="lambda" if is_driven_by_lambda else "terminal",
        tells=tuple(untold),
    )


def _told(untold: list[str], what: str, ask: Any, *arguments: Any) -> Any:
    """The answer; None, and a note of it, where the caller may not ask or AWS does not offer it."""
    try:
        return ask(*arguments)
    except (RefusedError, UnavailableError) as error:
        untold.append(f"{what} could not be asked ({error})")
        return None


# --- traffic


def traffic(cloud: AwsCloud, manifest: ReleaseManifest, now: float, seconds: float) -> Traffic:
    """The same hours last week; where nothing was there yet, the last hour, or since it began."""
    start = now // 60 * 60
    queries = _queries(manifest)
    week_ago, span = start - WEEK, max(seconds, RECENT_SECONDS)
    then = _values(cloud, queries, week_ago, week_ago + span)
    if any(then["requests"].values()):
        return _average(then, span, "the same hours last week")
    hour_ago = start - RECENT_SECONDS
    values = _values(cloud, queries, hour_ago, start)
    began = _began(values["requests"], hour_ago, start)
    minutes = round((start - began) / 60)
    source = "the last hour" if began == hour_ago else f"the last {minutes} minutes"
    return _average(values, start - began, source)


def _began(requests: dict[float, float], since: float, until: float) -> float:
    """When traffic began that goes on; ``since`` where it was there by then, or is sparse."""
    busy = sorted(moment for moment, count in requests.items() if count)
    if not busy or busy[0] < since + PERIOD:
        return since
    first = min(busy[0], until - MIN_PERIODS * PERIOD)
    return first if 2 * len(busy) >= (until - busy[0]) / PERIOD else since


def _average(values: dict[str, dict[float, float]], seconds: float, source: str) -> Traffic:
    """A period without requests has no value at all."""
    total = {key: sum(found.values()) for key, found in values.items()}
    requests = total["requests"]
    if not requests:
        return Traffic(0.0, 0.0, None, source)
    slow = min(1.0, total["slow"] / requests) if values.get("slow") else None
    return Traffic(requests / (seconds / 60), min(1.0, total["errors"] / requests), slow, source)


def _queries(manifest: ReleaseManifest) -> list[dict[str, Any]]:
    over = next((g.over_us for g in manifest.release.gates if isinstance(g, LatencyGate)), None)
    asked = [("requests", "Invocations", "Sum"), ("errors", "InvocationModelErrors", "Sum")]
    if over is not None:
        asked.append(("slow", "ModelLatency", f"TC({over:.15g}:)"))
    dimensions = [
        {"Name": "EndpointName", "Value": manifest.endpoint_name},
        {"Name": "VariantName", "Value": LIVE_VARIANT},
    ]
    return [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions},
                "Period": PERIOD,
                "Stat": statistic,
            },
        }
        for key, name, statistic in asked
    ]


def _values(
    cloud: AwsCloud, queries: list[dict[str, Any]], since: float, until: float
) -> dict[str, dict[float, float]]:
    """The values of each query, by its id and the start of their period."""
    values: dict[str, dict[float, float]] = {query["Id"]: {} for query in queries}
    token: dict[str, str] = {}
    while True:
        answer = call(
            cloud["cloudwatch"].get_metric_data,
            MetricDataQueries=queries,
            StartTime=since,
            EndTime=until,
            **token,
        )
        for result in answer["MetricDataResults"]:
            moments = (moment.timestamp() for moment in result["Timestamps"])
            values[result["Id"]].update(zip(moments, result["Values"], strict=True))
        if not answer.get("NextToken"):
            return values
        token = {"NextToken": answer["NextToken"]}


# --- alarms


def _alarms(cloud: AwsCloud, manifest: ReleaseManifest) -> dict[str, AlarmSeen]:
    named = {g.alarm for g in manifest.release.gates if isinstance(g, AlarmGate)}
    names = sorted(named | set(manifest.standing_alarms))
    found: dict[str, AlarmSeen] = {}
    for start in range(0, len(names), 100):
        answer = call(
            cloud["cloudwatch"].describe_alarms,
            AlarmNames=names[start : start + 100],
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=100,
        )
        for alarm in (*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])):
            found[alarm["AlarmName"]] = AlarmSeen.of(alarm)
    return found


# --- quota


def _allowed_instances(cloud: AwsCloud, types: Sequence[str]) -> dict[str, int]:
    """By type: the account's own quotas, then AWS's defaults; a type that neither names is left."""
    names = {QUOTA_NAME.format(kind): kind for kind in types}
    found: dict[str, int] = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for quota in _pages(cloud["service-quotas"], operation, "Quotas", ServiceCode="sagemaker"):
            kind = names.get(quota.get("QuotaName", ""))
            if kind is not None:
                found.setdefault(kind, int(quota["Value"]))
            if len(found) == len(names):
                return found
    return found


def _instances_in_use(cloud: AwsCloud) -> Counter[str]:
    """By type, over all endpoints of the account."""
    sagemaker = cloud["sagemaker"]
    types: dict[str, dict[str, str]] = {}
    used: Counter[str] = Counter()
    for count, entry in enumerate(_pages(sagemaker, "list_endpoints", "Endpoints", MaxResults=100)):
        if count >= MAX_ENDPOINTS:
            break
        described = call(sagemaker.describe_endpoint, EndpointName=entry["EndpointName"])
        name = described.get("EndpointConfigName")
        if name not in types:
            config = cloud.config(str(name))
            variants = config.production() if config is not None else []
            types[str(name)] = {v["VariantName"]: v.get("InstanceType", "") for v in variants}
        for variant in described.get("ProductionVariants", []):
            kind = types[str(name)].get(variant["VariantName"], "")
            used[kind] += int(variant.get("DesiredInstanceCount", 0))
    return used


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    while True:
        answer = call(getattr(client, operation), **arguments)
        yield from answer.get(key, [])
        if not answer.get("NextToken"):
            return
        arguments["NextToken"] = answer["NextToken"]


# --- permissions


def _may_describe_alarms(cloud: AwsCloud, manifest: ReleaseManifest) -> bool | None:
    """Whether the execution role's own policies allow it; None where managed ones could too."""
    role = manifest.execution_role_arn.rpartition("/")[2]
    iam = cloud["iam"]
    for name in call(iam.list_role_policies, RoleName=role)["PolicyNames"]:
        document = call(iam.get_role_policy, RoleName=role, PolicyName=name)["PolicyDocument"]
        if allows(document, DESCRIBE_ALARMS):
            return True
    attached = call(iam.list_attached_role_policies, RoleName=role)["AttachedPolicies"]
    return None if attached else False


def allows(document: Any, action: str) -> bool:
    """Whether a statement of the policy allows ``action`` on anything at all."""
    if isinstance(document, str):
        document = json.loads(unquote(document))
    statements: Any = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        actions: Any = statement.get("Action", [])
        listed = actions if isinstance(actions, list) else [actions]
        names = [str(a).lower() for a in listed]
        if statement.get("Effect") == "Allow" and any(
            fnmatchcase(action.lower(), name) for name in names
        ):
            return True
    return False

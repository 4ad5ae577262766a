"""The edge to AWS: boto3 clients, what the controller sees, and what it does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from release.actions import (
    Action,
    CreateConfig,
    DeleteAlarms,
    DeleteConfig,
    PutAlarm,
    SetCapacity,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
)
from release.errors import AwsError
from release.observation import (
    MISSING,
    Config,
    Endpoint,
    MetricQuery,
    Series,
    Variant,
    VariantMinute,
)

MAX_ATTEMPTS = 8
READ_TIMEOUT_SECONDS = 70  # A model may answer for 60 s (facts 1.2).
SCALABLE_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
NAMESPACE = "AWS/SageMaker"
NOT_FOUND = "Could not find"
EXISTS = "already existing"
# A configuration just made may not be found yet (facts 3.3); backoff in seconds, with jitter.
NOT_YET_SEEN_BACKOFF = (0.5, 1.0, 2.0, 4.0)
STATISTICS = (
    ("requests", "Invocations", "Sum"),
    ("errors", "InvocationModelErrors", "Sum"),
    ("p95", "ModelLatency", "p95"),
)


class RefusedError(AwsError):
    """AWS understood the call and refused it; ``response`` is botocore's."""

    def __init__(self, text: str, code: str = "", response: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.response = response or {}


class UnavailableError(AwsError):
    """AWS could not be reached, or failed on its side, after all retries."""


class Cloud(Protocol):
    """What a driver needs of AWS."""

    def caller(self) -> str: ...
    def endpoint(self, name: str) -> Endpoint: ...
    def config(self, name: str) -> Config | None: ...
    def suspended(self, endpoint_name: str) -> dict[str, bool] | None: ...
    def alarms(self, names: tuple[str, ...]) -> dict[str, str]: ...
    def series(self, endpoint_name: str, query: MetricQuery) -> Series: ...
    def execute(self, endpoint_name: str, action: Action) -> None: ...


def client(service: str, region: str | None = None) -> Any:
    """A boto3 client from the environment's endpoint and credentials.

    Throttling, 5xx and lost connections are retried with exponential backoff and jitter.
    """
    import boto3
    from botocore.config import Config as BotoConfig

    return boto3.client(  # pyright: ignore[reportCallIssue]
        service,  # pyright: ignore[reportArgumentType]
        region_name=region,
        config=BotoConfig(
            retries={"mode": "standard", "max_attempts": MAX_ATTEMPTS},
            connect_timeout=10,
            read_timeout=READ_TIMEOUT_SECONDS,
        ),
    )


class AwsCloud:
    """The real thing, and the local cloud alike: whatever answers at the environment's endpoint."""

    def __init__(self, region: str, make_client: Callable[[str, str | None], Any] = client) -> None:
        self.region = region
        self._make_client = make_client
        self._clients: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._make_client(service, self.region)
        return self._clients[service]

    def caller(self) -> str:
        return str(call(self["sts"].get_caller_identity)["Arn"])

    def endpoint(self, name: str) -> Endpoint:
        try:
            answer = call(self["sagemaker"].describe_endpoint, EndpointName=name)
        except RefusedError as error:
            if NOT_FOUND not in str(error):
                raise
            return Endpoint(_date(error.response), MISSING, "", 0.0)
        pending: dict[str, Any] = answer.get("PendingDeploymentSummary") or {}
        return Endpoint(
            now=_date(answer),
            status=answer["EndpointStatus"],
            config_name=answer.get("EndpointConfigName", ""),
            last_modified=answer["LastModifiedTime"].timestamp(),
            variants=tuple(_variant(v) for v in answer.get("ProductionVariants", [])),
            pending_config=pending.get("EndpointConfigName"),
            failure_reason=answer.get("FailureReason", ""),
        )

    def config(self, name: str) -> Config | None:
        sagemaker = self["sagemaker"]
        try:
            answer = call(sagemaker.describe_endpoint_config, EndpointConfigName=name)
        except RefusedError as error:
            if NOT_FOUND in str(error):
                return None
            raise
        arn = answer["EndpointConfigArn"]
        computed = ("EndpointConfigArn", "CreationTime", "ResponseMetadata", "EndpointConfigName")
        body = {k: v for k, v in answer.items() if k not in computed}
        return Config(name, body, self.tags(arn))

    def tags(self, arn: str) -> dict[str, str]:
        sagemaker = self["sagemaker"]
        tags: dict[str, str] = {}
        token: dict[str, str] = {}
        while True:
            page = call(sagemaker.list_tags, ResourceArn=arn, **token)
            tags |= {t["Key"]: t["Value"] for t in page["Tags"]}
            if not page.get("NextToken"):
                return tags
            token = {"NextToken": page["NextToken"]}

    def suspended(self, endpoint_name: str) -> dict[str, bool] | None:
        answer = call(
            self["application-autoscaling"].describe_scalable_targets,
            ServiceNamespace="sagemaker",
            ResourceIds=[_resource_id(endpoint_name)],
            ScalableDimension=SCALABLE_DIMENSION,
        )
        targets = answer["ScalableTargets"]
        if not targets:
            return None
        state = targets[0].get("SuspendedState") or {}
        names = (
            "DynamicScalingInSuspended",
            "DynamicScalingOutSuspended",
            "ScheduledScalingSuspended",
        )
        return {name: bool(state.get(name, False)) for name in names}

    def alarms(self, names: tuple[str, ...]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(names), 100):
            answer = call(
                self["cloudwatch"].describe_alarms,
                AlarmNames=list(names[start : start + 100]),
                AlarmTypes=["MetricAlarm"],
            )
            found |= {a["AlarmName"]: a["StateValue"] for a in answer.get("MetricAlarms", [])}
        return found

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        """Complete minutes only: one without requests or without error counts is missing."""
        queries = _metric_queries(endpoint_name, query)
        values: dict[str, dict[float, float]] = {q["Id"]: {} for q in queries}
        token: dict[str, str] = {}
        while True:
            answer = call(
                self["cloudwatch"].get_metric_data,
                MetricDataQueries=queries,
                StartTime=query.since,
                EndTime=query.until + 60,
                ScanBy="TimestampAscending",
                **token,
            )
            for result in answer["MetricDataResults"]:
                pairs = zip(result["Timestamps"], result["Values"], strict=True)
                values[result["Id"]] |= {at.timestamp(): value for at, value in pairs}
            if not answer.get("NextToken"):
                break
            token = {"NextToken": answer["NextToken"]}
        series: Series = {}
        for i, variant in enumerate(query.variants):
            requests, errors = values[f"requests{i}"], values[f"errors{i}"]
            series[variant] = {
                at: VariantMinute(round(requests[at]), round(errors[at]), values[f"p95{i}"].get(at))
                for at in sorted(requests.keys() & errors.keys())
            }
        return series

    def execute(self, endpoint_name: str, action: Action) -> None:
        """Do it; a thing that is done already is done.

        Raises:
            RefusedError: AWS refused.
            UnavailableError: AWS did not answer.
        """
        match action:
            case CreateConfig(name, body, tags):
                self._create_config(name, body, tags)
            case DeleteConfig(name):
                self._delete_config(name)
            case UpdateEndpoint():
                self._update(endpoint_name, action)
            case SetWeights(weights):
                self._weights_and_capacities(
                    endpoint_name,
                    [{"VariantName": n, "DesiredWeight": w} for n, w in weights.items()],
                )
            case SetCapacity(variant, count):
                self._weights_and_capacities(
                    endpoint_name, [{"VariantName": variant, "DesiredInstanceCount": count}]
                )
            case PutAlarm():
                call(self["cloudwatch"].put_metric_alarm, **_alarm_input(endpoint_name, action))
            case DeleteAlarms(names):
                # An unknown name makes the call answer an error; it takes a hundred at most.
                existing = tuple(self.alarms(names))
                if existing:
                    call(self["cloudwatch"].delete_alarms, AlarmNames=list(existing))
            case SetScaling(suspended):
                if self.suspended(endpoint_name) is not None:
                    call(
                        self["application-autoscaling"].register_scalable_target,
                        ServiceNamespace="sagemaker",
                        ResourceId=_resource_id(endpoint_name),
                        ScalableDimension=SCALABLE_DIMENSION,
                        SuspendedState=suspended,
                    )

    def _create_config(self, name: str, body: dict[str, Any], tags: dict[str, str]) -> None:
        listed = [{"Key": k, "Value": v} for k, v in sorted(tags.items())]
        try:
            call(
                self["sagemaker"].create_endpoint_config,
                EndpointConfigName=name,
                Tags=listed,
                **body,
            )
        except RefusedError as error:
            if EXISTS not in str(error):
                raise

    def _delete_config(self, name: str) -> None:
        try:
            call(self["sagemaker"].delete_endpoint_config, EndpointConfigName=name)
        except RefusedError as error:
            if NOT_FOUND not in str(error):
                raise

    def _update(self, endpoint_name: str, action: UpdateEndpoint) -> None:
        excluded = [{"VariantPropertyType": "DesiredWeight"}] if action.exclude_weights else []
        for delay in (*NOT_YET_SEEN_BACKOFF, None):
            try:
                call(
                    self["sagemaker"].update_endpoint,
                    EndpointName=endpoint_name,
                    EndpointConfigName=action.config,
                    RetainAllVariantProperties=True,
                    ExcludeRetainedVariantProperties=excluded,
                )
                return
            except RefusedError as error:
                # A retried call may have been taken the first time.
                endpoint = self.endpoint(endpoint_name)
                if action.config in (endpoint.config_name, endpoint.pending_config):
                    return
                if delay is None or NOT_FOUND not in str(error):
                    raise
                time.sleep(delay * random.uniform(0.5, 1.5))

    def _weights_and_capacities(self, endpoint_name: str, desired: list[dict[str, Any]]) -> None:
        call(
            self["sagemaker"].update_endpoint_weights_and_capacities,
            EndpointName=endpoint_name,
            DesiredWeightsAndCapacities=desired,
        )


def call(function: Callable[..., Any], **arguments: Any) -> Any:
    """One call, its failure as what a release has to tell apart: refused, or not answered."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return function(**arguments)
    except ClientError as error:
        response: dict[str, Any] = dict(error.response)
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        details = response.get("Error", {})
        text = f"{details.get('Code', 'unknown')}: {details.get('Message', '')}"
        is_throttled = "Throttl" in str(details.get("Code")) or status == 429
        if status >= 500 or is_throttled:
            raise UnavailableError(f"aws did not answer {error.operation_name}: {text}") from error
        raise RefusedError(text, str(details.get("Code", "")), response) from error
    except BotoCoreError as error:
        raise UnavailableError(f"aws could not be reached: {error}") from error


def _date(answer: dict[str, Any]) -> float:
    """AWS's own time, from the answer's Date header: the local cloud's clock may run faster."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    text = headers.get("date")
    return parsedate_to_datetime(text).timestamp() if text else time.time()


def _variant(summary: dict[str, Any]) -> Variant:
    return Variant(
        name=summary["VariantName"],
        current_weight=float(summary.get("CurrentWeight", 0.0)),
        desired_weight=float(summary.get("DesiredWeight", 0.0)),
        current_count=int(summary.get("CurrentInstanceCount", 0)),
        desired_count=int(summary.get("DesiredInstanceCount", 0)),
    )


def _resource_id(endpoint_name: str) -> str:
    return f"endpoint/{endpoint_name}/variant/live"


def _dimensions(endpoint_name: str, variant: str, config: str) -> list[dict[str, str]]:
    """With the configuration's name, so that old and new fleet are never mixed (facts 5)."""
    return [
        {"Name": "EndpointName", "Value": endpoint_name},
        {"Name": "VariantName", "Value": variant},
        {"Name": "EndpointConfigName", "Value": config},
    ]


def _metric_queries(endpoint_name: str, query: MetricQuery) -> list[dict[str, Any]]:
    return [
        {
            "Id": f"{key}{i}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": _dimensions(endpoint_name, variant, query.config),
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for i, variant in enumerate(query.variants)
        for key, metric, statistic in STATISTICS
    ]


def _alarm_input(endpoint_name: str, alarm: PutAlarm) -> dict[str, Any]:
    spec = alarm.spec
    is_percentile = spec.statistic.startswith("p")
    kind = "ExtendedStatistic" if is_percentile else "Statistic"
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": "Rollback alarm of a running slipway release; removed at its end.",
        "Namespace": NAMESPACE,
        "MetricName": spec.metric_name,
        "Dimensions": _dimensions(endpoint_name, alarm.variant, alarm.config),
        kind: spec.statistic,
        "Period": spec.period_seconds,
        "EvaluationPeriods": spec.evaluation_periods,
        "DatapointsToAlarm": spec.datapoints_to_alarm,
        "Threshold": spec.threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": [{"Key": k, "Value": v} for k, v in sorted(alarm.tags.items())],
    }

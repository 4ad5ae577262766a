"""The edge to AWS: what the controller sees of an endpoint, and what it does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Protocol

from contracts.release_manifest import LIVE_VARIANT
from release.actions import (
    Action,
    CreateConfig,
    DeleteAlarms,
    DeleteConfig,
    PublishVerdict,
    PutAlarm,
    PutGateAlarm,
    RemoveScaling,
    RestoreScaling,
    SetCapacity,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
)
from release.aws import scaling as aws_scaling
from release.aws import trail as aws_trail
from release.aws.call import (
    EXISTS,
    NOT_FOUND,
    RefusedError,
    UnavailableError,
    call,
    client,
    date_of,
    delete,
)
from release.aws.describe import describe_endpoint
from release.aws.metrics import alarm_input, gate_alarm_input, read_series, verdict_input
from release.observation import (
    MISSING,
    Config,
    Endpoint,
    MetricQuery,
    ScalingTarget,
    Series,
)

__all__ = [
    "NOT_FOUND",
    "AwsCloud",
    "Cloud",
    "RefusedError",
    "UnavailableError",
    "call",
    "client",
]

# A configuration just made may not be found yet (facts 3.3); backoff in seconds, with jitter.
NOT_YET_SEEN_BACKOFF = (0.5, 1.0, 2.0, 4.0)


class Cloud(Protocol):
    """What a driver needs of AWS."""

    def caller(self) -> str: ...
    def endpoint(self, name: str) -> Endpoint: ...
    def config(self, name: str) -> Config | None: ...
    def has_config(self, name: str) -> bool: ...
    def scaling(self, endpoint_name: str) -> ScalingTarget | None: ...
    def alarms(self, names: tuple[str, ...]) -> dict[str, str]: ...
    def series(self, endpoint_name: str, query: MetricQuery) -> Series: ...
    def changed_by(self, endpoint_name: str, now: float) -> str: ...
    def execute(self, endpoint_name: str, action: Action) -> None: ...


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
            return Endpoint(date_of(error.response), MISSING, "", 0.0)
        return describe_endpoint(answer, date_of(answer))

    def has_config(self, name: str) -> bool:
        return self._described_config(name) is not None

    def _described_config(self, name: str) -> dict[str, Any] | None:
        try:
            return call(self["sagemaker"].describe_endpoint_config, EndpointConfigName=name)
        except RefusedError as error:
            if NOT_FOUND in str(error):
                return None
            raise

    def config(self, name: str) -> Config | None:
        answer = self._described_config(name)
        if answer is None:
            return None
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

    def scaling(self, endpoint_name: str) -> ScalingTarget | None:
        return aws_scaling.read(self["application-autoscaling"], endpoint_name, LIVE_VARIANT)

    def alarms(self, names: tuple[str, ...]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(names), 100):
            answer = call(
                self["cloudwatch"].describe_alarms,
                AlarmNames=list(names[start : start + 100]),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=100,
            )
            listed = (*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", []))
            found |= {a["AlarmName"]: a["StateValue"] for a in listed}
        return found

    def changed_by(self, endpoint_name: str, now: float) -> str:
        """Who else changed it in the last minutes; empty where that is not known."""
        return aws_trail.changed_by(self["cloudtrail"], endpoint_name, now, self.caller())

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        return read_series(self["cloudwatch"], endpoint_name, query)

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
                desired = [{"VariantName": n, "DesiredWeight": w} for n, w in weights.items()]
                self._weights_and_capacities(endpoint_name, desired)
            case SetCapacity(variant, count):
                desired = [{"VariantName": variant, "DesiredInstanceCount": count}]
                self._weights_and_capacities(endpoint_name, desired)
            case SetScaling() | RemoveScaling() | RestoreScaling():
                aws_scaling.execute(self["application-autoscaling"], endpoint_name, action)
            case _:
                self._execute_metrics(endpoint_name, action)

    def _execute_metrics(
        self,
        endpoint_name: str,
        action: PutAlarm | PutGateAlarm | DeleteAlarms | PublishVerdict,
    ) -> None:
        cloudwatch = self["cloudwatch"]
        match action:
            case PutAlarm():
                call(cloudwatch.put_metric_alarm, **alarm_input(endpoint_name, action))
            case PutGateAlarm():
                call(cloudwatch.put_metric_alarm, **gate_alarm_input(action))
            case PublishVerdict():
                call(cloudwatch.put_metric_data, **verdict_input(action))
            case DeleteAlarms(names):
                # An unknown name makes the call answer an error; it takes a hundred at most.
                existing = tuple(self.alarms(names))
                if existing:
                    call(cloudwatch.delete_alarms, AlarmNames=list(existing))

    def _create_config(self, name: str, body: dict[str, Any], tags: dict[str, str]) -> None:
        # AWS's own tags can be read, and not be set.
        own = {k: v for k, v in tags.items() if not k.lower().startswith("aws:")}
        listed = [{"Key": k, "Value": v} for k, v in sorted(own.items())]
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
        delete(
            self["sagemaker"].delete_endpoint_config,
            lambda: not self.has_config(name),
            EndpointConfigName=name,
        )

    def _update(self, endpoint_name: str, action: UpdateEndpoint) -> None:
        excluded = [{"VariantPropertyType": "DesiredWeight"}] if action.exclude_weights else []
        guardrails = {} if action.deployment is None else {"DeploymentConfig": action.deployment}
        for delay in (*NOT_YET_SEEN_BACKOFF, None):
            try:
                call(
                    self["sagemaker"].update_endpoint,
                    EndpointName=endpoint_name,
                    EndpointConfigName=action.config,
                    RetainAllVariantProperties=True,
                    ExcludeRetainedVariantProperties=excluded,
                    **guardrails,
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

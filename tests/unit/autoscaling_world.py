"""Application Auto Scaling with SageMaker and CloudWatch faked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.autoscaling.service import AutoScaling
from localcloud.clock import Clock
from localcloud.service import AlarmAction, RequestContext, ServiceError

NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
REGION = "us-east-1"
WHERE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/live",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
SHOWN = (
    "service namespace: sagemaker, resource ID: endpoint/e/variant/live, scalable dimension: "
    "sagemaker:variant:DesiredInstanceCount"
)
INVOCATIONS = {
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
}
STEPS: dict[str, Any] = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
}


class World:
    """One endpoint with one variant, alarms as a table, metrics of one value."""

    def __init__(self) -> None:
        self.status, self.count, self.failure = "InService", 2, None
        self.alarms: dict[str, dict[str, Any]] = {}
        self.value: float | None = None
        self.refusal: ServiceError | None = None
        self.updates: list[int] = []

    def __call__(
        self, service: str, operation: str, region: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        match operation:
            case "DescribeEndpoint":
                if params["EndpointName"].lower() != "e" or region != REGION:
                    raise ServiceError("ValidationException", "Could not find endpoint")
                variant = {"VariantName": "live", "DesiredInstanceCount": self.count}
                return {
                    "EndpointName": "e",
                    "EndpointStatus": self.status,
                    "ProductionVariants": [variant],
                    "FailureReason": self.failure,
                }
            case "UpdateEndpointWeightsAndCapacities":
                if self.refusal is not None:
                    raise self.refusal
                (update,) = params["DesiredWeightsAndCapacities"]
                self.count = update["DesiredInstanceCount"]
                self.updates.append(self.count)
                self.status = "Updating"
                return {}
            case "PutMetricAlarm":
                if self.refusal is not None:
                    raise self.refusal
                known = self.alarms.get(params["AlarmName"], {"StateValue": "INSUFFICIENT_DATA"})
                arn = f"arn:aws:cloudwatch:{region}:123456789012:alarm:{params['AlarmName']}"
                self.alarms[params["AlarmName"]] = {**known, **params, "AlarmArn": arn}
                return {}
            case "DeleteAlarms":
                for name in params["AlarmNames"]:
                    if self.alarms.pop(name, None) is None:
                        raise ServiceError("ResourceNotFound", "no such alarm")
                return {}
            case "DescribeAlarms":
                prefix = params["ActionPrefix"]
                found = [
                    a
                    for _, a in sorted(self.alarms.items())
                    if any(x.startswith(prefix) for x in a["AlarmActions"])
                ]
                return {"MetricAlarms": found}
            case "GetMetricData":
                times = [params["EndTime"] - timedelta(seconds=60)] if self.value else []
                values = [self.value] if self.value else []
                return {"MetricDataResults": [{"Timestamps": times, "Values": values}]}
            case _:
                raise AssertionError(operation)


class Client:
    def __init__(self) -> None:
        self.world = World()
        self.ticks = 0.0
        clock = Clock(start=NOW, ticks=lambda: self.ticks)
        self.clock = clock
        self.changes = 0
        self.service = AutoScaling(clock, self.world, self._changed)
        self.service.start()

    def _changed(self) -> None:
        self.changes += 1

    def call(self, operation: str, region: str = REGION, **params: Any) -> dict[str, Any]:
        context = RequestContext("123456789012", region, "request", self.clock.now())
        return self.service.handle(operation, params, context)

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            self.call(operation, **params)
        return caught.value.code, caught.value.message

    def register(self, low: int = 1, high: int = 5, **more: Any) -> str:
        params = {**WHERE, "MinCapacity": low, "MaxCapacity": high, **more}
        return self.call("RegisterScalableTarget", **params)["ScalableTargetARN"]

    def track(self, name: str = "p", **config: Any) -> dict[str, Any]:
        return self.call("PutScalingPolicy", **tracking(name, **config))

    def target(self) -> dict[str, Any]:
        found = self.call("DescribeScalableTargets", ServiceNamespace="sagemaker")
        return found["ScalableTargets"][0]

    def activities(self, **more: Any) -> list[dict[str, Any]]:
        return self.call("DescribeScalingActivities", ServiceNamespace="sagemaker", **more)[
            "ScalingActivities"
        ]

    def fire(self, kind: str, value: float) -> None:
        """The alarm is in ALARM and its action is carried out."""
        self.world.value = value
        for name, alarm in self.world.alarms.items():
            alarm["StateValue"] = "ALARM" if kind in name else "OK"
        (alarm,) = [a for n, a in self.world.alarms.items() if kind in n]
        self.act(alarm["AlarmActions"][0], alarm["AlarmName"])

    def act(self, arn: str, alarm: str = "alarm") -> None:
        self.service.take(AlarmAction(arn, REGION, alarm, "ALARM", "", "", self.clock.now()))

    def settle(self) -> None:
        self.world.status = "InService"


def tracking(name: str = "p", **config: Any) -> dict[str, Any]:
    wanted = {"TargetValue": 100.0, **INVOCATIONS, **config}
    return {
        **WHERE,
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            k: v for k, v in wanted.items() if v is not None
        },
    }


def stepping(**config: Any) -> dict[str, Any]:
    return {
        **WHERE,
        "PolicyName": "p",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {**STEPS, **config},
    }


def morning(**more: Any) -> dict[str, Any]:
    return {
        "ScheduledActionName": "morning",
        "Schedule": "cron(0 8 * * ? *)",
        "ScalableTargetAction": {"MinCapacity": 2},
        **more,
    }

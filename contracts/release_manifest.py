"""The release manifest: what ``pulumi up`` staged for one endpoint, and how it is to be released.

Written by the Pulumi program as the last resource of all, read by the release controller. Durations
are seconds, latencies microseconds (CloudWatch's unit for ``ModelLatency``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from contracts.canonical import pretty_json
from contracts.errors import ContractError
from contracts.fields import Fields
from contracts.release_settings import (
    AlarmGate,
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    LinearShift,
    PredictionGate,
    ReleaseSettings,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)

__all__ = [
    "AlarmGate",
    "AlarmSpec",
    "AllAtOnce",
    "BlueGreen",
    "Canary",
    "CanaryShift",
    "Controller",
    "ErrorGate",
    "Gate",
    "HookGate",
    "LatencyGate",
    "LimitGate",
    "LinearShift",
    "PredictionGate",
    "ReleaseManifest",
    "ReleaseSettings",
    "Rolling",
    "ScalingBounds",
    "Shadow",
    "Step",
    "Strategy",
    "Target",
    "Tolerance",
]

SCHEMA_VERSION = 2
LIVE_VARIANT = "live"
CANDIDATE_VARIANT = "candidate"
SHADOW_VARIANT = "shadow"

TAG_STACK = "slipway:stack"
TAG_MODEL = "slipway:model"
TAG_VERSION = "slipway:version"
TAG_HASH = "slipway:hash"


@dataclass(frozen=True)
class Target:
    """The staged version: one SageMaker Model, one configuration with one variant ``live``.

    ``content_hash`` is the identity of all that a release puts in place, and the tag
    ``slipway:hash`` of both. ``data_capture`` is the API's ``DataCaptureConfig`` or None.
    """

    version: str
    content_hash: str
    endpoint_config_name: str
    model_name: str
    instance_type: str
    initial_instance_count: int
    image: str
    artifact_uri: str
    package_sha256: str
    registry_uri: str
    run_id: str
    metrics: dict[str, float]
    data_capture: dict[str, Any] | None


@dataclass(frozen=True)
class AlarmSpec:
    """A rollback alarm that the controller makes, with the dimension ``EndpointConfigName``."""

    suffix: str
    metric_name: str
    statistic: str
    threshold: float
    period_seconds: int
    evaluation_periods: int
    datapoints_to_alarm: int


@dataclass(frozen=True)
class ScalingBounds:
    min_instances: int
    max_instances: int


@dataclass(frozen=True)
class Controller:
    """What the stack provisioned for releases; None where it has no such thing.

    ``state_machine_arn``: the loop that drives releases from a Lambda. ``topic_arn``: where the
    events of releases are published. ``event_bus``: EventBridge's bus for the same events.
    """

    state_machine_arn: str | None = None
    topic_arn: str | None = None
    event_bus: str | None = None


@dataclass(frozen=True)
class ReleaseManifest:
    stack: str
    model: str
    endpoint_name: str
    region: str
    account_id: str
    execution_role_arn: str
    target: Target
    release: ReleaseSettings
    rollback_alarms: tuple[AlarmSpec, ...]
    standing_alarms: tuple[str, ...]
    scaling: ScalingBounds | None
    history_bucket: str
    tags: dict[str, str]
    controller: Controller = Controller()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; strategies and gates carry their ``kind``."""
        value: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        value["release"] = self.release.to_dict()
        return value

    def to_json(self) -> str:
        return pretty_json(self.to_dict())

    @staticmethod
    def from_json(text: str, where: str) -> ReleaseManifest:
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ContractError(
                f"{where} is not JSON ({error}); run `slipway up` to write it again"
            ) from None
        return ReleaseManifest.from_dict(raw, where)

    @staticmethod
    def from_dict(raw: Any, where: str) -> ReleaseManifest:
        fields = Fields(raw, where)
        fields.schema_version(SCHEMA_VERSION)
        scaling = None if fields.raw.get("scaling") is None else fields.child("scaling")
        return ReleaseManifest(
            stack=fields.text("stack"),
            model=fields.text("model"),
            endpoint_name=fields.text("endpoint_name"),
            region=fields.text("region"),
            account_id=fields.text("account_id"),
            execution_role_arn=fields.text("execution_role_arn"),
            target=_target(fields.child("target")),
            release=ReleaseSettings.from_fields(fields.child("release")),
            rollback_alarms=tuple(_alarm(f) for f in fields.children("rollback_alarms")),
            standing_alarms=tuple(str(n) for n in fields.items("standing_alarms")),
            scaling=None
            if scaling is None
            else ScalingBounds(scaling.integer("min_instances"), scaling.integer("max_instances")),
            history_bucket=fields.text("history_bucket"),
            tags={k: str(v) for k, v in fields.map("tags").items()},
            controller=_controller(fields.child("controller")),
        )


def _controller(fields: Fields) -> Controller:
    return Controller(
        state_machine_arn=fields.optional_text("state_machine_arn"),
        topic_arn=fields.optional_text("topic_arn"),
        event_bus=fields.optional_text("event_bus"),
    )


def _target(fields: Fields) -> Target:
    metrics = fields.child("metrics")
    return Target(
        version=fields.text("version"),
        content_hash=fields.text("content_hash"),
        endpoint_config_name=fields.text("endpoint_config_name"),
        model_name=fields.text("model_name"),
        instance_type=fields.text("instance_type"),
        initial_instance_count=fields.integer("initial_instance_count"),
        image=fields.text("image"),
        artifact_uri=fields.text("artifact_uri"),
        package_sha256=fields.text("package_sha256"),
        registry_uri=fields.text("registry_uri"),
        run_id=fields.text("run_id"),
        metrics={name: metrics.number(name) for name in metrics.raw},
        data_capture=None if fields.raw.get("data_capture") is None else fields.map("data_capture"),
    )


def _alarm(fields: Fields) -> AlarmSpec:
    return AlarmSpec(
        suffix=fields.text("suffix"),
        metric_name=fields.text("metric_name"),
        statistic=fields.text("statistic"),
        threshold=fields.number("threshold"),
        period_seconds=fields.integer("period_seconds"),
        evaluation_periods=fields.integer("evaluation_periods"),
        datapoints_to_alarm=fields.integer("datapoints_to_alarm"),
    )

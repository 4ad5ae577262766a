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

SCHEMA_VERSION = 1
LIVE_VARIANT = "live"
CANDIDATE_VARIANT = "candidate"

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
class Tolerance:
    """A step passes when the candidate is shown within ``ratio`` × live or ``points`` above."""

    ratio: float
    points: float


@dataclass(frozen=True)
class Step:
    """One canary step: the candidate's share of traffic in percent, and how long it may bake."""

    weight: float
    tolerance: Tolerance
    bake_min_seconds: float
    bake_max_seconds: float


@dataclass(frozen=True)
class ErrorGate:
    """Errors (``InvocationModelErrors``) of the candidate against live; ``allow`` is a ratio.

    A gate in dry run reports and decides nothing; so do all that follow.
    """

    allow: float = 1.0
    dry_run: bool = False


@dataclass(frozen=True)
class LatencyGate:
    """Share of answers slower than ``over_us``: at most ``allow`` × live's."""

    over_us: float
    allow: float = 1.25
    dry_run: bool = False


@dataclass(frozen=True)
class PredictionGate:
    """Total-variation distance between the distributions of predictions."""

    max_shift: float = 0.1
    dry_run: bool = False


@dataclass(frozen=True)
class LimitGate:
    """The candidate alone: a share of requests (errors, slow), or microseconds (p95)."""

    metric: str
    at_most: float
    over_us: float | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class AlarmGate:
    """A CloudWatch alarm of the owner's."""

    alarm: str
    dry_run: bool = False


@dataclass(frozen=True)
class HookGate:
    """A command or function of the owner's that answers pass, fail or not enough data."""

    name: str
    dry_run: bool = False


Gate = ErrorGate | LatencyGate | PredictionGate | LimitGate | AlarmGate | HookGate


@dataclass(frozen=True)
class ReleaseSettings:
    strategy: str
    steps: tuple[Step, ...]
    gates: tuple[Gate, ...]
    on_inconclusive: str
    settle_seconds: float
    warm_up_seconds: float
    post_bake_seconds: float
    keep_versions: int


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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; gates carry their ``metric``."""
        value: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        value["release"]["gates"] = [gate_to_dict(gate) for gate in self.release.gates]
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
            release=_release(fields.child("release")),
            rollback_alarms=tuple(_alarm(f) for f in fields.children("rollback_alarms")),
            standing_alarms=tuple(str(n) for n in fields.items("standing_alarms")),
            scaling=None
            if scaling is None
            else ScalingBounds(scaling.integer("min_instances"), scaling.integer("max_instances")),
            history_bucket=fields.text("history_bucket"),
            tags={k: str(v) for k, v in fields.map("tags").items()},
        )


_GATE_KINDS = {
    "errors": ErrorGate,
    "latency": LatencyGate,
    "predictions": PredictionGate,
    "limit": LimitGate,
    "alarm": AlarmGate,
    "hook": HookGate,
}


def gate_to_dict(gate: Gate) -> dict[str, Any]:
    kind = next(name for name, made in _GATE_KINDS.items() if type(gate) is made)
    values = asdict(gate)
    if isinstance(gate, LimitGate):
        values["of"] = values.pop("metric")
    return {"metric": kind, **values}


def _gate(fields: Fields) -> Gate:
    dry_run = fields.flag("dry_run") if "dry_run" in fields.raw else False
    match fields.text("metric"):
        case "errors":
            return ErrorGate(fields.number("allow"), dry_run)
        case "latency":
            return LatencyGate(fields.number("over_us"), fields.number("allow"), dry_run)
        case "predictions":
            return PredictionGate(fields.number("max_shift"), dry_run)
        case "limit":
            over = None if fields.raw.get("over_us") is None else fields.number("over_us")
            return LimitGate(fields.text("of"), fields.number("at_most"), over, dry_run)
        case "alarm":
            return AlarmGate(fields.text("alarm"), dry_run)
        case "hook":
            return HookGate(fields.text("name"), dry_run)
        case other:
            known = ", ".join(_GATE_KINDS)
            raise ContractError(f"{fields.where}: metric is {other!r}; one of {known} is needed")


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


def _release(fields: Fields) -> ReleaseSettings:
    return ReleaseSettings(
        strategy=fields.text("strategy"),
        steps=tuple(_step(f) for f in fields.children("steps")),
        gates=tuple(_gate(f) for f in fields.children("gates")),
        on_inconclusive=fields.text("on_inconclusive"),
        settle_seconds=fields.number("settle_seconds"),
        warm_up_seconds=fields.number("warm_up_seconds"),
        post_bake_seconds=fields.number("post_bake_seconds"),
        keep_versions=fields.integer("keep_versions"),
    )


def _step(fields: Fields) -> Step:
    tolerance = fields.child("tolerance")
    return Step(
        fields.number("weight"),
        Tolerance(tolerance.number("ratio"), tolerance.number("points")),
        fields.number("bake_min_seconds"),
        fields.number("bake_max_seconds"),
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

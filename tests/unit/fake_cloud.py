"""An endpoint in memory, as strict as the fact sheet's section 3, and a history beside it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.release_manifest import (
    TAG_HASH,
    TAG_MODEL,
    TAG_STACK,
    TAG_VERSION,
    AlarmSpec,
    Canary,
    ErrorGate,
    LatencyGate,
    ReleaseManifest,
    ReleaseSettings,
    ScalingBounds,
    Step,
    Target,
    Tolerance,
)
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
from release.aws import RefusedError
from release.errors import ConflictError
from release.observation import (
    MISSING,
    Config,
    Endpoint,
    MetricQuery,
    Series,
    Variant,
    VariantMinute,
)
from release.state import EndpointState

ENDPOINT = "wine-test"
NOT_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


def target(version: str) -> Target:
    return Target(
        version=version,
        content_hash=f"hash-{version}",
        endpoint_config_name=f"wine-test-c{version}",
        model_name=f"wine-test-m{version}",
        instance_type="ml.c7i.large",
        initial_instance_count=2,
        image="image@sha256:0",
        artifact_uri=f"s3://artifacts/{version}/model.tar.gz",
        package_sha256=f"sha-{version}",
        registry_uri=f"models:/wine/{version}",
        run_id=f"run-{version}",
        metrics={"auc": 0.7},
        data_capture=None,
    )


def manifest(version: str = "2", **settings: Any) -> ReleaseManifest:
    values: dict[str, Any] = {
        "strategy": Canary(
            (Step(10, Tolerance(5, 5), 120, 3600), Step(50, Tolerance(2, 2), 120, 3600))
        ),
        "gates": (ErrorGate(), LatencyGate(50_000, 1.25)),
        "on_inconclusive": "rollback",
        "settle_seconds": 60.0,
        "warm_up_seconds": 60.0,
        "post_bake_seconds": 120.0,
        "keep_versions": 3,
    } | settings
    if "steps" in values:
        values["strategy"] = Canary(values.pop("steps"))
    return ReleaseManifest(
        stack="test",
        model="wine",
        endpoint_name=ENDPOINT,
        region="eu-west-1",
        account_id="123456789012",
        execution_role_arn="arn:aws:iam::123456789012:role/wine",
        target=target(version),
        release=ReleaseSettings(**values),
        rollback_alarms=(AlarmSpec("errors", "InvocationModelErrors", "Average", 0.2, 60, 3, 2),),
        standing_alarms=(),
        scaling=ScalingBounds(2, 8),
        history_bucket="history",
        tags={TAG_STACK: "test", TAG_MODEL: "wine"},
    )


def config_of(version: str, count: int = 2) -> Config:
    staged = target(version)
    variant = {
        "VariantName": "live",
        "ModelName": staged.model_name,
        "InstanceType": staged.instance_type,
        "InitialInstanceCount": count,
        "InitialVariantWeight": 1.0,
    }
    tags = {
        TAG_STACK: "test",
        TAG_MODEL: "wine",
        TAG_VERSION: version,
        TAG_HASH: staged.content_hash,
    }
    return Config(staged.endpoint_config_name, {"ProductionVariants": [variant]}, tags)


@dataclass
class Fleet:
    weight: float
    count: int
    wanted_weight: float
    wanted_count: int
    model: str


@dataclass(frozen=True)
class Behaviour:
    """How a model behaves; ``pings`` False: it never becomes healthy."""

    error_rate: float = 0.0
    p95_us: float = 6000.0
    pings: bool = True


@dataclass
class FakeCloud:
    """Time goes on by ``tick`` seconds at every look; updates and scaling take their time."""

    configs: dict[str, Config] = field(
        default_factory=lambda: {c.name: c for c in (config_of("1"), config_of("2"))}
    )
    behaviours: dict[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    serving: str = "wine-test-c1"
    status: str = "InService"
    now: float = 1_000_000.0
    tick: float = 20.0
    update_seconds: float = 130.0
    change_seconds: float = 30.0
    rate: float = 50.0
    seed: int = 1
    silent_failures: bool = False
    failing_updates: set[str] = field(default_factory=set[str])
    ringing: Callable[[str, FakeCloud], bool] = lambda _name, _cloud: False
    alarm_names: dict[str, PutAlarm] = field(default_factory=dict[str, PutAlarm])
    suspension: dict[str, bool] | None = field(default_factory=lambda: dict(NOT_SUSPENDED))
    before_execute: Callable[[Action], None] = lambda _action: None
    after_execute: Callable[[Action], None] = lambda _action: None
    before_look: Callable[[FakeCloud], None] = lambda _cloud: None
    has_metrics: bool = True
    executed: list[Action] = field(default_factory=list[Action])

    def __post_init__(self) -> None:
        self.fleets = self._new_fleets(self.serving)
        self.pending: tuple[str, dict[str, Fleet]] | None = None
        self.busy_until = 0.0
        self.last_modified = self.now
        self.failure_reason = ""
        self.weights_log: list[tuple[float, str, dict[str, tuple[float, str]]]] = []
        self._log_weights()

    def _new_fleets(self, name: str) -> dict[str, Fleet]:
        return {
            v["VariantName"]: Fleet(
                v["InitialVariantWeight"],
                v["InitialInstanceCount"],
                v["InitialVariantWeight"],
                v["InitialInstanceCount"],
                v["ModelName"],
            )
            for v in self.configs[name].production()
        }

    def _log_weights(self) -> None:
        shares = {n: (f.weight, f.model) for n, f in self.fleets.items()}
        self.weights_log.append((self.now, self.serving, shares))

    def _settle(self) -> None:
        if self.status != "Updating" or self.now < self.busy_until:
            return
        self.status, self.last_modified = "InService", self.now
        for fleet in self.fleets.values():
            fleet.weight, fleet.count = fleet.wanted_weight, fleet.wanted_count
        if self.pending is not None:
            name, fleets = self.pending
            self.pending = None
            sick = [f for f in fleets.values() if not self._behaviour(f.model).pings]
            if sick or name in self.failing_updates:
                text = "The primary container for production variant did not pass the ping check."
                self.failure_reason = "" if self.silent_failures else text
            else:
                self.serving, self.fleets = name, fleets
        self._log_weights()

    def _behaviour(self, model: str) -> Behaviour:
        return self.behaviours.get(model, Behaviour())

    # --- what a driver sees

    def caller(self) -> str:
        return "arn:aws:iam::123456789012:user/tester"

    def endpoint(self, name: str) -> Endpoint:
        self.before_look(self)
        self.now += self.tick
        self._settle()
        if name != ENDPOINT or self.status == MISSING:
            return Endpoint(self.now, MISSING, "", 0.0)
        return Endpoint(
            self.now,
            self.status,
            self.serving,
            self.last_modified,
            tuple(
                Variant(n, f.weight, f.wanted_weight, f.count, f.wanted_count)
                for n, f in self.fleets.items()
            ),
            self.pending[0] if self.pending else None,
            self.failure_reason,
        )

    def config(self, name: str) -> Config | None:
        return self.configs.get(name)

    def suspended(self, endpoint_name: str) -> dict[str, bool] | None:
        return None if self.suspension is None else dict(self.suspension)

    def alarms(self, names: tuple[str, ...]) -> dict[str, str]:
        return {
            n: "ALARM" if self.ringing(n, self) else "OK" for n in names if n in self.alarm_names
        }

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        series: Series = {name: {} for name in query.variants}
        if not self.has_metrics:
            return series
        minute = query.since
        while minute <= query.until:
            for name in query.variants:
                counted = self._minute(query.config, name, minute)
                if counted is not None and counted.requests:
                    series[name][minute] = counted
            minute += 60
        return series

    def _minute(self, config: str, name: str, minute: float) -> VariantMinute | None:
        past = [w for w in self.weights_log if w[0] <= minute]
        if not past or past[-1][1] != config or name not in past[-1][2] or minute > self.now:
            return None
        shares = past[-1][2]
        weight, model = shares[name]
        share = weight / sum(w for w, _ in shares.values())
        rng = random.Random(f"{self.seed}{minute}{name}")
        expected = self.rate * 60 * share
        requests = max(0, round(rng.gauss(expected, expected**0.5 / 2))) if expected else 0
        behaviour = self._behaviour(model)
        errors = sum(rng.random() < behaviour.error_rate for _ in range(requests))
        return VariantMinute(requests, errors, behaviour.p95_us * rng.uniform(0.95, 1.05))

    # --- what a driver does

    def execute(self, endpoint_name: str, action: Action) -> None:
        self.before_execute(action)
        self._settle()
        self._do(action)
        self.executed.append(action)
        self.after_execute(action)

    def _do(self, action: Action) -> None:
        match action:
            case CreateConfig(name, body, tags):
                if name not in self.configs:
                    self.configs[name] = Config(name, body, tags)
            case DeleteConfig(name):
                in_use = (self.serving, self.pending[0] if self.pending else None)
                if self.status != MISSING and name in in_use:
                    raise AssertionError(f"deletes {name}, which serves")
                self.configs.pop(name, None)
            case UpdateEndpoint(name, exclude_weights):
                self._update(name, exclude_weights)
            case SetWeights(weights):
                self._change("weights")
                self._known(*weights)
                for variant, weight in weights.items():
                    self.fleets[variant].wanted_weight = weight
            case SetCapacity(variant, count):
                self._change("capacity")
                self._known(variant)
                self.fleets[variant].wanted_count = count
            case PutAlarm():
                self.alarm_names[action.name] = action
            case DeleteAlarms(names):
                for name in names:
                    self.alarm_names.pop(name, None)
            case SetScaling(suspended):
                if self.suspension is not None:
                    self.suspension = dict(suspended)

    def _update(self, name: str, exclude_weights: bool) -> None:
        if self.pending is not None and self.pending[0] == name:
            return
        self._change("update")
        if name not in self.configs:
            self.status = "InService"
            raise RefusedError(f'Could not find endpoint configuration "{name}".')
        fleets = self._new_fleets(name)
        for variant, fleet in fleets.items():
            old = self.fleets.get(variant)
            if old is not None:
                fleet.count = fleet.wanted_count = old.wanted_count
                if not exclude_weights:
                    fleet.weight = fleet.wanted_weight = old.wanted_weight
        if sum(f.weight for f in fleets.values()) <= 0:
            raise AssertionError(f"{name} would serve nothing")
        self.pending = (name, fleets)
        self.busy_until = self.now + self.update_seconds

    def _change(self, what: str) -> None:
        if self.status != "InService":
            raise RefusedError(f"Cannot update in-progress endpoint ({what})")
        self.status, self.failure_reason = "Updating", ""
        self.busy_until = self.now + self.change_seconds
        self.last_modified = self.now

    def _known(self, *names: str) -> None:
        unknown = set(names) - set(self.fleets)
        if unknown:
            self.status = "InService"
            raise RefusedError(f"The variant name(s) {unknown} is/are not present")


@dataclass
class FakeHistory:
    """Conditional writes, as S3 has them."""

    shared: dict[str, str] = field(default_factory=dict[str, str])
    evidence: dict[str, str] = field(default_factory=dict[str, str])
    before_save: Callable[[EndpointState], None] = lambda _state: None
    after_save: Callable[[EndpointState], None] = lambda _state: None
    seen: str | None = None

    def load(self) -> EndpointState:
        self.seen = self.shared.get("state")
        if self.seen is None:
            return EndpointState(ENDPOINT)
        return EndpointState.from_json(self.seen, "state")

    def save(self, state: EndpointState) -> None:
        self.before_save(state)
        if self.shared.get("state") != self.seen:
            raise ConflictError("the state was changed")
        self.seen = self.shared["state"] = state.to_json()
        self.after_save(state)

    def write_evidence(self, release_id: str, text: str) -> None:
        self.evidence[release_id] = text

    def other_process(self) -> FakeHistory:
        return FakeHistory(self.shared, self.evidence)

"""An endpoint in memory, as strict as the fact sheet's sections 3 and 6."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

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
from release.aws.cloud import RefusedError
from release.observation import (
    MISSING,
    UPDATE_ROLLBACK_FAILED,
    Config,
    Deployment,
    Endpoint,
    MetricQuery,
    ScalingTarget,
    Series,
    Variant,
    VariantMinute,
)
from tests.unit.fake_deployment import FakeDeployment
from tests.unit.fake_history import FakeHistory
from tests.unit.release_samples import (
    ENDPOINT,
    NOT_SUSPENDED,
    config_of,
    manifest,
    scaling_target,
    target,
)

__all__ = [
    "ENDPOINT",
    "NOT_SUSPENDED",
    "Behaviour",
    "FakeCloud",
    "FakeHistory",
    "config_of",
    "manifest",
    "scaling_target",
    "target",
]
GATE_RINGS_SECONDS = 300.0


@cache  # a release's minutes are asked for at every look, and by every release of the same tests
def _traffic(key: str, expected: float, error_rate: float, p95_us: float) -> tuple[int, int, float]:
    """A minute's requests, errors and 95th percentile: always the same ones for ``key``."""
    rng = random.Random(key)
    requests = max(0, round(rng.gauss(expected, expected**0.5 / 2))) if expected else 0
    errors = sum(rng.random() < error_rate for _ in range(requests))
    return requests, errors, p95_us * rng.uniform(0.95, 1.05)


@dataclass
class Fleet:
    weight: float
    count: int
    wanted_weight: float
    wanted_count: int
    model: str
    instance_type: str
    is_shadow: bool = False


@dataclass(frozen=True)
class Behaviour:
    """How a model behaves; ``pings`` False: it never becomes healthy."""

    error_rate: float = 0.0
    p95_us: float = 6000.0
    pings: bool = True


@dataclass(frozen=True)
class Share:
    """Who gets how much of the requests from a moment on."""

    config: str
    variant: str
    share: float
    model: str


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
    rollback_fails: bool = False
    eager_scale_in: bool = False
    # Scaling can be suspended and removed, and not be put back.
    is_scaling_stuck: bool = False
    ringing: Callable[[str, FakeCloud], bool] = lambda _name, _cloud: False
    alarm_names: dict[str, PutAlarm | PutGateAlarm] = field(
        default_factory=dict[str, PutAlarm | PutGateAlarm]
    )
    other_alarms: dict[str, str] = field(default_factory=dict[str, str])
    targets: dict[str, ScalingTarget] = field(default_factory=lambda: {"live": scaling_target()})
    before_execute: Callable[[Action], None] = lambda _action: None
    after_execute: Callable[[Action], None] = lambda _action: None
    before_look: Callable[[FakeCloud], None] = lambda _cloud: None
    # What CloudTrail tells of the last change; nothing where it may not be asked.
    trail: list[str] = field(default_factory=list[str])
    has_metrics: bool = True
    counts_slow: bool = True
    executed: list[Action] = field(default_factory=list[Action])

    def __post_init__(self) -> None:
        self.fleets = self._new_fleets(self.serving)
        self.pending: tuple[str, dict[str, Fleet]] | None = None
        self.deployment: FakeDeployment | None = None
        self.busy_until = 0.0
        self.last_modified = self.now
        self.failure_reason = ""
        self.last_part = -math.inf
        self.verdicts: dict[str, float] = {}
        self.shares_log: list[tuple[float, tuple[Share, ...]]] = []
        self._log_shares(self.now)

    @property
    def suspension(self) -> dict[str, bool] | None:
        target = self.targets.get("live")
        return None if target is None else target.suspended

    def set_live(self, count: int) -> None:
        live = self.fleets["live"]
        live.count = live.wanted_count = count

    def _new_fleets(self, name: str) -> dict[str, Fleet]:
        config = self.configs[name]
        shadows = config.body.get("ShadowProductionVariants", [])
        return {
            v["VariantName"]: Fleet(
                v["InitialVariantWeight"],
                v["InitialInstanceCount"],
                v["InitialVariantWeight"],
                v["InitialInstanceCount"],
                v["ModelName"],
                v["InstanceType"],
                v in shadows,
            )
            for v in (*config.production(), *shadows)
        }

    def _behaviour(self, model: str) -> Behaviour:
        return self.behaviours.get(model, Behaviour())

    # --- time goes on

    def _log_shares(self, at: float, new_share: float = 0.0) -> None:
        total = sum(f.weight for f in self.fleets.values() if not f.is_shadow)
        shares = [
            Share(
                self.serving,
                name,
                fleet.weight if fleet.is_shadow else (1 - new_share) * fleet.weight / total,
                fleet.model,
            )
            for name, fleet in self.fleets.items()
        ]
        if new_share and self.pending is not None:
            name, fleets = self.pending
            shares.append(Share(name, "live", new_share, fleets["live"].model))
        self.shares_log.append((at, tuple(shares)))

    def _settle(self) -> None:
        if self.deployment is not None:
            self._deploy(self.deployment)
        elif self.status == "Updating" and self.now >= self.busy_until:
            self._updated()
        target = self.targets.get("live")
        # A release has suspended it before it makes its first alarm.
        is_eager = self.eager_scale_in and bool(self.alarm_names)
        if is_eager and self.status == "InService" and target is not None:
            live = self.fleets["live"]
            if not target.suspended["DynamicScalingInSuspended"]:
                live.count = live.wanted_count = max(target.min_capacity, live.count - 1)

    def _updated(self) -> None:
        self.status, self.last_modified = "InService", self.now
        for fleet in self.fleets.values():
            fleet.weight, fleet.count = fleet.wanted_weight, fleet.wanted_count
        if self.pending is not None:
            name, fleets = self.pending
            self.pending = None
            if self._is_sick(name, fleets):
                self._told_sick()
            else:
                self.serving, self.fleets = name, fleets
        self._log_shares(self.now)

    def _is_sick(self, name: str, fleets: dict[str, Fleet]) -> bool:
        unhealthy = [f for f in fleets.values() if not self._behaviour(f.model).pings]
        return bool(unhealthy) or name in self.failing_updates

    def _told_sick(self) -> None:
        text = "The primary container for production variant did not pass the ping check."
        self.failure_reason = "" if self.silent_failures else text

    def _deploy(self, deployment: FakeDeployment) -> None:
        """All that happened since the last look, in its order."""
        assert self.pending is not None
        name, fleets = self.pending
        if deployment.rolling_back_at is not None:
            if self.now >= deployment.rolling_back_at + self.change_seconds:
                self._gone_back(deployment)
            return
        for part in deployment.parts:
            if part.start > self.now or part.start < self.last_part:
                continue
            if part.active and self._is_sick(name, fleets):
                self._told_sick()
                self._gone_back(deployment)
                return
            self.last_part = part.start
            self._log_shares(part.start, part.active / deployment.total)
        part = deployment.part_at(self.now)
        longest = deployment.policy["MaximumExecutionTimeoutInSeconds"]
        late = min(self.now, deployment.end) - deployment.now > longest
        rings = [a for a in deployment.alarms if self._state_of(a) == "ALARM"]
        if late or (part.status == "Baking" and rings and self.now < deployment.end):
            deployment.rolling_back_at = self.now
            deployment.reason = "timed out" if late else f"alarm {', '.join(rings)}"
            self._log_shares(self.now)
        elif self.now >= deployment.end:
            self.status, self.last_modified = "InService", self.now
            self.serving, self.fleets = name, fleets
            self.pending = self.deployment = None
            self._log_shares(self.now)

    def _gone_back(self, deployment: FakeDeployment) -> None:
        self.status, self.last_modified = "InService", self.now
        if not self.silent_failures:
            self.failure_reason = self.failure_reason or f"rolled back: {deployment.reason}"
        if self.rollback_fails and deployment.is_rolling:
            self.status, self.rollback_fails = UPDATE_ROLLBACK_FAILED, False
        self.pending = self.deployment = None
        self._log_shares(self.now)

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
            self._variants(is_shadow=False),
            self.pending[0] if self.pending else None,
            self.failure_reason,
            self._variants(is_shadow=True),
            self._described(),
        )

    def _variants(self, *, is_shadow: bool) -> tuple[Variant, ...]:
        return tuple(
            Variant(n, f.weight, f.wanted_weight, f.count, f.wanted_count)
            for n, f in self.fleets.items()
            if f.is_shadow == is_shadow
        )

    def _described(self) -> Deployment | None:
        deployment = self.deployment
        if deployment is None:
            return None
        part = deployment.part_at(self.now)
        if deployment.rolling_back_at is not None:
            back = deployment.rolling_back_at
            return Deployment("Deleting", back, 0.0, 0, deployment.total, False)
        is_baking = part.status == "Baking"
        active = part.active if is_baking else 0
        is_full = is_baking and active == deployment.total
        seconds = part.seconds if is_baking else 0.0
        return Deployment(part.status, part.start, seconds, active, deployment.total, is_full)

    def config(self, name: str) -> Config | None:
        return self.configs.get(name)

    def has_config(self, name: str) -> bool:
        return name in self.configs

    def scaling(self, endpoint_name: str) -> ScalingTarget | None:
        return self.targets.get("live")

    def _state_of(self, name: str) -> str | None:
        made = self.alarm_names.get(name)
        if made is None:
            return self.other_alarms.get(name)
        if isinstance(made, PutGateAlarm):
            at = self.verdicts.get(made.release_id, -math.inf)
            return "ALARM" if self.now - at < GATE_RINGS_SECONDS else "OK"
        return "ALARM" if self.ringing(name, self) else "OK"

    def alarms(self, names: tuple[str, ...]) -> dict[str, str]:
        found = {n: self._state_of(n) for n in names}
        return {n: state for n, state in found.items() if state is not None}

    def changed_by(self, endpoint_name: str, now: float) -> str:
        if not self.trail:
            raise RefusedError("AccessDenied: cloudtrail:LookupEvents")
        return self.trail[0]

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        series: Series = {query.alias or name: {} for name in query.variants}
        if not self.has_metrics:
            return series
        minute = query.since
        while minute <= query.until:
            for name in query.variants:
                counted = self._minute(query, name, minute)
                if counted is not None and counted.requests:
                    series[query.alias or name][minute] = counted
            minute += 60
        return series

    def _minute(self, query: MetricQuery, name: str, minute: float) -> VariantMinute | None:
        past = [shares for at, shares in self.shares_log if at <= minute]
        if not past or minute > self.now:
            return None
        mine = [s for s in past[-1] if (s.config, s.variant) == (query.config, name)]
        if not mine:
            return None
        behaviour = self._behaviour(mine[0].model)
        key = f"{self.seed}{minute}{query.config}{name}"
        expected = self.rate * 60 * mine[0].share
        requests, errors, p95 = _traffic(key, expected, behaviour.error_rate, behaviour.p95_us)
        slow = None
        if query.over_us is not None and self.counts_slow:
            share = 1.0 if p95 > query.over_us else 0.0
            slow = round(requests * share)
        return VariantMinute(requests, errors, p95, slow)

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
            case UpdateEndpoint():
                self._update(action)
            case SetWeights(weights):
                self._change("weights")
                self._known(*weights)
                for variant, weight in weights.items():
                    self.fleets[variant].wanted_weight = weight
            case SetCapacity(variant, count):
                self._change("capacity")
                self._known(variant)
                self.fleets[variant].wanted_count = count
            case _:
                self._do_beside(action)

    def _do_beside(self, action: Action) -> None:
        """What leaves the endpoint itself as it is."""
        match action:
            case PutAlarm() | PutGateAlarm():
                self.alarm_names[action.name] = action
            case PublishVerdict(release_id, failed):
                if failed:
                    self.verdicts[release_id] = self.now
            case DeleteAlarms(names):
                for name in names:
                    self.alarm_names.pop(name, None)
            case SetScaling(suspended) | RestoreScaling(ScalingTarget(suspended=suspended)) if (
                self.is_scaling_stuck and suspended == NOT_SUSPENDED
            ):
                raise RefusedError("ValidationException: a policy is not allowed")
            case SetScaling(suspended):
                if "live" in self.targets:
                    self.targets["live"] = replace(self.targets["live"], suspended=dict(suspended))
            case RemoveScaling(variant):
                self.targets.pop(variant, None)
            case RestoreScaling(made):
                if "live" not in self.fleets:
                    raise RefusedError("ValidationException: no such variant")
                self.targets["live"] = made
            case _:
                raise AssertionError(f"unknown action {action}")

    def _update(self, action: UpdateEndpoint) -> None:
        name = action.config
        if self.pending is not None and self.pending[0] == name:
            return
        if self.status not in ("InService", UPDATE_ROLLBACK_FAILED):
            raise RefusedError("Cannot update in-progress endpoint")
        for needed in (self.serving, name):
            if needed not in self.configs:
                raise RefusedError(f'Could not find endpoint configuration "{needed}".')
        fleets = self._new_fleets(name)
        self._refuse_scaled(fleets)
        for variant, fleet in fleets.items():
            old = self.fleets.get(variant)
            if old is not None:
                fleet.count = fleet.wanted_count = old.wanted_count
                if not action.exclude_weights:
                    fleet.weight = fleet.wanted_weight = old.wanted_weight
        if sum(f.weight for f in fleets.values() if not f.is_shadow) <= 0:
            raise AssertionError(f"{name} would serve nothing")
        if action.deployment is not None:
            self._guard(action.deployment, fleets)
        self.status, self.failure_reason, self.last_modified = "Updating", "", self.now
        self.pending = (name, fleets)
        self.busy_until = self.now + self.update_seconds

    def _guard(self, config: dict[str, object], fleets: dict[str, Fleet]) -> None:
        if set(fleets) != set(self.fleets):
            raise RefusedError("ValidationException: guardrails need the same variants")
        total = fleets["live"].count
        deployment = FakeDeployment(config, self.now, total, self.update_seconds)
        missing = [a for a in deployment.alarms if self._state_of(a) is None]
        if missing:
            raise RefusedError(f"ValidationException: no alarm {missing}")
        self.deployment, self.last_part = deployment, -math.inf

    def _refuse_scaled(self, fleets: dict[str, Fleet]) -> None:
        """A scaled variant may neither leave nor change its instance type (facts 6)."""
        for variant in self.targets:
            old, new = self.fleets.get(variant), fleets.get(variant)
            if old is not None and (new is None or new.instance_type != old.instance_type):
                raise RefusedError(
                    f"ValidationException: variant {variant} is a scalable target; deregister it"
                )

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

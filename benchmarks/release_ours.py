"""Slipway's own controller on a stream: the real ``advance``, counting and gates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from benchmarks.release_scenarios import Plan, Scenario, average
from benchmarks.release_streams import Stream
from contracts.release_manifest import (
    CANDIDATE_VARIANT,
    LIVE_VARIANT,
    TAG_HASH,
    ReleaseManifest,
    Target,
)
from contracts.release_settings import (
    Canary,
    ErrorGate,
    Gate,
    LatencyGate,
    PredictionGate,
    ReleaseSettings,
)
from release.actions import Action, CreateConfig, SetCapacity, SetWeights, UpdateEndpoint
from release.controller import advance as controller
from release.controller import start
from release.controller.stages import Stage
from release.gates import requests_to_pass
from release.observation import Config, Endpoint, Observation, Variant, VariantMinute
from release.state import EndpointState, Release

MINUTE = 60.0
BEGAN = 1_000_000 * MINUTE
# A look just after a minute has ended; the plan without a lag looks just before.
LOOK_SECONDS = 2.0
LIMIT_US = 50_000.0
NAME = "bench"
# Standard deviations: one release in a hundred has a step with more bad luck, of four steps.
BAD_LUCK = 2.8


class Ended(NamedTuple):
    outcome: str
    bad: int
    minutes: int


@dataclass
class Account:
    """An endpoint that does at once what it is told."""

    configs: dict[str, dict[str, Any]]
    config: str
    variants: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def do(self, action: Action) -> None:
        match action:
            case CreateConfig(name, body):
                self.configs[name] = body
            case UpdateEndpoint(name):
                self.config = name
                self.variants = {
                    v["VariantName"]: [v["InitialVariantWeight"], v["InitialInstanceCount"]]
                    for v in self.configs[name]["ProductionVariants"]
                }
            case SetWeights(weights):
                for variant, weight in weights.items():
                    self.variants[variant][0] = weight
            case SetCapacity(variant, count):
                self.variants[variant][1] = count
            case _:
                pass

    def look(self, now: float) -> Endpoint:
        seen = tuple(Variant(n, w, w, int(c), int(c)) for n, (w, c) in self.variants.items())
        return Endpoint(now, "InService", self.config, now, seen)


def gates_of(scenario: Scenario, plan: Plan) -> tuple[Gate, ...]:
    """The default gates; one alone where only ratios count, to compare with the prototypes."""
    if scenario.judged == "predictions":
        return (ErrorGate(), LatencyGate(LIMIT_US), PredictionGate())
    if plan.name != "ratios":
        return (ErrorGate(), LatencyGate(LIMIT_US))
    return (ErrorGate(),) if scenario.judged == "errors" else (LatencyGate(LIMIT_US),)


def manifest_of(scenario: Scenario, plan: Plan) -> ReleaseManifest:
    target = Target(
        version="2",
        content_hash="hash-2",
        endpoint_config_name="bench-c2",
        model_name="bench-m2",
        instance_type="ml.c7i.large",
        initial_instance_count=4,
        image="image@sha256:0",
        artifact_uri="s3://artifacts/2/model.tar.gz",
        package_sha256="sha",
        registry_uri="models:/bench/2",
        run_id="run",
        metrics={},
        data_capture=None,
    )
    settings = ReleaseSettings(
        strategy=Canary(plan.steps),
        gates=gates_of(scenario, plan),
        on_inconclusive="rollback",
        settle_seconds=plan.settle_seconds,
        warm_up_seconds=plan.warm_up_seconds,
        post_bake_seconds=0.0,
        keep_versions=3,
    )
    return ReleaseManifest(
        stack="bench",
        model=NAME,
        endpoint_name=NAME,
        region="eu-west-1",
        account_id="123456789012",
        execution_role_arn="arn:aws:iam::123456789012:role/bench",
        target=target,
        release=settings,
        rollback_alarms=(),
        standing_alarms=(),
        scaling=None,
        history_bucket="history",
        tags={},
    )


def _body(model: str) -> dict[str, Any]:
    variant = {
        "VariantName": LIVE_VARIANT,
        "ModelName": model,
        "InstanceType": "ml.c7i.large",
        "InitialInstanceCount": 4,
        "InitialVariantWeight": 1.0,
    }
    return {"ProductionVariants": [variant]}


class Bench:
    """Releases of one scenario under one plan; each begins where the first step is set."""

    def __init__(self, scenario: Scenario, plan: Plan) -> None:
        self._scenario, self._plan = scenario, plan
        self._offset = LOOK_SECONDS if plan.settle_seconds >= 0 else plan.settle_seconds
        self.weights = [step.weight / 100 for step in plan.steps]
        longest = sum(step.bake_max_seconds for step in plan.steps) / MINUTE
        self.horizon = int(longest) + 12 * len(plan.steps)
        configs = {"bench-c1": _body("bench-m1"), "bench-c2": _body("bench-m2")}
        self._account = Account(configs, "bench-c1", {LIVE_VARIANT: [1.0, 4]})
        self._release = self._begun()

    def traffic_allows(self) -> bool:
        """Whether each step's longest bake has the requests that it needs, even with bad luck."""
        traffic = self._scenario.requests_per_second
        rps = traffic if isinstance(traffic, int | float) else sum(traffic) / len(traffic)
        pairs = zip(self._plan.steps, self._requests_to_pass(), strict=True)
        return all(n is not None and n <= rps * s.bake_max_seconds for s, n in pairs)

    def _requests_to_pass(self) -> list[int | None]:
        """What ``plan`` tells: requests that each step needs at live's rate."""
        rate = average(self._scenario.live, self._scenario)
        steps = self._plan.steps
        return [requests_to_pass(s.weight / 100, s, rate, BAD_LUCK) for s in steps]

    def _begun(self) -> Release:
        endpoint = self._account.look(BEGAN + self._offset)
        configs = self._account.configs
        snapshot = start.Snapshot(
            endpoint,
            Config("bench-c1", configs["bench-c1"], {TAG_HASH: "hash-1"}),
            Config("bench-c2", configs["bench-c2"], {TAG_HASH: "hash-2"}),
            None,
        )
        manifest = manifest_of(self._scenario, self._plan)
        release = start.begin_release(
            EndpointState(NAME), manifest, snapshot, "bench-1", "bench", retry=False
        )
        return self._moved(release, self._account, Observation(endpoint))

    def _moved(self, release: Release, account: Account, seen: Observation) -> Release:
        """Advance and act until nothing is left to do at this moment."""
        while not has_ended(release):
            release, actions = controller.advance(release, seen)
            for action in actions:
                account.do(action)
            release = controller.executed(release) if actions else release
            if not actions:
                return release
            seen = Observation(account.look(seen.endpoint.now), seen.series, seen.alarms)
        return release

    def run(self, stream: Stream) -> Ended:
        account = replace(
            self._account, variants={n: list(v) for n, v in self._account.variants.items()}
        )
        release = self._release
        steps = [release.step]
        bad = 0
        what = stream.slow if self._scenario.judged == "slow" else stream.errors
        for minute in range(1, self.horizon):
            bad += int(what[1][minute - 1, steps[-1]])
            endpoint = account.look(BEGAN + minute * MINUTE + self._offset)
            series = self._series(release, endpoint, stream, steps)
            release = self._moved(release, account, Observation(endpoint, series))
            if has_ended(release):
                return Ended(_outcome(release), bad, minute)
            steps.append(release.step)
        return Ended("inconclusive", bad, self.horizon)

    def _series(
        self, release: Release, endpoint: Endpoint, stream: Stream, steps: list[int]
    ) -> dict[str, dict[float, VariantMinute]]:
        asked = controller.needs(release, endpoint).metrics
        series: dict[str, dict[float, VariantMinute]] = {LIVE_VARIANT: {}, CANDIDATE_VARIANT: {}}
        if not asked:
            return series
        now = len(steps)
        # A minute without one of the two stays unanswered, so the query reaches back to it.
        counted = {m.start for m in release.minutes}
        settled = max(0, int(self._plan.settle_seconds / MINUTE))
        for start_at in range(int(asked[0].since), int(asked[0].until) + 1, int(MINUTE)):
            at = int((start_at - BEGAN) / MINUTE)
            if (
                start_at in counted
                or at < 0
                or at >= now
                or at + 1 + settled + stream.delay[at] > now
            ):
                continue
            for variant, name in enumerate((LIVE_VARIANT, CANDIDATE_VARIANT)):
                series[name][float(start_at)] = _observed(stream, steps, at, variant)
        return series


def _observed(stream: Stream, steps: list[int], at: int, variant: int) -> VariantMinute:
    step = steps[at]
    requests = (stream.n_live, stream.n_candidate)[variant]
    errors = stream.errors[variant][at, step] - stream.late[variant][at, step]
    if at:
        errors += stream.late[variant][at - 1, steps[at - 1]]
    predictions = None
    if stream.predictions is not None:
        predictions = tuple(stream.predictions[variant][at, step].tolist())
    return VariantMinute(
        int(requests[at, step]),
        int(errors),
        5000.0,
        int(stream.slow[variant][at, step]),
        predictions,
    )


def has_ended(release: Release) -> bool:
    return release.ending is not None or release.stage == Stage.FULL_CAPACITY


def _outcome(release: Release) -> str:
    return release.ending or "promoted"

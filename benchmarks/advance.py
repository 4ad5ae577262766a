"""One call of the controller's pure ``advance``, microseconds: what a look costs beside AWS.

On the states of a real release against an endpoint in memory, each call repeated; medians by stage.
The last column is a look at a bake in which a new minute of traffic is counted and judged.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from contracts.release_manifest import (
    AlarmSpec,
    Canary,
    ErrorGate,
    LatencyGate,
    ReleaseManifest,
    ReleaseSettings,
    Step,
    Target,
    Tolerance,
)
from release.controller import advance
from release.gates import CountedMinute
from release.observation import Config, Endpoint, Observation, Variant, VariantMinute
from release.stages import Stage, transition_config
from release.state import Before, GoodVersion, Release

CALLS = 2000
GOAL_US = 100.0
NOW = 1_000_000_000.0
LONG_BAKE_MINUTES = 600


def main() -> None:
    print(f"advance(state, observation), microseconds a call (goal: at most {GOAL_US:g})")
    print(f"{'stage':34}{'median':>9}{'p99':>9}")
    for name, release, observation in cases():
        times = measured(release, observation)
        print(f"{name:34}{median(times):9.1f}{times[int(len(times) * 0.99)]:9.1f}")


def measured(release: Release, observation: Observation) -> list[float]:
    """Sorted microseconds of each call."""
    times: list[float] = []
    for _ in range(CALLS):
        began = time.perf_counter()
        advance(release, observation)
        times.append((time.perf_counter() - began) * 1e6)
    return sorted(times)


def cases() -> list[tuple[str, Release, Observation]]:
    running = _release()
    config = transition_config(running)
    before = Observation(_endpoint("wine-c1", ("live",)))
    updating = replace(before.endpoint, status="Updating", pending_config=config)
    entering = replace(running, stage=Stage.ENTER.value, issued=True)
    both = _endpoint(config, ("live", "candidate"))
    alarm = {f"{running.id}-errors-candidate": "OK"}
    short, long = _baking(running, config, 5), _baking(running, config, LONG_BAKE_MINUTES)
    landed = replace(
        running, stage=Stage.POST_BAKE.value, base="wine-c2", passed=True, stage_since=NOW
    )
    after = Observation(
        _endpoint("wine-c2", ("live",)), alarms={f"{running.id}-errors-landed": "OK"}
    )
    return [
        ("prepare (makes its actions)", running, before),
        ("enter (waits for the fleet)", entering, Observation(updating)),
        ("bake, 5 minutes counted", short, Observation(both, alarms=alarm)),
        (f"bake, {LONG_BAKE_MINUTES} minutes counted", long, Observation(both, alarms=alarm)),
        (f"bake, {LONG_BAKE_MINUTES} + 1 new minute", long, _with_minute(both, long, alarm)),
        ("post-bake", landed, after),
    ]


def _with_minute(endpoint: Endpoint, release: Release, alarms: dict[str, str]) -> Observation:
    start = release.minutes[-1].start + 60
    series = {
        "live": {start: VariantMinute(2700, 3, 6000.0, 10)},
        "candidate": {start: VariantMinute(300, 0, 6000.0, 1)},
    }
    return Observation(endpoint, series, alarms)


def _baking(release: Release, config: str, count: int) -> Release:
    begun = NOW - 3600 - 60 * count
    minutes = tuple(
        CountedMinute(
            begun + 60 * i,
            0,
            0.1,
            VariantMinute(2700, 3, 6000.0, 10),
            VariantMinute(300, int(i % 3 == 0), 6000.0, 1),
        )
        for i in range(count)
    )
    return replace(
        release,
        stage=Stage.BAKE.value,
        base=config,
        wanted_weights={"live": 1.0, "candidate": 1 / 9},
        wanted_count=1,
        clean_since=begun,
        first_traffic_at=begun,
        stage_since=begun,
        step_since=begun,
        minutes=minutes,
    )


def _endpoint(config: str, variants: tuple[str, ...]) -> Endpoint:
    weights = {"live": 1.0, "candidate": 1 / 9}
    found = tuple(Variant(n, weights[n], weights[n], 4, 4) for n in variants)
    return Endpoint(NOW, "InService", config, NOW - 60, found)


def _release() -> Release:
    target = _target()
    variant = {
        "VariantName": "live",
        "ModelName": "wine-m2",
        "InstanceType": "ml.c7i.large",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1.0,
    }
    good = GoodVersion("1", "h1", "wine-c1", "wine-m1", "s1", "models:/wine/1", NOW)
    before = Before(Config("wine-c1", {"ProductionVariants": [variant]}), good, 1.0, 4)
    return Release(
        id="wine-20260101T000000-abcd",
        purpose="release",
        manifest=_manifest(target),
        destination=replace(good, version="2", content_hash="h2", endpoint_config_name="wine-c2"),
        candidate_variant=variant,
        before=before,
        started_at=NOW,
        started_by="bench",
        stage=Stage.PREPARE.value,
        stage_since=NOW,
        base="wine-c1",
    )


def _manifest(target: Target) -> ReleaseManifest:
    steps = (Step(10, Tolerance(1.01, 0.001), 180, 1e9), Step(50, Tolerance(2, 1), 180, 7200))
    settings = ReleaseSettings(
        strategy=Canary(steps),
        gates=(ErrorGate(), LatencyGate(50_000)),
        on_inconclusive="rollback",
        settle_seconds=180,
        warm_up_seconds=180,
        post_bake_seconds=600,
        keep_versions=3,
    )
    return ReleaseManifest(
        stack="bench",
        model="wine",
        endpoint_name="wine-bench",
        region="eu-west-1",
        account_id="123456789012",
        execution_role_arn="arn:aws:iam::123456789012:role/wine",
        target=target,
        release=settings,
        rollback_alarms=(AlarmSpec("errors", "InvocationModelErrors", "Average", 0.2, 60, 3, 2),),
        standing_alarms=(),
        scaling=None,
        history_bucket="history",
        tags={},
    )


def _target() -> Target:
    return Target(
        version="2",
        content_hash="h2",
        endpoint_config_name="wine-c2",
        model_name="wine-m2",
        instance_type="ml.c7i.large",
        initial_instance_count=2,
        image="image@sha256:0",
        artifact_uri="s3://artifacts/2/model.tar.gz",
        package_sha256="s2",
        registry_uri="models:/wine/2",
        run_id="r2",
        metrics={},
        data_capture=None,
    )

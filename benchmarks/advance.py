"""One call of the controller's pure ``advance``, microseconds: what a look costs beside AWS.

On the states of a real release, each call repeated; the first call is that of a new process, which
has judged no minute yet. In the last rows each call goes on from what the one before returned, and
is told one minute more and again the quarter of an hour before it, as CloudWatch is asked for them.
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
from release.controller.advance import advance
from release.controller.stages import Stage, transition_config
from release.gates import CountedMinute
from release.gates.tally import forget
from release.observation import Config, Endpoint, Observation, Variant, VariantMinute
from release.state import Before, GoodVersion, Release

CALLS = 2000
GOAL_US = 100.0
NOW = 1_000_000_000.0
LONG_BAKE_MINUTES = 4320
REREAD_MINUTES = 15


def main() -> None:
    print(f"advance(state, observation), microseconds a call (goal: at most {GOAL_US:g})")
    print(f"{'stage':34}{'first':>10}{'median':>9}{'p99':>9}")
    rows = [(name, repeated(*case)) for name, *case in cases()]
    rows += [
        (f"bake, {count} and more, all new", walked(count)) for count in (5, LONG_BAKE_MINUTES)
    ]
    for name, times in rows:
        first, rest = times[0], sorted(times[1:])
        p99 = rest[int(len(rest) * 0.99)]
        print(f"{name:34}{first:10.1f}{median(rest):9.1f}{p99:9.1f}")


def repeated(release: Release, observation: Observation) -> list[float]:
    """Microseconds of each call with the same state, the first one with nothing remembered."""
    forget()
    return [_timed(release, observation)[0] for _ in range(CALLS)]


def walked(count: int) -> list[float]:
    """Microseconds of each call in a bake that has ``count`` minutes when it begins."""
    forget()
    config = transition_config(running())
    release = baking(running(), config, count)
    times: list[float] = []
    for _ in range(CALLS):
        microseconds, release = _timed(release, told_a_minute(config, release))
        times.append(microseconds)
    return times


def _timed(release: Release, observation: Observation) -> tuple[float, Release]:
    began = time.perf_counter()
    moved, _ = advance(release, observation)
    return (time.perf_counter() - began) * 1e6, moved


def cases() -> list[tuple[str, Release, Observation]]:
    begun = running()
    config = transition_config(begun)
    before = Observation(_endpoint("wine-c1", ("live",)))
    updating = replace(before.endpoint, status="Updating", pending_config=config)
    entering = replace(begun, stage=Stage.ENTER.value, issued=True)
    both = _endpoint(config, ("live", "candidate"))
    alarm = {f"{begun.id}-errors-candidate": "OK"}
    short, long = baking(begun, config, 5), baking(begun, config, LONG_BAKE_MINUTES)
    landed = replace(
        begun, stage=Stage.POST_BAKE.value, base="wine-c2", passed=True, stage_since=NOW
    )
    after = Observation(_endpoint("wine-c2", ("live",)), alarms={f"{begun.id}-errors-landed": "OK"})
    return [
        ("prepare (makes its actions)", begun, before),
        ("enter (waits for the fleet)", entering, Observation(updating)),
        ("bake, 5 minutes counted", short, Observation(both, alarms=alarm)),
        (f"bake, {LONG_BAKE_MINUTES} minutes counted", long, Observation(both, alarms=alarm)),
        (f"bake, {LONG_BAKE_MINUTES} + 1 new minute", long, told_a_minute(config, long)),
        ("post-bake", landed, after),
    ]


def told_a_minute(config: str, release: Release) -> Observation:
    """The next minute of a bake, beside those that CloudWatch is asked for again."""
    start = release.minutes[-1].start + 60
    live, candidate = _minute(len(release.minutes))
    known = release.minutes[-REREAD_MINUTES:]
    series = {
        "live": {m.start: replace(m.live) for m in known} | {start: live},
        "candidate": {m.start: replace(m.candidate) for m in known} | {start: candidate},
    }
    endpoint = replace(_endpoint(config, ("live", "candidate")), now=start + 240)
    return Observation(endpoint, series, {f"{release.id}-errors-candidate": "OK"})


def baking(release: Release, config: str, count: int) -> Release:
    """In a bake with ``count`` counted minutes."""
    begun = NOW // 60 * 60 - 3600 - 60 * count
    minutes = tuple(CountedMinute(begun + 60 * i, 0, 0.1, *_minute(i)) for i in range(count))
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


def _minute(index: int) -> tuple[VariantMinute, VariantMinute]:
    """Live's and the candidate's: equally bad, so that neither answer comes."""
    live = VariantMinute(2700, 3, 6000.0, 10)
    return live, VariantMinute(300, int(index % 3 == 0), 6000.0, 1)


def _endpoint(config: str, variants: tuple[str, ...]) -> Endpoint:
    weights = {"live": 1.0, "candidate": 1 / 9}
    found = tuple(Variant(n, weights[n], weights[n], 4, 4) for n in variants)
    return Endpoint(NOW, "InService", config, NOW - 60, found)


def running() -> Release:
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

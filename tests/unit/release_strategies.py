"""Strategies for tests of the controller, and what must be true once any release has ended."""

from __future__ import annotations

from typing import Any

from contracts.release_manifest import (
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    LinearShift,
    ReleaseManifest,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)
from release.driver.run import Pace, run
from release.evidence.document import ReleaseResult
from tests.unit.fake_cloud import NOT_SUSPENDED, Behaviour, FakeCloud, FakeHistory, manifest
from tests.unit.release_samples import scaling_target

FAST = Pace(poll_seconds=0.0, lease_seconds=60.0, give_up_seconds=5.0)
BROKEN = {"wine-test-m2": Behaviour(error_rate=0.3)}
LOOSE = Tolerance(5, 5)
CANARY = Canary((Step(10, LOOSE, 120, 3600), Step(50, LOOSE, 120, 3600)))
BLUE_GREEN = BlueGreen(CanaryShift(25, 900), 300, LOOSE)
LINEAR = BlueGreen(LinearShift(25, 600), 300, LOOSE)
AT_ONCE = BlueGreen(AllAtOnce(), 600, LOOSE)
ROLLING = Rolling(50, 900, LOOSE)
STAGED = {"wine-test-c1", "wine-test-c2"}
SHADOW = Shadow(50, LOOSE, 120, 3600, 0.05)
STRATEGIES: dict[str, Strategy] = {
    "canary": CANARY,
    "blue/green canary": BLUE_GREEN,
    "blue/green linear": LINEAR,
    "all at once": AT_ONCE,
    "rolling": ROLLING,
    "shadow": SHADOW,
    "shadow, canary": Shadow(50, LOOSE, 120, 3600, 0.05, CANARY),
    "shadow, blue/green": Shadow(50, LOOSE, 120, 3600, 0.05, BLUE_GREEN),
    "shadow, rolling": Shadow(50, LOOSE, 120, 3600, 0.05, ROLLING),
}


def staged(strategy: Strategy, **settings: Any) -> ReleaseManifest:
    return manifest(strategy=strategy, **settings)


def cloud_of(count: int = 4, **options: Any) -> FakeCloud:
    cloud = FakeCloud(**options)
    cloud.set_live(count)
    return cloud


def release(
    cloud: FakeCloud, made: ReleaseManifest, history: FakeHistory | None = None, **options: Any
) -> ReleaseResult:
    return run(made, cloud=cloud, history=history or FakeHistory(), pace=FAST, **options)


def assert_ended_well(
    cloud: FakeCloud, serving: str, count: int = 4, configs: set[str] = STAGED
) -> None:
    """One variant on one good configuration, as many instances as before, nothing of ours left."""
    assert cloud.serving == serving
    assert (cloud.status, cloud.pending, cloud.deployment) == ("InService", None, None)
    assert set(cloud.fleets) == {"live"}
    live = cloud.fleets["live"]
    assert (live.count, live.wanted_count) == (count, count)
    assert live.weight > 0
    assert set(cloud.configs) == configs
    assert cloud.alarm_names == {}
    assert cloud.suspension == NOT_SUSPENDED
    assert cloud.targets == {"live": scaling_target()}

"""What a deployment behind guardrails does to a fleet of whole instances."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.release_manifest import (
    AllAtOnce,
    BlueGreen,
    CanaryShift,
    ErrorGate,
    LimitGate,
    LinearShift,
    Rolling,
    Tolerance,
)
from localcloud.sagemaker.policies import guardrails_of
from localcloud.sagemaker.script import Bake, Provision, script
from release.actions import UpdateEndpoint
from release.controller.guardrails import (
    bakes_of,
    deployment_config,
    exposure_of,
    is_last_comparison,
    timeout_of,
    turnovers_of,
)
from release.controller.stages import Stage
from release.driver.announce import announcements, subject
from release.driver.collaborators import question_of
from release.state import Release
from tests.unit.fake_cloud import FakeCloud, FakeHistory
from tests.unit.release_strategies import BROKEN, cloud_of, release, staged

TOLERANCE = Tolerance(2, 1)
PERCENTS = (5, 10, 15, 25, 33, 34, 50)


def canary(percent: int) -> BlueGreen:
    return BlueGreen(CanaryShift(percent, 600), 300, TOLERANCE)


def linear(percent: int, wait: int = 600) -> BlueGreen:
    return BlueGreen(LinearShift(percent, wait), 300, TOLERANCE)


def rolling(percent: int) -> Rolling:
    return Rolling(percent, 600, TOLERANCE)


@pytest.mark.parametrize("kind", [canary, linear, rolling])
def test_the_bakes_are_those_that_the_local_cloud_makes(kind: Any) -> None:
    for percent in PERCENTS:
        for count in range(1, 31):
            assert_same_bakes(kind(percent), count)


def assert_same_bakes(strategy: BlueGreen | Rolling, count: int) -> None:
    fleet = {"live": count}
    config = {"ProductionVariants": [{"InstanceType": "ml.m5.large"}]}
    policy = guardrails_of(deployment_config(strategy, ("a",), count, 60.0), config).policy
    steps = script(policy, fleet, fleet)

    bakes = bakes_of(strategy, count)

    made = [(b.seconds, b.capacity["live"]) for b in steps if isinstance(b, Bake)]
    assert [(b.seconds, b.active) for b in bakes] == made
    assert turnovers_of(strategy, count) == sum(isinstance(s, Provision) for s in steps)
    partial = [b for b in bakes if b.active < b.total]
    last = [is_last_comparison(strategy, b.active, b.total) for b in partial]
    assert last == [b is partial[-1] for b in partial]


@pytest.mark.parametrize(
    ("strategy", "count", "exposed"),
    [
        (canary(10), 2, 50),
        (canary(10), 3, 33.3),
        (canary(50), 3, 33.3),
        (canary(10), 10, 10),
        (canary(10), 1, 100),
        (linear(10), 3, 66.7),
        (rolling(50), 5, 80),
        (rolling(5), 1, 100),
        (BlueGreen(AllAtOnce(), 300, TOLERANCE), 4, 100),
        (canary(10), 0, 100),
    ],
)
def test_what_meets_the_new_version_before_it_is_trusted_is_whole_instances(
    strategy: BlueGreen | Rolling, count: int, exposed: float
) -> None:
    assert exposure_of(strategy, count) == exposed


def test_the_timeout_exceeds_the_waits_where_rounding_makes_more_steps() -> None:
    # 10 % of 14 is one instance: 14 steps, not 10.
    assert timeout_of(linear(10), 14, 60.0) == 13 * 600 + 300 + 120 + 600


def test_the_timeout_suffices_for_the_instances_that_scaling_added_meanwhile() -> None:
    cloud = cloud_of(10)

    def grow(seen: FakeCloud) -> None:
        if seen.alarm_names and seen.deployment is None:
            seen.set_live(14)

    cloud.before_look = grow
    release(cloud, staged(linear(10, wait=900)))

    (update,) = [a for a in cloud.executed if isinstance(a, UpdateEndpoint)]
    assert update.deployment is not None
    policy = update.deployment["BlueGreenUpdatePolicy"]
    assert policy["MaximumExecutionTimeoutInSeconds"] > 13 * 900 + 300


@pytest.mark.parametrize(
    ("strategy", "count", "behaviours", "ended"),
    [
        (canary(25), 4, {}, (25, "pass")),
        (canary(10), 3, {}, (33.3, "pass")),
        (canary(25), 4, BROKEN, (25, "fail")),
        (Rolling(50, 900, TOLERANCE), 4, BROKEN, (50, "fail")),
        (BlueGreen(AllAtOnce(), 600, TOLERANCE), 4, {}, (100, "pass")),
        (BlueGreen(AllAtOnce(), 600, TOLERANCE), 4, BROKEN, (100, "fail")),
    ],
)
def test_a_step_is_told_with_the_share_that_met_the_new_version(
    strategy: BlueGreen | Rolling, count: int, behaviours: Any, ended: tuple[float, str]
) -> None:
    history, asked = FakeHistory(), list[Release]()
    history.after_save = lambda state: asked.append(state.current) if state.current else None
    gates = (ErrorGate(), LimitGate("errors", 0.05))

    result = release(cloud_of(count, behaviours=behaviours), staged(strategy, gates=gates), history)

    weight, verdict = ended
    step = result.steps[0]
    assert (step.weight, step.verdict) == ended
    told = next(a for a in announcements(asked[-1]) if a.event == "step")
    assert told.step is not None
    assert told.step["weight"] == weight
    assert f": {weight:g} % ended with {verdict}: " in told.text
    assert f": {weight:g} % {verdict} (" in subject(told)


def test_the_log_tells_every_share_of_a_shift_and_the_last_one_is_all() -> None:
    history, seen = FakeHistory(), list[Release]()
    history.after_save = lambda state: seen.append(state.current) if state.current else None
    release(cloud_of(3), staged(linear(10)), history)

    told = [(e.text, e.data["weight"]) for e in seen[-1].log if e.kind == "weight"]
    assert told == [
        ("1 of 3 new instances take 33.3 %", 33.3),
        ("2 of 3 new instances take 66.7 %", 66.7),
        ("3 of 3 new instances take 100 %", 100.0),
    ]


def test_a_hook_is_told_the_share_that_a_shift_has_reached() -> None:
    history, seen = FakeHistory(), list[Release]()
    history.after_save = lambda state: seen.append(state.current) if state.current else None
    release(cloud_of(3), staged(linear(10)), history)

    weights = [question_of(r, 0.0).weight for r in seen if r.stage == Stage.SHIFT]
    assert list(dict.fromkeys(weights)) == [0.0, 33.3, 66.7, 100.0]

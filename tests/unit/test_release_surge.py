"""The new version's fleet grows with live's and with its share; new instances are cold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.release_manifest import Canary, Step
from release.actions import Action, SetCapacity, SetWeights
from release.aws.cloud import RefusedError
from release.driver.loop import turns
from release.driver.turn import DriverOptions
from release.state import Owner
from tests.unit.fake_cloud import FakeCloud, FakeHistory
from tests.unit.release_strategies import (
    CANARY,
    FAST,
    LOOSE,
    SHADOW,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)

HALF = Canary((Step(50, LOOSE, 1200, 3600),))
CANDIDATE_OF_6 = SetCapacity("candidate", 6)


def surge(cloud: FakeCloud) -> None:
    candidate = cloud.fleets.get("candidate")
    if candidate is not None and candidate.weight and cloud.status == "InService":
        cloud.set_live(12)


def of_log(history: FakeHistory, release_id: str, kind: str) -> list[dict[str, Any]]:
    told = json.loads(history.evidence[release_id])
    return [entry for entry in told["log"] if entry["kind"] == kind]


def test_a_surge_during_a_bake_gives_the_candidate_what_its_share_needs() -> None:
    cloud, history = cloud_of(), FakeHistory()
    cloud.before_look = surge

    result = release(cloud, staged(HALF), history)

    assert result.outcome == "promoted"
    moves = [a for a in cloud.executed if isinstance(a, SetCapacity | SetWeights)]
    weights = SetWeights({"live": 1.0, "candidate": 1.0})
    assert moves == [weights, CANDIDATE_OF_6]
    (entry,) = of_log(history, result.id, "capacity")
    assert entry["text"] == "live was scaled to 12 instances: at 50 % the candidate needs 6"
    assert_ended_well(cloud, "wine-test-c2", 12)


def test_minutes_count_again_once_the_new_instances_are_warm() -> None:
    cloud, history = cloud_of(), FakeHistory()
    cloud.before_look = surge

    result = release(cloud, staged(HALF, warm_up_seconds=300.0), history)

    counted = json.loads(history.evidence[result.id])["counted_minutes"]
    first, grown = (entry["at"] for entry in of_log(history, result.id, "weight"))
    starts = [minute["start"] for minute in counted]
    assert starts
    assert not any(first <= start < grown + 300 for start in starts)
    assert min(starts) < grown + 300 + 120


def test_a_pause_lets_the_candidate_keep_up() -> None:
    cloud, history = cloud_of(), FakeHistory()
    looks, counts = 0, list[int]()

    def paused_at_first(it: FakeCloud) -> None:
        nonlocal looks
        candidate = it.fleets.get("candidate")
        if candidate is None or not candidate.weight or it.status != "InService":
            return
        looks += 1
        if looks == 1:
            history.ask("pause")
        if looks == 3:
            it.set_live(12)
        if looks == 20:
            history.ask("resume", 2)
            counts.append(candidate.count)

    cloud.before_look = paused_at_first

    result = release(cloud, staged(HALF), history)

    assert result.outcome == "promoted"
    assert counts == [6]


# --- a shadow


def surge_of_mirrored(cloud: FakeCloud) -> None:
    if "shadow" in cloud.fleets and cloud.status == "InService":
        cloud.set_live(12)


def test_a_surge_while_a_shadow_mirrors_gives_it_what_its_share_needs() -> None:
    cloud, history = cloud_of(), FakeHistory()
    cloud.before_look = surge_of_mirrored

    result = release(cloud, staged(SHADOW, warm_up_seconds=300.0), history)

    assert result.outcome == "compared"
    assert [a for a in cloud.executed if isinstance(a, SetCapacity)] == [SetCapacity("shadow", 6)]
    (entry,) = of_log(history, result.id, "capacity")
    assert entry["text"] == "live was scaled to 12 instances: at 50 % the shadow needs 6"
    (entered,) = of_log(history, result.id, "entered")
    counted = json.loads(history.evidence[result.id])["counted_minutes"]
    assert counted
    assert min(m["start"] for m in counted) >= entered["at"] + 30 + 300
    assert_ended_well(cloud, "wine-test-c1", 12)


def test_a_paused_shadow_keeps_up_too() -> None:
    cloud, history = cloud_of(), FakeHistory()
    looks, counts = 0, list[int]()

    def paused(it: FakeCloud) -> None:
        nonlocal looks
        if "shadow" not in it.fleets or it.status != "InService":
            return
        looks += 1
        if looks == 1:
            history.ask("pause")
        if looks == 3:
            it.set_live(12)
        if looks == 20:
            counts.append(it.fleets["shadow"].count)
            history.ask("resume", 2)

    cloud.before_look = paused

    assert release(cloud, staged(SHADOW), history).outcome == "compared"
    assert counts == [6]


def test_a_shadow_that_aws_does_not_scale_is_not_judged_by_its_overload() -> None:
    cloud, history = cloud_of(), FakeHistory()
    cloud.before_look = surge_of_mirrored

    def refuse(action: Action) -> None:
        if isinstance(action, SetCapacity):
            raise RefusedError("ValidationException: the variant name(s) shadow is not present")

    cloud.before_execute = refuse

    result = release(cloud, staged(SHADOW), history)

    assert result.outcome == "inconclusive"
    assert len(of_log(history, result.id, "refused")) == 1
    assert json.loads(history.evidence[result.id])["counted_minutes"] == []
    assert_ended_well(cloud, "wine-test-c1", 12)


# --- held


UNSURE = Canary((Step(25, LOOSE, 120, 600),))


def held_canary(cloud: FakeCloud, history: FakeHistory) -> None:
    made = staged(UNSURE, on_inconclusive="hold")
    assert release(cloud, made, history).outcome == "held"
    assert cloud.fleets["candidate"].count == 1


def test_a_surge_while_a_release_is_held_gives_the_candidate_what_its_share_needs() -> None:
    cloud, history = cloud_of(has_metrics=False), FakeHistory()
    held_canary(cloud, history)
    made = staged(UNSURE, on_inconclusive="hold")

    for live, needed in ((12, 3), (16, 4), (20, 5), (24, 6), (28, 7)):
        cloud.set_live(live)
        for _ in range(3):
            assert release(cloud, made, history).outcome == "held"
        assert cloud.fleets["candidate"].count == needed
    cloud.set_live(8)
    assert release(cloud, made, history).outcome == "held"
    assert cloud.fleets["candidate"].count == 7

    history.ask("abort")
    assert release(cloud, made, history).outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1", 8)


def test_a_slice_that_finds_a_held_release_gives_it_the_instances_at_once() -> None:
    cloud, history = cloud_of(has_metrics=False), FakeHistory()
    held_canary(cloud, history)
    cloud.set_live(12)
    owner = Owner("me", "here", 1, "token")
    options = DriverOptions(pace=FAST)

    turned = turns(
        staged(UNSURE, on_inconclusive="hold"), cloud, history, owner, 1e12, options=options
    )

    assert turned.outcome == "held"
    assert cloud.fleets["candidate"].wanted_count == 3


def test_a_held_candidate_that_gets_no_instances_for_its_traffic_goes_back() -> None:
    cloud, history = cloud_of(has_metrics=False), FakeHistory()
    held_canary(cloud, history)
    cloud.set_live(12)

    def refuse(action: Action) -> None:
        if isinstance(action, SetCapacity) and action.variant == "candidate":
            raise RefusedError("ResourceLimitExceeded")

    cloud.before_execute = refuse

    result = release(cloud, staged(UNSURE, on_inconclusive="hold"), history)

    assert result.outcome == "inconclusive"
    assert "AWS refused to set candidate to 3 instances: ResourceLimitExceeded" in result.reason
    assert_ended_well(cloud, "wine-test-c1", 12)


# --- a step


@pytest.mark.parametrize(("count", "is_cold"), [(2, False), (10, True)])
def test_instances_that_a_step_adds_are_cold_too(count: int, is_cold: bool) -> None:
    cloud, history = cloud_of(count), FakeHistory()

    result = release(cloud, staged(CANARY, warm_up_seconds=300.0), history)

    assert result.outcome == "promoted"
    second = of_log(history, result.id, "weight")[1]["at"]
    starts = [
        m["start"]
        for m in json.loads(history.evidence[result.id])["counted_minutes"]
        if m["step"] == 1
    ]
    assert (min(starts) >= second + 270) is is_cold
    assert min(starts) < second + (420 if is_cold else 120)

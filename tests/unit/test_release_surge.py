"""Live is scaled out while the candidate has a share: its fleet grows with it, and counts anew."""

from __future__ import annotations

import json
from typing import Any

from contracts.release_manifest import Canary, Step
from release.actions import SetCapacity, SetWeights
from tests.unit.fake_cloud import FakeCloud, FakeHistory
from tests.unit.release_strategies import (
    LOOSE,
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

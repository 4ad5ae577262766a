"""Scaling around a release: what `up` says meanwhile counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.fake_cloud import FakeCloud, scaling_target
from tests.unit.release_strategies import STRATEGIES, release
from tests.unit.test_release_kills import prepared

WIDER = {"min_capacity": 3, "max_capacity": 20}
MOVING = ["canary", "blue/green canary", "rolling", "shadow, canary"]


def is_suspended(cloud: FakeCloud) -> bool:
    """The release has begun, and has not removed the target."""
    return cloud.suspension is not None and cloud.suspension["DynamicScalingInSuspended"]


def is_removed(cloud: FakeCloud) -> bool:
    return not cloud.targets and cloud.status == "Updating"


def upping(cloud: FakeCloud, when: Callable[[FakeCloud], bool]) -> list[bool]:
    """`slipway up` changes the bounds; where the target is gone, it registers one without more."""
    done: list[bool] = []

    def change(seen: FakeCloud) -> None:
        if when(seen):
            there = seen.targets.get("live") or scaling_target(policies=(), scheduled=())
            seen.targets["live"] = replace(there, **WIDER)
            seen.before_look = lambda _cloud: None
            done.append(True)

    cloud.before_look = change
    return done


@pytest.mark.parametrize("case", ["retyped", "retyped and broken", "good"])
@pytest.mark.parametrize("when", [is_suspended, is_removed])
@pytest.mark.parametrize("name", MOVING)
def test_bounds_that_up_changes_under_a_release_stay_as_up_set_them(
    name: str, when: Callable[[FakeCloud], bool], case: str
) -> None:
    cloud, made = prepared(case, STRATEGIES[name])
    done = upping(cloud, when)
    result = release(cloud, made)
    assert result.outcome in ("promoted", "rolled_back"), result.reason
    assert done or when is is_removed, "it is removed only where the type changes"
    assert cloud.targets == {"live": scaling_target(**(WIDER if done else {}))}

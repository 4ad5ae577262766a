"""Scaling around a release: what `up` says counts, and what could not be put back is owed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from release.controller.start import Snapshot
from release.errors import NothingToReleaseError, RejectedError
from release.planning.lint.finding import WARNING, Finding
from release.planning.plan import make_plan
from release.planning.survey import Survey
from release.state import Lock
from tests.unit.fake_cloud import (
    ENDPOINT,
    NOT_SUSPENDED,
    FakeCloud,
    FakeHistory,
    config_of,
    scaling_target,
    target,
)
from tests.unit.release_strategies import CANARY, STRATEGIES, release, staged
from tests.unit.test_release_kills import prepared, settled

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


# --- what AWS does not let a release put back


SUSPENDED = NOT_SUSPENDED | {"DynamicScalingInSuspended": True}


REMOVED = "retyped and broken"


def owing(case: str) -> tuple[FakeCloud, FakeHistory]:
    """A release has ended, and live's scaling is not as it was."""
    name = "blue/green canary" if case == REMOVED else "canary"
    cloud, made = prepared(case, STRATEGIES[name])
    history = FakeHistory()
    cloud.is_scaling_stuck = True
    result = release(cloud, made, history)
    assert "scaling of live is not as it was before" in result.reason
    return cloud, history.other_process()


@pytest.mark.parametrize("case", ["good", "broken", "retyped", REMOVED])
def test_what_could_not_be_put_back_is_remembered(case: str) -> None:
    _, history = owing(case)
    owed = history.load().owed_scaling
    assert owed is not None
    assert (owed.target, owed.is_removed) == (scaling_target(), case == REMOVED)
    assert "a policy is not allowed" in owed.why
    assert owed.release_id == history.load().releases[-1]


@pytest.mark.parametrize("case", ["good", "broken", "retyped", REMOVED])
def test_the_next_release_puts_it_back_before_it_begins(case: str) -> None:
    cloud, history = owing(case)
    cloud.is_scaling_stuck = False
    with pytest.raises((NothingToReleaseError, RejectedError)):
        release(cloud, staged(CANARY), history)
    assert cloud.targets == {"live": scaling_target()}
    assert history.other_process().load().owed_scaling is None
    assert history.other_process().load().lock is None


@pytest.mark.parametrize("case", ["good", REMOVED])
def test_what_is_refused_again_is_owed_after_the_next_release_too(case: str) -> None:
    cloud, history = owing(case)
    cloud.configs["wine-test-c3"] = config_of("3")
    made = replace(staged(CANARY), target=target("3"))
    result = release(cloud, made, history)
    assert (result.outcome, cloud.serving) == ("promoted", "wine-test-c3")
    owed = history.other_process().load().owed_scaling
    assert owed is not None
    assert (owed.target, owed.is_removed) == (scaling_target(), case == REMOVED)
    assert owed.release_id == result.id
    cloud.is_scaling_stuck = False
    assert settled(cloud, history.other_process()).owed_scaling is None
    assert cloud.targets == {"live": scaling_target()}


def test_what_somebody_has_put_right_is_left_as_it_is() -> None:
    cloud, history = owing("good")
    cloud.targets["live"] = scaling_target(**WIDER)
    cloud.executed.clear()
    assert settled(cloud, history).owed_scaling is None
    assert cloud.executed == []
    assert cloud.targets == {"live": scaling_target(**WIDER)}


def test_a_target_registered_since_keeps_its_bounds_and_gets_its_policies() -> None:
    cloud, history = owing(REMOVED)
    cloud.is_scaling_stuck = False
    cloud.targets["live"] = scaling_target(policies=(), scheduled=(), **WIDER)
    assert settled(cloud, history).owed_scaling is None
    assert cloud.targets == {"live": scaling_target(**WIDER)}


def test_a_target_that_is_gone_is_not_missed_where_only_its_suspension_was_owed() -> None:
    cloud, history = owing("good")
    cloud.targets.clear()
    assert settled(cloud, history).owed_scaling is None
    assert cloud.targets == {}


def test_while_a_release_runs_nothing_is_put_back() -> None:
    cloud, history = owing("good")
    cloud.is_scaling_stuck = False
    state = history.load()
    running = replace(state, lock=Lock("ann", "there", 1, "x", 0.0, 1e12, "r"))
    history.save(running)
    assert settled(cloud, history) == running
    assert cloud.suspension == SUSPENDED


@pytest.mark.parametrize("case", ["good", REMOVED])
def test_the_plan_tells_what_is_owed_and_what_to_do(case: str) -> None:
    cloud, history = owing(case)
    state, made = history.load(), staged(CANARY)
    live = cloud.configs[cloud.serving]
    seen = Snapshot(cloud.endpoint(ENDPOINT), live, config_of("2"), cloud.scaling(ENDPOINT))
    found = [f for f in make_plan(made, state, seen, Survey(), {}).findings if _is_scaling(f)]
    assert len(found) == 1
    assert "is not as it was before release" in found[0].rule
    assert "`slipway status` and every release try it again" in found[0].remedy
    right = replace(seen, scaling=scaling_target())
    assert not [f for f in make_plan(made, state, right, Survey(), {}).findings if _is_scaling(f)]


def _is_scaling(finding: Finding) -> bool:
    return (finding.severity, finding.where) == (WARNING, "endpoint.scaling")

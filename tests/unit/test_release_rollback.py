"""`slipway rollback`: to any good version that is kept, also where a driver dies on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from release.actions import Action, SetCapacity, SetScaling, UpdateEndpoint
from release.aws.cloud import RefusedError
from release.driver.run import run_rollback
from release.errors import EndpointError, VersionError
from release.evidence.document import ReleaseResult
from release.state import EndpointState
from tests.unit.fake_cloud import FakeCloud, FakeHistory, config_of, manifest
from tests.unit.release_samples import scaling_target
from tests.unit.release_strategies import CANARY, FAST, assert_ended_well, cloud_of, release
from tests.unit.test_release_kills import Killed, Killer, expire, prepared


def rollback(cloud: FakeCloud, history: FakeHistory, to: str | None = None) -> ReleaseResult:
    return run_rollback(manifest(), to=to, cloud=cloud, history=history, pace=FAST)


def with_versions(count: int) -> tuple[FakeCloud, FakeHistory]:
    cloud, history = cloud_of(), FakeHistory()
    for version in range(2, count + 1):
        config = config_of(str(version))
        cloud.configs[config.name] = config
        made = manifest(str(version), strategy=CANARY, keep_versions=4)
        assert release(cloud, made, history).outcome == "promoted"
    return cloud, history


@pytest.mark.parametrize(("to", "serves"), [(None, "3"), ("3", "3"), ("2", "2"), ("1", "1")])
def test_it_goes_to_any_good_version_that_is_kept(to: str | None, serves: str) -> None:
    cloud, history = with_versions(4)
    assert [g.version for g in history.load().good] == ["4", "3", "2", "1"]
    result = rollback(cloud, history, to)
    assert (result.outcome, result.to_version) == ("rolled_back", serves)
    assert cloud.serving == f"wine-test-c{serves}"
    assert cloud.fleets["live"].count == 4
    state = history.load()
    assert state.good[0].version == serves
    assert state.rejected == ("hash-4",)


def test_a_version_may_be_named_by_its_hash() -> None:
    cloud, history = with_versions(3)
    assert rollback(cloud, history, "hash-1").to_version == "1"


def test_a_version_that_is_kept_no_more_is_refused_with_those_that_are() -> None:
    cloud, history = with_versions(3)
    with pytest.raises(VersionError, match=r"version 9 is not among .* that are kept \(2, 1\)"):
        rollback(cloud, history, "9")


def test_a_configuration_that_was_made_anew_for_another_model_is_refused() -> None:
    cloud, history = with_versions(3)
    old = cloud.configs["wine-test-c1"]
    cloud.configs["wine-test-c1"] = replace(old, body=config_of("2").body, tags={})
    wanted = r"wine-test-c1 serves wine-test-m2 \(content unknown\), and version 1 is wine-test-m1"
    with pytest.raises(EndpointError, match=wanted):
        rollback(cloud, history, "1")
    assert cloud.serving == "wine-test-c3"


@pytest.mark.parametrize("to", ["3", "hash-3"])
def test_the_version_that_serves_is_refused_as_such(to: str) -> None:
    cloud, history = with_versions(3)
    wanted = rf"wine-test serves version {to} already; .* another good version .* \(2, 1\)"
    with pytest.raises(VersionError, match=wanted):
        rollback(cloud, history, to)
    assert history.load().current is None


def retyped() -> tuple[FakeCloud, FakeHistory]:
    cloud, made = prepared("retyped", CANARY)
    history = FakeHistory()
    assert release(cloud, made, history).outcome == "promoted"
    return cloud, history


def test_a_scaling_target_goes_before_a_retyped_variant_here_too() -> None:
    cloud, history = retyped()
    assert rollback(cloud, history).outcome == "rolled_back"
    assert cloud.serving == "wine-test-c1"
    assert cloud.targets == {"live": scaling_target()}


@pytest.mark.parametrize("is_retyped", [False, True])
def test_killed_at_each_moment_it_still_goes_back(is_retyped: bool) -> None:
    moment, is_over = 0, False
    while not is_over:
        moment += 1
        cloud, history = retyped() if is_retyped else with_versions(2)
        killer = Killer([moment])
        is_over = finished(cloud, history, killer)
        assert cloud.serving == "wine-test-c1"
        assert (cloud.status, set(cloud.fleets)) == ("InService", {"live"})
        assert cloud.targets == {"live": scaling_target()}
        state = history.other_process().load()
        assert (state.current, state.lock) == (None, None)
        assert state.good[0].version == "1"
    assert moment > 8


def finished(cloud: FakeCloud, history: FakeHistory, killer: Killer) -> bool:
    """Roll back, killed once; True where it ended before that moment came."""
    before: Any = history.load().releases
    cloud.before_execute = cloud.after_execute = killer
    history = history.other_process()
    history.before_save = history.after_save = killer
    try:
        rollback(cloud, history)
    except Killed:
        expire(history)
        again = history.other_process()
        if again.load().current is not None or again.load().releases == before:
            rollback(cloud, again)
        return False
    return True


def test_a_release_that_waits_is_undone_and_then_gone_back_further() -> None:
    cloud, history = with_versions(3)
    config = config_of("5")
    cloud.configs[config.name] = config
    cloud.has_metrics = False
    made = manifest("5", strategy=CANARY, keep_versions=4, on_inconclusive="hold")
    assert release(cloud, made, history).outcome == "held"
    result = rollback(cloud, history, "1")
    assert (result.outcome, result.to_version) == ("rolled_back", "1")
    assert cloud.serving == "wine-test-c1"


def interrupted() -> tuple[FakeCloud, FakeHistory]:
    """A rollback from 3 to 2 that died after its first save."""
    cloud, history = with_versions(3)
    history.after_save = Killer([1])
    with pytest.raises(Killed):
        rollback(cloud, history, "2")
    expire(history)
    again = history.other_process()
    assert again.load().current is not None
    return cloud, again


@pytest.mark.parametrize(
    ("to", "serves"), [("1", "1"), ("hash-1", "1"), ("2", "2"), ("hash-2", "2"), (None, "2")]
)
def test_after_one_that_was_interrupted_it_goes_where_it_is_told_now(
    to: str | None, serves: str
) -> None:
    cloud, again = interrupted()
    result = rollback(cloud, again, to)
    assert (result.outcome, result.to_version) == ("rolled_back", serves)
    assert cloud.serving == f"wine-test-c{serves}"
    assert again.load().current is None


def test_the_version_that_it_left_is_no_good_one_any_more() -> None:
    cloud, again = interrupted()
    with pytest.raises(VersionError, match=r"version 3 is not among .* that are kept \(1\)"):
        rollback(cloud, again, "3")
    assert (cloud.serving, again.load().current) == ("wine-test-c2", None)


@pytest.mark.parametrize("to", [None, "1"])
def test_a_release_that_ends_promoted_meanwhile_is_gone_back_from(to: str | None) -> None:
    """It died while it tidied up: it cannot be undone any more, only rolled back."""
    cloud, history = with_versions(1)

    def kill(state: EndpointState) -> None:
        if state.current is not None and state.current.ending == "promoted":
            raise Killed

    history.after_save = kill
    with pytest.raises(Killed):
        release(cloud, manifest(strategy=CANARY), history)
    expire(history)
    again = history.other_process()
    result = rollback(cloud, again, to)
    assert (result.outcome, result.purpose, result.to_version) == ("rolled_back", "rollback", "1")
    assert cloud.serving == "wine-test-c1"


@pytest.mark.parametrize(("to", "serves"), [(None, "2"), ("1", "1")])
def test_it_leaves_a_configuration_that_was_deleted_though_it_serves(
    to: str | None, serves: str
) -> None:
    cloud, history = with_versions(3)
    del cloud.configs["wine-test-c3"]
    result = rollback(cloud, history, to)
    assert (result.outcome, result.from_version, result.to_version) == ("rolled_back", "3", serves)
    assert cloud.serving == f"wine-test-c{serves}"
    assert "wine-test-c3" not in cloud.configs, "what stood in for it is gone again"
    state = history.load()
    assert (state.good[0].version, state.rejected) == (serves, ("hash-3",))
    assert cloud.targets == {"live": scaling_target()}


@pytest.mark.parametrize("status", ["Updating", "SystemUpdating"])
def test_it_waits_for_what_scaling_or_aws_began_meanwhile(status: str) -> None:
    cloud, history = with_versions(2)
    looks = list[float]()

    def busy(seen: FakeCloud) -> None:
        looks.append(seen.now)
        if len(looks) == 3:
            seen.status = status
        if len(looks) == 6:
            seen.status = "InService"

    cloud.before_look = busy
    cloud.busy_until = cloud.now + 3600
    assert rollback(cloud, history).outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1")


def left_to_someone_else(count: int) -> tuple[FakeCloud, FakeHistory]:
    """A release ended because of other weights: its candidate serves on, and live was scaled in."""
    cloud, history = cloud_of(count), FakeHistory()

    def meddle(seen: FakeCloud) -> None:
        candidate = seen.fleets.get("candidate")
        if candidate is not None and candidate.weight == 1.0:
            candidate.weight = candidate.wanted_weight = 0.8

    cloud.before_look = meddle
    assert release(cloud, manifest(strategy=CANARY), history).outcome == "inconclusive"
    cloud.before_look = lambda _cloud: None
    cloud.set_live(count // 2)
    return cloud, history


def test_live_gets_the_instances_of_the_variant_that_leaves_before_it_serves_alone() -> None:
    cloud, history = left_to_someone_else(8)
    assert rollback(cloud, history).outcome == "rolled_back"
    begun = [type(action) for action in cloud.executed[-8:]]
    assert begun.index(SetScaling) < begun.index(SetCapacity) < begun.index(UpdateEndpoint)
    assert_ended_well(cloud, "wine-test-c1", 8)


def test_it_goes_back_all_the_same_where_live_gets_no_more_instances() -> None:
    cloud, history = left_to_someone_else(8)

    def refuse(action: Action) -> None:
        if isinstance(action, SetCapacity):
            raise RefusedError("ResourceLimitExceeded: the account-level service limit")

    cloud.before_execute = refuse
    assert rollback(cloud, history).outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1", 4)


def test_where_nothing_served_before_a_rollback_says_so() -> None:
    with pytest.raises(VersionError, match="wine-test has no good version before this one to go"):
        rollback(cloud_of(), FakeHistory())

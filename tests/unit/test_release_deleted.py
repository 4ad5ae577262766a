"""Configurations deleted under a release: back to what served before, and never promoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from release.actions import UpdateEndpoint
from release.driver.run import run_rollback
from release.state import PROMOTED, EndpointState
from tests.unit.fake_cloud import FakeCloud, FakeHistory
from tests.unit.release_strategies import (
    AT_ONCE,
    CANARY,
    FAST,
    SHADOW,
    STRATEGIES,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)

LIVE, TARGET = "wine-test-c1", "wine-test-c2"
MOVING = [name for name in STRATEGIES if name != "shadow"]


def deleting(cloud: FakeCloud, when: Callable[[FakeCloud], bool], name: str = TARGET) -> None:
    """Somebody deletes the configuration at the first look at which ``when`` holds."""
    done: list[bool] = []

    def delete(seen: FakeCloud) -> None:
        if not done and when(seen):
            done.append(True)
            del seen.configs[name]

    cloud.before_look = delete


def is_moving(cloud: FakeCloud) -> bool:
    return cloud.pending is not None and cloud.pending[0] == TARGET


def has_landed(cloud: FakeCloud) -> bool:
    return cloud.serving == TARGET and cloud.status == "InService"


def is_compared(cloud: FakeCloud) -> bool:
    return bool({"candidate", "shadow"} & set(cloud.fleets)) and cloud.status == "InService"


@pytest.mark.parametrize("when", [is_moving, has_landed])
@pytest.mark.parametrize("name", MOVING)
def test_a_target_deleted_while_it_comes_or_serves_is_never_promoted(
    name: str, when: Callable[[FakeCloud], bool]
) -> None:
    cloud, history = cloud_of(), FakeHistory()
    deleting(cloud, when)
    result = release(cloud, staged(STRATEGIES[name]), history)
    assert result.outcome == "inconclusive", result.reason
    assert "configuration wine-test-c2 of version 2 was deleted under the release" in result.reason
    assert "stage the version again with `slipway up`" in result.reason
    assert_ended_well(cloud, LIVE, configs={LIVE})
    assert history.load().rejected == (), "nothing was shown against the version"


@pytest.mark.parametrize("name", ["canary", "shadow", "shadow, canary", "shadow, rolling"])
def test_a_target_deleted_while_both_are_compared_ends_the_comparison(name: str) -> None:
    cloud = cloud_of()
    deleting(cloud, is_compared)
    result = release(cloud, staged(STRATEGIES[name]))
    assert result.outcome == "inconclusive"
    assert_ended_well(cloud, LIVE, configs={LIVE})
    assert UpdateEndpoint(TARGET, exclude_weights=True) not in cloud.executed


def test_a_target_deleted_while_the_release_tidies_up_is_not_promoted() -> None:
    cloud, history = cloud_of(), FakeHistory()

    def delete(state: EndpointState) -> None:
        if state.current is not None and state.current.ending == PROMOTED:
            cloud.configs.pop(TARGET, None)

    history.after_save = delete
    result = release(cloud, staged(CANARY), history)
    assert result.outcome == "inconclusive"
    assert_ended_well(cloud, LIVE, configs={LIVE})


def test_a_way_back_that_aws_does_not_take_says_what_serves_and_what_to_do() -> None:
    cloud = cloud_of()
    deleting(cloud, has_landed)
    cloud.failing_updates = {LIVE}
    result = release(cloud, staged(AT_ONCE))
    assert result.outcome == "inconclusive"
    assert "going back to wine-test-c1 failed 3 times" in result.reason
    assert "wine-test-c2 still serves; `slipway rollback` tries again" in result.reason
    assert TARGET in cloud.configs, "without it nothing could lead away"


def test_a_shadow_that_passed_needs_no_target_any_more() -> None:
    cloud = cloud_of()
    deleting(cloud, lambda c: bool(c.executed) and c.executed[-1] == UpdateEndpoint(LIVE, True))
    assert release(cloud, staged(SHADOW)).outcome == "compared"


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_configuration_that_serves_while_both_run_is_made_again_to_go_back(name: str) -> None:
    cloud = cloud_of()

    def delete(seen: FakeCloud) -> None:
        own = [n for n in seen.configs if n.startswith("wine-test-t-")]
        if own and seen.serving == own[0] and seen.status == "InService":
            del seen.configs[own[0]]
            seen.before_look = lambda _cloud: None

    cloud.before_look = delete
    result = release(cloud, staged(STRATEGIES[name]))
    if name in ("canary", "shadow") or name.startswith("shadow"):
        assert result.outcome == "inconclusive"
        assert "which serves both versions, was deleted under the release" in result.reason
        assert_ended_well(cloud, LIVE)
    else:
        assert result.outcome == "promoted"


@pytest.mark.parametrize("name", ["canary", "blue/green canary", "rolling"])
def test_what_served_before_is_there_again_at_the_end_where_it_was_deleted(name: str) -> None:
    cloud = cloud_of(has_metrics=False)
    before = cloud.configs[LIVE]
    began: list[bool] = []

    def delete(seen: FakeCloud) -> None:
        if seen.pending is not None and not began:
            began.append(True)
            del seen.configs[LIVE]

    cloud.before_look = delete
    assert release(cloud, staged(STRATEGIES[name])).outcome == "inconclusive"
    assert_ended_well(cloud, LIVE)
    assert cloud.configs[LIVE] == before


def test_a_configuration_that_cannot_be_asked_for_is_not_taken_for_deleted() -> None:
    class Denied(FakeCloud):
        def has_config(self, name: str) -> bool:
            from release.aws.cloud import RefusedError

            raise RefusedError("AccessDeniedException: sagemaker:DescribeEndpointConfig")

    cloud = Denied()
    cloud.set_live(4)
    assert release(cloud, staged(CANARY)).outcome == "promoted"


def test_a_rollback_to_what_is_deleted_on_the_way_says_so() -> None:
    cloud, history = cloud_of(), FakeHistory()
    assert release(cloud, staged(CANARY), history).outcome == "promoted"
    deleting(cloud, lambda c: c.pending is not None, LIVE)
    result = run_rollback(staged(CANARY), cloud=cloud, history=history, pace=FAST)
    assert (result.outcome, cloud.serving) == ("inconclusive", LIVE)
    assert "configuration wine-test-c1 serves, but was deleted meanwhile" in result.reason
    assert "`slipway rollback --to V` moves the endpoint to a good version" in result.reason

"""Alarms between the bakes: what the candidate has of the traffic is taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts.release_manifest import AlarmGate, Canary, ErrorGate, Step, Tolerance
from release.actions import SetWeights, UpdateEndpoint
from release.controller.advance import advance
from release.controller.needs import needs
from release.controller.stages import Stage, go
from release.driver.run import Event
from release.evidence.document import ReleaseResult
from release.observation import Endpoint, Observation
from release.state import Release
from tests.unit.fake_cloud import ENDPOINT, FakeCloud, FakeHistory
from tests.unit.release_strategies import (
    CANARY,
    STRATEGIES,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)


def _rings_in(history: FakeHistory, stage: str, suffix: str) -> Any:
    def rings(name: str, _cloud: FakeCloud) -> bool:
        current = history.shared["state"].current if history.shared else None
        is_there = current is not None and current.stage == stage
        has_traffic = current is not None and current.first_traffic_at is not None
        return is_there and has_traffic and name.endswith(suffix)

    return rings


@pytest.mark.parametrize("stage", ["capacity", "weight", "full capacity"])
def test_an_alarm_that_rings_between_the_bakes_takes_it_back(stage: str) -> None:
    history = FakeHistory()
    cloud = cloud_of(ringing=_rings_in(history, stage, "-candidate"))

    def scaled_in(state: Any) -> None:
        current = state.current
        if current is not None and (current.stage, current.step) == ("bake", 1):
            cloud.set_live(2)  # so that there is something to wait for before the swap

    history.after_save = scaled_in
    result = release(cloud, staged(CANARY), history)
    assert result.outcome == "rolled_back"
    assert result.reason == f"alarm {result.id}-errors-candidate in stage {stage}"
    assert_ended_well(cloud, "wine-test-c1")


def test_before_the_first_request_no_alarm_decides() -> None:
    cloud = cloud_of()

    def rings(_name: str, seen: FakeCloud) -> bool:
        return "candidate" in seen.fleets and seen.fleets["candidate"].wanted_weight == 0

    cloud.ringing = rings
    assert release(cloud, staged(CANARY)).outcome == "promoted"


def test_an_alarm_decides_from_the_moment_on_that_the_first_weight_is_set() -> None:
    history = FakeHistory()

    def rings(name: str, seen: FakeCloud) -> bool:
        candidate = seen.fleets.get("candidate")
        return (
            name.endswith("-candidate")
            and candidate is not None
            and candidate.weight == 0 < candidate.wanted_weight
        )

    cloud = cloud_of(ringing=rings)
    result = release(cloud, staged(CANARY), history)
    assert result.outcome == "rolled_back"
    assert result.reason == f"alarm {result.id}-errors-candidate in stage weight"
    assert_ended_well(cloud, "wine-test-c1")


def before_the_swap(gates: tuple[Any, ...]) -> tuple[Release, Endpoint]:
    """A release whose last bake has passed and whose swap was not issued yet."""
    cloud, history = cloud_of(other_alarms={"orders": "OK"}), FakeHistory()
    caught: list[tuple[Release, Endpoint]] = []

    def catch(event: Event) -> None:
        if event.kind == "weight" and event.data["weight"] == 50:
            running, seen = history.shared["state"].current, cloud.endpoint(ENDPOINT)
            assert running is not None
            caught.append((go(running, Stage.SWAP, seen.now), seen))

    release(cloud, staged(CANARY, gates=gates), history, observer=catch)
    return caught[0]


def test_an_alarm_that_rings_before_the_swap_is_issued_keeps_it_from_being_issued() -> None:
    waiting, seen = before_the_swap((ErrorGate(), AlarmGate("orders")))
    ours = f"{waiting.id}-errors-candidate"
    assert set(needs(waiting, seen).alarms) == {ours, "orders"}
    quiet, issued = advance(waiting, Observation(seen, alarms={ours: "OK", "orders": "OK"}))
    assert (issued[-1], quiet.ending) == (UpdateEndpoint("wine-test-c2", True), None)
    for name in (ours, "orders"):
        back, actions = advance(waiting, Observation(seen, alarms={name: "ALARM"}))
        assert actions == (SetWeights({"candidate": 0.0}),)
        assert (back.ending, back.reason) == ("rolled_back", f"alarm {name} in stage swap")


def _with_owners_alarm(
    dry_run: bool, rings: Callable[[Release], bool]
) -> tuple[ReleaseResult, FakeCloud]:
    """A canary beside the owner's alarm, which is in ALARM while ``rings`` holds."""
    history, cloud = FakeHistory(), cloud_of(other_alarms={"orders": "OK"})

    def look(state: Any) -> None:
        is_ringing = state.current is not None and rings(state.current)
        cloud.other_alarms["orders"] = "ALARM" if is_ringing else "OK"

    history.after_save = look
    gates = (ErrorGate(), AlarmGate("orders", dry_run=dry_run))
    return release(cloud, staged(CANARY, gates=gates), history), cloud


@pytest.mark.parametrize(("dry_run", "outcome"), [(False, "rolled_back"), (True, "promoted")])
def test_an_owners_alarm_during_the_swap_takes_it_back_after_it_unless_it_is_a_dry_run(
    dry_run: bool, outcome: str
) -> None:
    result, cloud = _with_owners_alarm(dry_run, lambda current: current.stage == "swap")
    assert result.outcome == outcome
    if not dry_run:
        assert result.reason == "failed after the swap: alarm orders at the swap"
    assert_ended_well(cloud, "wine-test-c1" if outcome == "rolled_back" else "wine-test-c2")


@pytest.mark.parametrize(
    ("strategy", "outcome"), [("shadow, blue/green", "rolled_back"), ("shadow", "compared")]
)
def test_an_alarm_on_a_shadow_that_leaves_keeps_the_version_from_getting_traffic(
    strategy: str, outcome: str
) -> None:
    history = FakeHistory()
    cloud = cloud_of(ringing=_rings_in(history, "leave", "-shadow"))
    result = release(cloud, staged(STRATEGIES[strategy]), history)
    assert result.outcome == outcome
    if outcome == "rolled_back":
        assert result.reason == f"alarm {result.id}-errors-shadow in stage leave"
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize(("dry_run", "outcome"), [(False, "rolled_back"), (True, "promoted")])
def test_an_owners_alarm_between_the_bakes_decides_unless_it_is_a_dry_run(
    dry_run: bool, outcome: str
) -> None:
    result, _ = _with_owners_alarm(
        dry_run, lambda current: current.stage == "capacity" and current.step == 1
    )
    assert result.outcome == outcome
    if not dry_run:
        assert result.reason == "alarm orders in stage capacity"


def test_an_alarm_takes_a_held_release_back() -> None:
    history, cloud = FakeHistory(), cloud_of()
    unsure = Canary((Step(20, Tolerance(1.01, 0.01), 60, 600),))
    made = staged(unsure, on_inconclusive="hold")
    assert release(cloud, made, history).outcome == "held"
    cloud.ringing = lambda name, _cloud: name.endswith("-candidate")
    result = release(cloud, made, history)
    assert result.outcome == "rolled_back"
    assert result.reason.endswith("in stage held")
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize("state", ["INSUFFICIENT_DATA", "missing"])
def test_an_alarm_without_data_does_not_end_what_only_waits(state: str) -> None:
    history, cloud = FakeHistory(), cloud_of(other_alarms={"orders": "OK"})

    def quiet(saved: Any) -> None:
        is_baking = saved.current is not None and saved.current.stage in ("bake", "post-bake")
        cloud.other_alarms = {"orders": "OK"} if is_baking else {"orders": state}
        if state == "missing" and not is_baking:
            cloud.other_alarms = {}

    history.after_save = quiet
    gates = (ErrorGate(), AlarmGate("orders"))
    assert release(cloud, staged(CANARY, gates=gates), history).outcome == "promoted"

"""What goes wrong around a release: AWS fails, metrics change, clocks jump, others interfere."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.release_manifest import Canary, Step
from release.actions import (
    Action,
    PutAlarm,
    RemoveScaling,
    RestoreScaling,
    SetCapacity,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
)
from release.aws.cloud import RefusedError, UnavailableError
from release.driver.run import Event, Pace
from release.errors import ReleaseError
from release.observation import Endpoint, MetricQuery, Series
from tests.unit.fake_cloud import ENDPOINT, FakeCloud, FakeHistory, config_of, scaling_target
from tests.unit.release_strategies import (
    BLUE_GREEN,
    BROKEN,
    CANARY,
    LOOSE,
    STRATEGIES,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)
from tests.unit.test_release_kills import Killed, prepared

IMPATIENT = Pace(poll_seconds=0.0, lease_seconds=60.0, give_up_seconds=0.0)


class Stormy(FakeCloud):
    """Any call may be throttled, or be taken and its answer lost."""

    chance: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dice = random.Random(self.seed)

    def _maybe(self) -> None:
        if self.dice.random() < self.chance:
            raise UnavailableError("aws did not answer: ThrottlingException: Rate exceeded")

    def endpoint(self, name: str) -> Endpoint:
        self._maybe()
        return super().endpoint(name)

    def alarms(self, names: tuple[str, ...]) -> dict[str, str]:
        self._maybe()
        return super().alarms(names)

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        self._maybe()
        return super().series(endpoint_name, query)

    def execute(self, endpoint_name: str, action: Action) -> None:
        self._maybe()
        super().execute(endpoint_name, action)
        self._maybe()


@pytest.mark.parametrize("name", STRATEGIES)
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10_000), is_broken=st.booleans())
def test_throttling_of_any_call_changes_no_outcome(name: str, seed: int, is_broken: bool) -> None:
    cloud = Stormy(seed=seed, behaviours=BROKEN if is_broken else {})
    cloud.set_live(4)
    history = FakeHistory()
    result = None
    while result is None:
        try:
            result = release(cloud, staged(STRATEGIES[name]), history)
        except UnavailableError:
            # Before it began: the command is run again.
            history = history.other_process()
    if is_broken and name != "all at once":
        assert result.outcome in ("rolled_back", "inconclusive"), result.reason
        assert_ended_well(cloud, "wine-test-c1")
    elif name == "shadow":
        assert result.outcome in ("compared", "inconclusive")
    else:
        # A comparison that saw too little is not promoted; everything else is.
        assert result.outcome in ("promoted", "inconclusive"), result.reason
        assert_ended_well(cloud, {"promoted": "wine-test-c2"}.get(result.outcome, "wine-test-c1"))


def test_one_action_that_is_never_taken_ends_the_release_safely() -> None:
    cloud = cloud_of()

    def throttled(action: Action) -> None:
        if isinstance(action, PutAlarm):
            raise UnavailableError("aws did not answer PutMetricAlarm: Throttling: Rate exceeded")

    from release.driver.run import run

    cloud.before_execute = throttled
    result = run(staged(CANARY), cloud=cloud, history=FakeHistory(), pace=IMPATIENT)
    assert result.outcome == "inconclusive"
    assert "no answer any more (aws did not answer PutMetricAlarm: Throttling" in result.reason
    assert_ended_well(cloud, "wine-test-c1")


def test_a_blocked_way_back_is_left_to_the_next_command() -> None:
    from release.driver.run import run

    cloud, history = cloud_of(behaviours=BROKEN), FakeHistory()
    back = [True]

    def throttled(action: Action) -> None:
        if back and isinstance(action, UpdateEndpoint) and action.config == "wine-test-c1":
            raise UnavailableError("aws did not answer UpdateEndpoint: Throttling")

    cloud.before_execute = throttled
    with pytest.raises(ReleaseError, match=r"stands in stage back: .* run the same command again"):
        run(staged(CANARY), cloud=cloud, history=history, pace=IMPATIENT)
    back.clear()
    assert release(cloud, staged(CANARY), history).outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1")


# --- metrics


class Revising(FakeCloud):
    """The first reading of a minute lacks some errors; later ones have them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.read: set[tuple[str, float]] = set()

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        found = super().series(endpoint_name, query)
        for name, minutes in found.items():
            for start, minute in minutes.items():
                if (name, start) not in self.read:
                    self.read.add((name, start))
                    minutes[start] = replace(minute, errors=0)
        return found


def test_minutes_that_are_revised_are_logged_and_judged_anew() -> None:
    cloud, events = Revising(behaviours=BROKEN), list[Event]()
    cloud.set_live(4)
    slow = Canary((Step(10, LOOSE, 600, 3600),))
    result = release(cloud, staged(slow), observer=events.append)
    revised = [e for e in events if e.kind == "revised"]
    assert revised
    assert "counted minute" in revised[0].text
    before, after = next(iter(revised[0].data["minutes"].values()))
    assert before[3] == 0
    assert after[3] > 0
    assert result.outcome == "rolled_back"


class Late(FakeCloud):
    """A minute's metrics come nine minutes after its end, now and then twice or not at all."""

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        found = super().series(endpoint_name, query)
        return {
            name: {s: m for s, m in minutes.items() if s + 600 < self.now and s % 420}
            for name, minutes in found.items()
        }


def test_late_and_missing_minutes_are_waited_for_and_each_counts_once() -> None:
    cloud, starts = Late(), list[float]()
    cloud.set_live(4)
    result = release(
        cloud,
        staged(CANARY),
        observer=lambda e: starts.append(e.at) if e.kind == "minute" else None,
    )
    assert result.outcome == "promoted"
    assert len(starts) == len(set(starts))


@pytest.mark.parametrize("weight", [10, 50])
def test_a_clock_that_goes_back_is_noted_and_nothing_waits_for_its_return(weight: float) -> None:
    cloud, events, jumped = cloud_of(), list[Event](), list[float]()

    def jump(event: Event) -> None:
        events.append(event)
        if event.kind == "weight" and event.data["weight"] == weight and not jumped:
            jumped.append(cloud.now)
            cloud.now -= 7200
            cloud.shares_log = [(at - 7200, shares) for at, shares in cloud.shares_log]

    result = release(cloud, staged(CANARY), observer=jump)
    assert result.outcome == "promoted"
    told = next(e.text for e in events if e.kind == "clock")
    assert told.startswith("the clock went back by 7")
    assert cloud.now < jumped[0], "it did not wait two hours"
    assert result.seconds > 0
    assert result.candidate_requests > 0
    assert_ended_well(cloud, "wine-test-c2")


def test_a_shift_goes_on_comparing_where_the_clock_goes_back() -> None:
    cloud = cloud_of()

    def jump(seen: FakeCloud) -> None:
        under_way = seen.deployment
        if under_way is None or seen.now < 1_000_000 or not under_way.part_at(seen.now).active:
            return
        seen.shares_log = [(at - 86_400, shares) for at, shares in seen.shares_log]
        under_way.parts = [replace(p, start=p.start - 86_400) for p in under_way.parts]
        seen.now, seen.last_part = seen.now - 86_400, seen.last_part - 86_400

    cloud.before_look = jump
    assert release(cloud, staged(BLUE_GREEN)).outcome == "promoted"
    assert cloud.now < 1_000_000
    assert_ended_well(cloud, "wine-test-c2")


# --- others


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_update_by_someone_else_is_told_with_its_tags_and_left_alone(name: str) -> None:
    cloud = cloud_of()
    theirs = config_of("9")
    theirs = replace(theirs, name="theirs", tags={"owner": "bob", "slipway:version": "9"})
    cloud.configs["theirs"] = theirs

    def meddle(seen: FakeCloud) -> None:
        began = any(isinstance(a, UpdateEndpoint) for a in seen.executed)
        if began and seen.status == "InService" and seen.serving != "theirs" and not seen.pending:
            seen.targets = {"live": seen.targets["live"]}
            seen.execute(ENDPOINT, UpdateEndpoint("theirs", exclude_weights=True))

    cloud.before_look = meddle
    result = release(cloud, staged(STRATEGIES[name]))
    assert result.outcome == "inconclusive", result.reason
    assert "changed by someone else" in result.reason
    assert "theirs serves wine-test-m9, tags: owner=bob, slipway:version=9" in result.reason
    at = cloud.executed.index(UpdateEndpoint("theirs", exclude_weights=True))
    touching = (UpdateEndpoint, SetCapacity, RemoveScaling)
    assert not [a for a in cloud.executed[at + 1 :] if isinstance(a, touching)]
    assert cloud.alarm_names == {}
    assert cloud.targets == {"live": scaling_target()}


@pytest.mark.parametrize("stage", ["capacity", "full capacity"])
def test_weights_that_a_person_changes_between_two_bakes_are_left_alone(stage: str) -> None:
    cloud, history = cloud_of(), FakeHistory()

    def stop_it(seen: FakeCloud) -> None:
        candidate = seen.fleets.get("candidate")
        seen.rate = 150.0 if candidate is not None and candidate.weight == 1.0 else 50.0
        running = history.other_process().load().current
        if running is not None and running.stage == stage and candidate and candidate.weight:
            candidate.weight = candidate.wanted_weight = 0.0

    cloud.before_look = stop_it
    slow = Canary((Step(10, LOOSE, 120, 3600), Step(50, LOOSE, 1200, 3600)))
    result = release(cloud, staged(slow), history)
    assert result.outcome == "inconclusive"
    assert "changed by someone else: expected weights live 1, candidate" in result.reason
    assert cloud.fleets["candidate"].wanted_weight == 0.0


def test_a_change_that_scaling_is_in_the_way_of_waits_for_its_end() -> None:
    cloud, met = cloud_of(), list[Action]()

    def scale_out(action: Action) -> None:
        if isinstance(action, SetWeights | UpdateEndpoint) and action not in met:
            met.append(action)
            cloud.before_execute = lambda _action: None
            cloud.execute(ENDPOINT, SetCapacity("live", cloud.fleets["live"].count + 1))
            cloud.before_execute = scale_out

    cloud.before_execute = scale_out
    result = release(cloud, staged(CANARY))
    assert result.outcome == "promoted", result.reason
    assert len(met) == 4
    assert_ended_well(cloud, "wine-test-c2", count=8)


def killed_before_the_swap(cloud: FakeCloud) -> FakeHistory:
    """The driver is gone after it decided on the swap and before it told AWS."""
    history = FakeHistory()

    def die(action: Action) -> None:
        if isinstance(action, UpdateEndpoint) and action.config == "wine-test-c2":
            raise Killed

    cloud.before_execute = die
    with pytest.raises(Killed):
        release(cloud, staged(CANARY), history)
    cloud.before_execute = lambda _action: None
    return history.other_process()


def take_away(cloud: FakeCloud) -> None:
    """Someone else puts a configuration of theirs in place."""
    cloud.configs["theirs"] = replace(config_of("9"), name="theirs")
    cloud.targets = {"live": cloud.targets["live"]}
    cloud.execute(ENDPOINT, UpdateEndpoint("theirs", exclude_weights=True))
    while cloud.endpoint(ENDPOINT).status != "InService":
        pass


def test_what_a_dead_driver_decided_is_not_done_over_someone_elses_change() -> None:
    cloud = cloud_of()
    history = killed_before_the_swap(cloud)
    take_away(cloud)
    result = release(cloud, staged(CANARY), history)
    assert result.outcome == "inconclusive"
    assert "found status InService with configuration theirs" in result.reason
    assert (cloud.serving, cloud.pending) == ("theirs", None)
    assert UpdateEndpoint("wine-test-c2", exclude_weights=True) not in cloud.executed


def test_what_a_dead_driver_decided_is_not_done_while_an_alarm_rings() -> None:
    cloud = cloud_of()
    history = killed_before_the_swap(cloud)
    cloud.ringing = lambda name, _cloud: name.endswith("-candidate")
    result = release(cloud, staged(CANARY), history)
    assert result.outcome == "rolled_back"
    assert "in stage swap" in result.reason
    assert UpdateEndpoint("wine-test-c2", exclude_weights=True) not in cloud.executed
    assert_ended_well(cloud, "wine-test-c1")


def test_an_action_that_was_throttled_is_decided_anew_before_it_is_tried_again() -> None:
    cloud, tries = cloud_of(), list[Action]()

    def throttled(action: Action) -> None:
        if action == UpdateEndpoint("wine-test-c2", exclude_weights=True):
            tries.append(action)
            cloud.before_execute = lambda _action: None
            take_away(cloud)
            raise UnavailableError("aws did not answer UpdateEndpoint: Throttling")

    cloud.before_execute = throttled
    result = release(cloud, staged(CANARY))
    assert (result.outcome, len(tries)) == ("inconclusive", 1)
    assert "changed by someone else" in result.reason
    assert (cloud.serving, cloud.pending) == ("theirs", None)


class Lagging(FakeCloud):
    """DescribeEndpoint shows the first update three looks late; a person aborts meanwhile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.history = FakeHistory()
        self.stale: list[Endpoint] = []

    def execute(self, endpoint_name: str, action: Action) -> None:
        is_first = not any(isinstance(a, UpdateEndpoint) for a in self.executed)
        if is_first and isinstance(action, UpdateEndpoint):
            self.stale = [super().endpoint(ENDPOINT)] * 3
            self.history.ask("abort")
        super().execute(endpoint_name, action)

    def endpoint(self, name: str) -> Endpoint:
        seen = super().endpoint(name)
        return replace(self.stale.pop(), now=seen.now) if self.stale else seen


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_update_that_does_not_show_yet_is_waited_for_before_all_is_put_back(name: str) -> None:
    cloud = Lagging(tick=10.0)
    cloud.set_live(4)
    result = release(cloud, staged(STRATEGIES[name]), cloud.history)
    assert (result.outcome, result.reason) == ("rolled_back", "aborted by ann")
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize(("seconds", "serves"), [(1200, "wine-test-c1"), (7200, "wine-test-c2")])
def test_a_way_back_that_is_refused_is_asked_for_again_for_half_an_hour(
    seconds: float, serves: str
) -> None:
    cloud, asked = cloud_of(), list[float]()
    cloud.ringing = lambda n, c: n.endswith("-landed") and c.serving == "wine-test-c2"

    def refuse(action: Action) -> None:
        if isinstance(action, UpdateEndpoint) and action.config == "wine-test-c1":
            asked.append(cloud.now)
            if cloud.now - asked[0] < seconds:
                raise RefusedError("ResourceLimitExceeded: the account-level service limit")

    cloud.before_execute = refuse
    result = release(cloud, staged(CANARY))
    assert cloud.serving == serves
    assert result.outcome == ("rolled_back" if serves == "wine-test-c1" else "inconclusive")
    assert 10 < len(asked) < 40, "once a minute, but for the first times"
    assert asked[-1] - asked[0] < 2000


def test_what_is_refused_at_the_end_does_not_keep_the_rest_from_being_done() -> None:
    cloud, refused = cloud_of(), list[Action]()

    def refuse(action: Action) -> None:
        if type(action).__name__ == "DeleteAlarms":
            refused.append(action)
            raise RefusedError("AccessDenied: no cloudwatch:DeleteAlarms", "AccessDenied")

    cloud.before_execute = refuse
    result = release(cloud, staged(CANARY))
    assert result.outcome == "promoted"
    assert len(refused) == 4
    assert set(cloud.configs) == {"wine-test-c1", "wine-test-c2"}
    assert cloud.targets == {"live": scaling_target()}


# --- capacity and scaling


@pytest.mark.parametrize("case", ["retyped", "retyped and broken", "retyped, alarm after the swap"])
@pytest.mark.parametrize("name", ["canary", "blue/green canary", "rolling"])
def test_a_target_goes_before_a_retyped_variant_and_comes_back_exactly(
    name: str, case: str
) -> None:
    cloud, made = prepared(case, STRATEGIES[name])
    release(cloud, made)
    kinds: list[Any] = [a for a in cloud.executed if isinstance(a, RemoveScaling | RestoreScaling)]
    restored = [a.target for a in kinds if isinstance(a, RestoreScaling)]
    if case == "retyped and broken" and name == "canary":
        assert restored == [], "it never came to the swap"
        return
    assert [a.variant for a in kinds if isinstance(a, RemoveScaling) and a.variant == "live"]
    for target in restored:
        assert replace(target, suspended={}) == replace(scaling_target(), suspended={})
    if case == "retyped":
        assert restored[0].suspended["DynamicScalingInSuspended"], "not before it has ended"
    assert cloud.targets == {"live": scaling_target()}


@pytest.mark.parametrize("case", ["retyped", "retyped, alarm after the swap"])
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_target_comes_back_though_aws_does_not_answer_at_first(case: str, is_taken: bool) -> None:
    cloud, made = prepared(case, CANARY)
    silent: list[type[Action]] = [RestoreScaling, RemoveScaling]

    def lost(action: Action) -> None:
        if type(action) in silent:
            silent.remove(type(action))
            raise UnavailableError("aws did not answer RegisterScalableTarget: Throttling")

    if is_taken:
        cloud.after_execute = lost
    else:
        cloud.before_execute = lost
    release(cloud, made)
    assert not silent
    assert cloud.targets == {"live": scaling_target()}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("behaviours", [{}, BROKEN])
def test_counts_that_scaling_reaches_on_the_way_are_there_afterwards(
    name: str, behaviours: dict[str, Any]
) -> None:
    cloud = cloud_of(behaviours=behaviours)

    def grow(event: Event) -> None:
        if event.kind in ("entered", "weight") and cloud.status == "InService":
            cloud.set_live(6)

    release(cloud, staged(STRATEGIES[name]), observer=grow)
    expected = 4 if name in ("all at once",) or (name in GUARDED) else 6
    assert cloud.fleets["live"].count == expected


GUARDED = ("blue/green canary", "blue/green linear", "rolling")


def test_live_is_refilled_before_it_is_updated_on_the_way_back() -> None:
    cloud, history = cloud_of(), FakeHistory()

    def grow(seen: FakeCloud) -> None:
        share = seen.fleets.get("candidate")
        seen.rate = 150.0 if share is not None and share.weight == 1.0 else 50.0

    def abort(event: Event) -> None:
        if event.kind == "minute" and event.data["weight"] == 50 and not history.beside:
            history.ask("abort")

    cloud.before_look = grow
    slow = Canary((Step(10, LOOSE, 120, 3600), Step(50, LOOSE, 1200, 3600)))
    result = release(cloud, staged(slow), history, observer=abort)
    assert (result.outcome, result.reason) == ("rolled_back", "aborted by ann")
    moves = [a for a in cloud.executed if isinstance(a, SetCapacity | SetWeights | UpdateEndpoint)]
    assert moves[-3:] == [
        SetWeights({"candidate": 0.0}),
        SetCapacity("live", 8),
        UpdateEndpoint("wine-test-c1", exclude_weights=True),
    ]
    assert_ended_well(cloud, "wine-test-c1", count=8)


def test_scale_in_is_suspended_throughout_a_shift_and_restored_as_it_was() -> None:
    before = scaling_target(
        suspended={**scaling_target().suspended, "ScheduledScalingSuspended": True}
    )
    cloud = cloud_of(targets={"live": before})
    release(cloud, staged(BLUE_GREEN))
    scaling = [a for a in cloud.executed if isinstance(a, SetScaling)]
    assert scaling[0].suspended == before.suspended | {"DynamicScalingInSuspended": True}
    assert scaling[-1].suspended == before.suspended
    assert cloud.targets == {"live": before}


class Counting(FakeCloud):
    """Remembers what it was asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[MetricQuery] = []

    def series(self, endpoint_name: str, query: MetricQuery) -> Series:
        self.asked.append(query)
        return super().series(endpoint_name, query)


def test_minutes_without_requests_are_not_asked_for_again_and_again() -> None:
    cloud = Counting(rate=0.02)
    result = release(cloud, staged(CANARY))
    assert result.outcome == "inconclusive"
    compared = [q for q in cloud.asked if q.alias == "candidate"]
    ends = [q.until for q in compared][:-1]  # the last reads the whole release for the evidence
    assert len(ends) > 10
    assert len(ends) == len(set(ends)), "each minute is due once"
    assert max(q.until - q.since for q in compared[:-1]) <= 20 * 60

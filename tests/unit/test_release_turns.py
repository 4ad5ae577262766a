"""Drivers that come and go: slices of a release, the lock's lease, and who may take over."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from contracts.release_manifest import ErrorGate, HookGate, Step, Tolerance
from release.actions import (
    Action,
    CreateConfig,
    PutAlarm,
    SetWeights,
    UpdateEndpoint,
    describe,
)
from release.aws.cloud import UnavailableError
from release.driver.lock import acquire, holder, where
from release.driver.loop import TurnResult, turns
from release.driver.progress import Collaborators, Pace
from release.driver.turn import DriverOptions
from release.errors import LockedError, NothingToReleaseError
from release.observation import Endpoint, HookAnswer, MetricQuery
from release.state import EndpointState, Lock, Owner, Release
from tests.unit.fake_cloud import FakeCloud, FakeHistory, manifest
from tests.unit.release_strategies import (
    BROKEN,
    CANARY,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)

ONE = Owner("role/driver", "step functions execution e1", 0, "e1", frozenset())
OTHER = replace(ONE, host="step functions execution e2", token="e2")
PACE = Pace(poll_seconds=7.0, lease_seconds=60.0)


def slice_of(
    cloud: FakeCloud, history: FakeHistory, owner: Owner = ONE, seconds: float = 60.0
) -> TurnResult:
    until = time.monotonic() + seconds
    options = DriverOptions(pace=PACE)
    return turns(staged(CANARY), cloud, history, owner, until, options=options)


def test_slices_begin_continue_and_end_a_release() -> None:
    cloud, history = cloud_of(), FakeHistory()
    first = slice_of(cloud, history)
    assert (first.outcome, first.next_look_seconds, first.result) == (None, 7.0, None)
    state = history.other_process().load()
    assert state.current is not None
    assert state.lock is not None
    assert (state.lock.token, state.lock.host, state.lock.pid) == ("e1", ONE.host, 0)
    assert 60 < state.lock.expires_at - time.time() < 70, "a lease after the next look"
    told = first
    while told.outcome is None:
        told = slice_of(cloud, history.other_process())
    assert told.outcome == "promoted"
    assert told.result is not None
    assert told.result.id == state.current.id
    assert_ended_well(cloud, "wine-test-c2")
    assert len([e for e in state.current.log if e.kind == "continued"]) == 0
    with pytest.raises(NothingToReleaseError):
        slice_of(cloud, history)


def test_a_slice_ends_at_its_time_with_what_is_pending_left_to_the_next() -> None:
    cloud, history = cloud_of(), FakeHistory()
    told = slice_of(cloud, history, seconds=-1.0)
    assert (told.outcome, told.next_look_seconds) == (None, 0.0)
    running = history.load().current
    assert running is not None
    assert running.pending


def test_another_execution_waits_for_the_lease_and_then_takes_over() -> None:
    cloud, history = cloud_of(), FakeHistory()
    slice_of(cloud, history)
    with pytest.raises(LockedError) as caught:
        slice_of(cloud, history.other_process(), OTHER)
    text = str(caught.value)
    assert "is running, by role/driver on step functions execution e1 since" in text
    assert "wait for its end, or end it with `slipway abort`" in text
    state = history.shared["state"]
    assert state.lock is not None
    history.shared["state"] = replace(state, lock=replace(state.lock, expires_at=0.0))
    told = slice_of(cloud, history.other_process(), OTHER)
    while told.outcome is None:
        told = slice_of(cloud, history.other_process(), OTHER)
    assert told.outcome == "promoted"


def test_a_slice_whose_release_was_taken_over_changes_nothing_more() -> None:
    cloud, history = cloud_of(), FakeHistory()
    mine = history.other_process()

    def take(_action: object) -> None:
        cloud.before_execute = lambda _action: None
        cloud.after_execute = lambda _action: None
        state = history.other_process().load()
        history.shared["state"] = replace(state, lock=None)

    cloud.after_execute = take
    with pytest.raises(LockedError, match="another process has taken over"):
        slice_of(cloud, mine)
    assert len(cloud.executed) == 1, "the state is read again before each action"


def test_a_terminal_continues_what_a_lambda_left() -> None:
    cloud, history = cloud_of(), FakeHistory()
    slice_of(cloud, history)
    state = history.shared["state"]
    assert state.lock is not None
    history.shared["state"] = replace(state, lock=replace(state.lock, expires_at=0.0))
    assert release(cloud, manifest("3"), history.other_process()).to_version == "2"


def test_a_lease_outlasts_the_hook_that_a_slice_waits_for() -> None:
    cloud, history = cloud_of(), FakeHistory()
    hook = HookGate("orders", function_arn="arn:f", timeout_seconds=300.0)
    made = staged(CANARY, gates=(ErrorGate(), hook))
    left: list[float] = []

    def ask(_release: Release, hooks: tuple[HookGate, ...], now: float) -> dict[str, HookAnswer]:
        lock = history.shared["state"].lock
        assert lock is not None
        left.append(lock.expires_at - time.time())
        return {h.name: HookAnswer("pass", "", now) for h in hooks}

    options = DriverOptions(pace=PACE, beside=Collaborators(ask_hooks=ask))
    told = TurnResult(None, 0.0, None)
    while told.outcome is None:
        until = time.monotonic() + 60
        told = turns(made, cloud, history.other_process(), ONE, until, options=options)
    assert told.outcome == "promoted"
    assert min(left) > 300


# --- an action that AWS does not take


def unanswered(cloud: FakeCloud, kind: type[Action], name: str = "") -> None:
    """From now on AWS answers no such action, or none on what is called ``name``."""

    def fail(action: Action) -> None:
        if isinstance(action, kind) and name in describe(action):
            raise UnavailableError("aws did not answer: Throttling")

    cloud.before_execute = fail


def away(cloud: FakeCloud, history: FakeHistory) -> Release:
    """Slices until AWS does not answer one; the release as that left it."""
    with pytest.raises(UnavailableError, match="Throttling"):
        to_its_end(cloud, history)
    current = history.other_process().load().current
    assert current is not None
    return current


def to_its_end(cloud: FakeCloud, history: FakeHistory) -> TurnResult:
    told = slice_of(cloud, history.other_process())
    while told.outcome is None:
        told = slice_of(cloud, history.other_process())
    return told


def unanswered_since(history: FakeHistory, since: float) -> None:
    state = history.shared["state"]
    assert state.current is not None
    history.shared["state"] = replace(state, current=replace(state.current, unanswered_since=since))


def long_ago() -> float:
    return time.time() - PACE.give_up_seconds - 1


def test_a_call_that_is_never_answered_is_given_up_by_slices_as_by_a_terminal() -> None:
    cloud, history = cloud_of(), FakeHistory()
    unanswered(cloud, SetWeights, "candidate 0.11")
    first = away(cloud, history).unanswered_since
    assert first is not None
    assert away(cloud, history).unanswered_since == first, "remembered across the slices"
    unanswered_since(history, long_ago())
    told = to_its_end(cloud, history)
    assert told.outcome == "inconclusive"
    assert told.result is not None
    assert "no answer any more (aws did not answer: Throttling)" in told.result.reason
    assert_ended_well(cloud, "wine-test-c1")


def test_an_answer_makes_slices_forget_how_long_they_tried() -> None:
    cloud, history = cloud_of(), FakeHistory()
    unanswered(cloud, PutAlarm)
    away(cloud, history)
    unanswered_since(history, long_ago())
    cloud.before_execute = lambda _action: None
    slice_of(cloud, history.other_process())
    current = history.other_process().load().current
    assert current is not None
    assert current.unanswered_since is None


def test_it_is_the_unanswered_action_that_is_named_not_the_first_pending_one() -> None:
    cloud, history = cloud_of(), FakeHistory()
    unanswered(cloud, CreateConfig)
    assert not isinstance(away(cloud, history).pending[0], CreateConfig)
    unanswered_since(history, long_ago())
    told = to_its_end(cloud, history)
    assert told.result is not None
    assert told.result.reason.startswith(
        "AWS refused to create endpoint configuration wine-test-t-"
    )


def test_where_nothing_of_aws_can_be_seen_slices_try_on() -> None:
    cloud, history = cloud_of(), FakeHistory()
    unanswered(cloud, PutAlarm)
    away(cloud, history)
    unanswered_since(history, long_ago())
    answer = cloud.endpoint

    def no_answer(_name: str) -> Endpoint:
        raise UnavailableError("aws did not answer DescribeEndpoint: Throttling")

    def last_look(action: Action) -> None:
        cloud.endpoint = no_answer  # type: ignore[method-assign]
        raise UnavailableError(f"aws did not answer: Throttling of {describe(action)}")

    cloud.before_execute = last_look
    waiting = away(cloud, history)
    assert (waiting.stage, waiting.ending) == ("prepare", None)
    cloud.endpoint = answer  # type: ignore[method-assign]
    cloud.before_execute = lambda _action: None
    assert to_its_end(cloud, history).outcome == "promoted"


def test_the_way_back_is_tried_for_as_long_as_there_are_slices() -> None:
    cloud, history = cloud_of(behaviours=BROKEN), FakeHistory()
    unanswered(cloud, UpdateEndpoint, "wine-test-c1")
    away(cloud, history)
    unanswered_since(history, long_ago())
    stuck = away(cloud, history)
    assert (stuck.stage, stuck.ending) == ("back", "rolled_back")
    cloud.before_execute = lambda _action: None
    assert to_its_end(cloud, history).outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1")


# --- a held release


def test_a_held_release_is_looked_at_without_its_minutes() -> None:
    cloud, history = cloud_of(), FakeHistory()
    made = manifest(steps=(Step(20, Tolerance(1.01, 0.01), 60, 600),), on_inconclusive="hold")
    assert release(cloud, made, history).outcome == "held"
    asked: list[MetricQuery] = []
    fetch = cloud.series
    cloud.series = lambda name, query: asked.append(query) or fetch(name, query)  # type: ignore[method-assign]
    assert slice_of(cloud, history.other_process()).outcome == "held"
    assert asked == []


# --- the lock


def lock(**changes: object) -> Lock:
    values = {
        "owner": "ann",
        "host": "here",
        "pid": 1,
        "token": "t",
        "since": 0.0,
        "expires_at": 100.0,
        "release_id": "r",
    }
    return Lock(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "is_held"),
    [
        (None, False),
        (lock(expires_at=49.0), False),
        (lock(token="mine"), False),
        (lock(host="there", pid=999_999_999), True),
        (lock(pid=999_999_999), False),
        (lock(pid=1), True),
        (lock(pid=0), True),
    ],
)
def test_a_lease_holds_unless_its_owner_is_known_to_be_gone(
    held: Lock | None, is_held: bool
) -> None:
    here = Owner("bob", "here", 42, "mine", frozenset())
    state = EndpointState("e", lock=held)
    assert (holder(state, 50.0, here) is not None) == is_held


def test_a_driver_without_a_process_is_told_by_its_host() -> None:
    assert where(lock()) == "here (process 1)"
    assert where(lock(host="step functions execution e1", pid=0)) == "step functions execution e1"


def test_the_lock_of_the_same_owner_keeps_its_beginning() -> None:
    state = acquire(EndpointState("e"), ONE, "r", 10.0, 60.0)
    again = acquire(state, ONE, "r", 50.0, 60.0)
    assert again.lock is not None
    assert (again.lock.since, again.lock.expires_at) == (10.0, 110.0)

"""One slice of a release in a Lambda: what it begins, continues, ends and refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from release.aws.cloud import UnavailableError
from release.controller.start import Snapshot, begin_release
from release.driver.lock import acquire, holder
from release.errors import LockedError, NothingToReleaseError, ReleaseError
from release.evidence.document import ReleaseResult
from release.handler import (
    Ended,
    EventError,
    Request,
    handler,
    owner_of,
    read_event,
    release_of,
    run_slice,
)
from release.memory import started
from release.state import EndpointState, Lock, Owner, Release
from tests.unit.fake_cloud import ENDPOINT, config_of, manifest

INPUT = {
    "endpoint": ENDPOINT,
    "after": "r-1",
    "content_hash": "hash-2",
    "by": "arn:someone",
    "name": "wine-1",
    "retry": False,
}
REQUEST = Request(ENDPOINT, "r-1", "hash-2", "arn:someone", "wine-1")


@dataclass(frozen=True)
class Turned:
    outcome: str | None = None
    next_look_seconds: float = 12.0
    result: ReleaseResult | None = None


class Memory:
    def __init__(self, *states: EndpointState) -> None:
        self.states = list(states)

    def load(self) -> EndpointState:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def save(self, state: EndpointState) -> None:
        self.states = [state]

    def write_evidence(self, release_id: str, text: str) -> None:
        raise AssertionError("not by the handler")


class World:
    """A world in which ``drive`` answers, or raises, what it is told to."""

    def __init__(self, answer: Turned | Exception, *states: EndpointState) -> None:
        self.history = Memory(*states)
        self.answer = answer
        self.is_staged = True
        self.ended_with = "hash-2"
        self.driven: list[tuple[str, Owner, float, bool]] = []

    def manifest(self, endpoint: str) -> Any:
        return manifest() if self.is_staged else None

    def outcome(self, release_id: str) -> Ended:
        return Ended("rolled_back", f"why {release_id} went back", self.ended_with)

    def drive(self, manifest: Any, owner: Owner, until: float, *, retry: bool) -> Turned:
        self.driven.append((manifest.endpoint_name, owner, until, retry))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def idle(*releases: str) -> EndpointState:
    return EndpointState(ENDPOINT, releases=releases)


def running(release_id: str, *before: str) -> EndpointState:
    return started(idle(*before), a_release(release_id))


def a_release(release_id: str) -> Release:
    from release.observation import Endpoint, Variant

    endpoint = Endpoint(1000.0, "InService", "c1", 0.0, (Variant("live", 1, 1, 2, 2),))
    snapshot = Snapshot(endpoint, config_of("1"), config_of("2"), None)
    return begin_release(idle(), manifest(), snapshot, release_id, "someone", retry=False)


def run(world: World, request: Request = REQUEST, remaining: float = 900.0) -> Any:
    return run_slice(request, world, remaining, clock=lambda: 100.0)


# --- the event


def test_the_event_is_the_executions_input_and_the_turns_so_far() -> None:
    assert read_event({"release": INPUT, "turns": 7}) == replace(REQUEST, turns=7)
    assert read_event({"release": {**INPUT, "retry": True}}) == replace(REQUEST, retry=True)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            None,
            (
                "release is None; an object with endpoint, after, content_hash, by, "
                "name is needed: "
                "`slipway release` starts executions with it"
            ),
        ),
        (
            {"release": "wine"},
            (
                "release is 'wine'; an object with endpoint, after, content_hash, by, "
                "name is needed: "
                "`slipway release` starts executions with it"
            ),
        ),
        ({"release": {**INPUT, "endpoint": 7}}, "release.endpoint is 7; a text is needed"),
        ({"release": {**INPUT, "after": None}}, "release.after is None; a text is needed"),
        (
            {"release": {**INPUT, "name": ""}},
            "release.name must not be empty",
        ),
        (
            {"release": {**INPUT, "content_hash": ""}},
            "release.content_hash must not be empty",
        ),
        (
            {"release": {k: v for k, v in INPUT.items() if k != "content_hash"}},
            "release.content_hash is None; a text is needed",
        ),
        (
            {"release": {**INPUT, "retry": "yes"}},
            "release.retry is 'yes'; true or false is needed",
        ),
        (
            {"release": INPUT, "turns": -1},
            "turns is -1; a whole number of at least 0 is needed",
        ),
        (
            {"release": INPUT, "turns": True},
            "turns is True; a whole number of at least 0 is needed",
        ),
    ],
)
def test_an_event_of_another_form_is_refused(event: Any, message: str) -> None:
    with pytest.raises(EventError) as refused:
        read_event(event)

    assert str(refused.value) == message


def test_without_its_history_bucket_the_function_says_so(monkeypatch: Any) -> None:
    monkeypatch.delenv("SLIPWAY_HISTORY_BUCKET", raising=False)

    with pytest.raises(EventError) as refused:
        handler({"release": INPUT}, None)

    assert str(refused.value) == "SLIPWAY_HISTORY_BUCKET is not set; `slipway up` sets it"


# --- slices


def test_a_release_that_goes_on_says_when_to_look_again_in_whole_seconds() -> None:
    world = World(Turned(next_look_seconds=11.2), idle("r-1"), running("r-2", "r-1"))

    answer = run(world)

    assert (answer.done, answer.outcome, answer.wait_seconds) == (False, "", 12)
    assert (answer.release_id, answer.turns) == ("r-2", 1)


@pytest.mark.parametrize(("seconds", "wait"), [(0.0, 1), (-5.0, 1), (1e9, 3600)])
def test_a_wait_is_neither_nothing_nor_for_ever(seconds: float, wait: int) -> None:
    world = World(Turned(next_look_seconds=seconds), running("r-2", "r-1"))

    assert run(world).wait_seconds == wait


@pytest.mark.parametrize(
    ("remaining", "until"), [(900.0, 220.0), (100.0, 140.0), (61.0, 101.0), (10.0, 100.0)]
)
def test_a_slice_ends_a_minute_before_the_function_or_after_two_minutes(
    remaining: float, until: float
) -> None:
    world = World(Turned(), running("r-2", "r-1"))

    run(world, remaining=remaining)

    assert [end for _, _, end, _ in world.driven] == [until]


def test_an_outcome_ends_it_with_the_reason() -> None:
    result = ReleaseResult(
        "r-2", "wine", ENDPOINT, "release", "canary", "1", "2", "models:/wine/2",
        "promoted", "all good", (), 10, 0, None, 60.0,
    )  # fmt: skip
    world = World(Turned("promoted", 0.0, result), running("r-2", "r-1"))

    answer = run(world)

    assert (answer.done, answer.outcome, answer.reason) == (True, "promoted", "all good")
    assert answer.release_id == "r-2"


def test_a_release_that_is_held_waits_for_a_persons_word() -> None:
    world = World(Turned("held", 0.0), running("r-2", "r-1"))

    answer = run(world)

    assert (answer.done, answer.outcome, answer.wait_seconds) == (False, "held", 60)
    assert answer.release_id == "r-2"


def test_a_repeated_invocation_after_the_end_begins_nothing_more() -> None:
    """The answer of the last slice was lost, and its retry finds the release ended."""
    world = World(AssertionError("driven"), idle("r-1", "r-2"))

    answer = run(world, replace(REQUEST, retry=True))

    assert world.driven == []
    assert (answer.done, answer.outcome) == (True, "rolled_back")
    assert (answer.release_id, answer.reason) == ("r-2", "why r-2 went back")


def test_it_never_drives_a_later_release_of_someone_else() -> None:
    world = World(AssertionError("driven"), running("r-3", "r-1", "r-2"))

    answer = run(world)

    assert (answer.done, answer.release_id) == (True, "r-2")


def test_it_continues_the_release_that_was_stopped() -> None:
    world = World(Turned(), running("r-2", "r-1"))

    run(world, replace(REQUEST, retry=True))

    ((endpoint, owner, _, retry),) = world.driven
    assert (endpoint, retry) == (ENDPOINT, True)
    assert owner == owner_of(REQUEST)


def test_a_release_that_cannot_begin_is_refused_with_its_reason() -> None:
    world = World(NothingToReleaseError("nothing new to release"), idle("r-1"))

    answer = run(world)

    assert (answer.done, answer.outcome) == (True, "refused")
    assert answer.reason == "nothing new to release"


def test_where_nothing_is_staged_it_says_so() -> None:
    world = World(Turned(), idle("r-1"))
    world.is_staged = False

    answer = run(world)

    assert (answer.done, answer.outcome) == (True, "refused")
    assert answer.reason == f"nothing is staged for endpoint {ENDPOINT}; run `slipway up`"


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (idle("r-1"), "what is staged now is hash-2"),
        (running("r-2", "r-1"), "release r-2 releases hash-2"),
        (idle("r-1", "r-2"), "release r-2 released hash-2"),
    ],
)
def test_other_content_than_it_was_started_for_is_neither_driven_nor_reported(
    state: EndpointState, what: str
) -> None:
    world = World(AssertionError("driven"), state)

    answer = run(world, replace(REQUEST, content_hash="hash-7" + 58 * "0"))

    assert world.driven == []
    assert (answer.done, answer.outcome, answer.release_id) == (True, "refused", "")
    assert answer.reason == (
        f"this execution is for content hash-7000000 of {ENDPOINT}, and {what}: it was changed "
        "since; look at `slipway plan`, then run `slipway release` again"
    )


def test_an_end_without_evidence_is_told_as_it_is() -> None:
    world = World(AssertionError("driven"), idle("r-1", "r-2"))
    world.ended_with = ""

    assert run(world).outcome == "rolled_back"


def test_an_error_in_a_running_release_is_for_the_state_machine() -> None:
    world = World(ReleaseError("broken"), running("r-2", "r-1"))

    with pytest.raises(ReleaseError, match="broken"):
        run(world)


def test_aws_away_is_for_the_state_machine_to_try_again() -> None:
    with pytest.raises(UnavailableError):
        run(World(UnavailableError("aws did not answer"), idle("r-1")))


def test_where_another_driver_has_the_lock_it_waits_for_its_turn() -> None:
    answer = run(World(LockedError("running elsewhere"), running("r-2", "r-1")))

    assert (answer.done, answer.wait_seconds, answer.release_id) == (False, 60, "r-2")


# --- whose release it is


@pytest.mark.parametrize(
    ("releases", "after", "ours"),
    [
        ((), "", None),
        (("r-1",), "", "r-1"),
        (("r-1",), "r-1", None),
        (("r-1", "r-2", "r-3"), "r-1", "r-2"),
        (("r-8", "r-9"), "r-1", "r-8"),
    ],
)
def test_an_execution_is_for_the_release_that_follows(
    releases: tuple[str, ...], after: str, ours: str | None
) -> None:
    assert release_of(idle(*releases), after) == ours


def test_a_lost_invocation_leaves_no_lock_for_the_next_one_to_wait_for() -> None:
    here = owner_of(REQUEST)
    locked = acquire(idle(), here, "r-2", 0.0, 1000.0)

    assert isinstance(locked.lock, Lock)
    assert holder(locked, 10.0, owner_of(replace(REQUEST, turns=9))) is None


def test_two_executions_never_take_each_others_lock() -> None:
    locked = acquire(idle(), owner_of(REQUEST), "r-2", 0.0, 1000.0)

    assert holder(locked, 10.0, owner_of(replace(REQUEST, name="wine-2"))) is locked.lock

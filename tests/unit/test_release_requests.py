"""A person's word to a running release, a held one, and a freeze of the stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.errors import ContractError
from contracts.release_manifest import Step, Tolerance
from release.actions import SetWeights, UpdateEndpoint
from release.controller import requests
from release.driver.run import Event, run_rollback
from release.errors import FrozenError
from release.evidence.document import ReleaseResult
from release.freeze import Freeze
from release.observation import Request
from tests.unit.fake_cloud import ENDPOINT, FakeCloud, FakeHistory, manifest
from tests.unit.release_strategies import (
    BLUE_GREEN,
    BROKEN,
    CANARY,
    FAST,
    SHADOW,
    STRATEGIES,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)

UNSURE = (Step(20, Tolerance(1.01, 0.01), 60, 600),)


class Script:
    """Asks for something when an event comes the first time; remembers what was told."""

    def __init__(self, history: FakeHistory, when: dict[str, str]) -> None:
        self.history = history
        self.when = dict(when)
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        key = event.text if event.kind == "progress" else event.kind
        kind = self.when.pop(key, None)
        if kind is not None:
            self.history.ask(kind, len(self.events))

    def told(self, kind: str) -> list[str]:
        return [e.text for e in self.events if e.kind == kind]


def scripted(
    strategy: Any, when: dict[str, str], cloud: FakeCloud | None = None, **settings: Any
) -> tuple[ReleaseResult, FakeCloud, Script]:
    history = FakeHistory()
    cloud = cloud or cloud_of()
    script = Script(history, when)
    result = release(cloud, staged(strategy, **settings), history, observer=script)
    assert history.beside == {}, "a word is deleted once it was applied"
    return result, cloud, script


# --- pause and resume


def test_a_paused_release_goes_no_further_until_it_is_resumed() -> None:
    history, cloud, stages = FakeHistory(), cloud_of(), list[str]()

    def observe(event: Event) -> None:
        if event.kind == "weight" and event.data["weight"] == 10:
            history.ask("pause", 1)
        if event.kind == "progress":
            stages.append(event.text)
            if event.data["paused"] and stages.count("bake") == 60:
                history.ask("resume", 2)

    result = release(cloud, staged(CANARY), history, observer=observe)
    assert result.outcome == "promoted"
    assert stages.index("full capacity") > 60 if "full capacity" in stages else True
    assert result.steps[0].seconds > 1000
    assert_ended_well(cloud, "wine-test-c2")


def test_a_pause_after_the_swap_still_puts_scaling_back() -> None:
    history, cloud = FakeHistory(), cloud_of()
    seen: list[Any] = []

    def observer(event: Event) -> None:
        if event.kind == "landed":
            history.ask("pause", 1)
        if event.kind == "progress" and event.data["paused"]:
            seen.append((event.text, cloud.suspension))
            if len(seen) == 40:
                history.ask("resume", 2)

    made = staged(CANARY, post_bake_seconds=60.0)
    result = release(cloud, made, history, observer=observer)
    assert result.outcome == "promoted"
    assert len(seen) >= 40, "it stays in the post-bake as long as it is paused"
    assert_ended_well(cloud, "wine-test-c2")


def test_a_pause_does_not_count_for_the_longest_bake() -> None:
    history, cloud, looks = FakeHistory(), cloud_of(has_metrics=False), 0

    def observe(event: Event) -> None:
        nonlocal looks
        if event.kind == "weight":
            history.ask("pause", 1)
        if event.kind == "progress" and event.data["paused"]:
            looks += 1
            if looks == 400:
                history.ask("resume", 2)

    result = release(cloud, staged(CANARY), history, observer=observe)
    assert result.outcome == "inconclusive"
    assert result.steps[0].seconds > 400 * 20 + 3500


def test_a_failing_gate_takes_a_paused_release_back() -> None:
    result, cloud, script = scripted(CANARY, {"weight": "pause"}, cloud_of(behaviours=BROKEN))
    assert result.outcome == "rolled_back"
    assert script.told("request") == ["pause by ann"]
    assert_ended_well(cloud, "wine-test-c1")


def test_a_release_that_is_paused_before_it_enters_moves_nothing() -> None:
    history, cloud = FakeHistory(), cloud_of()

    def observe(event: Event) -> None:
        if event.kind == "started":
            history.ask("pause", 1)
        if event.kind == "progress" and cloud.now > 1_002_000:
            assert not [a for a in cloud.executed if isinstance(a, UpdateEndpoint)]
            history.ask("abort", 2)

    result = release(cloud, staged(CANARY), history, observer=observe)
    assert (result.outcome, result.reason) == ("rolled_back", "aborted by ann")
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize(
    ("strategy", "when", "text"),
    [
        (
            BLUE_GREEN,
            {"weight": "pause"},
            (
                "pause by ann changes nothing: SageMaker moves the traffic by its own timers; "
                "abort takes it back"
            ),
        ),
        (CANARY, {"weight": "resume"}, "resume by ann changes nothing: it is not paused"),
        (
            CANARY,
            {"weight": "sing"},
            (
                "sing by ann changes nothing: 'sing' is unknown; pause, resume, abort, promote-now "
                "are known"
            ),
        ),
        (
            SHADOW,
            {"entered": "promote-now"},
            (
                "promote-now by ann changes nothing: this shadow only compares; release the "
                "version by another strategy"
            ),
        ),
    ],
)
def test_what_cannot_be_followed_is_said_and_changes_nothing(
    strategy: Any, when: dict[str, str], text: str
) -> None:
    result, _, script = scripted(strategy, when)
    assert result.outcome in ("promoted", "compared")
    assert script.told("request") == [text]


# --- abort and promote-now


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("moment", ["started", "prepare", "shift", "weight", "entered"])
def test_abort_goes_back_from_anywhere(name: str, moment: str) -> None:
    result, cloud, script = scripted(STRATEGIES[name], {moment: "abort"})
    if script.when:
        assert result.outcome in ("promoted", "compared"), "this strategy has no such moment"
        return
    assert (result.outcome, result.reason) == ("rolled_back", "aborted by ann")
    assert_ended_well(cloud, "wine-test-c1")


def test_an_aborted_shift_goes_back_by_sagemakers_own_rollback() -> None:
    _, cloud, _ = scripted(BLUE_GREEN, {"weight": "abort"})
    updates = [a.config for a in cloud.executed if isinstance(a, UpdateEndpoint)]
    assert updates == ["wine-test-c2"]


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "shadow"])
@pytest.mark.parametrize("moment", ["started", "entered", "weight", "landed"])
def test_promote_now_skips_what_is_still_compared(name: str, moment: str) -> None:
    cloud = cloud_of(has_metrics=moment == "landed")
    result, cloud, script = scripted(STRATEGIES[name], {moment: "promote-now"}, cloud)
    if script.when:
        assert result.outcome in ("promoted", "inconclusive"), "this strategy has no such moment"
        return
    assert (result.outcome, result.reason) == ("promoted", "promoted by ann")
    assert_ended_well(cloud, "wine-test-c2")


def test_an_alarm_still_takes_back_what_a_person_promoted() -> None:
    cloud = cloud_of(ringing=lambda n, c: n.endswith("-landed") and c.serving == "wine-test-c2")
    result, cloud, _ = scripted(CANARY, {"weight": "promote-now"}, cloud)
    assert result.outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1")


def test_a_word_is_applied_once_and_never_to_another_release() -> None:
    history, cloud = FakeHistory(), cloud_of(behaviours=BROKEN)
    release(cloud, staged(CANARY), history, observer=Script(history, {"weight": "abort"}))
    release_id = history.load().releases[-1]
    from release.observation import Request

    history.beside["request"] = Request("late", "abort", release_id, "bob", 0.0)
    cloud.behaviours = {}
    result = release(cloud, staged(CANARY), history, retry=True)
    assert result.outcome == "promoted"
    assert history.beside == {}


# --- held


def held(**options: Any) -> tuple[FakeCloud, FakeHistory, ReleaseResult]:
    cloud, history = cloud_of(**options), FakeHistory()
    result = release(cloud, manifest(steps=UNSURE, on_inconclusive="hold"), history)
    return cloud, history, result


def test_an_abort_that_nobody_has_read_yet_is_replaced_by_no_other_word() -> None:
    waiting = Request("a-1", "abort", "r-1", "ann", 0.0)
    later = {kind: Request(f"{kind}-2", kind, "r-1", "bob", 1.0) for kind in requests.KINDS}
    told = {kind: requests.outranked(waiting, word) for kind, word in later.items()}
    assert told.pop("abort") == ""
    assert set(told.values()) == {"abort by ann waits for its driver"}
    assert requests.outranked(later["pause"], waiting) == ""
    assert requests.outranked(replace(waiting, release_id="r-0"), later["pause"]) == ""
    assert requests.outranked(None, later["pause"]) == ""


def test_what_is_no_word_at_all_stops_no_release() -> None:
    history, events = FakeHistory(), list[Event]()

    def garbage() -> Request | None:
        raise ContractError("s3://history/requests/wine-test.json is not JSON; delete the object")

    history.request = garbage
    assert (
        release(cloud_of(), staged(CANARY), history, observer=events.append).outcome == "promoted"
    )
    troubles = {e.text for e in events if e.kind == "trouble"}
    assert troubles == {"s3://history/requests/wine-test.json is not JSON; delete the object"}


def test_what_cannot_be_decided_is_held_with_what_it_serves() -> None:
    cloud, history, result = held()
    assert (result.outcome, result.exit_code) == ("held", 3)
    assert "no verdict within the longest bake at 20 %" in result.reason
    assert set(cloud.fleets) == {"live", "candidate"}
    assert cloud.fleets["candidate"].weight > 0
    state = history.load()
    assert state.lock is None, "anybody may go on with it"
    assert state.current is not None
    assert state.current.stage == "held"
    assert release(cloud, manifest("3"), history).outcome == "held", "it waits for a person"


@pytest.mark.parametrize(
    ("word", "outcome", "serving"),
    [("promote-now", "promoted", "wine-test-c2"), ("abort", "rolled_back", "wine-test-c1")],
)
def test_a_persons_word_ends_a_held_release(word: str, outcome: str, serving: str) -> None:
    cloud, history, _ = held()
    history.ask(word)
    result = release(cloud, manifest("3"), history)
    assert (result.outcome, result.to_version) == (outcome, "2")
    assert_ended_well(cloud, serving)


def test_weights_that_someone_changes_while_it_is_held_end_it() -> None:
    cloud, history, _ = held()
    cloud.execute(ENDPOINT, SetWeights({"candidate": 3.0}))
    cloud.now += cloud.change_seconds
    result = release(cloud, manifest("3"), history)
    assert result.outcome == "inconclusive"
    assert "changed by someone else: expected weights candidate 0.25, live 1" in result.reason
    assert cloud.fleets["candidate"].weight == 3.0


def test_rollback_ends_a_held_release_too() -> None:
    cloud, history, _ = held()
    result = run_rollback(manifest(), cloud=cloud, history=history, pace=FAST)
    assert result.outcome == "rolled_back"
    assert_ended_well(cloud, "wine-test-c1")


def test_a_shadow_is_held_as_well() -> None:
    cloud, history = cloud_of(has_metrics=False), FakeHistory()
    made = staged(STRATEGIES["shadow, canary"], on_inconclusive="hold")
    assert release(cloud, made, history).outcome == "held"
    history.ask("promote-now")
    assert release(cloud, made, history).outcome == "promoted"
    assert_ended_well(cloud, "wine-test-c2")


# --- a freeze


def frozen(**values: Any) -> FakeHistory:
    values = {"by": "ann", "reason": "the holidays", "at": 999_000.0} | values
    return FakeHistory(beside={"freeze": Freeze(**values)})


def test_a_freeze_keeps_a_release_from_beginning() -> None:
    cloud = cloud_of()
    with pytest.raises(FrozenError) as caught:
        release(cloud, staged(CANARY), frozen(until=1_100_000.0))
    assert str(caught.value) == (
        "releases of wine are frozen by ann until 1970-01-13 17:33 UTC: the holidays; "
        "`slipway unfreeze` lifts it (`slipway rollback` works all the same)"
    )
    assert cloud.executed == []


@pytest.mark.parametrize("values", [{"until": 1_000_001.0}, {"models": ("beer",)}])
def test_a_freeze_that_is_over_or_of_another_model_keeps_nothing(values: dict[str, Any]) -> None:
    assert release(cloud_of(), staged(CANARY), frozen(**values)).outcome == "promoted"


def test_a_freeze_stops_neither_what_runs_nor_a_rollback() -> None:
    history, cloud = FakeHistory(), cloud_of()

    def freeze(event: Event) -> None:
        if event.kind == "started":
            history.beside["freeze"] = frozen().beside["freeze"]

    assert release(cloud, staged(CANARY), history, observer=freeze).outcome == "promoted"
    result = run_rollback(manifest(), cloud=cloud, history=history, pace=FAST)
    assert result.outcome == "rolled_back"
    assert cloud.serving == "wine-test-c1"

"""What a driver is given to ask and tell, and what it tells a hook."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contracts.release_manifest import HookGate, PredictionGate, Shadow, Tolerance
from release.aws.cloud import AwsCloud
from release.capture.answers import CaptureQuery, Captures, Pairs
from release.capture.histograms import Bins
from release.driver.collaborators import (
    Captured,
    captured,
    collaborators,
    destination,
    question_of,
)
from release.hooks.questions import HookQuestion
from release.state import Release
from tests.unit.test_release_announce import release


def test_a_hook_is_told_where_the_release_stands() -> None:
    told = release()
    baking = replace(told, stage="bake", step=1, stage_since=told.started_at + 60)

    assert question_of(baking, told.started_at + 150) == HookQuestion(
        release_id="wine-1",
        model="wine",
        endpoint="wine-test",
        region="eu-west-1",
        from_version="1",
        to_version="2",
        stage="bake",
        step=1,
        weight=50.0,
        live_variant="live",
        candidate_variant="candidate",
        minutes=1.5,
    )


def test_of_a_shadow_the_weight_is_the_share_that_is_copied() -> None:
    told = release()
    strategy = Shadow(40.0, Tolerance(2, 1), 60, 600, 0.01)
    settings = replace(told.manifest.release, strategy=strategy)
    mirroring = replace(told, stage="mirror", manifest=replace(told.manifest, release=settings))

    question = question_of(mirroring, told.started_at)

    assert (question.weight, question.candidate_variant) == (40.0, "shadow")


def test_a_clock_that_goes_backwards_makes_no_negative_minutes() -> None:
    told = release()

    assert question_of(told, told.started_at - 500).minutes == 0


@pytest.mark.parametrize(
    ("driver", "answer"), [("terminal", "pass"), ("lambda", "not_enough_data")]
)
def test_the_driver_decides_which_hooks_can_be_asked(driver: str, answer: str) -> None:
    told = release()
    given = collaborators(told.manifest, AwsCloud("eu-west-1", lambda *_: object()), driver)

    answers = given.ask_hooks(told, (HookGate("smoke", command=("true",)),), 5.0)

    assert {name: told.answer for name, told in answers.items()} == {"smoke": answer}


# --- captured answers, as a driver wants them


@dataclass(frozen=True)
class Wanted:
    sources: dict[str, str]
    since: float = 0.0
    until: float = 60.0
    bins: Any = None
    pairs: bool = False


def capturing(**changes: Any) -> Release:
    told = release()
    capture = {"EnableCapture": True, "DestinationS3Uri": "s3://bucket/capture/wine-test"}
    target = replace(told.manifest.target, data_capture=capture)
    return replace(told, manifest=replace(told.manifest, target=target, **changes))


def test_captures_are_asked_for_by_variant_and_told_by_series() -> None:
    asked: list[CaptureQuery] = []

    def read(query: CaptureQuery) -> Captures:
        asked.append(query)
        counts = {"live": {0.0: (1, 2)}, "shadow": {0.0: (3, 4)}}
        return Captures(counts, {0.0: Pairs(5, 6)}, Bins(labels=("a",)), ("a note",))

    sources = {"live": "live", "candidate": "shadow"}
    told = captured(capturing(), Wanted(sources, pairs=True), read)

    assert asked == [
        CaptureQuery(
            "s3://bucket/capture/wine-test", "wine-test", ("live", "shadow"), 0.0, 60.0, None,
            ("live", "shadow"),
        )
    ]  # fmt: skip
    assert told == Captured(
        {"live": {0.0: (1, 2)}, "candidate": {0.0: (3, 4)}},
        {"edges": (), "labels": ("a",)},
        {0.0: Pairs(5, 6)},
        ("a note",),
    )


def test_bins_that_were_told_are_asked_with_again_also_from_json() -> None:
    asked: list[CaptureQuery] = []

    def read(query: CaptureQuery) -> Captures:
        asked.append(query)
        return Captures(bins=query.bins)

    bins = json.loads(json.dumps({"edges": [0.5], "labels": []}))
    told = captured(capturing(), Wanted({"live": "live"}, bins=bins), read)

    assert asked[0].bins == Bins(edges=(0.5,))
    assert told is not None
    assert told.bins == {"edges": (0.5,), "labels": ()}


def test_bins_of_the_gate_are_taken_where_it_has_some() -> None:
    asked: list[CaptureQuery] = []
    with_gate = capturing()
    settings = replace(with_gate.manifest.release, gates=(PredictionGate(bins=(1.0, 2.0)),))
    with_gate = capturing(release=settings)

    captured(with_gate, Wanted({"live": "live"}), lambda q: (asked.append(q), Captures())[1])

    assert asked[0].bins == Bins(edges=(1.0, 2.0))


def test_where_nothing_is_captured_nothing_is_read() -> None:
    def never(_query: CaptureQuery) -> Captures:
        raise AssertionError("read")

    assert captured(release(), Wanted({"live": "live"}), never) is None


def test_live_may_capture_where_the_new_version_does_not() -> None:
    told = release()
    capture = {"DestinationS3Uri": "s3://old"}
    config = replace(told.before.config, body={"DataCaptureConfig": capture})

    assert destination(replace(told, before=replace(told.before, config=config))) == "s3://old"


def test_both_fleets_of_a_shift_are_never_held_against_themselves() -> None:
    def never(_query: CaptureQuery) -> Captures:
        raise AssertionError("read")

    told = captured(capturing(), Wanted({"live": "live", "candidate": "live"}), never)

    note = "captured answers of both fleets cannot be told apart"
    assert told == Captured({}, notes=(note,))

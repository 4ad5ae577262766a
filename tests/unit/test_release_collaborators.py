"""What a driver is given to ask and tell, and what it tells a hook."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.release_manifest import HookGate, Shadow, Tolerance
from release.aws import AwsCloud
from release.collaborators import collaborators, question_of
from release.hooks import HookQuestion
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
    def make(service: str, region: Any) -> Any:
        return object()

    told = release()
    given = collaborators(told, AwsCloud("eu-west-1", make), driver)
    hooks = (HookGate("smoke", command=("true",)),)

    answers = given.ask_hooks(hooks, question_of(told, 5.0), {}, 5.0)

    assert {name: told.answer for name, told in answers.items()} == {"smoke": answer}

"""Which minutes count, and what a later reading of them may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.advance import baking, running, told_a_minute
from release.controller import baking as bakes
from release.controller.advance import advance
from release.controller.counting import keeping_predictions, with_minutes
from release.controller.stages import transition_config
from release.gates import CountedMinute
from release.observation import VariantMinute


def minute(predictions: tuple[int, ...] | None, requests: int = 9) -> CountedMinute:
    of = VariantMinute(requests, 0, None, None, predictions)
    return CountedMinute(0.0, 0, 0.1, of, of)


def test_a_reading_of_captures_that_failed_takes_no_predictions_away() -> None:
    before = minute((4, 5))
    assert keeping_predictions(minute(None, requests=10), before) == minute((4, 5), requests=10)


def test_what_is_read_anew_counts() -> None:
    assert keeping_predictions(minute((9, 9)), minute((4, 5))) == minute((9, 9))
    assert keeping_predictions(minute(None), minute(None)) == minute(None)


def test_only_a_minute_that_is_new_or_changed_makes_the_minutes_anew() -> None:
    config = transition_config(running())
    release = baking(running(), config, 100)
    told = told_a_minute(config, release)

    counted = with_minutes(release, told)

    assert counted.minutes[:100] == release.minutes
    assert counted.minutes[100].start == release.minutes[-1].start + 60
    assert with_minutes(counted, told) is counted
    at = counted.minutes[95].start
    worse = replace(told.series["candidate"][at], errors=7)
    revised = replace(
        told, series=told.series | {"candidate": told.series["candidate"] | {at: worse}}
    )
    again = with_minutes(counted, revised)
    assert [i for i in range(101) if again.minutes[i] != counted.minutes[i]] == [95]
    assert again.minutes[95].candidate == worse
    assert again.log[-1].text == "1 counted minute revised"


def test_a_look_judges_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = transition_config(running())
    release = baking(running(), config, 100)
    judged = list[float]()
    known = bakes.verdict_of

    def verdict_of(*args: Any) -> Any:
        judged.append(args[0].minutes[-1].start)
        return known(*args)

    monkeypatch.setattr(bakes, "verdict_of", verdict_of)

    moved, actions = advance(release, told_a_minute(config, release))

    assert (actions, moved.stage) == ((), "bake")
    assert judged == [release.minutes[-1].start + 60]

"""Which minutes count, and what a later reading of them may change."""

from __future__ import annotations

from release.counting import keeping_predictions
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

"""A model's process that dies or hangs: which requests of a merged call fail."""

from __future__ import annotations

from typing import Any

import pytest

from inference.answering.scoring import Scorer
from inference.errors import ModelGoneError
from inference.formats.codecs import Decoded
from inference.formats.signature import Column, Signature

SIGNATURE = Signature((Column("x", "number", "double", False),), None)


class Fragile:
    """An engine that is gone at a negative number, and counts its calls."""

    name = "native"
    is_quick = False
    takes_matrix = False
    merges = True

    def __init__(self, *, is_hung: bool) -> None:
        self.is_hung = is_hung
        self.calls = 0

    def __call__(self, decoded: Decoded) -> list[Any]:
        self.calls += 1
        if min(decoded.columns["x"]) < 0:
            raise ModelGoneError("gone", is_hung=self.is_hung)
        return list(decoded.columns["x"])


def scored(engine: Fragile, *requests: list[float]) -> list[Any]:
    scorer = Scorer(engine, SIGNATURE, [Decoded({"x": [0.0]}, 1)])
    return scorer.score([Decoded({"x": values}, len(values)) for values in requests])


def test_one_that_kills_the_process_fails_alone_and_is_not_sent_again() -> None:
    engine = Fragile(is_hung=False)
    first, bad, last = scored(engine, [1.0], [2.0, -1.0], [3.0])
    assert (first, last) == ([1.0], [3.0])
    assert isinstance(bad, ModelGoneError)
    assert engine.calls == 4  # all together, then each alone: no search for the row to blame


@pytest.mark.parametrize("requests", [([1.0], [-1.0]), ([-1.0],)])
def test_a_call_that_hung_is_not_made_again(requests: tuple[list[float], ...]) -> None:
    engine = Fragile(is_hung=True)
    outcomes = scored(engine, *requests)
    assert all(isinstance(outcome, ModelGoneError) for outcome in outcomes)
    assert engine.calls == 1

"""Distribution of predictions: a shift is found, none is not, and both by valid bets."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.release_manifest import PredictionGate, Step, Tolerance
from release.gates import Answer, CountedMinute, judge_step
from release.gates.shift import ShiftFailTally, ShiftPassTally
from tests.unit.gate_minutes import STEP, minute, variant

BINS = 5
FLAT = [1 / BINS] * BINS


def shifted(by: float) -> list[float]:
    return [1 / BINS - by, *FLAT[1:-1], 1 / BINS + by]


def histogram(rng: random.Random, count: int, shares: list[float]) -> tuple[int, ...]:
    drawn = rng.choices(range(BINS), shares, k=count)
    return tuple(drawn.count(b) for b in range(BINS))


def minutes(
    rng: random.Random, count: int, by: float, captured: int = 300
) -> tuple[CountedMinute, ...]:
    return tuple(
        minute(
            at,
            variant(1000, predictions=histogram(rng, captured, FLAT)),
            variant(1000, predictions=histogram(rng, captured, shifted(by))),
        )
        for at in range(count)
    )


def judged(found: tuple[CountedMinute, ...], step: Step = STEP) -> tuple[Answer, str]:
    verdict = judge_step(0, step, [PredictionGate(0.1)], found, {}, 4000.0)
    return verdict.answer, verdict.text


def test_equal_predictions_pass_and_shifted_ones_fail() -> None:
    rng = random.Random(1)
    answer, text = judged(minutes(rng, 25, 0.0))
    assert answer is Answer.PASS
    assert ", 15 % excluded, e = " in text
    answer, text = judged(minutes(rng, 25, 0.2))
    assert answer is Answer.FAIL
    assert text.startswith("predictions shifted by 2")
    assert "(limit 10 %), e = " in text


def test_few_predictions_are_not_enough_and_none_is_not_healthy() -> None:
    answer, text = judged(minutes(random.Random(2), 1, 0.0, captured=20))
    assert answer is Answer.HOLD
    assert "not sure yet (e = " in text
    quiet = tuple(minute(at, variant(1000), variant(1000)) for at in range(5))
    assert judged(quiet) == (Answer.HOLD, "predictions: none captured of both variants yet")


def test_other_bins_are_left_out() -> None:
    odd = minute(50, variant(10, predictions=(1, 2, 3)), variant(10, predictions=(3, 2, 1)))
    mixed = minute(51, variant(10, predictions=(1, 2)), variant(10, predictions=(3, 2, 1)))
    found = minutes(random.Random(3), 25, 0.0)
    assert judged((*found, odd, mixed)) == judged(found)


def test_an_early_step_excludes_less() -> None:
    early = Step(5, Tolerance(5, 2), 60, 7200)
    _, text = judged(minutes(random.Random(4), 10, 0.0), early)
    assert ", 50 % excluded, e = " in text


def multinomial(counts: tuple[int, ...], shares: list[float]) -> float:
    ways = math.factorial(sum(counts))
    value = 1.0
    for count, share in zip(counts, shares, strict=True):
        ways //= math.factorial(count)
        value *= share**count
    return ways * value


@settings(deadline=None, max_examples=25)
@given(
    captured=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    first=st.floats(0.0, 1.0),
    second=st.floats(0.0, 1.0),
    distance=st.floats(0.02, 0.4),
)
def test_both_bets_are_fair_at_their_distance_in_two_minutes(
    captured: tuple[int, int], first: float, second: float, distance: float
) -> None:
    live, candidate = [first, 1 - first], [second, 1 - second]
    apart = abs(first - second)
    one = [
        tuple(((n - k), k) for n, k in zip(captured, ks, strict=True))
        for ks in product(*(range(n + 1) for n in captured))
    ]
    mean_fail = mean_pass = 0.0
    for found in product(one, one):
        fail, passed = ShiftFailTally(distance), ShiftPassTally(0, distance)
        weight = 1.0
        for at, (of_live, of_candidate) in enumerate(found):
            counted = minute(
                at, variant(9, predictions=of_live), variant(9, predictions=of_candidate)
            )
            fail.extend(counted)
            passed.extend(counted)
            weight *= multinomial(of_live, live) * multinomial(of_candidate, candidate)
        mean_fail += weight * math.exp(fail.log_e)
        mean_pass += weight * math.exp(passed.log_e)
    if apart <= distance:
        assert mean_fail <= 1 + 1e-9
    if apart >= distance:
        assert mean_pass <= 1 + 1e-9


@pytest.mark.parametrize(("by", "which"), [(0.1, "fail"), (0.15, "pass")])
def test_at_the_boundary_neither_answer_comes_however_often_one_looks(
    by: float, which: str
) -> None:
    rng = random.Random(6)
    reached = 0
    for _ in range(60):
        tally = ShiftFailTally(0.1) if which == "fail" else ShiftPassTally(0, 0.15)
        peak = 0.0
        for counted in minutes(rng, 15, by, captured=150):
            tally.extend(counted)
            peak = max(peak, tally.log_e)
        reached += peak >= math.log(20)
    assert reached <= 7  # Ville: 3 expected at most

"""What the plan says of the gates is what the gates then do."""

from __future__ import annotations

import random

import pytest

from contracts.release_manifest import ErrorGate, Step, Tolerance
from release.gates import Answer, CountedMinute, judge_step
from release.observation import VariantMinute
from release.planning.power import SURE_SIGMAS, excluded, requests_needed

CASES = [
    (5.0, Tolerance(5, 2), 0.0),
    (5.0, Tolerance(5, 2), 0.01),
    (25.0, Tolerance(2, 1), 0.01),
    (50.0, Tolerance(1.5, 0.5), 0.05),
]


def passes(weight: float, tolerance: Tolerance, rate: float, requests: int, seed: int) -> bool:
    """Whether a candidate as good as live has passed after ``requests``, an hour of minutes."""
    rng = random.Random(seed)
    share = weight / 100
    step = Step(weight, tolerance, 0, 7200)
    minutes: list[CountedMinute] = []
    for i in range(60):
        total = requests // 60
        of_candidate = sum(rng.random() < share for _ in range(total))
        bad = [
            sum(rng.random() < rate for _ in range(n)) for n in (total - of_candidate, of_candidate)
        ]
        live = VariantMinute(total - of_candidate, bad[0], None)
        candidate = VariantMinute(of_candidate, bad[1], None)
        minutes.append(CountedMinute(60.0 * i, 0, share, live, candidate))
        verdict = judge_step(0, step, (ErrorGate(),), minutes, {}, 60.0 * i)
        if verdict.answer is not Answer.HOLD:
            return verdict.answer is Answer.PASS
    return False


@pytest.mark.parametrize(("weight", "tolerance", "rate"), CASES)
def test_with_the_requests_that_are_sure_to_suffice_a_good_candidate_passes(
    weight: float, tolerance: Tolerance, rate: float
) -> None:
    needed = requests_needed(tolerance, weight / 100, rate, SURE_SIGMAS)
    assert needed is not None
    requests = (needed // 60 + 1) * 60
    passed = [passes(weight, tolerance, rate, requests, seed) for seed in range(20)]
    assert sum(passed) >= 19


@pytest.mark.parametrize(("weight", "tolerance", "rate"), CASES)
def test_with_a_quarter_of_what_is_expected_hardly_any_passes(
    weight: float, tolerance: Tolerance, rate: float
) -> None:
    needed = requests_needed(tolerance, weight / 100, rate)
    assert needed is not None
    passed = [passes(weight, tolerance, rate, needed // 4, seed) for seed in range(10)]
    assert sum(passed) <= 2


def test_without_errors_no_ratio_is_ever_excluded_but_points_are() -> None:
    found = excluded(0.25, 10_000, 0.0)
    assert found.ratio is None
    assert found.points == pytest.approx(0.17, abs=0.03)
    assert requests_needed(Tolerance(2, 0), 0.25, 0.0) is None


def test_more_requests_exclude_more() -> None:
    few, many = excluded(0.25, 5_000, 0.01), excluded(0.25, 500_000, 0.01)
    assert (few.points or 0) > (many.points or 0) > 0
    assert (few.ratio or 0) > (many.ratio or 0) > 1


def test_too_few_requests_exclude_nothing() -> None:
    assert excluded(0.01, 10, 0.01).ratio is None
    assert excluded(0.01, 10, 0.01).points is None

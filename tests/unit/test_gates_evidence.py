"""The e-values: of mean at most one under their null, exactly; and looking often fools none."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.release_manifest import Tolerance
from release.gates.counts import errors_of
from release.gates.fail import FailTally
from release.gates.hypergeometric import log_moments
from release.gates.passing import BETS, PassTally, best_bet
from release.gates.power import requests_to_pass
from tests.unit.gate_minutes import STEP, drawn, minute, variant

ROUNDING = 1 + 1e-9


def binomial(bad: int, requests: int, rate: float) -> float:
    return math.comb(requests, bad) * rate**bad * (1 - rate) ** (requests - bad)


def hypergeometric(of_candidate: int, candidate: int, live: int, bad: int) -> float:
    if not max(0, bad - live) <= of_candidate <= min(candidate, bad):
        return 0.0
    ways = math.comb(candidate, of_candidate) * math.comb(live, bad - of_candidate)
    return ways / math.comb(candidate + live, bad)


@given(live=st.integers(1, 40), candidate=st.integers(1, 40), bad=st.integers(0, 80))
def test_random_labels_make_no_evidence_whatever_made_requests_bad(
    live: int, candidate: int, bad: int
) -> None:
    bad = min(bad, live + candidate)
    mean = 0.0
    for of_candidate in range(min(candidate, bad) + 1):
        if bad - of_candidate > live:
            continue
        tally = FailTally(1.0, errors_of)
        counts = variant(live, bad - of_candidate), variant(candidate, of_candidate)
        tally.extend(minute(0, *counts))
        mean += hypergeometric(of_candidate, candidate, live, bad) * math.exp(tally.log_e)
    assert mean <= ROUNDING


@given(
    live=st.integers(1, 60),
    candidate=st.integers(1, 60),
    bad=st.integers(1, 120),
    ratio=st.floats(1.01, 100),
)
def test_the_bound_on_hypergeometric_moments_is_one_and_below_the_binomial(
    live: int, candidate: int, bad: int, ratio: float
) -> None:
    bad = min(bad, live + candidate)
    exact = math.log(
        sum(
            hypergeometric(y, candidate, live, bad) * ratio**y
            for y in range(min(candidate, bad) + 1)
        )
    )
    bound = log_moments(candidate, live, bad, (ratio,))[0]
    share = candidate / (candidate + live)
    assert exact <= bound + 1e-9
    assert bound <= bad * math.log1p(share * (ratio - 1)) + 1e-9


@settings(deadline=None, max_examples=25)
@given(
    live=st.integers(1, 5),
    candidate=st.integers(1, 5),
    rate=st.floats(0.0, 0.8),
    allow=st.sampled_from([1.0, 1.25]),
)
def test_a_candidate_as_bad_as_allowed_makes_no_evidence_in_two_minutes(
    live: int, candidate: int, rate: float, allow: float
) -> None:
    rates = rate, min(1.0, allow * rate)
    outcomes = list(product(range(live + 1), range(candidate + 1)))
    mean = 0.0
    for first, second in product(outcomes, outcomes):
        tally = FailTally(allow, errors_of)
        weight = 1.0
        for at, (y_live, y_candidate) in enumerate((first, second)):
            tally.extend(minute(at, variant(live, y_live), variant(candidate, y_candidate)))
            weight *= binomial(y_live, live, rates[0])
            weight *= binomial(y_candidate, candidate, rates[1])
        mean += weight * math.exp(tally.log_e)
    assert mean <= ROUNDING


@settings(deadline=None, max_examples=40)
@given(
    live=st.integers(1, 5),
    candidate=st.integers(1, 5),
    rate=st.floats(0.0, 0.6),
    ratio=st.sampled_from([1.0, 1.5, 3.0, 10.0]),
    points=st.sampled_from([0.0, 0.5, 5.0, 20.0]),
)
def test_a_candidate_at_the_tolerance_makes_no_evidence_to_pass_in_two_minutes(
    live: int, candidate: int, rate: float, ratio: float, points: float
) -> None:
    worst = max(ratio * rate, rate + points / 100)
    rates = rate, min(1.0, worst)
    if worst > 1:
        return
    outcomes = list(product(range(live + 1), range(candidate + 1)))
    mean = 0.0
    for first, second in product(outcomes, outcomes):
        tally = PassTally(0, Tolerance(ratio, points), errors_of)
        weight = 1.0
        for at, (y_live, y_candidate) in enumerate((first, second)):
            tally.extend(minute(at, variant(live, y_live), variant(candidate, y_candidate)))
            weight *= binomial(y_live, live, rates[0])
            weight *= binomial(y_candidate, candidate, rates[1])
        mean += weight * math.exp(tally.log_e)
    assert mean <= ROUNDING


@given(
    badness=st.lists(
        st.sampled_from(["either way", "as candidate", "never"]), min_size=2, max_size=10
    ),
    of_candidate=st.integers(1, 9),
    points=st.sampled_from([1.0, 10.0, 30.0]),
)
def test_points_need_no_independence_of_requests_only_random_labels(
    badness: list[str], of_candidate: int, points: float
) -> None:
    """Requests whose fate is fixed, dealt to the variants at random: worse by what they are."""
    total = len(badness)
    of_candidate = min(of_candidate, total - 1)
    harmed = badness.count("as candidate")
    if harmed < points / 100 * total:
        return
    both = badness.count("either way")
    never = total - both - harmed
    mean = 0.0
    for b, h in product(range(both + 1), range(harmed + 1)):
        n = of_candidate - b - h
        if not 0 <= n <= never:
            continue
        ways = math.comb(both, b) * math.comb(harmed, h) * math.comb(never, n)
        tally = PassTally(0, Tolerance(1.0, points), errors_of)
        counts = variant(total - of_candidate, both - b), variant(of_candidate, b + h)
        tally.extend(minute(0, *counts))
        mean += ways / math.comb(total, of_candidate) * math.exp(tally.log_e)
    assert mean <= ROUNDING


def runs(count: int, minutes: int, **rates: float) -> list[tuple[float, float]]:
    """The largest log e to fail and to pass over all looks of each of ``count`` releases."""
    rng = random.Random(5)
    peaks: list[tuple[float, float]] = []
    for _ in range(count):
        fail, passed = FailTally(1.0, errors_of), PassTally(0, STEP.tolerance, errors_of)
        largest = [0.0, 0.0]
        for counted in drawn(rng, minutes, **rates):
            fail.extend(counted)
            passed.extend(counted)
            largest = [max(largest[0], fail.log_e), max(largest[1], passed.log_e)]
        peaks.append((largest[0], largest[1]))
    return peaks


def test_equal_candidates_are_not_failed_however_often_one_looks() -> None:
    for bursts in (0.0, 0.1):
        peaks = runs(60, 30, bursts=bursts)
        # Ville: at most 5 % reach 20, so 3 are expected at most.
        assert sum(fail >= math.log(20) for fail, _ in peaks) <= 7


def test_candidates_at_the_tolerance_are_not_passed_however_often_one_looks() -> None:
    for bursts in (0.0, 0.1):
        peaks = runs(60, 30, candidate=0.03, bursts=bursts)
        assert sum(passed >= math.log(20) for _, passed in peaks) <= 7


def test_a_broken_candidate_fails_within_a_minute_and_a_good_one_passes() -> None:
    broken = runs(20, 1, candidate=0.5)
    assert all(fail > math.log(100) for fail, _ in broken)
    good = runs(20, 90)
    assert sum(passed > math.log(20) for _, passed in good) >= 18


@pytest.mark.parametrize("share", [0.0001, 0.9999])
def test_weights_near_the_ends_and_heavy_traffic_do_not_overflow(share: float) -> None:
    n = 10**8
    of_candidate = round(n * share)
    counts = variant(n - of_candidate, (n - of_candidate) // 2), variant(of_candidate, of_candidate)
    fail, passed = FailTally(1.0, errors_of), PassTally(0, STEP.tolerance, errors_of)
    for at in range(50):
        fail.extend(minute(at, *counts, share=share))
        passed.extend(minute(at, *counts, share=share))
    assert fail.log_e > math.log(1e6)
    assert math.isfinite(fail.log_e)
    assert passed.log_e < 0


def test_without_errors_only_points_can_pass() -> None:
    quiet = minute(0, variant(10_000), variant(10_000))
    by_points = PassTally(0, Tolerance(1.5, 0.5), errors_of)
    by_ratio = PassTally(0, Tolerance(1.5, 0.0), errors_of)
    for tally in (by_points, by_ratio):
        tally.extend(quiet)
    assert by_points.log_e > math.log(20)
    assert by_ratio.log_e == pytest.approx(0.0)
    assert not by_points.excludes_by_ratio


def test_shared_bad_minutes_do_not_let_a_worse_candidate_pass_by_its_ratio() -> None:
    tally = PassTally(0, Tolerance(1.5, 0.0), errors_of)
    for at in range(10):
        tally.extend(minute(at, variant(1000, 10), variant(1000, 20)))
        tally.extend(minute(at + 100, variant(1000, 500), variant(1000, 500)))
    assert tally.log_e < 0


def test_everything_bad_on_both_sides_is_no_evidence() -> None:
    fail = FailTally(1.0, errors_of)
    fail.extend(minute(0, variant(500, 500), variant(500, 500)))
    assert fail.log_e == pytest.approx(0.0, abs=1e-9)


@given(rate=st.floats(1e-6, 0.5), share=st.floats(0.001, 0.999), points=st.floats(0.0001, 0.5))
def test_the_guides_bet_is_a_bet(rate: float, share: float, points: float) -> None:
    assert 0 < best_bet(rate, share, points) < 1


def test_the_guide_bets_little_where_live_is_bad_and_much_where_it_is_not() -> None:
    assert best_bet(0.0001, 0.5, 0.005) > max(BETS) - 0.05
    assert best_bet(0.05, 0.5, 0.005) == pytest.approx(0.05, rel=0.1)


def test_requests_to_pass_grow_with_the_rate_and_with_bad_luck() -> None:
    quiet = requests_to_pass(0.5, STEP)
    usual = requests_to_pass(0.5, STEP, 0.01)
    unlucky = requests_to_pass(0.5, STEP, 0.01, bad_luck=2.8)
    assert quiet is not None
    assert usual is not None
    assert unlucky is not None
    assert quiet < 2112  # of the plain mixture over bets
    assert quiet < usual < unlucky


def test_requests_to_pass_are_unknown_without_points_and_errors() -> None:
    only_ratio = STEP.__class__(50, Tolerance(1.5, 0.0), 60, 7200)
    assert requests_to_pass(0.5, only_ratio) is None
    assert requests_to_pass(0.5, only_ratio, 0.01) is not None

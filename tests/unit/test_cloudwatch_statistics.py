"""Percentiles and their like, by the definitions of CloudWatch's user guide."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch import statistics
from localcloud.cloudwatch.samples import Samples, StatisticSet, compacted
from localcloud.service import ServiceError

VALUES = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=60)


def samples(*values: float) -> Samples:
    found = Samples()
    for value in values:
        found.add(value)
    return found


HUNDRED = samples(*map(float, range(1, 101)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SampleCount", 100.0),
        ("Sum", 5050.0),
        ("Average", 50.5),
        ("Minimum", 1.0),
        ("Maximum", 100.0),
        ("p99", 99.0),
        ("p95", 95.0),
        ("p99.9", 100.0),
        ("p50", 50.0),
        ("p0", 1.0),
        ("p100", 100.0),
        ("tm90", 45.5),
        ("tc90", 90.0),
        ("ts90", 4095.0),
        ("TM(10%:90%)", 50.5),
        ("TC(10%:90%)", 80.0),
        ("TS(80%:)", 1810.0),
        ("IQM", 50.5),
        ("TM(:95%)", 48.0),
        ("TM(50:60)", 55.5),
        ("TC(50:60)", 10.0),
        ("TC(:50)", 50.0),
        ("TC(50:)", 50.0),
        ("PR(:30)", 30.0),
        ("PR(10:20)", 10.0),
        ("PR(90:)", 10.0),
        ("wm98", (4851 + 2 * 98) / 100),
        ("WM(10%:90%)", (10 * 10 + sum(range(11, 91)) + 10 * 90) / 100),
        ("WM(:10)", (55 + 90 * 10) / 100),
    ],
)
def test_one_to_a_hundred(name: str, expected: float) -> None:
    assert statistics.compute(name, HUNDRED) == pytest.approx(expected), name


@pytest.mark.parametrize("name", ["p95", "tm99", "IQM", "TM(10%:90%)", "wm90", "WM(10%:90%)"])
def test_equal_samples_have_their_value(name: str) -> None:
    assert statistics.compute(name, samples(*[7.0] * 20)) == 7.0, name
    assert statistics.compute(name, samples(7.0)) == 7.0, f"{name} of one sample"


def test_counts_weigh_as_so_many_samples() -> None:
    weighted = Samples({1.0: 98.0, 500.0: 2.0})
    assert statistics.compute("p98", weighted) == 1.0
    assert statistics.compute("p99", weighted) == 500.0
    assert statistics.compute("tm98", weighted) == 1.0
    assert statistics.compute("tc50", weighted) == 50.0


@given(VALUES)
def test_the_99th_percentile_is_the_largest_that_the_trimmed_mean_keeps(
    values: list[float],
) -> None:
    found = samples(*values)
    percentile = statistics.compute("p99", found)
    kept = sorted(values)[: len(values) - math.floor(len(values) * 0.01 + 1e-9)]
    assert percentile == kept[-1]
    assert statistics.compute("tm99", found) == pytest.approx(sum(kept) / len(kept))


@given(VALUES)
def test_trimmed_sum_is_trimmed_mean_times_trimmed_count(values: list[float]) -> None:
    found = samples(*values)
    mean, count, total = (statistics.compute(n, found) for n in ("tm90", "tc90", "ts90"))
    assert mean is not None
    assert count is not None
    assert total == pytest.approx(mean * count)


@pytest.mark.parametrize("name", ["p50", "tm90", "IQM", "PR(:1)", "TC(:5)"])
def test_what_needs_raw_data_points_has_no_value_for_negative_ones(name: str) -> None:
    mixed = samples(-3.0, 1.0, 2.0)
    assert statistics.compute(name, mixed) is None, f"{name} does not exist with negative values"
    assert statistics.compute("Minimum", mixed) == -3.0


def test_a_statistic_set_has_no_percentile_unless_its_samples_are_one_value() -> None:
    unknown, known = Samples(), Samples()
    unknown.add_set(StatisticSet(10, 50, 1, 9))
    known.add_set(StatisticSet(4, 12, 3, 3))
    assert statistics.compute("p90", unknown) is None
    assert statistics.compute("Average", unknown) == 5.0
    assert statistics.compute("p90", known) == 3.0


def test_statistic_sets_add_up_and_do_not_pile_up() -> None:
    found = Samples()
    for number in range(1000):
        found.add_set(StatisticSet(2, number, 0, number + 1.0))
    assert (found.count, len(found.sets)) == (2000, 1)
    assert statistics.compute("Maximum", found) == 1000.0


@pytest.mark.parametrize(
    "name",
    [
        "p101",
        "p-1",
        "p1.12345678901",
        "P99",
        "tm",
        "TM90",
        "TM(:)",
        "TM(90%:10%)",
        "TM(5%:5%)",
        "TM(:101%)",
        "PR(10%:20%)",
        "PR(a:b)",
        "TC(5:5)",
        "TM(10%:300)",
        "TM(%:5%)",
        "median",
        "average",
        "",
    ],
)
def test_an_unknown_statistic_is_refused(name: str) -> None:
    with pytest.raises(ServiceError, match="is not supported") as caught:
        statistics.check(name)
    assert caught.value.code == "InvalidParameterValue"


def test_no_samples_have_no_statistics() -> None:
    assert statistics.compute("p50", Samples()) is None
    assert statistics.compute("Sum", Samples()) is None


@given(st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=200, max_size=400, unique=True))
def test_old_samples_keep_count_sum_and_extremes(values: list[float]) -> None:
    exact = samples(*values)
    small = compacted(exact)
    assert small.count == exact.count
    assert small.total == pytest.approx(exact.total, rel=1e-6, abs=1e-3)
    for name in ("Minimum", "Maximum"):
        assert statistics.compute(name, small) == statistics.compute(name, exact), name


def test_old_samples_keep_percentiles_to_one_percent() -> None:
    exact = samples(*(100.0 + 1.3 * i for i in range(2000)))
    small = compacted(exact)
    assert len(small.values) < 400, "many values become few"
    for name in ("p1", "p50", "p95", "p99", "tm90"):
        value, wanted = statistics.compute(name, small), statistics.compute(name, exact)
        assert value == pytest.approx(wanted, rel=0.011), name

"""Metric math, by the tables and sentences of CloudWatch's user guide."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch.metric_math import Context, Points, Scope, Value, evaluate
from localcloud.service import ServiceError

_ = None
TIMES = range(0, 300, 60)


def series(*values: float | None) -> Points:
    return {60 * i: v for i, v in enumerate(values) if v is not None}


def compute(expression: str, **queries: Value) -> Value:
    def value(name: str) -> Value:
        if name not in queries:
            raise ServiceError("ValidationError", f"Error in expression 'e1': no id '{name}'")
        return queries[name]

    metrics = {name: (name, 60) for name in queries}
    return evaluate(Context("e1", expression, value, metrics, Scope(TIMES, 60)))


def refused(expression: str, **queries: Value) -> str:
    with pytest.raises(ServiceError) as caught:
        compute(expression, **queries)
    assert caught.value.code == "ValidationError", expression
    assert caught.value.message.startswith("Error in expression 'e1': "), expression
    return caught.value.message


A, B = series(30, 20, 0, 0), series(20, _, 20, _)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a < b", series(0, 0, 1, 0)),
        ("a >= 30", series(1, 0, 0, 0)),
        ("a > 15 AND b > 15", series(1, 0, 0, 0)),
        ("a > 15 && b > 15", series(1, 0, 0, 0)),
        ("a > 25 OR b > 15", series(1, 0, 1, 0)),
        ("a > 25 || b > 15", series(1, 0, 1, 0)),
        ("a == 0", series(0, 0, 1, 1)),
        ("a != 0", series(1, 1, 0, 0)),
    ],
)
def test_comparisons_take_a_missing_point_of_one_side_for_zero(
    expression: str, expected: Points
) -> None:
    assert compute(expression, a=A, b=B) == expected, expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", series(50, 20, 20, 0)),
        ("a - b", series(10, 20, -20, 0)),
        ("b - a", series(-10, -20, 20, 0)),
        ("a * b", series(600, 0, 0, 0)),
        ("b / a", series(20 / 30, 0)),
        ("a / b", series(1.5, _, 0)),
        ("b + 1", series(21, _, 21)),
        ("100 / b", series(5, _, 5)),
        ("-b", series(-20, _, -20)),
    ],
)
def test_arithmetic_takes_a_missing_point_for_zero_and_drops_a_division_by_zero(
    expression: str, expected: Points
) -> None:
    assert compute(expression, a=A, b=B) == expected, expression


def test_an_error_rate_without_any_error_is_zero() -> None:
    assert compute("errors / requests", errors={}, requests=series(10, 20)) == series(0, 0)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + 2 * 3", 7.0),
        ("(a + 2) * 3", 9.0),
        ("a + 2 ^ 3 ^ 2", 513.0),
        ("a - 2 ^ 2", -3.0),
        ("a + -2 ^ 2", -3.0),
        ("a + 10 - 4 - 3", 4.0),
        ("a + 100 / 10 / 5", 3.0),
        ("a + 1e2 + .5", 101.5),
        ("a + (1 > 0 OR 1 > 0 AND 1 < 0)", 2.0),
    ],
)
def test_operators_bind_as_usual(expression: str, expected: float) -> None:
    assert compute(expression, a=series(1)) == series(expected), expression


IF_CASES = [
    ("IF(m1, m2, m3)", series(30, 0, 20)),
    ("IF(m1, 5, m3)", series(5, 5, 20)),
    ("IF(m1, m2, 5)", series(30, 0, 5, 5)),
    ("IF(m1, m2)", series(30, 0)),
    ("IF(m1 > 0, 10, 2)", series(10, 10, 2, 2)),
    ("IF(1, m2, m3)", series(30, _, 0, 0, 30)),
    ("IF(0, m2, m3)", series(0, 0, 20, _, 20)),
    ("IF(0, m2)", {}),
]


@pytest.mark.parametrize(("expression", "expected"), IF_CASES)
def test_if_by_the_tables_of_the_user_guide(expression: str, expected: Points) -> None:
    queries = {
        "m1": series(1, 1, 0, 0, _),
        "m2": series(30, _, 0, 0, 30),
        "m3": series(0, 0, 20, _, 20),
    }
    assert compute(expression, **queries) == expected, expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FILL(b, 7)", series(20, 7, 20, 7, 7)),
        ("FILL(b, REPEAT)", series(20, 20, 20, 20, 20)),
        ("FILL(gap, LINEAR)", series(_, 10, 20, 30)),
        ("FILL(b, a)", series(20, 20, 20, 0)),
        ("FILL(b, MIN(b))", series(20, 20, 20, 20, 20)),
        ("FILL(none, 0)", series(0, 0, 0, 0, 0)),
        ("FILL(none, REPEAT)", {}),
    ],
)
def test_fill(expression: str, expected: Points) -> None:
    gap = series(_, 10, _, 30)
    assert compute(expression, a=A, b=B, gap=gap, none={}) == expected, expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a - AVG(a)", series(17.5, 7.5, -12.5, -12.5)),
        ("a + MAX(a) - MIN(a)", series(60, 50, 30, 30)),
        ("a / SUM(a)", series(0.6, 0.4, 0, 0)),
        ("SUM(METRICS())", series(50, 20, 20, 0)),
        ("AVG(METRICS())", series(25, 10, 10, 0)),
        ("MAX([a, b])", series(30, 20, 20, 0)),
        ("MIN([a, b])", series(20, 20, 0, 0)),
        ("SUM(METRICS('b'))", series(20, _, 20)),
        ('SUM([METRICS("a"), METRICS("b")])', series(50, 20, 20, 0)),
        ("SUM(-[a, b])", series(-50, -20, -20, 0)),
        ("AVG([a, b] / 2)", series(12.5, 5, 5, 0)),
        ("a / METRIC_COUNT(METRICS())", series(15, 10, 0, 0)),
        ("b + DATAPOINT_COUNT(b)", series(22, _, 22)),
        ("ABS(-b)", series(20, _, 20)),
        ("DIFF(a)", series(_, -10, -20, 0)),
        ("DIFF_TIME(b)", series(_, _, 120)),
        ("RATE(b + 0 * b)", series(_, _, 0)),
        ("RUNNING_SUM(a)", series(30, 50, 50, 50)),
        ("a / PERIOD(a)", series(0.5, 20 / 60, 0, 0)),
        ("TIME_SERIES(3)", series(3, 3, 3, 3, 3)),
        ("LOG10(a * 10 + 1000 - a * 10)", series(3, 3, 3, 3)),
        ("LOG(a)", None),
        ("MINUTE(a)", series(0, 1, 2, 3, 4)),
        ("EPOCH(a)", series(0, 60, 120, 180, 240)),
        ("FIRST(SORT(METRICS(), AVG, DESC))", B),
        ("LAST(SORT([a, b], SUM, ASC))", A),
        ("SUM(SLICE(SORT(METRICS(), MAX, DESC), 1))", B),
        ("SUM(REMOVE_EMPTY([a, b]))", series(50, 20, 20, 0)),
    ],
)
def test_functions(expression: str, expected: Points | None) -> None:
    found = compute(expression, a=A, b=B)
    if expected is None:
        assert isinstance(found, dict)
        assert sorted(found) == [0, 60], "the logarithm of zero is dropped"
    else:
        assert found == pytest.approx(expected), expression


def test_metrics_is_an_array_that_keeps_its_labels() -> None:
    found = compute("METRICS() * 2", a=A, b=B)
    assert isinstance(found, tuple)
    assert [(x.label, x.points) for x in found] == [
        ("a", series(60, 40, 0, 0)),
        ("b", series(40, _, 40)),
    ]


def test_the_average_of_nothing_makes_no_points() -> None:
    assert compute("a - AVG(b)", a=A, b={}) == {}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("nope(a)", "Unknown function 'nope'"),
        ("avg(a)", "Unknown function 'avg'"),
        ("a +", "it ends too early"),
        ("(a", "it ends too early"),
        ("a b", "unexpected 'b'"),
        ("a ; b", "unexpected character at position 1"),
        ("[a] + [b]", "Unsupported operand type(s) for +"),
        ("SUM(5)", "does not take a Scalar"),
        ("FILL(a)", "FILL does not take these arguments"),
        ("FILL(a, ASC)", "FILL takes a number, a time series, REPEAT or LINEAR"),
        ("IF([a], 1, 0)", "IF does not take a Array[TimeSeries]"),
        ("[a, 5]", "an array holds time series"),
        ("TIME_SERIES(a)", "does not take a TimeSeries"),
        ("PERIOD(a + 1)", "PERIOD takes a metric"),
        ("METRICS(5)", "METRICS takes one text at most"),
        ("'text'", "unexpected text 'text'"),
        ("SORT([a], MEDIAN, ASC)", "no id 'MEDIAN'"),
        ("SORT([a], AVG, REPEAT)", "ASC or DESC"),
        ("SEARCH('x')", "the local cloud does not offer the function SEARCH"),
        ("ANOMALY_DETECTION_BAND(a)", "does not offer the function ANOMALY_DETECTION_BAND"),
        ("SELECT AVG(x) FROM y", "does not offer Metrics Insights"),
        ("(" * 500 + "a" + ")" * 500, "nested too deeply"),
        ("-" * 5000 + "a", "nested too deeply"),
    ],
)
def test_what_is_no_expression_is_refused_in_words(expression: str, why: str) -> None:
    assert why in refused(expression, a=A, b=B), expression


@given(st.text(alphabet="ab12+-*/^()[],<>=&|' FILSUM", max_size=40))
def test_no_text_makes_it_fail_otherwise(expression: str) -> None:
    with contextlib.suppress(ServiceError):
        assert isinstance(compute(expression, a=A, b=B), float | int | dict | tuple)


def test_an_expression_may_have_as_many_terms_as_fit() -> None:
    assert compute("+".join("a" * 1024), a=series(1)) == series(1024)

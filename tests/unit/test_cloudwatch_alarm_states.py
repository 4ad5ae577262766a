"""AWS's two tables of missing data, and its rule about premature alarms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch import alarms, reasons
from localcloud.cloudwatch.alarms import ALARM, INSUFFICIENT_DATA, OK, Outcome, Point

MODES = ("missing", "ignore", "breaching", "notBreaching")
KEEP = None
# User guide, "How alarm state is evaluated when data is missing": N is 3, the range is 5 points,
# the newest on the right; columns are MODES.
THREE_OF_THREE = {
    "0 - X - X": (OK, OK, OK, OK),
    "0 - - - -": (OK, OK, OK, OK),
    "- - - - -": (INSUFFICIENT_DATA, KEEP, ALARM, OK),
    "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
    "- - X - -": (ALARM, KEEP, ALARM, OK),
}
TWO_OF_THREE = {
    "0 - X - X": (ALARM, ALARM, ALARM, ALARM),
    "0 0 X 0 X": (ALARM, ALARM, ALARM, ALARM),
    "0 - X - -": (OK, OK, ALARM, OK),
    "- - - - 0": (OK, OK, ALARM, OK),
    "- - - X -": (ALARM, KEEP, ALARM, OK),
}
ROWS = [
    pytest.param(m, points, mode, state, id=f"{m} of 3, {points}, {mode}")
    for m, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for points, states in table.items()
    for mode, state in zip(MODES, states, strict=True)
]


def params(m: int, n: int = 3, mode: str = "missing", **more: Any) -> dict[str, Any]:
    return {
        "EvaluationPeriods": n,
        "DatapointsToAlarm": m,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": mode,
        **more,
    }


def points(text: str) -> list[Point | None]:
    values = {"X": 5.0, "0": 0.5}
    return [
        None if c == "-" else Point(60 * i, values[c], 10.0) for i, c in enumerate(text.split())
    ]


def state(text: str, given: dict[str, Any]) -> str | None:
    return alarms.evaluate(given, points(text)).state


@pytest.mark.parametrize(("m", "text", "mode", "expected"), ROWS)
def test_the_tables_of_the_user_guide(m: int, text: str, mode: str, expected: str | None) -> None:
    assert state(text, params(m, mode=mode)) == expected, f"{m} of 3 with {mode}: {text}"


@pytest.mark.parametrize(
    ("m", "text"), [(3, "- - - - X"), (3, "- - - X -"), (3, "- - - X X"), (2, "- - - - X")]
)
@pytest.mark.parametrize("mode", ["missing", "ignore"])
def test_an_alarm_waits_for_the_points_that_could_clear_it_up(m: int, text: str, mode: str) -> None:
    assert state(text, params(m, mode=mode)) != ALARM, "the next points may be within the threshold"


@pytest.mark.parametrize("text", ["- - X - -", "- X - - -", "X - - - -", "- - X X -"])
def test_a_breach_that_nothing_newer_contradicts_is_an_alarm_in_the_end(text: str) -> None:
    assert state(text, params(3)) == ALARM, text


def test_one_bad_point_is_enough_for_one_of_three() -> None:
    assert state("- - - - X", params(1)) == ALARM


def test_points_further_back_replace_missing_ones() -> None:
    assert state("X X - X -", params(3, mode="notBreaching")) == ALARM, "three real points"
    assert state("0 X - X -", params(3, mode="breaching")) == OK, "three real points, one good"


@pytest.mark.parametrize(
    ("comparison", "value", "breaches"),
    [
        ("GreaterThanThreshold", 1.0, False),
        ("GreaterThanOrEqualToThreshold", 1.0, True),
        ("LessThanThreshold", 1.0, False),
        ("LessThanOrEqualToThreshold", 1.0, True),
    ],
)
def test_a_value_at_the_threshold(comparison: str, value: float, breaches: bool) -> None:
    outcome = alarms.evaluate(params(1, 1, ComparisonOperator=comparison), [Point(0, value)])
    assert outcome.state == (ALARM if breaches else OK)


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.integers(1, n),
            st.just(n),
            st.lists(st.sampled_from("X0"), min_size=n + 2, max_size=n + 2),
        )
    ),
    st.sampled_from(MODES),
)
def test_without_missing_points_every_mode_counts_m_of_n(
    case: tuple[int, int, list[str]], mode: str
) -> None:
    m, n, text = case
    expected = ALARM if text[-n:].count("X") >= m else OK
    assert state(" ".join(text), params(m, n, mode)) == expected


@given(st.lists(st.sampled_from("X0-"), min_size=5, max_size=5), st.integers(1, 3))
def test_treating_missing_as_bad_is_never_calmer_than_treating_it_as_good(
    text: list[str], m: int
) -> None:
    good = state(" ".join(text), params(m, mode="notBreaching"))
    bad = state(" ".join(text), params(m, mode="breaching"))
    assert good == OK or bad == ALARM, text


@pytest.mark.parametrize(
    ("statistic", "limit"), [("p99", 1000.0), ("p95", 200.0), ("p50", 20.0), ("p10", 100.0)]
)
def test_a_percentile_of_few_samples_is_ignored_when_asked(statistic: str, limit: float) -> None:
    ignoring = params(1, ExtendedStatistic=statistic, EvaluateLowSampleCountPercentile="ignore")
    assert alarms.low_samples(ignoring, limit - 1), "too few to be significant"
    assert not alarms.low_samples(ignoring, limit), "enough"
    evaluating = {**ignoring, "EvaluateLowSampleCountPercentile": "evaluate"}
    assert not alarms.low_samples(evaluating, 1), "evaluate looks at any number"


def outcome(text: str, given: dict[str, Any]) -> Outcome:
    return alarms.evaluate(given, points(text))


def test_the_reason_names_values_threshold_and_transition() -> None:
    given = params(2)
    found = outcome("- - X 0 X", given)
    assert reasons.reason(given, ALARM, found) == (
        "Threshold Crossed: 2 out of the last 3 datapoints [5.0 (01/01/70 00:04:00), "
        "0.5 (01/01/70 00:03:00), 5.0 (01/01/70 00:02:00)] were greater than the threshold (1.0) "
        "(minimum 2 datapoints for OK -> ALARM transition)."
    )
    assert reasons.reason(given, OK, outcome("- - 0 0 X", given)) == (
        "Threshold Crossed: 2 out of the last 3 datapoints [5.0 (01/01/70 00:04:00), "
        "0.5 (01/01/70 00:03:00), 0.5 (01/01/70 00:02:00)] were not greater than the threshold "
        "(1.0) (minimum 2 datapoints for ALARM -> OK transition)."
    )


def test_the_reason_tells_how_missing_points_were_treated() -> None:
    missing = params(3)
    text = "Insufficient Data: 3 datapoints were unknown."
    assert reasons.reason(missing, INSUFFICIENT_DATA, outcome("- - - - -", missing)) == text
    good = params(3, mode="notBreaching")
    assert reasons.reason(good, OK, outcome("- - - - -", good)) == (
        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints "
        "were treated as [NonBreaching]."
    )
    bad = params(3, mode="breaching")
    assert reasons.reason(bad, ALARM, outcome("- - - - X", bad)).endswith(
        "2 missing datapoints were treated as [Breaching]."
    )


def test_the_reason_data_is_json_within_its_limit() -> None:
    import json

    given = params(400, 400, Statistic="Average", Unit="Percent")
    many: list[Point | None] = [Point(60 * i, i / 3, 7.0) for i in range(402)]
    text = reasons.reason_data(given, 60, alarms.evaluate(given, many), 402 * 60.0)
    assert len(text) <= 4_000, "StateReasonData has 4,000 characters at most"
    data = json.loads(text)
    assert data["queryDate"] == "1970-01-01T06:42:00.000+0000"
    assert (data["statistic"], data["unit"], data["period"]) == ("Average", "Percent", 60)
    assert data["evaluatedDatapoints"][0] == {
        "timestamp": "1970-01-01T06:41:00.000+0000",
        "sampleCount": 7.0,
        "value": 401 / 3,
    }, "the newest point comes first"

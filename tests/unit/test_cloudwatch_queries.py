"""Queries over the store: ids, kinds of result, labels, and the pages of GetMetricData."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.cloudwatch.paging import data_page, page
from localcloud.cloudwatch.queries import Queries
from localcloud.cloudwatch.store import MetricKey, MetricStore
from localcloud.service import ServiceError


def stat(query_id: str, metric: str, name: str = "Sum", **more: Any) -> dict[str, Any]:
    metric_stat = {
        "Metric": {"Namespace": "N", "MetricName": metric},
        "Period": 60,
        "Stat": name,
    }
    return {"Id": query_id, "MetricStat": metric_stat, **more}


def expression(query_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"Id": query_id, "Expression": text, **more}


@pytest.fixture
def store() -> MetricStore:
    store = MetricStore()
    for minute, (requests, errors) in enumerate([(10, 1), (20, None), (30, 6)]):
        for metric, value in (("requests", requests), ("errors", errors)):
            if value is not None:
                key = MetricKey("r", "N", metric, ())
                store.put(key, 60.0 * minute, "None", {float(value): 1.0})
    return store


def results(store: MetricStore, *queries: dict[str, Any]) -> list[dict[str, Any]]:
    return Queries(store, list(queries), "r", 0, 180).results(descending=False)


def test_an_expression_over_expressions(store: MetricStore) -> None:
    (found,) = results(
        store,
        stat("errors", "errors", ReturnData=False),
        stat("requests", "requests", ReturnData=False),
        expression("rate", "errors / requests", ReturnData=False),
        expression("percent", "rate * 100", Label="in percent"),
    )
    assert (found["Id"], found["Label"]) == ("percent", "in percent")
    assert found["Values"] == pytest.approx([10.0, 0.0, 20.0])
    assert [t.timestamp() for t in found["Timestamps"]] == [0.0, 60.0, 120.0]


def test_an_array_gives_a_result_for_each_of_its_series(store: MetricStore) -> None:
    found = results(
        store,
        stat("m1", "requests", Label="all", ReturnData=False),
        stat("m2", "errors", ReturnData=False),
        expression("filled", "FILL(METRICS(), 0)", Label="filled:"),
    )
    assert [(f["Label"], f["Values"]) for f in found] == [
        ("filled: all", [10.0, 20.0, 30.0]),
        ("filled: errors", [1.0, 0.0, 6.0]),
    ]


@pytest.mark.parametrize(
    ("queries", "why"),
    [
        ([expression("a", "AVG(m)"), stat("m", "requests")], "it gives a Scalar"),
        ([expression("a", "5")], "it gives a Scalar"),
        ([expression("a", "b + 1"), expression("b", "a + 1")], "refers to itself"),
        ([expression("a", "a + 1")], "refers to itself"),
        ([expression("a", "gone + 1")], "the id 'gone' is not defined"),
        ([stat("a", "x"), stat("a", "y")], "must be unique"),
        ([stat("Upper", "x")], "lower-case letter"),
        ([{"Id": "a"}], "either MetricStat or Expression"),
        ([stat("a", "x", Expression="1")], "either MetricStat or Expression"),
        ([], "between 1 and 500"),
    ],
)
def test_queries_that_make_no_sense_are_refused(
    store: MetricStore, queries: list[dict[str, Any]], why: str
) -> None:
    with pytest.raises(ServiceError, match=why) as caught:
        results(store, *queries)
    assert caught.value.code == "ValidationError"


@pytest.mark.parametrize("period", [7, 45, 90, 61])
def test_a_period_that_nothing_is_kept_for_is_refused(store: MetricStore, period: int) -> None:
    query = stat("a", "x")
    query["MetricStat"]["Period"] = period
    with pytest.raises(ServiceError, match="multiple of 60"):
        results(store, query)


def test_data_points_come_in_pages() -> None:
    given: list[dict[str, Any]] = [
        {"Id": "a", "Timestamps": [1, 2, 3], "Values": [1.0, 2.0, 3.0], "StatusCode": "Complete"},
        {"Id": "none", "Timestamps": [], "Values": [], "StatusCode": "Complete"},
        {"Id": "b", "Timestamps": [1, 2], "Values": [4.0, 5.0], "StatusCode": "Complete"},
    ]
    values: dict[str, list[float]] = {}
    states: list[tuple[str, str]] = []
    params: dict[str, Any] = {}
    for _ in range(10):
        answer = data_page(given, params, 2)
        for result in answer["MetricDataResults"]:
            values.setdefault(result["Id"], []).extend(result["Values"])
            states.append((result["Id"], result["StatusCode"]))
        if "NextToken" not in answer:
            break
        params = {"NextToken": answer["NextToken"]}
    assert values == {"a": [1.0, 2.0, 3.0], "none": [], "b": [4.0, 5.0]}, "nothing lost or twice"
    assert states == [
        ("a", "PartialData"),
        ("none", "Complete"),
        ("a", "Complete"),
        ("b", "PartialData"),
        ("b", "Complete"),
    ]


def test_a_token_that_was_never_given_is_refused() -> None:
    with pytest.raises(ServiceError) as caught:
        page([], {"NextToken": "-1"}, "Items", 5)
    assert caught.value.code == "InvalidNextToken"

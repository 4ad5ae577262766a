"""What PutMetricData refuses, and that it then stores nothing."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.cloudwatch import statistics
from localcloud.cloudwatch.metrics import Metrics
from localcloud.cloudwatch.store import MetricStore
from localcloud.service import RequestContext, ServiceError

NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
CONTEXT = RequestContext("123456789012", "us-east-1", "request", NOW)


def put(store: MetricStore, *data: dict[str, Any], namespace: str = "N") -> None:
    Metrics(store).put_data({"Namespace": namespace, "MetricData": list(data)}, CONTEXT)


def datum(**members: Any) -> dict[str, Any]:
    return {"MetricName": "m", **members}


def read(store: MetricStore, *names: str, **more: Any) -> dict[str, Any]:
    extended = names[0] not in statistics.BASIC
    params = {
        "Namespace": "N",
        "MetricName": "m",
        "StartTime": NOW - timedelta(minutes=5),
        "EndTime": NOW,
        "Period": 60,
        "ExtendedStatistics" if extended else "Statistics": list(names),
        **more,
    }
    (point,) = Metrics(store).get_statistics(params, CONTEXT)["Datapoints"]
    return point


BAD = [
    (datum(Value=math.nan), "InvalidParameterValue", "Value is invalid"),
    (datum(Value=math.inf), "InvalidParameterValue", "Value is invalid"),
    (datum(Value=-(2.0**361)), "InvalidParameterValue", "Value is invalid"),
    (datum(Values=[1.0, math.nan]), "InvalidParameterValue", "Values.member.2 is invalid"),
    (datum(Values=[1.0] * 151), "InvalidParameterValue", "size greater than 150"),
    (datum(Values=[1.0, 2.0], Counts=[1.0]), "InvalidParameterValue", "of the same size"),
    (datum(Values=[1.0], Counts=[-1.0]), "InvalidParameterValue", "Counts is invalid"),
    (datum(), "MissingParameter", "must be specified"),
    (datum(Value=1.0, Values=[1.0]), "InvalidParameterCombination", "mutually exclusive"),
    (datum(Value=1.0, StorageResolution=5), "InvalidParameterValue", "StorageResolution"),
    (
        datum(Value=1.0, Timestamp=NOW - timedelta(days=14, seconds=1)),
        "InvalidParameterValue",
        "within the past two weeks",
    ),
    (
        datum(Value=1.0, Timestamp=NOW + timedelta(hours=2, seconds=1)),
        "InvalidParameterValue",
        "no more than two hours in the future",
    ),
    (
        datum(StatisticValues={"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}),
        "InvalidParameterValue",
        "SampleCount is invalid",
    ),
    (
        datum(StatisticValues={"SampleCount": 2, "Sum": 3, "Minimum": 2, "Maximum": 1}),
        "InvalidParameterValue",
        "must not be less than",
    ),
]


@pytest.mark.parametrize(("bad", "code", "why"), BAD)
def test_one_bad_point_stores_nothing(bad: dict[str, Any], code: str, why: str) -> None:
    store = MetricStore()
    with pytest.raises(ServiceError, match=why) as caught:
        put(store, datum(Value=1.0), bad)
    assert caught.value.code == code
    assert "MetricData.member.2" in caught.value.message, "it names the point"
    assert store.latest("us-east-1") == {}, "the good point is not stored either"


def test_a_thousand_metrics_and_not_one_more() -> None:
    put(MetricStore(), *[datum(Value=1.0)] * 1000)
    with pytest.raises(ServiceError, match="size greater than 1000"):
        put(MetricStore(), *[datum(Value=1.0)] * 1001)


def test_a_request_of_more_than_a_megabyte_is_refused() -> None:
    wide = datum(Values=list(map(float, range(150))), Counts=[1.0] * 150)
    with pytest.raises(ServiceError) as caught:
        put(MetricStore(), *[wide] * 500)
    assert (caught.value.code, caught.value.status) == ("RequestEntityTooLarge", 413)


def test_the_namespaces_of_aws_are_its_own() -> None:
    with pytest.raises(ServiceError, match="AWS/ for parameter Namespace"):
        put(MetricStore(), datum(Value=1.0), namespace="AWS/SageMaker")


def test_an_empty_request_is_refused() -> None:
    with pytest.raises(ServiceError, match="MetricData"):
        put(MetricStore())


def test_every_way_to_give_values() -> None:
    store = MetricStore()
    at = {"Timestamp": NOW - timedelta(minutes=1)}
    put(
        store,
        datum(Value=4.0, **at),
        datum(Values=[1.0, 2.0], Counts=[2.0, 3.0], **at),
        datum(StatisticValues={"SampleCount": 4, "Sum": 40, "Minimum": 5, "Maximum": 15}, **at),
    )
    point = read(store, "SampleCount", "Sum", "Minimum", "Maximum", "Average")
    assert [point[n] for n in ("SampleCount", "Sum", "Minimum", "Maximum")] == [10, 52, 1, 15]
    assert point["Unit"] == "None"


def test_entities_bring_points_too() -> None:
    store = MetricStore()
    params = {"Namespace": "N", "EntityMetricData": [{"MetricData": [datum(Value=3.0)]}]}
    Metrics(store).put_data(params, CONTEXT)
    assert read(store, "Sum")["Sum"] == 3.0


def test_extended_statistics_lie_beside_each_other() -> None:
    store = MetricStore()
    put(store, datum(Values=list(map(float, range(1, 101)))))
    names = ("p95", "tm90", "TC(10%:90%)", "PR(:50)", "IQM")
    assert read(store, *names)["ExtendedStatistics"] == pytest.approx(
        {"p95": 95.0, "tm90": 45.5, "TC(10%:90%)": 80.0, "PR(:50)": 50.0, "IQM": 50.5}
    )


def test_units_are_kept_apart() -> None:
    store = MetricStore()
    put(store, datum(Value=1.0, Unit="Seconds"), datum(Value=2.0, Unit="Percent"))
    params = {
        "Namespace": "N",
        "MetricName": "m",
        "StartTime": NOW - timedelta(minutes=5),
        "EndTime": NOW,
        "Period": 60,
        "Statistics": ["Sum"],
    }
    found = Metrics(store).get_statistics(params, CONTEXT)["Datapoints"]
    assert {p["Unit"]: p["Sum"] for p in found} == {"Seconds": 1.0, "Percent": 2.0}
    assert read(store, "Sum", Unit="Percent")["Sum"] == 2.0


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Statistics": [], "ExtendedStatistics": []}, "MissingParameter"),
        ({"ExtendedStatistics": ["p90"]}, "InvalidParameterCombination"),
        ({"Statistics": [], "ExtendedStatistics": ["p101"]}, "InvalidParameterValue"),
        ({"Statistics": [], "ExtendedStatistics": ["Sum"]}, "InvalidParameterValue"),
        ({"Period": 7}, "ValidationError"),
        ({"StartTime": NOW - timedelta(days=2)}, "InvalidParameterCombination"),
        ({"StartTime": NOW, "EndTime": NOW}, "ValidationError"),
    ],
)
def test_get_metric_statistics_refuses(more: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read(MetricStore(), "Sum", **more)
    assert caught.value.code == code


def test_metrics_are_listed_while_they_had_data_of_late() -> None:
    store = MetricStore()
    for name, hours in (("now", 0), ("today", 5), ("last-week", 200)):
        data = datum(
            Value=1.0,
            Timestamp=NOW - timedelta(hours=hours),
            Dimensions=[{"Name": "D", "Value": name}],
        )
        put(store, data)

    def listed(context: RequestContext = CONTEXT, **params: Any) -> set[str]:
        found = Metrics(store).list(params, context)["Metrics"]
        return {metric["Dimensions"][0]["Value"] for metric in found}

    assert listed() == {"now", "today", "last-week"}
    assert listed(RecentlyActive="PT3H") == {"now"}
    assert listed(Dimensions=[{"Name": "D", "Value": "today"}]) == {"today"}
    assert listed(Namespace="other") == set()
    later = RequestContext("123456789012", "us-east-1", "r", NOW + timedelta(days=13))
    assert listed(later) == {"now", "today"}, "two weeks without data"

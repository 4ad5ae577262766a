"""GetMetricData: metric queries and expressions over the store. Pure but for the store's reads."""

from __future__ import annotations

import datetime as dt
from typing import Any

from localcloud.cloudwatch import metric_math, statistics
from localcloud.cloudwatch.metric_math import Context, Points, Value
from localcloud.cloudwatch.store import MetricKey, MetricStore
from localcloud.service import ServiceError

Params = dict[str, Any]


def key_of(metric: Params, region: str) -> MetricKey:
    dimensions = tuple(sorted((d["Name"], d["Value"]) for d in metric.get("Dimensions") or []))
    return MetricKey(region, metric.get("Namespace", ""), metric["MetricName"], dimensions)


def points_of(store: MetricStore, stat: Params, region: str, start: int, end: int) -> Points:
    """One MetricStat as time series of its statistic."""
    statistics.check(stat["Stat"])
    period = int(stat["Period"])
    first = start // period * period
    found = store.periods(key_of(stat["Metric"], region), first, end, period, stat.get("Unit"))
    computed = {t: statistics.compute(stat["Stat"], samples) for t, samples in found.items()}
    return {t: value for t, value in computed.items() if value is not None}


class Queries:
    """The queries of one request, by id; each computed once, circles refused."""

    def __init__(
        self, store: MetricStore, queries: list[Params], region: str, start: int, end: int
    ) -> None:
        self.store, self.region, self.start, self.end = store, region, start, end
        self.by_id = {query["Id"]: query for query in queries}
        if len(self.by_id) != len(queries):
            raise ServiceError("ValidationError", "The ids of the queries must be unique.")
        self._known: dict[str, Value] = {}
        self._open: list[str] = []

    def value(self, query_id: str) -> Value:
        if query_id in self._known:
            return self._known[query_id]
        query = self.by_id.get(query_id)
        if query is None or query_id in self._open:
            why = "refers to itself" if query else "is not defined"
            raise ServiceError("ValidationError", f"The id '{query_id}' {why}.")
        self._open.append(query_id)
        if "MetricStat" in query:
            stat = query["MetricStat"]
            value: Value = points_of(self.store, stat, self.region, self.start, self.end)
        else:
            value = metric_math.evaluate(self._context(query))
        self._open.pop()
        self._known[query_id] = value
        return value

    def _context(self, query: Params) -> Context:
        period = int(query.get("Period") or self.period())
        metric_ids = [i for i, q in self.by_id.items() if "MetricStat" in q]
        times = list(range(self.start // period * period, self.end, period))
        return Context(query["Expression"], self.value, metric_ids, times, period)

    def period(self) -> int:
        periods = [q["MetricStat"]["Period"] for q in self.by_id.values() if "MetricStat" in q]
        return int(max(periods, default=60))

    def results(self, descending: bool) -> list[Params]:
        """MetricDataResults of the queries that return data."""
        found: list[Params] = []
        for query_id, query in self.by_id.items():
            if not query.get("ReturnData", True):
                continue
            value = self.value(query_id)
            series = value if isinstance(value, list) else [self._as_points(value)]
            found.extend(_result(query, points, descending) for points in series)
        return found

    def _as_points(self, value: Value) -> Points:
        if isinstance(value, int | float):
            times = range(self.start // self.period() * self.period(), self.end, self.period())
            return dict.fromkeys(times, float(value))
        return value if isinstance(value, dict) else {}


def _result(query: Params, points: Points, descending: bool) -> Params:
    times = sorted(points, reverse=descending)
    fallback = query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
    return {
        "Id": query["Id"],
        "Label": query.get("Label", fallback),
        "Timestamps": [dt.datetime.fromtimestamp(t, dt.UTC) for t in times],
        "Values": [points[t] for t in times],
        "StatusCode": "Complete",
    }

"""The metric queries and expressions of one request over the store."""

from __future__ import annotations

import datetime as dt
from typing import Any

from localcloud.cloudwatch import metric_math, statistics
from localcloud.cloudwatch.metric_math import Context, Labelled, Points, Scope, Value
from localcloud.cloudwatch.samples import Samples
from localcloud.cloudwatch.store import MetricKey, MetricStore
from localcloud.service import ServiceError

Params = dict[str, Any]
MAX_QUERIES = 500
_FINE_PERIODS = (1, 5, 10, 20, 30)


def key_of(metric: Params, region: str) -> MetricKey:
    dimensions = tuple(sorted((d["Name"], d["Value"]) for d in metric.get("Dimensions") or []))
    return MetricKey(region, metric.get("Namespace", ""), metric["MetricName"], dimensions)


def check_period(period: int) -> None:
    """Raises ``ValidationError`` for a period that no data is kept for."""
    if period not in _FINE_PERIODS and (period < 60 or period % 60):
        raise ServiceError(
            "ValidationError",
            f"Period must be 1, 5, 10, 20, 30 or a multiple of 60; it is {period}.",
        )


class Queries:
    """The queries of one request, by id; each computed once, circles refused."""

    def __init__(
        self, store: MetricStore, queries: list[Params], region: str, start: int, end: int
    ) -> None:
        self._store, self._region, self._start, self._end = store, region, start, end
        self.by_id = {query["Id"]: query for query in queries}
        self._check(queries)
        periods = [q["MetricStat"]["Period"] for q in queries if "MetricStat" in q]
        self._period = int(max(periods, default=60))
        self._metrics = {
            i: (_label(q), int(q["MetricStat"]["Period"]))
            for i, q in self.by_id.items()
            if "MetricStat" in q
        }
        self._known: dict[str, Value] = {}
        self._open: list[str] = []

    def _check(self, queries: list[Params]) -> None:
        if not 0 < len(queries) <= MAX_QUERIES:
            raise _invalid(f"A request holds between 1 and {MAX_QUERIES} queries.")
        if len(self.by_id) != len(queries):
            raise _invalid("The values for parameter id in MetricDataQueries must be unique.")
        for query in queries:
            name = query["Id"]
            if not (name[0].islower() and name.replace("_", "").isalnum() and name.isascii()):
                raise _invalid(
                    f"The value {name} for parameter id is invalid: it starts with a lower-case "
                    "letter and has letters, digits and underscores only."
                )
            if ("MetricStat" in query) == ("Expression" in query):
                raise _invalid(
                    f"The query '{name}' needs either MetricStat or Expression, and not both."
                )
            if "MetricStat" in query:
                check_period(int(query["MetricStat"]["Period"]))
                statistics.check(query["MetricStat"]["Stat"])

    def value(self, query_id: str) -> Value:
        """Raises ``ServiceError`` for an id that is unknown or that needs itself."""
        if query_id in self._known:
            return self._known[query_id]
        query = self.by_id.get(query_id)
        user = self._open[-1] if self._open else query_id
        if query is None:
            raise metric_math.refuse(user, f"the id '{query_id}' is not defined")
        if query_id in self._open:
            raise metric_math.refuse(user, f"the id '{query_id}' refers to itself")
        self._open.append(query_id)
        try:
            if "MetricStat" in query:
                value: Value = self._points(query["MetricStat"])
            else:
                value = metric_math.evaluate(self._context(query))
        finally:
            self._open.pop()
        self._known[query_id] = value
        return value

    def samples(self, stat: Params) -> dict[int, Samples]:
        """One MetricStat's samples by the start of their period."""
        period = int(stat["Period"])
        first = self._start // period * period
        key = key_of(stat["Metric"], self._region)
        return self._store.periods(key, first, self._end, period, stat.get("Unit"))

    def _points(self, stat: Params) -> Points:
        found = {t: statistics.compute(stat["Stat"], s) for t, s in self.samples(stat).items()}
        return {t: value for t, value in found.items() if value is not None}

    def _context(self, query: Params) -> Context:
        period = int(query.get("Period") or self._period)
        times = range(self._start // period * period, self._end, period)
        return Context(
            query["Id"], query["Expression"], self.value, self._metrics, Scope(times, period)
        )

    def series(self, query_id: str) -> tuple[Labelled, ...]:
        """A query's result as time series; a number is none and refused, as AWS does."""
        value = self.value(query_id)
        if isinstance(value, tuple):
            return value
        if isinstance(value, dict):
            return (Labelled("", value),)
        raise metric_math.refuse(
            query_id, "it gives a Scalar; the result must be one or more time series"
        )

    def results(self, descending: bool) -> list[Params]:
        """MetricDataResults of the queries that return data."""
        found: list[Params] = []
        for query_id, query in self.by_id.items():
            if query.get("ReturnData", True):
                found += [_result(query, one, descending) for one in self.series(query_id)]
        return found


def _result(query: Params, series: Labelled, descending: bool) -> Params:
    times = sorted(series.points, reverse=descending)
    label = " ".join(x for x in (_label(query), series.label) if x)
    return {
        "Id": query["Id"],
        "Label": label,
        "Timestamps": [dt.datetime.fromtimestamp(t, dt.UTC) for t in times],
        "Values": [series.points[t] for t in times],
        "StatusCode": "Complete",
    }


def _label(query: Params) -> str:
    if "Label" in query:
        return str(query["Label"])
    if "MetricStat" in query:
        return str(query["MetricStat"]["Metric"].get("MetricName", query["Id"]))
    return str(query["Id"])


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)

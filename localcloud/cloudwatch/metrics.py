"""The operations on metrics: putting data, reading it back, listing what there is."""

from __future__ import annotations

from typing import Any

from localcloud.cloudwatch import datum, statistics
from localcloud.cloudwatch.paging import data_page, page, when
from localcloud.cloudwatch.queries import Queries, check_period, key_of
from localcloud.cloudwatch.store import MetricStore
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]
MAX_POINTS = 1_440
MAX_DATAPOINTS = 100_800
LISTED_SECONDS = 14 * 24 * 3600
RECENT_SECONDS = 3 * 3600
PAGE = 500


class Metrics:
    """Needs no lock beyond the store's own."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def put_data(self, params: Params, context: RequestContext) -> Params:
        for put in datum.checked(params, context):
            self._store.put(put.key, put.at, put.unit, put.values, put.summary, put.fine)
        return {}

    def get_data(self, params: Params, context: RequestContext) -> Params:
        start, end = _range(params)
        size = int(params.get("MaxDatapoints", MAX_DATAPOINTS))
        if not 0 < size <= MAX_DATAPOINTS:
            raise ServiceError(
                "ValidationError", f"MaxDatapoints must be between 1 and {MAX_DATAPOINTS}."
            )
        queries = Queries(self._store, params["MetricDataQueries"], context.region, start, end)
        descending = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        return data_page(queries.results(descending), params, size)

    def get_statistics(self, params: Params, context: RequestContext) -> Params:
        start, end = _range(params)
        period = int(params["Period"])
        check_period(period)
        if (end - start) / period > MAX_POINTS:
            raise ServiceError(
                "InvalidParameterCombination",
                f"You have requested up to {-(-(end - start) // period):,} datapoints, which "
                f"exceeds the limit of {MAX_POINTS:,}. You may reduce the datapoints requested by "
                "increasing Period, or decreasing the time range.",
            )
        basic, extended = _statistics(params)
        key = key_of(params, context.region)
        first = start // period * period
        units = [params["Unit"]] if "Unit" in params else self._store.units(key)
        points: list[Params] = []
        for unit in units:
            found = self._store.periods(key, first, end, period, unit)
            for t, samples in found.items():
                values = {n: statistics.compute(n, samples) for n in (*basic, *extended)}
                point: Params = {n: values[n] for n in basic if values[n] is not None}
                rest = {n: values[n] for n in extended if values[n] is not None}
                point |= {"ExtendedStatistics": rest} if rest else {}
                if point:
                    points.append({"Timestamp": when(t), "Unit": unit, **point})
        return {"Label": params["MetricName"], "Datapoints": points}

    def list(self, params: Params, context: RequestContext) -> Params:
        """Metrics that had data in the last two weeks, as AWS lists them."""
        wanted = {d["Name"]: d.get("Value") for d in params.get("Dimensions") or []}
        seconds = RECENT_SECONDS if params.get("RecentlyActive") == "PT3H" else LISTED_SECONDS
        since = context.now.timestamp() - seconds
        found: list[Params] = []
        for key, latest in self._store.latest(context.region).items():
            have = dict(key.dimensions)
            if (
                latest >= since
                and params.get("MetricName", key.metric) == key.metric
                and params.get("Namespace", key.namespace) == key.namespace
                and all(n in have and v in (None, have[n]) for n, v in wanted.items())
            ):
                found.append(
                    {
                        "Namespace": key.namespace,
                        "MetricName": key.metric,
                        "Dimensions": [{"Name": n, "Value": v} for n, v in key.dimensions],
                    }
                )
        return page(found, params, "Metrics", PAGE)


def _statistics(params: Params) -> tuple[list[str], list[str]]:
    basic = list(params.get("Statistics") or [])
    extended = list(params.get("ExtendedStatistics") or [])
    if not basic and not extended:
        raise ServiceError(
            "MissingParameter",
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        )
    if basic and extended:
        raise ServiceError(
            "InvalidParameterCombination",
            "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have "
            "specified both.",
        )
    for name in extended:
        if statistics.parse(name) is None:
            raise ServiceError(
                "InvalidParameterValue",
                f"The value {name} for parameter ExtendedStatistics is not supported; it is one of "
                "Statistics.",
            )
    return basic, extended


def _range(params: Params) -> tuple[int, int]:
    """Whole seconds, the end rounded up."""
    start, end = params["StartTime"].timestamp(), params["EndTime"].timestamp()
    if start >= end:
        raise ServiceError(
            "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
        )
    return int(start), int(-(-end // 1))

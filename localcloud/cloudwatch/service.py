"""CloudWatch of the local cloud: metrics and alarms that really evaluate and really act."""

from __future__ import annotations

import datetime as dt
import json
import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any

from localcloud.clock import Clock
from localcloud.cloudwatch import alarms, statistics
from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.queries import Queries, key_of
from localcloud.cloudwatch.store import MetricStore, StatisticSet
from localcloud.service import Actions, RequestContext, ServiceError

Params = dict[str, Any]
log = logging.getLogger(__name__)
# An error is stamped when its request ends: a minute is looked at a little after it is over.
LAG_SECONDS = 3.0
MINUTE = 60
MAX_POINTS = 1_440


class CloudWatch:
    """See :class:`localcloud.service.OwnService`."""

    name = "cloudwatch"

    def __init__(
        self, clock: Clock, store: MetricStore, actions: Actions, on_change: Callable[[], None]
    ) -> None:
        self._clock, self._store, self._actions = clock, store, actions
        self._on_change = on_change
        self._lock = threading.RLock()
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._history: list[Params] = []
        self._dashboards: dict[tuple[str, str], Params] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
        self._thread.start()

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        method = _OPERATIONS.get(operation)
        if method is None:
            raise ServiceError(
                "UnknownOperationException", f"The local cloud does not offer {operation}."
            )
        with self._lock:
            return method(self, params, context)

    # metrics

    def put_metric_data(self, params: Params, context: RequestContext) -> Params:
        if params["Namespace"].startswith("AWS/"):
            raise ServiceError(
                "InvalidParameterValue",
                "The value AWS/ for parameter Namespace is invalid: it is AWS's own.",
            )
        for datum in params.get("MetricData") or []:
            self._put_datum(params["Namespace"], datum, context)
        return {}

    def _put_datum(self, namespace: str, datum: Params, context: RequestContext) -> None:
        key = key_of({**datum, "Namespace": namespace}, context.region)
        at = datum.get("Timestamp") or context.now
        values: dict[float, float] = {}
        if "Value" in datum:
            values[float(datum["Value"])] = 1.0
        counts = datum.get("Counts") or [1.0] * len(datum.get("Values") or [])
        for value, count in zip(datum.get("Values") or [], counts, strict=True):
            values[float(value)] = values.get(float(value), 0.0) + float(count)
        given = datum.get("StatisticValues")
        summary = None
        if given is not None:
            summary = StatisticSet(
                given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"]
            )
        if not values and summary is None:
            raise ServiceError(
                "MissingParameter", "A datum needs Value, Values or StatisticValues."
            )
        fine = datum.get("StorageResolution") == 1
        self._store.put(key, at.timestamp(), datum.get("Unit", "None"), values, summary, fine)

    def get_metric_data(self, params: Params, context: RequestContext) -> Params:
        start, end = _range(params)
        queries = Queries(self._store, params["MetricDataQueries"], context.region, start, end)
        descending = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        return {"MetricDataResults": queries.results(descending), "Messages": []}

    def get_metric_statistics(self, params: Params, context: RequestContext) -> Params:
        start, end = _range(params)
        period = int(params["Period"])
        if (end - start) / period > MAX_POINTS:
            raise ServiceError(
                "InvalidParameterCombination",
                f"You have requested more than {MAX_POINTS} datapoints; use a longer Period.",
            )
        names = [*(params.get("Statistics") or []), *(params.get("ExtendedStatistics") or [])]
        for name in names:
            statistics.check(name)
        first = start // period * period
        found = self._store.periods(
            key_of(params, context.region), first, end, period, params.get("Unit")
        )
        points: list[Params] = []
        for t, samples in found.items():
            values = statistics.describe(samples, names)
            extended = {k: values.pop(k) for k in list(values) if k[0].islower()}
            point: Params = {"Timestamp": _when(t), "Unit": params.get("Unit", "None"), **values}
            points.append(point | ({"ExtendedStatistics": extended} if extended else {}))
        return {"Label": params["MetricName"], "Datapoints": points}

    def list_metrics(self, params: Params, context: RequestContext) -> Params:
        wanted = {d["Name"]: d.get("Value") for d in params.get("Dimensions") or []}
        found: list[Params] = []
        for key in self._store.keys(context.region):
            have = dict(key.dimensions)
            fits = all(n in have and v in (None, have[n]) for n, v in wanted.items())
            named = params.get("MetricName", key.metric) == key.metric
            if fits and named and params.get("Namespace", key.namespace) == key.namespace:
                found.append(
                    {
                        "Namespace": key.namespace,
                        "MetricName": key.metric,
                        "Dimensions": [{"Name": n, "Value": v} for n, v in key.dimensions],
                    }
                )
        return _page(found, params, "Metrics", 500)

    # alarms

    def put_metric_alarm(self, params: Params, context: RequestContext) -> Params:
        alarms.check(params)
        name = params["AlarmName"]
        given = {k: v for k, v in params.items() if k != "Tags"}
        known = self._alarms.get((context.region, name))
        now = context.now.timestamp()
        if known is not None:
            known.params, known.configured = given, now
            return {}
        arn = f"arn:aws:cloudwatch:{context.region}:{context.account_id}:alarm:{name}"
        tags = {t["Key"]: t["Value"] for t in params.get("Tags") or []}
        self._alarms[context.region, name] = Alarm(arn, given, now, state_updated=now, tags=tags)
        return {}

    def describe_alarms(self, params: Params, context: RequestContext) -> Params:
        if "MetricAlarm" not in (params.get("AlarmTypes") or ["MetricAlarm"]):
            return {"MetricAlarms": [], "CompositeAlarms": []}
        names = params.get("AlarmNames")
        prefix = params.get("AlarmNamePrefix", "")
        chosen = [
            alarm
            for (region, name), alarm in sorted(self._alarms.items())
            if region == context.region
            and (not names or name in names)
            and name.startswith(prefix)
            and params.get("StateValue", alarm.state) == alarm.state
        ]
        page = _page([_described(a) for a in chosen], params, "MetricAlarms", 50, "MaxRecords")
        return {**page, "CompositeAlarms": []}

    def delete_alarms(self, params: Params, context: RequestContext) -> Params:
        missing = [n for n in params["AlarmNames"] if (context.region, n) not in self._alarms]
        if missing and len(params["AlarmNames"]) > 1:
            raise ServiceError("ResourceNotFound", f"Alarms not found: {', '.join(missing)}", 404)
        for name in params["AlarmNames"]:
            self._alarms.pop((context.region, name), None)
        return {}

    def set_alarm_state(self, params: Params, context: RequestContext) -> Params:
        alarm = self._alarm(params["AlarmName"], context.region)
        self._move(alarm, params["StateValue"], params["StateReason"], context.now.timestamp())
        return {}

    def enable_alarm_actions(self, params: Params, context: RequestContext) -> Params:
        return self._switch_actions(params, context, True)

    def disable_alarm_actions(self, params: Params, context: RequestContext) -> Params:
        return self._switch_actions(params, context, False)

    def _switch_actions(self, params: Params, context: RequestContext, enabled: bool) -> Params:
        for name in params["AlarmNames"]:
            self._alarm(name, context.region).params["ActionsEnabled"] = enabled
        return {}

    def describe_alarm_history(self, params: Params, _context: RequestContext) -> Params:
        name = params.get("AlarmName")
        found = [h for h in reversed(self._history) if name in (None, h["AlarmName"])]
        return _page(found, params, "AlarmHistoryItems", 50, "MaxRecords")

    def tag_resource(self, params: Params, _context: RequestContext) -> Params:
        alarm = self._by_arn(params["ResourceARN"])
        alarm.tags.update({t["Key"]: t["Value"] for t in params["Tags"]})
        return {}

    def untag_resource(self, params: Params, _context: RequestContext) -> Params:
        alarm = self._by_arn(params["ResourceARN"])
        for key in params["TagKeys"]:
            alarm.tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, params: Params, _context: RequestContext) -> Params:
        tags = self._by_arn(params["ResourceARN"]).tags
        return {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}

    def _alarm(self, name: str, region: str) -> Alarm:
        alarm = self._alarms.get((region, name))
        if alarm is None:
            raise ServiceError("ResourceNotFound", f"Unknown alarm {name}", 404)
        return alarm

    def _by_arn(self, arn: str) -> Alarm:
        for alarm in self._alarms.values():
            if alarm.arn == arn:
                return alarm
        raise ServiceError("ResourceNotFoundException", f"Unknown resource {arn}", 404)

    # dashboards

    def put_dashboard(self, params: Params, context: RequestContext) -> Params:
        try:
            json.loads(params["DashboardBody"])
        except ValueError as error:
            raise ServiceError(
                "InvalidParameterInput", f"The dashboard body is not JSON: {error}"
            ) from None
        self._dashboards[context.region, params["DashboardName"]] = dict(params)
        return {"DashboardValidationMessages": []}

    def get_dashboard(self, params: Params, context: RequestContext) -> Params:
        name = params["DashboardName"]
        found = self._dashboards.get((context.region, name))
        if found is None:
            raise ServiceError("ResourceNotFound", f"Dashboard {name} does not exist", 404)
        arn = f"arn:aws:cloudwatch::{context.account_id}:dashboard/{name}"
        return {**found, "DashboardArn": arn}

    def delete_dashboards(self, params: Params, context: RequestContext) -> Params:
        for name in params["DashboardNames"]:
            self._dashboards.pop((context.region, name), None)
        return {}

    # evaluation

    def _run(self) -> None:
        while True:
            now = self._clock.timestamp()
            due = (now - LAG_SECONDS) // MINUTE * MINUTE + MINUTE + LAG_SECONDS
            wait = max(0.02, self._clock.wall_seconds(due - now))
            if self._stop.wait(wait):
                return
            try:
                self.evaluate_all(self._clock.timestamp() - LAG_SECONDS)
            except Exception:
                log.exception("the alarms could not be evaluated")

    def evaluate_all(self, now: float) -> None:
        """Evaluate every alarm on the whole periods before ``now`` (epoch seconds)."""
        with self._lock:
            for (region, _), alarm in self._alarms.items():
                verdict = alarms.evaluate(alarm, self._points(alarm, region, now))
                self._move(alarm, verdict.state, verdict.reason, now)
        self._on_change()

    def _points(self, alarm: Alarm, region: str, now: float) -> list[float | None]:
        period = alarm.period
        end = int(now) // period * period
        start = end - period * (alarm.periods + alarms.EXTRA_PERIODS)
        queries = Queries(self._store, _queries(alarm.params), region, start, end)
        result = queries.results(descending=False)[0]
        found = dict(
            zip((int(t.timestamp()) for t in result["Timestamps"]), result["Values"], strict=True)
        )
        return [found.get(t) for t in range(start, end, period)]

    def _move(self, alarm: Alarm, state: str, reason: str, now: float) -> None:
        old, alarm.reason = alarm.state, reason
        if state == old:
            return
        alarm.state, alarm.state_updated = state, now
        summary = f"Alarm updated from {old} to {state}"
        self._history.append(
            {
                "AlarmName": alarm.name,
                "AlarmType": "MetricAlarm",
                "Timestamp": _when(now),
                "HistoryItemType": "StateUpdate",
                "HistorySummary": summary,
                "HistoryData": json.dumps({"oldState": old, "newState": state, "reason": reason}),
            }
        )
        del self._history[:-10_000]
        key = {"OK": "OKActions", "ALARM": "AlarmActions"}.get(state, "InsufficientDataActions")
        if alarm.params.get("ActionsEnabled", True):
            for action in alarm.params.get(key) or []:
                self._act(action, alarm, old, now)

    def _act(self, action: str, alarm: Alarm, old: str, now: float) -> None:
        if not action.startswith("arn:aws:sns:"):
            log.warning("alarm %s: the action %s is not offered here", alarm.name, action)
            return
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.params.get("AlarmDescription"),
            "AlarmArn": alarm.arn,
            "NewStateValue": alarm.state,
            "OldStateValue": old,
            "NewStateReason": alarm.reason,
            "StateChangeTime": _when(now).isoformat(),
        }
        subject = f'{alarm.state}: "{alarm.name}"'[:100]
        try:
            self._actions.sns_publish(action, json.dumps(message), subject)
        except ServiceError as error:
            log.warning("alarm %s: %s", alarm.name, error)

    # state

    def snapshot(self) -> bytes:
        with self._lock:
            own = (self._alarms, self._history, self._dashboards)
            return pickle.dumps((own, self._store.snapshot()))

    def restore(self, data: bytes) -> None:
        own, metrics = pickle.loads(data)
        with self._lock:
            self._alarms, self._history, self._dashboards = own
        self._store.restore(metrics)

    def reset(self) -> None:
        with self._lock:
            self._alarms, self._history, self._dashboards = {}, [], {}
        self._store.reset()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)


def _queries(params: Params) -> list[Params]:
    """An alarm's metric, or its metric math, as queries of which one returns data."""
    if params.get("Metrics"):
        return list(params["Metrics"])
    metric = {k: params[k] for k in ("Namespace", "MetricName", "Dimensions") if k in params}
    stat: Params = {
        "Metric": metric,
        "Period": params["Period"],
        "Stat": params.get("Statistic") or params["ExtendedStatistic"],
    }
    if "Unit" in params:
        stat["Unit"] = params["Unit"]
    return [{"Id": "m1", "MetricStat": stat}]


def _described(alarm: Alarm) -> Params:
    return {
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "Dimensions": [],
        **alarm.params,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": _when(alarm.configured),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": _when(alarm.state_updated),
    }


def _range(params: Params) -> tuple[int, int]:
    start, end = params["StartTime"].timestamp(), params["EndTime"].timestamp()
    if start >= end:
        raise ServiceError(
            "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
        )
    return int(start), int(-(-end // 1))


def _when(timestamp: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC)


def _page(items: list[Params], params: Params, key: str, size: int, limit: str = "") -> Params:
    start = int(params.get("NextToken") or 0)
    size = int(params.get(limit, size))
    answer: Params = {key: items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer


_OPERATIONS: dict[str, Callable[[CloudWatch, Params, RequestContext], Params]] = {
    "PutMetricData": CloudWatch.put_metric_data,
    "GetMetricData": CloudWatch.get_metric_data,
    "GetMetricStatistics": CloudWatch.get_metric_statistics,
    "ListMetrics": CloudWatch.list_metrics,
    "PutMetricAlarm": CloudWatch.put_metric_alarm,
    "DescribeAlarms": CloudWatch.describe_alarms,
    "DeleteAlarms": CloudWatch.delete_alarms,
    "SetAlarmState": CloudWatch.set_alarm_state,
    "EnableAlarmActions": CloudWatch.enable_alarm_actions,
    "DisableAlarmActions": CloudWatch.disable_alarm_actions,
    "DescribeAlarmHistory": CloudWatch.describe_alarm_history,
    "TagResource": CloudWatch.tag_resource,
    "UntagResource": CloudWatch.untag_resource,
    "ListTagsForResource": CloudWatch.list_tags_for_resource,
    "PutDashboard": CloudWatch.put_dashboard,
    "GetDashboard": CloudWatch.get_dashboard,
    "DeleteDashboards": CloudWatch.delete_dashboards,
}

"""CloudWatch of the local cloud: metrics and alarms that really evaluate and really act."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

from localcloud.clock import Clock
from localcloud.cloudwatch.book import AlarmBook
from localcloud.cloudwatch.dashboards import Dashboards
from localcloud.cloudwatch.evaluation import Verdict
from localcloud.cloudwatch.metrics import Metrics
from localcloud.cloudwatch.store import MetricStore
from localcloud.cloudwatch.watch import Watch
from localcloud.service import Actions, RequestContext, ServiceError

Params = dict[str, Any]
Operation = Callable[[Params, RequestContext], Params]
# What the state on disk looks like; another number is not read.
STATE_FORMAT = 2


class StateFormatError(Exception):
    """The state on disk was written by another version."""


class CloudWatch:
    """See :class:`localcloud.service.OwnService`."""

    name = "cloudwatch"

    def __init__(
        self, clock: Clock, store: MetricStore, actions: Actions, on_change: Callable[[], None]
    ) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._book, self._dashboards = AlarmBook(), Dashboards()
        self._watch = Watch(clock, store, self._book, self._lock, actions)
        metrics, book, dashboards = Metrics(store), self._book, self._dashboards
        self._metric_operations: dict[str, Operation] = {
            "PutMetricData": metrics.put_data,
            "GetMetricData": metrics.get_data,
            "GetMetricStatistics": metrics.get_statistics,
            "ListMetrics": metrics.list,
        }
        self._operations: dict[str, Operation] = {
            "PutMetricAlarm": book.put_metric_alarm,
            "PutCompositeAlarm": book.put_composite_alarm,
            "DescribeAlarms": book.describe,
            "DescribeAlarmsForMetric": book.describe_for_metric,
            "DescribeAlarmHistory": self._describe_history,
            "DeleteAlarms": book.delete,
            "SetAlarmState": self._set_alarm_state,
            "EnableAlarmActions": self._enable_actions,
            "DisableAlarmActions": self._disable_actions,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            "PutDashboard": dashboards.put,
            "GetDashboard": dashboards.get,
            "ListDashboards": dashboards.list,
            "DeleteDashboards": dashboards.delete,
        }
        self._watch.start(on_change)

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        on_metrics = self._metric_operations.get(operation)
        if on_metrics is not None:
            return on_metrics(params, context)
        method = self._operations.get(operation)
        if method is None:
            raise ServiceError(
                "UnknownOperationException", f"The local cloud does not offer {operation}."
            )
        with self._lock:
            answer = method(params, context)
        match operation:
            case "SetAlarmState":
                self._watch.evaluate_composites(context.now.timestamp())
                self._watch.act()
            case "PutMetricAlarm":
                self._watch.wake()
            case "PutCompositeAlarm":
                self._watch.evaluate_composites(context.now.timestamp())
                self._watch.act()
            case _:
                pass
        return answer

    def evaluate_all(self, now: float) -> None:
        """Evaluate every alarm that is due on the whole periods before ``now`` (epoch seconds)."""
        self._watch.evaluate_all(now)

    def _set_alarm_state(self, params: Params, context: RequestContext) -> Params:
        """The state stays until the next evaluation."""
        alarm = self._book.get(params["AlarmName"], context.region)
        data = params.get("StateReasonData")
        verdict = Verdict(params["StateValue"], params["StateReason"], data)
        self._book.move(alarm, context.region, verdict, context.now.timestamp())
        return {}

    def _enable_actions(self, params: Params, context: RequestContext) -> Params:
        return self._switch_actions(params, context, True)

    def _disable_actions(self, params: Params, context: RequestContext) -> Params:
        return self._switch_actions(params, context, False)

    def _switch_actions(self, params: Params, context: RequestContext, enabled: bool) -> Params:
        now = context.now.timestamp()
        for alarm in [self._book.get(n, context.region) for n in params["AlarmNames"]]:
            if alarm.actions_enabled != enabled:
                alarm.params["ActionsEnabled"] = enabled
                self._book.history.configuration_update(context.region, alarm, "Update", now)
        return {}

    def _describe_history(self, params: Params, context: RequestContext) -> Params:
        return self._book.history.describe(params, context.region)

    def _tag(self, params: Params, _context: RequestContext) -> Params:
        alarm = self._book.by_arn(params["ResourceARN"])
        alarm.tags.update({t["Key"]: t["Value"] for t in params["Tags"]})
        return {}

    def _untag(self, params: Params, _context: RequestContext) -> Params:
        alarm = self._book.by_arn(params["ResourceARN"])
        for key in params["TagKeys"]:
            alarm.tags.pop(key, None)
        return {}

    def _list_tags(self, params: Params, _context: RequestContext) -> Params:
        tags = self._book.by_arn(params["ResourceARN"]).tags
        return {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}

    # state

    def snapshot(self) -> bytes:
        with self._lock:
            own = pickle.dumps((self._book.plain(), self._dashboards.items))
        return pickle.dumps((STATE_FORMAT, own, self._store.snapshot()))

    def restore(self, data: bytes) -> None:
        found = pickle.loads(data)
        if found[0] != STATE_FORMAT:
            raise StateFormatError("another version of the local cloud wrote it")
        book, dashboards = pickle.loads(found[1])
        self._store.restore(found[2])
        with self._lock:
            self._book.fill(book)
            self._dashboards.items = dashboards

    def reset(self) -> None:
        with self._lock:
            self._book.clear()
            self._dashboards.items = {}
        self._store.reset()

    def close(self) -> None:
        self._watch.stop()

"""aws.cloudwatch.MetricAlarm, CompositeAlarm and Dashboard."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

from localcloud.provider import tags
from localcloud.provider.naming import physical_name
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.schema import Property
from localcloud.provider.shapes import from_api, to_api
from localcloud.provider.values import Properties

SUPPRESSOR_FIELDS = (
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
)


class Alarm(Resource):
    """Written whole each time, also over one that exists."""

    gone = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
    answer_key = ""
    alarm_type = ""

    def update(self, call: Call, changed: set[str]) -> None:
        self.put(call, {})

    def put(self, call: Call, extra: dict[str, Any]) -> None:
        raise NotImplementedError

    def delete(self, call: Call) -> None:
        call.client().delete_alarms(AlarmNames=[call.id])

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        cloudwatch, arn = call.client(), self.arn(call)
        if removed:
            cloudwatch.untag_resource(ResourceARN=arn, TagKeys=removed)
        if added:
            cloudwatch.tag_resource(ResourceARN=arn, Tags=tags.to_list(added))

    def arn(self, call: Call) -> str:
        return str(call.state.get("arn") or call.arn("cloudwatch", f"alarm:{call.id}"))

    def found(self, call: Call) -> dict[str, Any] | None:
        answer = call.client().describe_alarms(AlarmNames=[call.id], AlarmTypes=[self.alarm_type])
        alarms = answer.get(self.answer_key) or []
        return alarms[0] if alarms else None

    def tags(self, call: Call, alarm: dict[str, Any]) -> dict[str, str]:
        answer = call.client().list_tags_for_resource(ResourceARN=alarm["AlarmArn"])
        return tags.from_list(answer.get("Tags", []))


class MetricAlarm(Alarm):
    """An alarm on one metric or on metric math."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    answer_key = "MetricAlarms"
    alarm_type = "MetricAlarm"

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        call.inputs = {**call.inputs, "name": name}
        self.put(call, {"Tags": tags.to_list(call.tags)} if call.tags else {})
        call.id = name

    def put(self, call: Call, extra: dict[str, Any]) -> None:
        request = call.request()
        if "metricQueries" in call.inputs:
            queries = call.type.inputs["metricQueries"].fields
            request["Metrics"] = [_query(queries, q) for q in call.inputs["metricQueries"]]
        if not call.inputs.get("thresholdMetricId"):
            request["Threshold"] = float(call.inputs.get("threshold") or 0)
        call.client().put_metric_alarm(**request, **extra)

    def read(self, call: Call) -> Properties | None:
        alarm = self.found(call)
        if alarm is None:
            return None
        queries = call.type.inputs["metricQueries"].fields
        found = call.properties({k: v for k, v in alarm.items() if k != "Metrics"})
        if alarm.get("Metrics"):
            found["metricQueries"] = [_read_query(queries, q) for q in alarm["Metrics"]]
        elif "metricQueries" in call.known:
            found["metricQueries"] = call.known["metricQueries"]
        found.setdefault("treatMissingData", "missing")
        return {**found, "arn": alarm["AlarmArn"], "tagsAll": self.tags(call, alarm)}


class CompositeAlarm(Alarm):
    """An alarm on other alarms."""

    token = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
    answer_key = "CompositeAlarms"
    alarm_type = "CompositeAlarm"

    def create(self, call: Call) -> None:
        self.put(call, {"Tags": tags.to_list(call.tags)} if call.tags else {})
        call.id = str(call.inputs["alarmName"])

    def put(self, call: Call, extra: dict[str, Any]) -> None:
        request = call.request()
        request |= request.pop("ActionsSuppressor", {})
        call.client().put_composite_alarm(**request, **extra)

    def read(self, call: Call) -> Properties | None:
        alarm = self.found(call)
        if alarm is None:
            return None
        suppressor = {k: alarm[k] for k in SUPPRESSOR_FIELDS if alarm.get(k) is not None}
        plain = {k: v for k, v in alarm.items() if k not in SUPPRESSOR_FIELDS}
        found = call.properties({**plain, "ActionsSuppressor": suppressor} if suppressor else plain)
        return {**found, "arn": alarm["AlarmArn"], "tagsAll": self.tags(call, alarm)}


class Dashboard(Resource):
    """Deleting one that is gone is an error, as in the real provider."""

    token = "aws:cloudwatch/dashboard:Dashboard"
    gone = frozenset({"ResourceNotFound", "DashboardNotFoundError"})

    def create(self, call: Call) -> None:
        self._put(call)
        call.id = str(call.inputs["dashboardName"])

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_dashboard(DashboardName=call.id)
        return {
            "dashboardArn": answer.get("DashboardArn")
            or call.arn("cloudwatch", f"dashboard/{call.id}", region=""),
            "dashboardBody": answer["DashboardBody"],
            "dashboardName": answer["DashboardName"],
        }

    def update(self, call: Call, changed: set[str]) -> None:
        self._put(call)

    def delete(self, call: Call) -> None:
        call.client().delete_dashboards(DashboardNames=[call.id])

    def keeps_delete_error(self, error: Exception) -> bool:
        return True

    @staticmethod
    def _put(call: Call) -> None:
        call.client().put_dashboard(
            DashboardName=call.inputs["dashboardName"], DashboardBody=call.inputs["dashboardBody"]
        )


def _query(fields: dict[str, Property], query: Properties) -> dict[str, Any]:
    """A metric query as AWS nests it: the metric's period, statistic and unit lie beside it."""
    request = to_api(fields, {k: v for k, v in query.items() if k != "metric"})
    metric = query.get("metric")
    if metric:
        flat = to_api(fields["metric"].fields, metric)
        own = {k: flat.pop(k) for k in ("Period", "Stat", "Unit") if k in flat}
        request["MetricStat"] = {"Metric": flat, **own}
    return request


def _read_query(fields: dict[str, Property], query: dict[str, Any]) -> Properties:
    found = from_api(fields, {k: v for k, v in query.items() if k != "MetricStat"})
    stat = query.get("MetricStat")
    if stat:
        flat = {**stat.get("Metric", {}), **{k: v for k, v in stat.items() if k != "Metric"}}
        found["metric"] = from_api(fields["metric"].fields, flat)
    found.setdefault("returnData", False)
    return found

"""What happened to alarms; kept for thirty days, also of alarms that are gone."""

from __future__ import annotations

import json
from typing import Any

from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.paging import page, when

Params = dict[str, Any]
KEPT_SECONDS = 30 * 24 * 3600
MAX_ITEMS = 10_000
MAX_SUMMARY, MAX_DATA = 255, 4_095
PAGE = 100


class History:
    """Oldest first; the caller holds the lock."""

    def __init__(self) -> None:
        self.items: list[tuple[str, Params]] = []

    def state_update(
        self, region: str, alarm: Alarm, old: tuple[str, str, str | None], now: float
    ) -> None:
        """The alarm has left ``old`` (state, reason, reason data)."""
        data: Params = {
            "version": "1.0",
            "oldState": _state(*old),
            "newState": _state(alarm.state, alarm.reason, alarm.reason_data),
        }
        for state in (data["oldState"], data["newState"]):
            if len(json.dumps(data)) > MAX_DATA:
                state.pop("stateReasonData", None)
        summary = f"Alarm updated from {old[0]} to {alarm.state}"
        self._add(region, alarm, "StateUpdate", summary, data, now)

    def configuration_update(self, region: str, alarm: Alarm, kind: str, now: float) -> None:
        """``kind`` is Create, Update or Delete."""
        verb = {"Create": "created", "Update": "updated", "Delete": "deleted"}[kind]
        data: Params = {"version": "1.0", "type": kind}
        if kind != "Delete":
            configured = {k: v for k, v in alarm.params.items() if k not in ("Metrics", "Tags")}
            data[f"{kind.lower()}dAlarm"] = {k[0].lower() + k[1:]: v for k, v in configured.items()}
        self._add(region, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', data, now)

    def action(self, region: str, alarm: Alarm, action: str, error: str | None, now: float) -> None:
        """An action was executed, or why not."""
        done = "Successfully executed" if error is None else "Failed to execute"
        data: Params = {"actionState": "Succeeded" if error is None else "Failed"}
        data |= {"stateUpdateTimestamp": int(now * 1000), "notificationResource": action}
        if error is not None:
            data["error"] = error
        self._add(region, alarm, "Action", f"{done} action {action}", data, now)

    def _add(
        self, region: str, alarm: Alarm, kind: str, summary: str, data: Params, now: float
    ) -> None:
        item: Params = {
            "AlarmName": alarm.name,
            "AlarmType": alarm.type,
            "Timestamp": when(now),
            "HistoryItemType": kind,
            "HistorySummary": summary[:MAX_SUMMARY],
            "HistoryData": json.dumps(data, default=str)[:MAX_DATA],
        }
        self.items.append((region, item))

    def prune(self, now: float) -> None:
        """Forget what is too old at ``now``, or too much."""
        oldest = when(now - KEPT_SECONDS)
        kept = [i for i in self.items if i[1]["Timestamp"] >= oldest]
        self.items = kept[-MAX_ITEMS:]

    def describe(self, params: Params, region: str) -> Params:
        types = params.get("AlarmTypes") or ["MetricAlarm", "CompositeAlarm"]
        found = [
            item
            for where, item in self.items
            if where == region
            and item["AlarmName"] == params.get("AlarmName", item["AlarmName"])
            and item["AlarmType"] in types
            and item["HistoryItemType"] == params.get("HistoryItemType", item["HistoryItemType"])
            and params.get("StartDate", item["Timestamp"]) <= item["Timestamp"]
            and params.get("EndDate", item["Timestamp"]) >= item["Timestamp"]
        ]
        if params.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        return page(found, params, "AlarmHistoryItems", int(params.get("MaxRecords", PAGE)))


def _state(value: str, reason: str, data: str | None) -> Params:
    state: Params = {"stateValue": value, "stateReason": reason}
    if data:
        try:
            state["stateReasonData"] = json.loads(data)
        except ValueError:
            state["stateReasonData"] = data
    return state

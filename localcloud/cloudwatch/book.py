"""The alarms that there are, what was asked of them, and what they fired; the caller locks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.cloudwatch import alarm_event, alarm_rules, composite
from localcloud.cloudwatch.alarms import ALARM, Alarm
from localcloud.cloudwatch.evaluation import Verdict
from localcloud.cloudwatch.history import History
from localcloud.cloudwatch.notice import message, subject
from localcloud.cloudwatch.paging import page, when
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]
PAGE = 50
METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
_ACTIONS = {"OK": "OKActions", "ALARM": "AlarmActions"}
# "Auto Scaling actions" are carried out once a minute as long as the alarm stays in the state that
# they are for (user guide, "Alarm actions"); their ARN is a scaling policy's.
REPEATED = ":autoscaling:"
_METRIC_FIELDS = ("Statistic", "ExtendedStatistic", "Period", "Unit")


@dataclass(frozen=True)
class Fired:
    """An action to carry out once nothing is locked."""

    region: str
    alarm: Alarm
    state: str
    action: str
    subject: str
    message: str
    at: float
    payload: str = ""
    is_repeated: bool = False


@dataclass(frozen=True)
class Changed:
    """A change of state to tell EventBridge once nothing is locked."""

    region: str
    entry: Params


class AlarmBook:
    """All alarms of all regions with their history."""

    def __init__(self) -> None:
        self.alarms: dict[tuple[str, str], Alarm] = {}
        self.history = History()
        self._fired: list[Fired] = []
        self._changed: list[Changed] = []

    # putting and deleting

    def put_metric_alarm(self, params: Params, context: RequestContext) -> Params:
        alarm_rules.check(params)
        return self._put(params, context, METRIC)

    def put_composite_alarm(self, params: Params, context: RequestContext) -> Params:
        alarm_rules.check_actions(params)
        names = composite.children(composite.parse(params["AlarmRule"]))
        missing = [n for n in names if (context.region, n) not in self.alarms]
        if missing or params["AlarmName"] in names:
            raise ServiceError(
                "ValidationError",
                f"The alarms named in AlarmRule must exist and be others: {', '.join(missing)}",
            )
        periods = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
        if "ActionsSuppressor" in params and any(p not in params for p in periods):
            raise ServiceError(
                "ValidationError", f"ActionsSuppressor needs {' and '.join(periods)}."
            )
        return self._put(params, context, COMPOSITE)

    def _put(self, params: Params, context: RequestContext, kind: str) -> Params:
        name, now = params["AlarmName"], context.now.timestamp()
        given = {k: v for k, v in params.items() if k != "Tags"}
        known = self.alarms.get((context.region, name))
        if known is not None and known.type != kind:
            raise ServiceError("ValidationError", f"The alarm {name} exists as a {known.type}.")
        if known is not None:
            # The state stays, and tags are only taken for a new alarm.
            known.params, known.configured = given, now
            self.history.configuration_update(context.region, known, "Update", now)
            return {}
        arn = f"arn:aws:cloudwatch:{context.region}:{context.account_id}:alarm:{name}"
        tags = {t["Key"]: t["Value"] for t in params.get("Tags") or []}
        alarm = Alarm(arn, given, now, kind, state_updated=now, tags=tags)
        self.alarms[context.region, name] = alarm
        self.history.configuration_update(context.region, alarm, "Create", now)
        return {}

    def delete(self, params: Params, context: RequestContext) -> Params:
        """Names that are unknown are told after the others are gone (botocore, DeleteAlarms)."""
        names = list(dict.fromkeys(params["AlarmNames"]))
        found = {n: self.alarms.get((context.region, n)) for n in names}
        composites = [n for n, a in found.items() if a is not None and a.type == COMPOSITE]
        if len(composites) > 1:
            raise ServiceError(
                "ValidationError", "One composite alarm at most can be deleted at once."
            )
        for name in names:
            self._refuse_if_needed(name, context.region, names)
        for name, alarm in found.items():
            if alarm is not None:
                del self.alarms[context.region, name]
                now = context.now.timestamp()
                self.history.configuration_update(context.region, alarm, "Delete", now)
        missing = [n for n, a in found.items() if a is None]
        if missing:
            raise ServiceError("ResourceNotFound", f"Alarms not found: {', '.join(missing)}", 404)
        return {}

    def _refuse_if_needed(self, name: str, region: str, going: list[str]) -> None:
        for alarm in self._of_region(region):
            if alarm.type == COMPOSITE and alarm.name not in going and name in _children(alarm):
                raise ServiceError(
                    "ResourceConflict",
                    f"Cannot delete {name} as there are composite alarms depending on it: "
                    f"{alarm.name}",
                    409,
                )

    # describing

    def describe(self, params: Params, context: RequestContext) -> Params:
        names = params.get("AlarmNames")
        if names and "AlarmNamePrefix" in params:
            raise ServiceError(
                "ValidationError", "AlarmNames and AlarmNamePrefix cannot be specified together."
            )
        types = params.get("AlarmTypes") or [METRIC]
        chosen = [
            alarm
            for alarm in self._related(params, context.region)
            if alarm.type in types
            and (not names or alarm.name in names)
            and alarm.name.startswith(params.get("AlarmNamePrefix", ""))
            and params.get("StateValue", alarm.state) == alarm.state
            and _has_action(alarm, params.get("ActionPrefix"))
        ]
        items: list[Params] = [{"alarm": a} for a in chosen]
        answer = page(items, params, "found", int(params.get("MaxRecords", PAGE)))
        found = [item["alarm"] for item in answer.pop("found")]
        for key, kind in (("MetricAlarms", METRIC), ("CompositeAlarms", COMPOSITE)):
            answer[key] = [described(a) for a in found if a.type == kind]
        return answer

    def _related(self, params: Params, region: str) -> list[Alarm]:
        found = self._of_region(region)
        if parent := params.get("ChildrenOfAlarmName"):
            wanted = _children(self.get(parent, region))
            return [a for a in found if a.name in wanted]
        if child := params.get("ParentsOfAlarmName"):
            return [a for a in found if a.type == COMPOSITE and child in _children(a)]
        return found

    def describe_for_metric(self, params: Params, context: RequestContext) -> Params:
        dimensions = _dimensions(params)
        found = [
            described(alarm)
            for alarm in self._of_region(context.region)
            if alarm.params.get("MetricName") == params["MetricName"]
            and alarm.params.get("Namespace") == params["Namespace"]
            and _dimensions(alarm.params) == dimensions
            and all(params.get(f) in (None, alarm.params.get(f)) for f in _METRIC_FIELDS)
        ]
        return {"MetricAlarms": found}

    def _of_region(self, region: str) -> list[Alarm]:
        return [a for (where, _), a in sorted(self.alarms.items()) if where == region]

    def get(self, name: str, region: str) -> Alarm:
        """Raises ``ResourceNotFound``."""
        alarm = self.alarms.get((region, name))
        if alarm is None:
            raise ServiceError("ResourceNotFound", f"Unknown alarm {name}", 404)
        return alarm

    def by_arn(self, arn: str) -> Alarm:
        """Raises ``ResourceNotFoundException``."""
        for alarm in self.alarms.values():
            if alarm.arn == arn:
                return alarm
        raise ServiceError("ResourceNotFoundException", f"Unknown resource {arn}", 404)

    # states

    def move(self, alarm: Alarm, region: str, verdict: Verdict, now: float) -> bool:
        """Take over a verdict; True when the state changed, and its actions are waiting."""
        alarm.evaluation_state = verdict.evaluation_state
        if verdict.state is None or verdict.state == alarm.state:
            return False
        old = (alarm.state, alarm.reason, alarm.reason_data)
        since = alarm.state_updated
        alarm.state, alarm.reason = verdict.state, verdict.reason
        alarm.reason_data, alarm.state_updated = verdict.reason_data, now
        self.history.state_update(region, alarm, old, now)
        data = alarm_event.alarm_data(alarm, (*old, since))
        self._changed.append(Changed(region, alarm_event.entry(alarm, data)))
        for action in self._actions(alarm, region):
            title, text = subject(alarm, region), message(alarm, old[0], region)
            payload = alarm_event.function_payload(alarm, data, region)
            self._fired.append(Fired(region, alarm, alarm.state, action, title, text, now, payload))
        return True

    def repeat(self, alarm: Alarm, region: str, now: float) -> None:
        """What is done anew each minute that the alarm stays as it is."""
        for action in self._actions(alarm, region):
            if REPEATED in action:
                self._fired.append(Fired(region, alarm, alarm.state, action, "", "", now, "", True))

    def _actions(self, alarm: Alarm, region: str) -> list[str]:
        """Of the state that the alarm is in."""
        if not alarm.actions_enabled or self._is_suppressed(alarm, region):
            return []
        return list(alarm.params.get(_ACTIONS.get(alarm.state, "InsufficientDataActions"), []))

    def _is_suppressed(self, alarm: Alarm, region: str) -> bool:
        """While the suppressor is in ALARM; its wait and extension periods are not simulated."""
        name = str(alarm.params.get("ActionsSuppressor", "")).rpartition(":alarm:")[2]
        suppressor = self.alarms.get((region, name))
        return suppressor is not None and suppressor.state == ALARM

    def take_fired(self) -> list[Fired]:
        fired, self._fired = self._fired, []
        return fired

    def take_changed(self) -> list[Changed]:
        changed, self._changed = self._changed, []
        return changed

    # state on disk

    def plain(self) -> Any:
        """Not copied, for it is written down at every change: pickle it before anything changes."""
        found = [(region, vars(alarm)) for (region, _), alarm in self.alarms.items()]
        return found, self.history.items

    def fill(self, plain: Any) -> None:
        found, items = plain
        self.alarms = {(region, a["params"]["AlarmName"]): Alarm(**a) for region, a in found}
        self.history.items = items
        self._fired = []

    def clear(self) -> None:
        self.fill(([], []))
        self._fired, self._changed = [], []


def described(alarm: Alarm) -> Params:
    """The alarm as DescribeAlarms tells it."""
    found: Params = {
        "ActionsEnabled": True,
        **{key: [] for key in alarm_rules.ACTION_KEYS},
        **({"Dimensions": []} if alarm.type == METRIC else {}),
        **alarm.params,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": when(alarm.configured),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": when(alarm.state_updated),
        "StateTransitionedTimestamp": when(alarm.state_updated),
    }
    if alarm.reason_data:
        found["StateReasonData"] = alarm.reason_data
    if alarm.evaluation_state:
        found["EvaluationState"] = alarm.evaluation_state
    return found


def _children(alarm: Alarm) -> list[str]:
    return (
        composite.children(composite.parse(alarm.params["AlarmRule"]))
        if (alarm.type == COMPOSITE)
        else []
    )


def _has_action(alarm: Alarm, prefix: str | None) -> bool:
    if prefix is None:
        return True
    actions = [a for key in alarm_rules.ACTION_KEYS for a in alarm.params.get(key) or []]
    return any(a.startswith(prefix) for a in actions)


def _dimensions(params: Params) -> set[tuple[str, str]]:
    return {(d["Name"], d["Value"]) for d in params.get("Dimensions") or []}

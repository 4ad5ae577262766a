"""Scheduled actions: new bounds for a target at a moment of the simulated clock."""

from __future__ import annotations

from typing import Any

from localcloud.autoscaling import rules, schedules
from localcloud.autoscaling.pages import page
from localcloud.autoscaling.records import DIMENSION, NAMESPACE, Scheduled, State
from localcloud.autoscaling.scaler import Scaler
from localcloud.cloudwatch.paging import when
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]


class ScheduledActions:
    """The caller takes care that one changes at a time."""

    def __init__(self, state: State, scaler: Scaler) -> None:
        self._state = state
        self._scaler = scaler

    def put(self, params: Params, context: RequestContext) -> Params:
        """Also changes one: start and end are taken anew, the rest stays where it is left out."""
        rules.check_resource(params)
        resource_id, name = params["ResourceId"], params["ScheduledActionName"]
        with self._state.lock:
            if (context.region, resource_id) not in self._state.targets:
                raise rules.not_found(
                    f"No scalable target registered for {rules.where(resource_id)}"
                )
            known = self._state.scheduled.get((context.region, resource_id, name))
        now = context.now.timestamp()
        one = _wanted(params, context, known)
        one.next_run = _next(one, now)
        with self._state.lock:
            self._state.scheduled[(*one.key, name)] = one
        return {}

    def describe(self, params: Params, context: RequestContext) -> Params:
        rules.check_filter(params)
        names, resource_id = params.get("ScheduledActionNames"), params.get("ResourceId")
        with self._state.lock:
            found = [
                _described(one)
                for one in self._state.scheduled.values()
                if one.region == context.region
                and params["ServiceNamespace"] == NAMESPACE
                and params.get("ScalableDimension", DIMENSION) == DIMENSION
                and resource_id in (None, one.resource_id)
                and (not names or one.name in names)
            ]
        return page(found, params, "ScheduledActions")

    def delete(self, params: Params, context: RequestContext) -> Params:
        resource_id, name = params["ResourceId"], params["ScheduledActionName"]
        with self._state.lock:
            key = (context.region, resource_id, name)
            if key not in self._state.scheduled or params["ScalableDimension"] != DIMENSION:
                raise rules.not_found(
                    f"No scheduled action found for {rules.where(resource_id)}, "
                    f"scheduled action name: {name}"
                )
            del self._state.scheduled[key]
        return {}

    def next_run(self) -> float | None:
        """When one runs next (epoch seconds)."""
        with self._state.lock:
            times = [s.next_run for s in self._state.scheduled.values() if s.next_run is not None]
        return min(times, default=None)

    def run_due(self, now: float) -> bool:
        """Carry out what is due, once even where several times were missed; True for any."""
        with self._state.lock:
            due = [
                s
                for s in self._state.scheduled.values()
                if s.next_run is not None and s.next_run <= now
            ]
            for one in due:
                one.next_run = _next(one, now)
        for one in due:
            self._run(one)
        return bool(due)

    def _run(self, one: Scheduled) -> None:
        cause = f"scheduled action {one.name} was triggered"
        with self._state.lock:
            target = self._state.targets.get(one.key)
            if target is None or target.suspended.get("ScheduledScalingSuspended", False):
                return
            minimum = one.action.get("MinCapacity", target.minimum)
            maximum = one.action.get("MaxCapacity", target.maximum)
            refusal: ServiceError | None = None
            try:
                target.minimum, target.maximum = rules.check_bounds(minimum, maximum)
            except ServiceError as error:
                refusal = error
        if refusal is not None:
            self._scaler.refuse(target, cause, refusal.message)
        else:
            self._scaler.keep_within(target)


def _wanted(params: Params, context: RequestContext, known: Scheduled | None) -> Scheduled:
    schedule = params.get("Schedule", None if known is None else known.schedule)
    if schedule is None:
        raise rules.refuse("A schedule is required for a new scheduled action.")
    action = params.get("ScalableTargetAction", {} if known is None else known.action)
    if not action:
        # AWS's own text.
        raise rules.refuse(
            "At least one of minimum capacity and maximum capacity should be provided"
        )
    low, high = action.get("MinCapacity"), action.get("MaxCapacity")
    rules.check_bounds(low if low is not None else high, high if high is not None else low)
    start, end = params.get("StartTime"), params.get("EndTime")
    if start is not None and end is not None and end <= start:
        raise rules.refuse("The end time must be later than the start time.")
    name, resource_id = params["ScheduledActionName"], params["ResourceId"]
    arn = (
        f"arn:aws:autoscaling:{context.region}:{context.account_id}:scheduledAction:{NAMESPACE}/"
        f"{resource_id}:scheduledActionName/{name}"
    )
    return Scheduled(
        region=context.region,
        resource_id=resource_id,
        name=name,
        arn=arn,
        created=context.now.timestamp() if known is None else known.created,
        schedule=schedule,
        timezone=params.get("Timezone", None if known is None else known.timezone),
        action=dict(action),
        start=None if start is None else start.timestamp(),
        end=None if end is None else end.timestamp(),
        next_run=None,
    )


def _next(one: Scheduled, now: float) -> float | None:
    """Between start and end only; a rate without a start counts from the action's creation."""
    start = one.created if one.start is None else one.start
    found = schedules.next_run(one.schedule, one.timezone, now, start)
    if found is not None and one.end is not None and found > one.end:
        return None
    return found


def _described(one: Scheduled) -> Params:
    found: Params = {
        "ScheduledActionName": one.name,
        "ScheduledActionARN": one.arn,
        "ServiceNamespace": NAMESPACE,
        "Schedule": one.schedule,
        "ResourceId": one.resource_id,
        "ScalableDimension": DIMENSION,
        "ScalableTargetAction": dict(one.action),
        "CreationTime": when(one.created),
    }
    if one.timezone is not None:
        found["Timezone"] = one.timezone
    for key, value in (("StartTime", one.start), ("EndTime", one.end)):
        if value is not None:
            found[key] = when(value)
    return found

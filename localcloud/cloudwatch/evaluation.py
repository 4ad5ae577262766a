"""Every alarm's state from what the store holds, and when to look again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.cloudwatch import alarms, composite, reasons
from localcloud.cloudwatch.alarm_rules import queries_of
from localcloud.cloudwatch.alarms import ALARM, INSUFFICIENT_DATA, OK, Alarm, Point
from localcloud.cloudwatch.queries import Queries
from localcloud.cloudwatch.store import MetricStore
from localcloud.service import ServiceError

log = logging.getLogger(__name__)
MINUTE = 60
# Alarms with a shorter period than a minute are evaluated as often (fact sheet 5).
TICK = 10
# An error is stamped when its request ends: a period is looked at a little after it is over.
LAG_SECONDS = 3.0


@dataclass(frozen=True)
class Verdict:
    """``state`` is None when the alarm stays as it is."""

    state: str | None
    reason: str = ""
    reason_data: str | None = None
    evaluation_state: str | None = None


def next_tick(before: float, has_fine_alarms: bool) -> float:
    """When to evaluate next (epoch seconds), after an evaluation of the time up to ``before``."""
    step = TICK if has_fine_alarms else MINUTE
    return before // step * step + step + LAG_SECONDS


def is_due(alarm: Alarm, before: float, now: float) -> bool:
    """Whether a tick of the alarm's own rhythm lies in ``(before, now]``."""
    step = TICK if alarm.period < MINUTE else MINUTE
    return now // step > before // step


def is_new_minute(before: float, now: float) -> bool:
    """Whether a minute ended in ``(before, now]``."""
    return now // MINUTE > before // MINUTE


def judge(store: MetricStore, alarm: Alarm, region: str, now: float) -> Verdict:
    """A metric alarm's state by the whole periods before ``now``; never raises."""
    try:
        return _judge(store, alarm, region, now)
    except ServiceError as error:
        # What AWS does with a query that cannot be computed.
        return Verdict(INSUFFICIENT_DATA, error.message, None, "EVALUATION_ERROR")
    except Exception as error:
        log.exception("the alarm %s could not be evaluated", alarm.name)
        reason = f"{type(error).__name__}: {error}"
        return Verdict(None, reason, None, "EVALUATION_FAILURE")


def _judge(store: MetricStore, alarm: Alarm, region: str, now: float) -> Verdict:
    params, period = alarm.params, alarm.period
    end = int(now) // period * period
    start = end - period * (alarm.periods + alarms.EXTRA_PERIODS)
    queries = Queries(store, queries_of(params), region, start, end)
    returning = next(i for i, q in queries.by_id.items() if q["ReturnData"])
    series = queries.series(returning)
    found = series[0].points if series else {}
    counts = _sample_counts(queries, returning)
    times = range(start, end, period)
    if alarms.low_samples(params, sum(counts.get(t, 0.0) for t in times[-alarm.periods :])):
        return Verdict(None)
    points = [Point(t, found[t], counts.get(t)) if t in found else None for t in times]
    outcome = alarms.evaluate(params, points)
    if outcome.state is None:
        return Verdict(None)
    return Verdict(
        outcome.state,
        reasons.reason(params, outcome.state, outcome),
        reasons.reason_data(params, period, outcome, now),
    )


def _sample_counts(queries: Queries, query_id: str) -> dict[int, float]:
    stat = queries.by_id[query_id].get("MetricStat")
    return {} if stat is None else {t: s.count for t, s in queries.samples(stat).items()}


def judge_composite(alarm: Alarm, states: dict[str, str]) -> Verdict:
    """A composite alarm's state by those of the region's other alarms; never raises."""
    try:
        rule = composite.parse(alarm.params["AlarmRule"])
    except ServiceError as error:
        return Verdict(INSUFFICIENT_DATA, error.message)
    state = ALARM if composite.holds(rule, lambda n: states.get(n, INSUFFICIENT_DATA)) else OK
    shown = ", ".join(
        f"{name} is {states.get(name, INSUFFICIENT_DATA)}" for name in composite.children(rule)
    )
    change = "in" if state == ALARM else "not in"
    text = f"{alarm.name} is {change} ALARM by its rule: {shown or alarm.params['AlarmRule']}"
    return Verdict(state, text[: reasons.MAX_REASON])


def has_fine_alarms(found: Iterable[Alarm]) -> bool:
    return any(a.type == "MetricAlarm" and a.period < MINUTE for a in found)

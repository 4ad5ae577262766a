"""What the policies of a target want, by their alarms. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from localcloud.autoscaling import decisions
from localcloud.autoscaling.decisions import Proposal, Situation
from localcloud.autoscaling.measures import Alarm
from localcloud.autoscaling.records import TRACKING, Policy
from localcloud.autoscaling.tracking import is_low

# Facts 6; botocore says the same of a step policy's.
DEFAULT_COOLDOWN = 300
_AGGREGATES = {"Average": statistics.fmean, "Minimum": min, "Maximum": max}


def proposals(
    situation: Situation, policies: Iterable[tuple[Policy, Sequence[Alarm]]]
) -> list[Proposal]:
    """One for each alarm in ALARM, but for those that have to wait for others.

    Target tracking scales in only when every one of its policies is ready to (user guide).
    """
    found: list[Proposal] = []
    tracked_in: list[Proposal] = []
    is_ready = True
    for policy, alarms in policies:
        active = [a for a in alarms if a.is_in_alarm]
        if policy.type != TRACKING:
            found += [p for a in active if (p := _step(situation, policy, a)) is not None]
            continue
        found += [_track_out(situation, policy, a) for a in active if not is_low(a.name)]
        if policy.config.get("DisableScaleIn", False):
            continue
        low = [a for a in active if is_low(a.name)]
        is_ready = is_ready and bool(low)
        tracked_in += [_track_in(situation, policy, a) for a in low]
    return found + tracked_in if is_ready else found


def _track_out(situation: Situation, policy: Policy, alarm: Alarm) -> Proposal:
    desired = situation.current
    if alarm.points:
        cooldown = float(policy.config.get("ScaleOutCooldown", DEFAULT_COOLDOWN))
        base = decisions.out_base(situation, cooldown, alarm.points[-1].at)
        target = float(policy.config["TargetValue"])
        desired = max(desired, decisions.tracked_out(base, alarm.points, target))
    return Proposal(policy.name, alarm.name, desired, 0.0)


def _track_in(situation: Situation, policy: Policy, alarm: Alarm) -> Proposal:
    """By points since the last scale-in: before it, more instances shared the load."""
    desired = situation.current
    points = [p for p in alarm.points if situation.last_in is None or p.at >= situation.last_in]
    if points:
        target = float(policy.config["TargetValue"])
        desired = min(desired, decisions.tracked_in(desired, points, target))
    cooldown = float(policy.config.get("ScaleInCooldown", DEFAULT_COOLDOWN))
    return Proposal(policy.name, alarm.name, desired, cooldown)


def _step(situation: Situation, policy: Policy, alarm: Alarm) -> Proposal | None:
    """An alarm without a point (SetAlarmState, missing data that breach) is at its threshold."""
    cooldown = float(policy.config.get("Cooldown", DEFAULT_COOLDOWN))
    difference, newest = 0.0, situation.now
    if alarm.points:
        aggregate = _AGGREGATES[policy.config.get("MetricAggregationType", "Average")]
        difference = aggregate([p.value for p in alarm.points]) - alarm.threshold
        newest = alarm.points[-1].at
    desired = decisions.stepped(policy.config, situation.current, difference)
    if desired is None:
        return None
    if desired > situation.current:
        base = decisions.out_base(situation, cooldown, newest)
        counted = decisions.stepped(policy.config, base, difference)
        desired = max(situation.current, counted or 0)
    return Proposal(policy.name, alarm.name, desired, cooldown)

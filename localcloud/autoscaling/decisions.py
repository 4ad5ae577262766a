"""How many instances there are to be. Pure.

Sources: the Application Auto Scaling user guide ("Target tracking scaling policies", "Step scaling
policies") and botocore's text of PutScalingPolicy. How exactly target tracking computes its
capacity is not published; that it is proportional, and scales in with care, is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.autoscaling.records import Change

Params = dict[str, Any]
AT_MAXIMUM, AT_MINIMUM = "AlreadyAtMaxCapacity", "AlreadyAtMinCapacity"
AT_DESIRED = "AlreadyAtDesiredCapacity"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Point:
    """A period's start (epoch seconds) and the metric's value."""

    at: float
    value: float


@dataclass(frozen=True)
class Situation:
    """Where a variant stands when an alarm comes in."""

    current: int
    minimum: int
    maximum: int
    now: float
    is_out_suspended: bool = False
    is_in_suspended: bool = False
    last_out: Change | None = None
    last_in: float | None = None

    def within(self, count: int) -> int:
        return min(self.maximum, max(self.minimum, count))


@dataclass(frozen=True)
class Proposal:
    """What one policy wants because of one of its alarms; its cooldown is for scaling in."""

    policy: str
    alarm: str
    desired: int
    in_cooldown: float


@dataclass(frozen=True)
class Scale:
    desired: int
    proposal: Proposal


@dataclass(frozen=True)
class Hold:
    """Nothing changes; ``code`` is AWS's where it has one."""

    code: str | None
    proposal: Proposal


def out_base(situation: Situation, cooldown: float, newest: float) -> int:
    """The capacity that a scale-out is counted from.

    While an earlier scale-out cools down, what it added is part of what the next one adds; so is it
    while the metric's newest point is older than the earlier one's end.
    """
    last = situation.last_out
    if last is None or last.after != situation.current:
        return situation.current
    is_cooling = situation.now < last.ended + cooldown or newest < last.ended
    return last.before if is_cooling else situation.current


def tracked_out(base: int, points: Sequence[Point], target: float) -> int:
    """In proportion to the newest value."""
    return math.ceil(base * points[-1].value / target - _ROUNDING)


def tracked_in(current: int, points: Sequence[Point], target: float) -> int:
    """The fewest that would have kept every point under the target."""
    return math.ceil(current * max(p.value for p in points) / target - _ROUNDING)


def stepped(config: Params, base: int, difference: float) -> int | None:
    """Capacity by the step that ``difference`` (metric - threshold) falls in; None without one."""
    for step in config["StepAdjustments"]:
        if _is_in(step, difference):
            return max(0, _adjusted(config, base, int(step["ScalingAdjustment"])))
    return None


def _is_in(step: Params, difference: float) -> bool:
    """Above the threshold the lower bound belongs to the step, below it the upper one."""
    low = float(step.get("MetricIntervalLowerBound", -math.inf))
    high = float(step.get("MetricIntervalUpperBound", math.inf))
    if difference >= 0:
        return low <= difference < high
    return low < difference <= high


def _adjusted(config: Params, base: int, adjustment: int) -> int:
    match config["AdjustmentType"]:
        case "ExactCapacity":
            return adjustment
        case "ChangeInCapacity":
            return base + adjustment
        case "PercentChangeInCapacity":
            # Rounded towards zero, but never to it (user guide, "Scaling adjustment types").
            change = base * adjustment / 100
            size = max(int(abs(change)), 1 if change else 0)
            size = max(size, int(config.get("MinAdjustmentMagnitude", 0)) if adjustment else 0)
            return base + int(math.copysign(size, adjustment))
        case other:
            raise ValueError(f"the adjustment type {other!r} is not known")


def decide(situation: Situation, proposals: Sequence[Proposal]) -> Scale | Hold | None:
    """The largest capacity wins; None where nobody proposes anything."""
    if not proposals:
        return None
    largest = max(proposals, key=lambda p: p.desired)
    current = situation.current
    if largest.desired > current:
        return _out(situation, largest)
    desired = situation.within(largest.desired)
    if desired >= current:
        code = AT_MINIMUM if largest.desired < current else AT_DESIRED
        return _unless_outside(situation, Hold(code, largest))
    is_cooling = (
        situation.last_in is not None and situation.now < situation.last_in + largest.in_cooldown
    )
    if situation.is_in_suspended or is_cooling:
        return Hold(None, largest)
    return Scale(desired, largest)


def _out(situation: Situation, largest: Proposal) -> Scale | Hold:
    desired = situation.within(largest.desired)
    if desired <= situation.current:
        return Hold(AT_MAXIMUM, largest)
    if situation.is_out_suspended:
        return Hold(None, largest)
    return Scale(desired, largest)


def _unless_outside(situation: Situation, hold: Hold) -> Scale | Hold:
    """Whatever a policy wants, fewer than the minimum are too few."""
    if situation.current < situation.minimum and not situation.is_out_suspended:
        return Scale(situation.minimum, hold.proposal)
    return hold

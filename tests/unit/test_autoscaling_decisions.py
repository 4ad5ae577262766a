"""How many instances there are to be: proportions, steps, cooldowns, bounds, suspensions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.autoscaling import decisions
from localcloud.autoscaling.decisions import Hold, Point, Proposal, Scale, Situation, decide
from localcloud.autoscaling.measures import Alarm
from localcloud.autoscaling.proposals import proposals
from localcloud.autoscaling.records import STEP, TRACKING, Change, Policy

NOW = 1_790_000_000.0
counts = st.integers(1, 50)
values = st.lists(st.floats(0, 1e6), min_size=1, max_size=15)


def situation(current: int = 2, **more: Any) -> Situation:
    return Situation(**{"current": current, "minimum": 1, "maximum": 10, "now": NOW, **more})


def proposal(desired: int, policy: str = "p", cooldown: float = 300.0) -> Proposal:
    return Proposal(policy, "alarm", desired, cooldown)


def points(*found: float) -> tuple[Point, ...]:
    return tuple(Point(NOW - 60 * (len(found) - i), v) for i, v in enumerate(found))


def policy(kind: str = TRACKING, name: str = "p", **config: Any) -> Policy:
    wanted = {"TargetValue": 100.0, **config} if kind == TRACKING else config
    return Policy("us-east-1", "endpoint/e/variant/live", name, kind, f"arn:{name}", NOW, wanted)


def high(*found: float, name: str = "x-AlarmHigh-1") -> Alarm:
    return Alarm(name, True, 100.0, points(*found))


def low(*found: float, is_in_alarm: bool = True) -> Alarm:
    return Alarm("x-AlarmLow-1", is_in_alarm, 90.0, points(*found))


# in proportion


@pytest.mark.parametrize(
    ("base", "value", "expected"), [(2, 150.0, 3), (2, 101.0, 3), (10, 101.0, 11), (3, 300.0, 9)]
)
def test_out_goes_by_the_newest_value(base: int, value: float, expected: int) -> None:
    assert decisions.tracked_out(base, points(500.0, value), 100.0) == expected


def test_in_goes_by_the_highest_value() -> None:
    assert decisions.tracked_in(10, points(10.0, 45.0, 20.0), 100.0) == 5
    assert decisions.tracked_in(10, points(0.0), 100.0) == 0


@given(counts, values, st.floats(1.0, 1e5))
def test_what_remains_would_have_kept_every_point_within_the_target(
    current: int, found: list[float], target: float
) -> None:
    left = decisions.tracked_in(current, points(*found), target)
    for value in found:
        assert value * current <= target * left * (1 + 1e-6) + 1e-6 * target


# the one decision


def test_the_largest_capacity_wins() -> None:
    found = decide(situation(4), [proposal(2, "in"), proposal(6, "out"), proposal(5, "less")])
    assert found == Scale(6, proposal(6, "out"))
    found = decide(situation(8), [proposal(2, "a"), proposal(5, "b")])
    assert found == Scale(5, proposal(5, "b"))


def test_bounds_hold() -> None:
    assert decide(situation(4, maximum=5), [proposal(9)]) == Scale(5, proposal(9))
    assert decide(situation(4, minimum=3), [proposal(1)]) == Scale(3, proposal(1))
    assert decide(situation(5, maximum=5), [proposal(9)]) == Hold(
        "AlreadyAtMaxCapacity", proposal(9)
    )
    assert decide(situation(1), [proposal(0)]) == Hold("AlreadyAtMinCapacity", proposal(0))
    assert decide(situation(3), [proposal(3)]) == Hold("AlreadyAtDesiredCapacity", proposal(3))
    assert decide(situation(3), []) is None


def test_a_count_below_the_minimum_is_raised_whatever_is_wanted() -> None:
    assert decide(situation(1, minimum=3), [proposal(1)]) == Scale(3, proposal(1))


def test_suspensions_hold_one_direction_each() -> None:
    no_in, no_out = situation(4, is_in_suspended=True), situation(4, is_out_suspended=True)
    assert decide(no_in, [proposal(2)]) == Hold(None, proposal(2))
    assert decide(no_in, [proposal(6)]) == Scale(6, proposal(6))
    assert decide(no_out, [proposal(6)]) == Hold(None, proposal(6))
    assert decide(no_out, [proposal(2)]) == Scale(2, proposal(2))


def test_scaling_in_cools_down_and_scaling_out_does_not_wait_for_it() -> None:
    cooling = situation(4, last_in=NOW - 299)
    assert decide(cooling, [proposal(2)]) == Hold(None, proposal(2))
    assert decide(cooling, [proposal(6)]) == Scale(6, proposal(6))
    assert decide(situation(4, last_in=NOW - 300), [proposal(2)]) == Scale(2, proposal(2))


@given(counts, counts, counts, st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_what_is_decided_lies_within_the_bounds(
    current: int, minimum: int, extra: int, wanted: list[int]
) -> None:
    stands = situation(current, minimum=minimum, maximum=minimum + extra)
    found = decide(stands, [proposal(w) for w in wanted])
    if isinstance(found, Scale):
        assert minimum <= found.desired <= minimum + extra
        assert found.desired != current


# what earlier scaling out means


def test_while_it_cools_down_a_scale_out_counts_from_where_it_began() -> None:
    last = Change(2, 4, NOW - 100)
    cooling = situation(4, last_out=last)
    assert decisions.out_base(cooling, 300, NOW - 60) == 2
    assert decisions.out_base(cooling, 60, NOW - 60) == 4
    assert decisions.out_base(cooling, 0, NOW - 120) == 2, "the point is older than the change"
    assert decisions.out_base(situation(5, last_out=last), 300, NOW - 60) == 5, "changed by hand"
    assert decisions.out_base(situation(4), 300, NOW - 60) == 4


def test_during_the_cooldown_it_goes_on_only_when_more_is_needed() -> None:
    cooling = situation(4, last_out=Change(2, 4, NOW - 100))
    (same,) = proposals(cooling, [(policy(), [high(150.0)])])
    assert same.desired == 4
    (more,) = proposals(cooling, [(policy(), [high(290.0)])])
    assert more.desired == 6


# what policies propose


def test_tracking_scales_in_only_when_every_policy_is_ready() -> None:
    ready, busy = policy(name="a"), policy(name="b")
    stands = situation(4)
    found = proposals(stands, [(ready, [low(20.0)]), (busy, [low(95.0, is_in_alarm=False)])])
    assert found == []
    never = policy(name="b", DisableScaleIn=True)
    (found_one,) = proposals(stands, [(ready, [low(20.0)]), (never, [low(5.0)])])
    assert (found_one.policy, found_one.desired) == ("a", 1)


def test_scaling_in_again_looks_only_at_points_of_the_smaller_fleet() -> None:
    alarm = low(10.0, 10.0, 60.0)
    stands = situation(4, last_in=NOW - 90)
    (found,) = proposals(stands, [(policy(ScaleInCooldown=0), [alarm])])
    assert found.desired == 3
    (found,) = proposals(situation(4, last_in=NOW - 30), [(policy(), [alarm])])
    assert found.desired == 4, "nothing was measured since"


def test_a_policy_that_may_not_scale_in_still_scales_out() -> None:
    never = policy(DisableScaleIn=True)
    assert [p.desired for p in proposals(situation(2), [(never, [high(200.0)])])] == [4]


def test_an_alarm_without_points_proposes_what_there_is() -> None:
    assert [p.desired for p in proposals(situation(2), [(policy(), [high()])])] == [2]
    assert [p.desired for p in proposals(situation(2), [(policy(), [low()])])] == [2]


def test_default_cooldowns_are_five_minutes() -> None:
    (found,) = proposals(situation(4), [(policy(), [low(20.0)])])
    assert found.in_cooldown == 300
    (found,) = proposals(situation(4), [(policy(ScaleInCooldown=0), [low(20.0)])])
    assert found.in_cooldown == 0, "an explicit 0 is a value"


STEPS = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -2},
        {
            "MetricIntervalLowerBound": -10.0,
            "MetricIntervalUpperBound": 0.0,
            "ScalingAdjustment": -1,
        },
        {
            "MetricIntervalLowerBound": 0.0,
            "MetricIntervalUpperBound": 10.0,
            "ScalingAdjustment": 1,
        },
        {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3},
    ],
}


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.0, 6), (9.9, 6), (10.0, 8), (-0.1, 4), (-10.0, 3), (-9.9, 4), (-100.0, 3)],
)
def test_bounds_of_steps_belong_to_the_side_of_the_threshold(
    difference: float, expected: int
) -> None:
    assert decisions.stepped(STEPS, 5, difference) == expected


@pytest.mark.parametrize(
    ("current", "percent", "magnitude", "expected"),
    [(10, 25, 0, 12), (3, 10, 0, 4), (4, 25, 2, 6), (10, -15, 0, 9), (3, -10, 0, 2), (4, 0, 2, 4)],
)
def test_percentages_are_rounded_towards_zero_but_not_to_it(
    current: int, percent: int, magnitude: int, expected: int
) -> None:
    config: dict[str, Any] = {
        "AdjustmentType": "PercentChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": percent}],
    }
    if magnitude:
        config["MinAdjustmentMagnitude"] = magnitude
    assert decisions.stepped(config, current, 1.0) == expected
    assert decisions.stepped(config, current, -1.0) is None, "no step is for it"


def test_a_step_policy_aggregates_the_points_and_counts_from_its_cooldown_on() -> None:
    steps = policy(STEP, MetricAggregationType="Maximum", **STEPS)
    (found,) = proposals(situation(4), [(steps, [high(95.0, 112.0)])])
    assert found.desired == 7
    cooling = situation(5, last_out=Change(4, 5, NOW - 10))
    (found,) = proposals(cooling, [(steps, [high(105.0)])])
    assert found.desired == 5
    (found,) = proposals(cooling, [(steps, [high(150.0)])])
    assert found.desired == 7

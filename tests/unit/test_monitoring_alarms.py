"""Alarm specifications: what people are told of, and what ends a release."""

from __future__ import annotations

import pytest

from contracts.release_manifest import AlarmSpec
from monitoring.alarms import AlarmLimits, StandingAlarm, rollback_alarms, standing_alarms

LIMITS = AlarmLimits(error_fraction=0.02, p95_latency_us=80_000)


def test_standing_alarms_watch_errors_and_p95_latency_of_live_over_all_configurations() -> None:
    dimensions = {"EndpointName": "wine-prod", "VariantName": "live"}

    assert standing_alarms("wine-prod", LIMITS) == (
        StandingAlarm(
            suffix="errors",
            description="More than 2% of wine-prod's requests fail.",
            metric_name="InvocationModelErrors",
            statistic="Average",
            extended_statistic=None,
            threshold=0.02,
            dimensions=dimensions,
            period_seconds=60,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            namespace="AWS/SageMaker",
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
        ),
        StandingAlarm(
            suffix="latency",
            description="p95 of wine-prod's model is above 80 ms.",
            metric_name="ModelLatency",
            statistic=None,
            extended_statistic="p95",
            threshold=80_000,
            dimensions=dimensions,
            period_seconds=60,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            namespace="AWS/SageMaker",
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
        ),
    )


def test_rollback_alarms_have_the_same_limits_and_react_within_two_bad_minutes() -> None:
    assert rollback_alarms(LIMITS) == (
        AlarmSpec("errors", "InvocationModelErrors", "Average", 0.02, 60, 3, 2),
        AlarmSpec("latency", "ModelLatency", "p95", 80_000, 60, 3, 2),
    )


def test_a_variant_of_another_name_can_be_watched() -> None:
    for alarm in standing_alarms("wine-prod", LIMITS, variant="candidate"):
        assert alarm.dimensions == {"EndpointName": "wine-prod", "VariantName": "candidate"}


def test_an_explicit_zero_stays_zero() -> None:
    """A limit of no errors at all is a value, not a missing one."""
    limits = AlarmLimits(error_fraction=0.0)

    assert standing_alarms("wine-prod", limits)[0].threshold == 0
    assert rollback_alarms(limits)[0].threshold == 0


@pytest.mark.parametrize("alarm", standing_alarms("wine-prod", AlarmLimits()))
def test_exactly_one_kind_of_statistic_is_set(alarm: StandingAlarm) -> None:
    """CloudWatch refuses both and neither."""
    assert (alarm.statistic is None) != (alarm.extended_statistic is None)


def test_no_more_datapoints_are_asked_for_than_periods() -> None:
    for alarm in (*standing_alarms("wine-prod", LIMITS), *rollback_alarms(LIMITS)):
        assert 1 <= alarm.datapoints_to_alarm <= alarm.evaluation_periods

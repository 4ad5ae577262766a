"""Alarms of an endpoint as pure specifications: standing ones, and those of a release.

``InvocationModelErrors`` is 0 or 1 for each request, so its average is the share of failed
requests; ``ModelLatency`` is in microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.release_manifest import LIVE_VARIANT, AlarmSpec

NAMESPACE = "AWS/SageMaker"
GREATER = "GreaterThanThreshold"
# An endpoint that nobody calls publishes nothing and is not at fault.
NOT_BREACHING = "notBreaching"
PERIOD_SECONDS = 60


@dataclass(frozen=True)
class AlarmLimits:
    """Where an endpoint starts to be unhealthy: share of failed requests, p95 latency in µs."""

    error_fraction: float = 0.05
    p95_latency_us: float = 500_000.0


@dataclass(frozen=True)
class StandingAlarm:
    """A CloudWatch alarm on one variant of an endpoint, over all of its configurations.

    Exactly one of ``statistic`` and ``extended_statistic`` is set, as CloudWatch wants it.
    """

    suffix: str
    description: str
    metric_name: str
    statistic: str | None
    extended_statistic: str | None
    threshold: float
    dimensions: dict[str, str]
    period_seconds: int = PERIOD_SECONDS
    evaluation_periods: int = 5
    datapoints_to_alarm: int = 3
    namespace: str = NAMESPACE
    comparison_operator: str = GREATER
    treat_missing_data: str = NOT_BREACHING


def standing_alarms(
    endpoint_name: str, limits: AlarmLimits, variant: str = LIVE_VARIANT
) -> tuple[StandingAlarm, ...]:
    """Errors and p95 latency of what serves; their names outlive every release."""
    dimensions = {"EndpointName": endpoint_name, "VariantName": variant}
    limit = f"{100 * limits.error_fraction:.3g}%"
    errors = StandingAlarm(
        suffix="errors",
        description=f"More than {limit} of {endpoint_name}'s requests fail.",
        metric_name="InvocationModelErrors",
        statistic="Average",
        extended_statistic=None,
        threshold=limits.error_fraction,
        dimensions=dimensions,
    )
    latency = StandingAlarm(
        suffix="latency",
        description=f"p95 of {endpoint_name}'s model is above {limits.p95_latency_us / 1000:g} ms.",
        metric_name="ModelLatency",
        statistic=None,
        extended_statistic="p95",
        threshold=limits.p95_latency_us,
        dimensions=dimensions,
    )
    return (errors, latency)


def rollback_alarms(limits: AlarmLimits) -> tuple[AlarmSpec, ...]:
    """What ends a release at once; the controller makes them for the candidate's configuration.

    They react faster than the standing ones: two bad minutes of three.
    """
    return (
        AlarmSpec(
            suffix="errors",
            metric_name="InvocationModelErrors",
            statistic="Average",
            threshold=limits.error_fraction,
            period_seconds=PERIOD_SECONDS,
            evaluation_periods=3,
            datapoints_to_alarm=2,
        ),
        AlarmSpec(
            suffix="latency",
            metric_name="ModelLatency",
            statistic="p95",
            threshold=limits.p95_latency_us,
            period_seconds=PERIOD_SECONDS,
            evaluation_periods=3,
            datapoints_to_alarm=2,
        ),
    )

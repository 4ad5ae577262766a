"""Standing alarms of an endpoint, for people; those of a release are the controller's."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from monitoring.alarms import AlarmLimits, standing_alarms


@dataclass(frozen=True)
class StandingAlarmsArgs:
    endpoint_name: str
    limits: AlarmLimits
    tags: dict[str, str]


class StandingAlarms(pulumi.ComponentResource):
    """On endpoint and variant ``live``, whichever configuration serves."""

    names: tuple[str, ...]

    def __init__(
        self, name: str, args: StandingAlarmsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:alarms:StandingAlarms", name, {}, opts)
        specifications = standing_alarms(args.endpoint_name, args.limits)
        self.names = tuple(f"{args.endpoint_name}-{alarm.suffix}" for alarm in specifications)
        for alarm_name, alarm in zip(self.names, specifications, strict=True):
            aws.cloudwatch.MetricAlarm(
                f"{name}-{alarm.suffix}",
                name=alarm_name,
                alarm_description=alarm.description,
                namespace=alarm.namespace,
                metric_name=alarm.metric_name,
                dimensions=alarm.dimensions,
                statistic=alarm.statistic,
                extended_statistic=alarm.extended_statistic,
                period=alarm.period_seconds,
                evaluation_periods=alarm.evaluation_periods,
                datapoints_to_alarm=alarm.datapoints_to_alarm,
                threshold=alarm.threshold,
                comparison_operator=alarm.comparison_operator,
                treat_missing_data=alarm.treat_missing_data,
                tags=args.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"names": list(self.names)})

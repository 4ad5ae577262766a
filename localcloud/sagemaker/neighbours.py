"""What SageMaker asks of other services, and faults on order; each can be left out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.service import ACCOUNT_ID, EventSink, OwnService, RequestContext

# Region and endpoint in, the names of the variants that are scalable targets out.
ScaledVariants = Callable[[str, str], Collection[str]]
# Region and names in, the states of those metric alarms that exist out.
AlarmStates = Callable[[str, Sequence[str]], Mapping[str, str]]
# Region and instance type in, how many the account may run out.
InstanceQuota = Callable[[str, str], int]


class NoEvents:
    """An :class:`EventSink` without a bus behind it."""

    def put_event(
        self,
        region: str,
        source: str,
        detail_type: str,
        resources: list[str],
        detail: dict[str, Any],
    ) -> None:
        del region, source, detail_type, resources, detail


def _no_alarms(region: str, names: Sequence[str]) -> Mapping[str, str]:
    del region, names
    return {}


@dataclass(frozen=True)
class Neighbours:
    """``quota`` None: the account may run any number of instances."""

    alarms: AlarmStates = _no_alarms
    events: EventSink = field(default_factory=NoEvents)
    quota: InstanceQuota | None = None
    faults: Faults = field(default_factory=Faults)


class CloudWatchAlarms:
    """The :data:`AlarmStates` of our own CloudWatch.

    Composite alarms are not among them: whether AutoRollbackConfiguration takes one is not known.
    """

    def __init__(self, cloudwatch: OwnService, clock: Clock) -> None:
        self._cloudwatch = cloudwatch
        self._clock = clock

    def __call__(self, region: str, names: Sequence[str]) -> Mapping[str, str]:
        context = RequestContext(ACCOUNT_ID, region, str(uuid.uuid4()), self._clock.now())
        params = {"AlarmNames": list(names), "AlarmTypes": ["MetricAlarm"]}
        answer = self._cloudwatch.handle("DescribeAlarms", params, context)
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"]}

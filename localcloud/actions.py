"""What alarms set off: a table of the services that take their actions, by the action's ARN."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.service import AlarmAction, EventSink, ServiceError

# Application Auto Scaling's policies go by the older name.
AUTOSCALING, LAMBDA, SNS = "autoscaling", "lambda", "sns"

AlarmTarget = Callable[[AlarmAction], None]


class ActionTable:
    """:class:`localcloud.service.Actions`: one row for each service, named as in its ARNs."""

    def __init__(self, targets: Mapping[str, AlarmTarget], bus: EventSink) -> None:
        self._targets = dict(targets)
        self._bus = bus

    def put_event(self, region: str, entry: dict[str, Any]) -> None:
        detail = json.loads(entry["Detail"])
        self._bus.put_event(
            region, entry["Source"], entry["DetailType"], entry["Resources"], detail
        )

    def carry_out(self, action: AlarmAction) -> None:
        target = self._targets.get(service_of(action.arn))
        if target is None:
            raise ServiceError(
                "ValidationError", f"the local cloud does not offer the action {action.arn}"
            )
        target(action)


def service_of(arn: str) -> str:
    """``sns`` of ``arn:aws:sns:us-east-1:123456789012:topic``; empty where there is none."""
    parts = arn.split(":", 3)
    return parts[2] if len(parts) > 2 else ""

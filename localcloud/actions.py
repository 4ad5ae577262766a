"""What alarms set off: a table of the services that take their actions, by the action's ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from localcloud.service import AlarmAction, ServiceError

# Application Auto Scaling's policies go by the older name.
AUTOSCALING, SNS = "autoscaling", "sns"

AlarmTarget = Callable[[AlarmAction], None]


class ActionTable:
    """:class:`localcloud.service.Actions`: one row for each service, named as in its ARNs."""

    def __init__(self, targets: Mapping[str, AlarmTarget]) -> None:
        self._targets = dict(targets)

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

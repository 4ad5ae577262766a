"""What AWS tells before a release: past traffic, alarms, quota, permissions. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Traffic:
    """Requests to the endpoint in a window like the release's own; ``source`` names the window.

    ``error_rate`` and ``slow_share`` are fractions; ``slow_share`` None where it was not asked.
    """

    requests_per_minute: float
    error_rate: float
    slow_share: float | None
    source: str


@dataclass(frozen=True)
class AlarmSeen:
    """One alarm that exists; ``metric`` is empty for one of metric math, and for a composite."""

    name: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    state: str
    window_seconds: float
    is_composite: bool = False

    @staticmethod
    def of(answer: Mapping[str, Any]) -> AlarmSeen:
        """From DescribeAlarms: the window is what it takes to go into ALARM at the soonest."""
        period = float(answer.get("Period") or 60)
        points = int(answer.get("DatapointsToAlarm") or answer.get("EvaluationPeriods") or 1)
        return AlarmSeen(
            name=str(answer["AlarmName"]),
            namespace=str(answer.get("Namespace", "")),
            metric=str(answer.get("MetricName", "")),
            dimensions={d["Name"]: d["Value"] for d in answer.get("Dimensions", [])},
            state=str(answer.get("StateValue", "")),
            window_seconds=period * points,
            is_composite="AlarmRule" in answer,
        )


@dataclass(frozen=True)
class Quota:
    """Instances of one type: allowed in the account, and in use by all endpoints."""

    allowed: int
    in_use: int


@dataclass(frozen=True)
class Survey:
    """None: not asked, or the account does not tell. ``alarms``: those that exist, by name.

    ``quotas`` by instance type, of those that the account tells.
    """

    traffic: Traffic | None = None
    alarms: Mapping[str, AlarmSeen] | None = None
    quotas: Mapping[str, Quota] = field(default_factory=dict[str, Quota])
    may_describe_alarms: bool | None = None
    driver: str = "terminal"
    tells: tuple[str, ...] = field(default_factory=tuple[str, ...])

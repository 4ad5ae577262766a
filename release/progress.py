"""How a driver paces itself and what it tells its observer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pace:
    """How often to look, how long a lease lasts and how long AWS may be away, in wall seconds."""

    poll_seconds: float = 12.0
    lease_seconds: float = 120.0
    give_up_seconds: float = 900.0


LOCAL_PACE = Pace(poll_seconds=0.2, lease_seconds=30.0, give_up_seconds=15.0)


@dataclass(frozen=True)
class Event:
    """Something to show: ``at`` in the release clock. Kind ``progress`` comes at each look."""

    at: float
    kind: str
    text: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])


Observer = Callable[[Event], None]

"""What the controller sees: one endpoint, minutes of its traffic, alarms; plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from contracts.release_manifest import TAG_HASH, TAG_VERSION

IN_SERVICE = "InService"
# An update that failed and could not be undone serves a mix; only another update repairs it.
UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
# AWS or we are at work and it ends by itself (facts 3.3).
BUSY_STATUSES = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
MISSING = "Missing"


@dataclass(frozen=True)
class Variant:
    name: str
    current_weight: float
    desired_weight: float
    current_count: int
    desired_count: int


@dataclass(frozen=True)
class Endpoint:
    """One DescribeEndpoint; ``now`` is the answer's Date, ``status`` Missing where none exists."""

    now: float
    status: str
    config_name: str
    last_modified: float
    variants: tuple[Variant, ...] = ()
    pending_config: str | None = None
    failure_reason: str = ""

    def variant(self, name: str) -> Variant | None:
        return next((v for v in self.variants if v.name == name), None)


@dataclass(frozen=True)
class Config:
    """One endpoint configuration: CreateEndpointConfig's input (without name) and its tags."""

    name: str
    body: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def content_hash(self) -> str | None:
        return self.tags.get(TAG_HASH)

    @property
    def version(self) -> str | None:
        return self.tags.get(TAG_VERSION)

    def production(self) -> list[dict[str, Any]]:
        return list(self.body.get("ProductionVariants", []))


@dataclass(frozen=True)
class VariantMinute:
    """One variant in one minute; p95 in microseconds, None where CloudWatch has none.

    ``slow``: answers slower than the latency gate's limit, None where CloudWatch does not count
    them. ``predictions``: captured answers in each bin of the prediction gate, None where unknown.
    """

    requests: int
    errors: int
    p95_us: float | None
    slow: int | None = None
    predictions: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Minute:
    """One minute (``start`` in epoch seconds) in which both variants answered."""

    start: float
    live: VariantMinute
    candidate: VariantMinute


@dataclass(frozen=True)
class MetricQuery:
    """Which minutes are wanted: those starting in ``since`` … ``until``, of these variants."""

    config: str
    variants: tuple[str, ...]
    since: float
    until: float


Series = dict[str, dict[float, VariantMinute]]


@dataclass(frozen=True)
class Observation:
    """All that one call of ``advance`` is told; ``series`` answers the stage's metric query."""

    endpoint: Endpoint
    series: Series = field(default_factory=dict[str, dict[float, VariantMinute]])
    alarms: dict[str, str] = field(default_factory=dict[str, str])

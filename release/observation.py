"""What the controller sees: one endpoint, minutes of its traffic, alarms; plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from contracts.release_manifest import TAG_HASH, TAG_VERSION

IN_SERVICE = "InService"
# Only its deletion is taken any more (facts 3.3).
FAILED = "Failed"
# An update that failed and could not be undone serves a mix; only another update repairs it.
UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
# AWS or we are at work and it ends by itself (facts 3.3).
BUSY_STATUSES = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
MISSING = "Missing"
BAKING = "Baking"


@dataclass(frozen=True)
class Variant:
    name: str
    current_weight: float
    desired_weight: float
    current_count: int
    desired_count: int


@dataclass(frozen=True)
class Deployment:
    """A guardrail deployment under way, as PendingDeploymentSummary has it (facts 3.3).

    ``status`` is the new variant's, ``since`` when it began, ``seconds`` how long a bake lasts.
    ``active`` of ``total`` new instances take traffic, as large a share of it as they are.
    """

    status: str
    since: float
    seconds: float
    active: int
    total: int
    is_full: bool

    @property
    def is_baking(self) -> bool:
        return self.status == BAKING


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
    shadows: tuple[Variant, ...] = ()
    deployment: Deployment | None = None
    # What is told of configurations that the running release does not know.
    remarks: str = ""

    def variant(self, name: str) -> Variant | None:
        """The variant of this name, in production or a shadow."""
        return next((v for v in (*self.variants, *self.shadows) if v.name == name), None)


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

    ``slow``: answers slower than the latency gate's limit; None where CloudWatch offers no count.
    ``predictions``: captured answers by the prediction gate's bins; None where none are captured.
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
    """Which minutes are wanted: those starting in ``since`` … ``until``, of these variants.

    ``alias`` names the series of the only variant. ``over_us``: answers slower than it are counted.
    """

    config: str
    variants: tuple[str, ...]
    since: float
    until: float
    alias: str = ""
    over_us: float | None = None


Series = dict[str, dict[float, VariantMinute]]


@dataclass(frozen=True)
class HookAnswer:
    """What a user's hook said: pass, fail or not_enough_data; ``at`` in the release clock."""

    answer: str
    text: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Pairs:
    """Captured answers of one minute that belong together, live's and its shadow's."""

    agree: int
    differ: int


@dataclass(frozen=True)
class CaptureQuery:
    """Which captured answers are wanted: as :class:`MetricQuery`, for all ``sources``.

    ``sources``: variant in the endpoint by the name of its series (live, candidate). ``bins``: what
    a reader chose before and gave back, None at first; ``pairs``: whether pairs are wanted.
    """

    sources: dict[str, str]
    since: float
    until: float
    bins: Any
    pairs: bool


@dataclass(frozen=True)
class Captured:
    """Counts by series, minute and bin; pairs by minute. ``bins`` is JSON-ready, and kept."""

    predictions: dict[str, dict[float, tuple[int, ...]]]
    bins: Any = None
    pairs: dict[float, Pairs] = field(default_factory=dict[float, Pairs])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScalingTarget:
    """The scalable target of a variant, exactly: what it takes to register it again (facts 6).

    ``policies`` and ``scheduled`` are the inputs of PutScalingPolicy and PutScheduledAction.
    """

    min_capacity: int
    max_capacity: int
    suspended: dict[str, bool]
    policies: tuple[dict[str, Any], ...] = ()
    scheduled: tuple[dict[str, Any], ...] = ()
    tags: dict[str, str] = field(default_factory=dict[str, str])

    def completed(self, other: ScalingTarget) -> ScalingTarget:
        """This one, with what only the other has: policies, schedules, tags."""
        policies = {p["PolicyName"]: p for p in (*other.policies, *self.policies)}
        scheduled = {s["ScheduledActionName"]: s for s in (*other.scheduled, *self.scheduled)}
        return replace(
            self,
            policies=tuple(policies.values()),
            scheduled=tuple(scheduled.values()),
            tags=other.tags | self.tags,
        )


@dataclass(frozen=True)
class Request:
    """A person's word to a running release, applied once: pause, resume, abort or promote-now."""

    id: str
    kind: str
    release_id: str
    by: str
    at: float


@dataclass(frozen=True)
class Observation:
    """All that one call of ``advance`` is told; ``series`` answers the stage's metric queries.

    ``missing``: of the configurations that the release needs, those that do not exist any more.
    ``scaling``: live's scalable target as it is now, where it ``is_scaling_read``.
    """

    endpoint: Endpoint
    series: Series = field(default_factory=dict[str, dict[float, VariantMinute]])
    alarms: dict[str, str] = field(default_factory=dict[str, str])
    hooks: dict[str, HookAnswer] = field(default_factory=dict[str, HookAnswer])
    pairs: dict[float, Pairs] = field(default_factory=dict[float, Pairs])
    bins: Any = None
    request: Request | None = None
    missing: frozenset[str] = frozenset()
    scaling: ScalingTarget | None = None
    is_scaling_read: bool = False

"""What is remembered of one endpoint's releases, and its pure transitions.

One JSON object per endpoint in the history bucket (``contracts.history.state_key``). Times are
epoch seconds of the release clock (AWS's own, from its answers); only the lease of the lock is in
the wall time of the hosts that hold it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.canonical import pretty_json
from contracts.errors import ContractError
from contracts.fields import Fields
from contracts.release_manifest import ReleaseManifest
from release.actions import Action
from release.gates import CountedMinute
from release.observation import Config, HookAnswer, Pairs, ScalingTarget
from release.owed import OwedScaling
from release.records import decode, encode

SCHEMA_VERSION = 1
REMEMBERED_RELEASES = 200
# What AWS usually takes for a new fleet, until a release has measured it.
USUAL_TURNOVER_SECONDS = 420.0

PROMOTED = "promoted"
ROLLED_BACK = "rolled_back"
INCONCLUSIVE = "inconclusive"
# A shadow passed, and nothing was to follow: nothing promoted, nothing rejected.
COMPARED = "compared"
# No outcome: the release waits for a person.
HELD = "held"

RELEASE = "release"
ROLLBACK = "rollback"


@dataclass(frozen=True)
class Owner:
    """Who asks for the lock: a person or role, the process, and one driver in it.

    ``siblings`` are the drivers that run in this process (a library may drive two endpoints).
    """

    who: str
    host: str
    pid: int
    token: str
    siblings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Lock:
    owner: str
    host: str
    pid: int
    token: str
    since: float
    expires_at: float
    release_id: str


@dataclass(frozen=True)
class GoodVersion:
    """A version that served well, and what going back to it needs."""

    version: str
    content_hash: str
    endpoint_config_name: str
    model_name: str
    package_sha256: str
    registry_uri: str
    since: float
    metrics: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Entry:
    """One line of a release's story; ``data`` is for machines."""

    at: float
    kind: str
    text: str
    data: dict[str, Any]


@dataclass(frozen=True)
class StepResult:
    weight: float
    verdict: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Before:
    """What served when the release began: where a rollback goes back to.

    ``scaling`` is None where ``live`` has no scalable target.
    """

    config: Config
    good: GoodVersion
    weight: float
    count: int
    scaling: ScalingTarget | None = None


@dataclass(frozen=True)
class Stretch:
    """Time at one share of a shift; ``end`` None while it lasts. ``active``: new instances."""

    start: float
    end: float | None
    share: float
    active: int


@dataclass(frozen=True)
class PairMinute:
    start: float
    pairs: Pairs


@dataclass(frozen=True)
class Release:
    """A running release. ``manifest`` is its own copy: staging another one changes nothing.

    ``pending`` are decided actions that may not be executed yet. ``stage_since``, ``issued`` (its
    actions were executed; ``issued_at`` when decided, ``modified`` the endpoint's LastModifiedTime
    then) and ``attempts`` belong to the stage, ``wanted_count`` and ``wanted_weights`` to the step.
    ``clean_since``: from when on minutes at this weight count; None while the endpoint is not as
    wanted. ``grown_at``: when the new version's fleet last got more instances, which are cold.
    ``ending`` is the outcome decided on, ``outcome`` the one reached.

    ``base`` is the configuration on which the endpoint landed last. ``phase`` counts
    ``manifest.release.phases``, ``step`` the steps of all phases; ``passed``: the last step that
    compares has passed. ``published_at``: when a failed verdict was published last; ``seen_at``:
    the last look at the open stretch; ``shifted``: the weight in percent that a shift was last seen
    to give the new fleet, to 0.1. ``requests`` are the ids of a person's words that were
    applied, ``promote_now`` who asked for that; ``told`` counts the events told to the world.
    ``uncertain``: a driver died while a shift was issued, and the endpoint changed since.
    ``asked_until``: the youngest minute that metrics were asked for. ``unanswered_since``: when AWS
    first did not answer the pending action, in seconds of the driver's own clock. ``stand_in``: a
    configuration that was deleted while it served, made again to update the endpoint away from it.
    ``is_scaling_owed``: a release before left ``live`` without its whole scalable target;
    ``owes_scaling``: why this one could not put it back.
    """

    id: str
    purpose: str
    manifest: ReleaseManifest
    destination: GoodVersion
    candidate_variant: dict[str, Any]
    before: Before
    started_at: float
    started_by: str
    stage: str
    stage_since: float
    step: int = 0
    step_since: float = 0.0
    issued: bool = False
    issued_at: float = 0.0
    modified: float = 0.0
    attempts: int = 0
    pending: tuple[Action, ...] = ()
    wanted_count: int = 0
    wanted_weights: dict[str, float] = field(default_factory=dict[str, float])
    clean_since: float | None = None
    first_traffic_at: float | None = None
    grown_at: float | None = None
    zero_weight_at: float | None = None
    minutes: tuple[CountedMinute, ...] = ()
    asked_until: float = 0.0
    steps: tuple[StepResult, ...] = ()
    turnover_seconds: float | None = None
    usual_turnover_seconds: float = USUAL_TURNOVER_SECONDS
    tripped: str = ""
    base: str = ""
    phase: int = 0
    passed: bool = False
    stretches: tuple[Stretch, ...] = ()
    pairs: tuple[PairMinute, ...] = ()
    bins: Any = None
    hooks: dict[str, HookAnswer] = field(default_factory=dict[str, HookAnswer])
    published_at: float | None = None
    seen_at: float = 0.0
    shifted: float = 0.0
    uncertain: bool = False
    unanswered_since: float | None = None
    is_scaling_removed: bool = False
    is_scaling_owed: bool = False
    owes_scaling: str = ""
    stand_in: str = ""
    paused_at: float | None = None
    paused_by: str = ""
    promote_now: str = ""
    requests: tuple[str, ...] = ()
    told: int = 0
    ending: str | None = None
    outcome: str | None = None
    reason: str = ""
    log: tuple[Entry, ...] = ()

    def noted(self, at: float, kind: str, text: str, **data: Any) -> Release:
        return replace(self, log=(*self.log, Entry(at, kind, text, data)))


@dataclass(frozen=True)
class EndpointState:
    """``good``: newest first, the one that serves at its head. ``closed``: the stack's end.

    ``owed_scaling``: what the last release could not put back.
    """

    endpoint_name: str
    lock: Lock | None = None
    current: Release | None = None
    good: tuple[GoodVersion, ...] = ()
    rejected: tuple[str, ...] = ()
    closed: Entry | None = None
    releases: tuple[str, ...] = ()
    turnover_seconds: float | None = None
    owed_scaling: OwedScaling | None = None

    def to_json(self) -> str:
        return pretty_json({"schema_version": SCHEMA_VERSION, **encode(self)})

    @staticmethod
    def from_json(text: str, where: str) -> EndpointState:
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ContractError(
                f"{where} is not JSON ({error}); restore an older version of the object"
            ) from None
        Fields(raw, where).schema_version(SCHEMA_VERSION)
        return decode(EndpointState, raw, where)

    @property
    def has_history(self) -> bool:
        """Whether releases of this endpoint are remembered that a new endpoint would forget."""
        return self.closed is None and bool(self.releases or self.good or self.current)

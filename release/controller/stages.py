"""The stages of a release, and how far an update of the endpoint has come."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, StrEnum, auto

from contracts.canonical import sha256_text
from contracts.release_manifest import LIVE_VARIANT, AlarmGate, BlueGreen, Rolling
from release.actions import Action, PutAlarm, PutGateAlarm, same_weight
from release.controller.phases import candidate_variant, has_config
from release.observation import BUSY_STATUSES, IN_SERVICE, UPDATE_ROLLBACK_FAILED, Endpoint
from release.state import ROLLBACK, Release

TAG_RELEASE = "slipway:release"
MAX_NAME, OWN_TOKEN = 63, 12
# An accepted update shows in LastModifiedTime at once; reads may lag a little behind.
UNSEEN_UPDATE_SECONDS = 300.0
# The same for an update that was given up before it showed: it may have been refused as well.
GIVEN_UP_SECONDS = 60.0


class Stage(StrEnum):
    PREPARE = "prepare"
    ENTER = "enter"
    MIRROR = "mirror"
    LEAVE = "leave"
    CAPACITY = "capacity"
    WEIGHT = "weight"
    BAKE = "bake"
    FULL_CAPACITY = "full capacity"
    SWAP = "swap"
    SHIFT = "shift"
    POST_BAKE = "post-bake"
    HELD = "held"
    ZERO = "zero"
    REFILL = "refill"
    BACK = "back"
    RESTORE = "restore"
    CLEANUP = "cleanup"


FORWARD = frozenset(list(Stage)[: list(Stage).index(Stage.ZERO)])
Move = tuple[Release, tuple[Action, ...]]


class Progress(Enum):
    WAITING = auto()
    LANDED = auto()
    FAILED = auto()
    FOREIGN = auto()


def go(release: Release, stage: Stage, now: float) -> Release:
    """Enter ``stage``: nothing of it has happened yet."""
    return replace(release, stage=stage.value, stage_since=now, issued=False, attempts=0)


def update_progress(release: Release, endpoint: Endpoint, source: str, target: str) -> Progress:
    """How far an issued update from ``source`` to ``target`` is; only the name says it landed.

    A failed or rolled-back update ends InService with the old configuration, sometimes without any
    FailureReason (facts 3.3).
    """
    config = endpoint.config_name
    if endpoint.status in BUSY_STATUSES:
        is_ours = config in (source, target) and endpoint.pending_config in (None, target)
        return Progress.WAITING if is_ours else Progress.FOREIGN
    if endpoint.status == UPDATE_ROLLBACK_FAILED and config in (source, target):
        return Progress.WAITING if is_unseen(release, endpoint) else Progress.FAILED
    if endpoint.status != IN_SERVICE or config not in (source, target):
        return Progress.FOREIGN
    if config == target:
        return Progress.LANDED
    return Progress.WAITING if is_unseen(release, endpoint) else Progress.FAILED


def is_unseen(release: Release, endpoint: Endpoint) -> bool:
    """Whether what was issued may only be not yet visible."""
    is_unchanged = release.issued and endpoint.last_modified == release.modified
    return is_unchanged and endpoint.now - release.issued_at < UNSEEN_UPDATE_SECONDS


def may_yet_show(release: Release, endpoint: Endpoint) -> bool:
    """Whether a change that the release asked for last may still come, though it was given up."""
    is_unchanged = endpoint.last_modified == release.modified
    return is_unchanged and endpoint.now - release.issued_at < GIVEN_UP_SECONDS


def own_config(release: Release, phase: int) -> str:
    """The name of the configuration that a phase makes for itself; the same at every look."""
    token = sha256_text(release.id if phase == 0 else f"{release.id}/{phase}")[:OWN_TOKEN]
    return f"{own_prefix(release.manifest.endpoint_name)}-t-{token}"


def own_prefix(endpoint_name: str) -> str:
    """How the names of all such configurations of an endpoint begin."""
    return endpoint_name[: MAX_NAME - OWN_TOKEN - 3].rstrip("-")


def own_configs(release: Release) -> tuple[str, ...]:
    phases = release.manifest.release.phases
    return tuple(own_config(release, i) for i, p in enumerate(phases) if has_config(p))


def transition_config(release: Release) -> str:
    """The configuration that holds live and the candidate, or its shadow, in this phase."""
    return own_config(release, release.phase)


def known_configs(release: Release) -> tuple[str, ...]:
    """Every configuration that the endpoint may have while only this release moves it."""
    own = () if release.purpose == ROLLBACK else own_configs(release)
    return (release.before.config.name, *own, release.destination.endpoint_config_name)


def own_tags(release: Release) -> dict[str, str]:
    """Tags of what the controller makes itself and removes at the end."""
    return release.manifest.tags | {TAG_RELEASE: release.id}


def candidate_alarms(release: Release) -> tuple[PutAlarm, ...]:
    """Rollback alarms on the candidate, or its shadow, while this phase compares them."""
    phase = release.manifest.release.phases[release.phase]
    if not has_config(phase):
        return ()
    return _alarms(release, candidate_variant(phase), transition_config(release))


def landed_alarms(release: Release) -> tuple[PutAlarm, ...]:
    """Rollback alarms on the new version once it takes traffic as ``live``."""
    return _alarms(release, LIVE_VARIANT, release.destination.endpoint_config_name)


def _alarms(release: Release, variant: str, config: str) -> tuple[PutAlarm, ...]:
    tags = own_tags(release)
    suffix = "landed" if variant == LIVE_VARIANT else variant
    return tuple(
        PutAlarm(f"{release.id}-{spec.suffix}-{suffix}", variant, config, spec, tags)
        for spec in release.manifest.rollback_alarms
    )


def gate_alarm(release: Release) -> PutGateAlarm:
    return PutGateAlarm(f"{release.id}-gate", release.id, own_tags(release))


def alarm_names(release: Release) -> tuple[str, ...]:
    """Every alarm that this release may have made in any of its phases."""
    phases = release.manifest.release.phases
    variants = [candidate_variant(p) for p in phases if has_config(p)]
    suffixes = [s.suffix for s in release.manifest.rollback_alarms]
    names = [f"{release.id}-{s}-{v}" for v in (*variants, "landed") for s in suffixes]
    shifts = any(isinstance(p, BlueGreen | Rolling) for p in phases)
    return (*names, gate_alarm(release).name) if shifts else tuple(names)


def owner_alarms(release: Release) -> tuple[str, ...]:
    """The alarms that the owner's gates name."""
    return tuple(g.alarm for g in release.manifest.release.gates if isinstance(g, AlarmGate))


def deciding_alarms(release: Release) -> tuple[str, ...]:
    """Those of the owner's alarms that do more than report."""
    gates = release.manifest.release.gates
    return tuple(g.alarm for g in gates if isinstance(g, AlarmGate) and not g.dry_run)


def has_weights(endpoint: Endpoint, weights: dict[str, float]) -> bool:
    return all(
        (variant := endpoint.variant(name)) is not None
        and same_weight(variant.current_weight, weight)
        and same_weight(variant.desired_weight, weight)
        for name, weight in weights.items()
    )

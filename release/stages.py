"""The stages of a release, and how far an update of the endpoint has come."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, StrEnum, auto

from contracts.canonical import sha256_text
from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT
from release.actions import Action, PutAlarm, same_weight
from release.observation import BUSY_STATUSES, IN_SERVICE, UPDATE_ROLLBACK_FAILED, Endpoint
from release.state import Release

TAG_RELEASE = "slipway:release"
MAX_NAME = 63
# An accepted update shows in LastModifiedTime at once; reads may lag a little behind.
UNSEEN_UPDATE_SECONDS = 300.0


class Stage(StrEnum):
    PREPARE = "prepare"
    ENTER = "enter"
    CAPACITY = "capacity"
    WEIGHT = "weight"
    BAKE = "bake"
    FULL_CAPACITY = "full capacity"
    SWAP = "swap"
    POST_BAKE = "post-bake"
    ZERO = "zero"
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
        return Progress.FAILED
    if endpoint.status != IN_SERVICE or config not in (source, target):
        return Progress.FOREIGN
    if config == target:
        return Progress.LANDED
    return Progress.WAITING if is_unseen(release, endpoint) else Progress.FAILED


def is_unseen(release: Release, endpoint: Endpoint) -> bool:
    """Whether what was issued may only be not yet visible."""
    is_unchanged = release.issued and endpoint.last_modified == release.modified
    return is_unchanged and endpoint.now - release.issued_at < UNSEEN_UPDATE_SECONDS


def transition_config(release: Release) -> str:
    """The name of the configuration that holds live and candidate; the same at every look."""
    token = sha256_text(release.id)[:12]
    endpoint = release.manifest.endpoint_name
    return f"{endpoint[: MAX_NAME - len(token) - 3].rstrip('-')}-t-{token}"


def own_tags(release: Release) -> dict[str, str]:
    """Tags of what the controller makes itself and removes at the end."""
    return release.manifest.tags | {TAG_RELEASE: release.id}


def candidate_alarms(release: Release) -> tuple[PutAlarm, ...]:
    """Rollback alarms on the candidate under the transition configuration."""
    config = transition_config(release)
    tags = own_tags(release)
    return tuple(
        PutAlarm(f"{release.id}-{spec.suffix}-candidate", CANDIDATE_VARIANT, config, spec, tags)
        for spec in release.manifest.rollback_alarms
    )


def landed_alarms(release: Release) -> tuple[PutAlarm, ...]:
    """Rollback alarms on the new version after the swap."""
    config = release.destination.endpoint_config_name
    tags = own_tags(release)
    return tuple(
        PutAlarm(f"{release.id}-{spec.suffix}-landed", LIVE_VARIANT, config, spec, tags)
        for spec in release.manifest.rollback_alarms
    )


def has_weights(endpoint: Endpoint, weights: dict[str, float]) -> bool:
    return all(
        (variant := endpoint.variant(name)) is not None
        and same_weight(variant.current_weight, weight)
        and same_weight(variant.desired_weight, weight)
        for name, weight in weights.items()
    )

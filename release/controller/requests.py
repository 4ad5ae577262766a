"""A person's word to a running release: pause, resume, abort, promote-now. Each is applied once.

It lies beside the state, not in it: writing the state would race with the driver that holds it.
"""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import Shadow
from release.controller.baking import to_full_capacity
from release.controller.phases import next_phase, phase_of
from release.controller.retreat import retreat
from release.controller.shift import turned
from release.controller.stages import FORWARD, Stage, go
from release.observation import Endpoint, Request
from release.state import ROLLBACK, ROLLED_BACK, Release

PAUSE, RESUME, ABORT, PROMOTE_NOW = "pause", "resume", "abort", "promote-now"
KINDS = (PAUSE, RESUME, ABORT, PROMOTE_NOW)
REMEMBERED = 20
# Where `promote-now` takes effect at once: nothing that it would cut off is under way.
_SKIPPED = frozenset({Stage.CAPACITY, Stage.WEIGHT, Stage.BAKE, Stage.MIRROR, Stage.HELD})


def is_open(release: Release, request: Request) -> bool:
    """Whether ``request`` is meant for this release and was not applied before."""
    return request.release_id == release.id and request.id not in release.requests


def outranked(waiting: Request | None, request: Request) -> str:
    """Why ``request`` may not take the place of one that no driver has read: an abort stands."""
    if waiting is None or waiting.kind != ABORT or waiting.release_id != request.release_id:
        return ""
    return "" if request.kind == ABORT else f"abort by {waiting.by} waits for its driver"


def applied(release: Release, request: Request, endpoint: Endpoint) -> Release:
    """What the request makes of the release, noted in its story with who asked for it."""
    known = (*release.requests, request.id)[-REMEMBERED:]
    release = replace(release, requests=known)
    why_not = refusal(release, request)
    if why_not:
        text = f"{request.kind} by {request.by} changes nothing: {why_not}"
        return release.noted(endpoint.now, "request", text, request=request.kind, refused=True)
    text = f"{request.kind} by {request.by}"
    release = release.noted(endpoint.now, "request", text, request=request.kind, by=request.by)
    match request.kind:
        case "pause":
            return replace(release, paused_at=endpoint.now, paused_by=request.by)
        case "resume":
            return resumed(release, endpoint.now)
        case "abort":
            return aborted(release, f"aborted by {request.by}", endpoint.now)
        case _:
            return replace(resumed(release, endpoint.now), promote_now=request.by)


def refusal(release: Release, request: Request) -> str:
    """Why the request cannot be followed; empty where it can."""
    stage = Stage(release.stage)
    is_shifting = stage is Stage.SHIFT and release.issued
    if release.purpose == ROLLBACK:
        return "a rollback runs to its end"
    if stage not in FORWARD or release.ending is not None:
        return f"the release is on its way to {release.ending or 'its end'} already"
    return _refusal_of_kind(release, request.kind, is_shifting=is_shifting)


def _refusal_of_kind(release: Release, kind: str, *, is_shifting: bool) -> str:
    match kind:
        case "pause" if release.paused_at is not None:
            return "it is paused already"
        case "pause" if is_shifting:
            return "SageMaker moves the traffic by its own timers; abort takes it back"
        case "pause" if release.stage == Stage.HELD:
            return "it is held; promote-now or abort decides"
        case "resume" if release.paused_at is None:
            return "it is not paused"
        case "promote-now" if isinstance(phase_of(release), Shadow) and not next_phase(release):
            return "this shadow only compares; release the version by another strategy"
        case "pause" | "resume" | "abort" | "promote-now":
            return ""
        case other:
            return f"{other!r} is unknown; {', '.join(KINDS)} are known"


def resumed(release: Release, now: float) -> Release:
    """The clocks of the stage go on from where they were when it was paused."""
    if release.paused_at is None:
        return release
    away = max(0.0, now - max(release.paused_at, release.stage_since))
    return replace(
        release, paused_at=None, paused_by="", stage_since=min(now, release.stage_since + away)
    )


def aborted(release: Release, reason: str, now: float) -> Release:
    """A person ends the release: everything back, unless it is on its way back already."""
    if Stage(release.stage) not in FORWARD or release.purpose == ROLLBACK:
        return release
    return turned_back(release, ROLLED_BACK, reason, now)


def turned_back(release: Release, ending: str, reason: str, now: float) -> Release:
    """Everything back, paused or not; what SageMaker shifts, SageMaker takes back."""
    release = replace(release, paused_at=None, paused_by="")
    if release.stage == Stage.SHIFT and release.issued:
        return release if release.ending is not None else turned(release, ending, reason, now)
    return retreat(release, ending, reason, now)


def skipped_ahead(release: Release, endpoint: Endpoint) -> Release:
    """Where a person wants it promoted now: on to the swap, from wherever that is safe.

    Alarms and limits after the swap can still take it back.
    """
    stage = Stage(release.stage)
    if not release.promote_now or release.ending is not None:
        return release
    if stage is Stage.ENTER and not release.issued:
        return to_full_capacity(release, endpoint)
    if stage in _SKIPPED:
        return to_full_capacity(release, endpoint)
    if stage is Stage.LEAVE and not release.issued:
        return go(release, Stage.SWAP, endpoint.now)
    return release

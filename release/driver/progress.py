"""How a driver paces itself and what it tells its observer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.release_manifest import HookGate
from release.observation import Captured, CaptureQuery, HookAnswer
from release.state import Release


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


@dataclass(frozen=True)
class Told:
    """``count`` events have been told; ``problem`` says why no more, empty where all were."""

    count: int
    problem: str = ""


def _no_answers(_release: Release, _hooks: tuple[HookGate, ...], _now: float) -> HookAnswers:
    return {}


def _no_captures(_release: Release, _query: CaptureQuery) -> Captured | None:
    return None


def _tell_nobody(_release: Release, told: int) -> Told:
    return Told(told)


HookAnswers = dict[str, HookAnswer]


@dataclass(frozen=True)
class Collaborators:
    """Whom a driver asks and tells beside AWS's control plane; by default nobody.

    ``ask_hooks`` gets the hooks that are due and the release clock. ``read_captures`` answers None
    where it knows nothing. ``announce`` tells the events of a release from number ``told`` on.
    None of them may raise, but AwsError, which is taken for no answer.
    """

    ask_hooks: Callable[[Release, tuple[HookGate, ...], float], HookAnswers] = _no_answers
    read_captures: Callable[[Release, CaptureQuery], Captured | None] = _no_captures
    announce: Callable[[Release, int], Told] = _tell_nobody


NOBODY = Collaborators()

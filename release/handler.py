"""The Lambda that drives a release in a Step Functions loop, a slice of time at each invocation.

An execution drives one release only: the one that follows ``after`` in the endpoint's history.
Whatever is lost on the way (an answer, an invocation, a whole execution), asking again is safe.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from contracts.release_manifest import ReleaseManifest
from release.aws.store import History
from release.driver.loop import TurnResult, turns
from release.driver.progress import Event
from release.driver.turn import DriverOptions
from release.errors import AwsError, LockedError, ReleaseError
from release.evidence.document import HELD
from release.hooks.questions import LAMBDA
from release.state import EndpointState, Owner

HISTORY_BUCKET_VARIABLE = "SLIPWAY_HISTORY_BUCKET"
REFUSED = "refused"
# Kept free before the function's own end, so that a slice always ends by itself.
RESERVE_SECONDS = 60.0
# A slice does what can be done at once; a longer wait is Step Functions', where it costs nothing.
SLICE_SECONDS = 120.0
LOCKED_WAIT_SECONDS = 60.0
HELD_WAIT_SECONDS = 60.0
MAX_WAIT_SECONDS = 3600.0


TEXTS = ("endpoint", "after", "content_hash", "by", "name")
MAY_BE_EMPTY = ("after", "by")


class EventError(ReleaseError):
    """The function was invoked with something that is no turn of a release."""


@dataclass(frozen=True)
class Request:
    """What one execution is for, and how far it is.

    ``after``: the id of the endpoint's last release before the one to drive; empty for the first.
    ``content_hash`` is the target's, or that of what the running release goes to.
    ``name`` is the same in all executions that hand one release on, and owns the lock.
    """

    endpoint: str
    after: str
    content_hash: str
    by: str
    name: str
    retry: bool = False
    turns: int = 0


@dataclass(frozen=True)
class Answer:
    """What the state machine decides by; ``wait_seconds`` are whole ones, as its Wait needs."""

    done: bool
    outcome: str
    wait_seconds: int
    release_id: str
    turns: int
    reason: str = ""


@dataclass(frozen=True)
class Ended:
    """How a release ended, as its evidence tells; no hash where there is no evidence."""

    outcome: str
    reason: str
    content_hash: str


class World(Protocol):
    """What a slice needs; ``drive`` takes turns until ``until`` (``time.monotonic``)."""

    history: History

    def manifest(self, endpoint: str) -> ReleaseManifest | None: ...
    def outcome(self, release_id: str) -> Ended: ...
    def drive(
        self, manifest: ReleaseManifest, owner: Owner, until: float, *, retry: bool
    ) -> TurnResult: ...


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Drive the release that ``event`` names for a slice; says how to go on.

    Raises:
        EventError: the event is no turn of a release.
        AwsError: AWS did not answer; the state machine tries again.
    """
    request = read_event(event)
    bucket = os.environ.get(HISTORY_BUCKET_VARIABLE)
    if not bucket:
        raise EventError(f"{HISTORY_BUCKET_VARIABLE} is not set; `slipway up` sets it")
    remaining = context.get_remaining_time_in_millis() / 1000
    answer = run_slice(request, AwsWorld(bucket, request.endpoint), remaining)
    print(json.dumps({"request": asdict(request), "answer": asdict(answer)}))
    return asdict(answer)


def read_event(event: Any) -> Request:
    """The request that ``event`` is: ``release`` (an execution's input) and ``turns`` so far."""
    raw = event if isinstance(event, dict) else {}
    told: Any = raw.get("release")
    if not isinstance(told, dict):
        raise EventError(
            f"release is {told!r}; an object with {', '.join(TEXTS)} is needed: "
            "`slipway release` starts executions with it"
        )
    texts = {key: _text(told, key) for key in TEXTS}
    empty = [key for key in TEXTS if not texts[key] and key not in MAY_BE_EMPTY]
    if empty:
        raise EventError(f"release.{empty[0]} must not be empty")
    retry, turns = told.get("retry", False), raw.get("turns", 0)
    if not isinstance(retry, bool):
        raise EventError(f"release.retry is {retry!r}; true or false is needed")
    if not isinstance(turns, int) or isinstance(turns, bool) or turns < 0:
        raise EventError(f"turns is {turns!r}; a whole number of at least 0 is needed")
    return Request(**texts, retry=retry, turns=turns)


def _text(told: dict[Any, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str):
        raise EventError(f"release.{key} is {value!r}; a text is needed")
    return value


def run_slice(
    request: Request,
    world: World,
    remaining_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """One slice: end where the release has ended, else take turns."""
    turns = request.turns + 1
    state = world.history.load()
    ours = release_of(state, request.after)
    if ours is not None and (state.current is None or state.current.id != ours):
        return _ended(request, world.outcome(ours), ours, turns)
    manifest = world.manifest(request.endpoint)
    refusal = _refusal(request, state, manifest)
    if manifest is None or refusal:
        return Answer(True, REFUSED, 0, "", turns, refusal)
    until = clock() + max(0.0, min(SLICE_SECONDS, remaining_seconds - RESERVE_SECONDS))
    try:
        turned = world.drive(manifest, owner_of(request), until, retry=request.retry)
    except LockedError as error:
        # Another driver has it; should that one die, this one goes on.
        return Answer(False, "", int(LOCKED_WAIT_SECONDS), ours or "", turns, str(error))
    except AwsError:
        raise
    except ReleaseError as error:
        if world.history.load().current is not None:
            raise
        return Answer(True, REFUSED, 0, "", turns, str(error))
    if turned.outcome == HELD:
        # A person's word may come at any time: it is looked for, slowly.
        told = turned.result
        running = told.id if told is not None else ours or ""
        return Answer(False, HELD, int(HELD_WAIT_SECONDS), running, turns)
    if turned.outcome is not None:
        told = turned.result
        ended = (told.id, told.reason) if told is not None else (ours or "", "")
        return Answer(True, turned.outcome, 0, ended[0], turns, ended[1])
    wait = math.ceil(min(MAX_WAIT_SECONDS, max(1.0, turned.next_look_seconds)))
    running = ours or release_of(world.history.load(), request.after) or ""
    return Answer(False, "", wait, running, turns)


def _ended(request: Request, ended: Ended, ours: str, turns: int) -> Answer:
    """The outcome; but nobody gets another release's for their own."""
    if ended.content_hash in ("", request.content_hash):
        return Answer(True, ended.outcome, 0, ours, turns, ended.reason)
    reason = _mismatch(request, f"release {ours} released", ended.content_hash)
    return Answer(True, REFUSED, 0, "", turns, reason)


def _refusal(request: Request, state: EndpointState, manifest: ReleaseManifest | None) -> str:
    """Why there is nothing to drive for this request; empty where there is."""
    if manifest is None:
        return f"nothing is staged for endpoint {request.endpoint}; run `slipway up`"
    what, found = "what is staged now is", manifest.target.content_hash
    if state.current is not None:
        running = state.current
        what, found = f"release {running.id} releases", running.destination.content_hash
    return "" if found == request.content_hash else _mismatch(request, what, found)


def _mismatch(request: Request, what: str, found: str) -> str:
    return (
        f"this execution is for content {request.content_hash[:12]} of {request.endpoint}, and "
        f"{what} {found[:12]}: it was changed since; look at `slipway plan`, then run "
        "`slipway release` again"
    )


def release_of(state: EndpointState, after: str) -> str | None:
    """The id of the release that follows ``after``; None where it has not begun."""
    if after in state.releases:
        following = state.releases[state.releases.index(after) + 1 :]
        return following[0] if following else None
    # The first release of all; or `after` is so old that it is forgotten.
    return state.releases[0] if state.releases else None


def owner_of(request: Request) -> Owner:
    """All executions of one release are one owner: none waits for the lease of the one before."""
    host = f"step functions execution {request.name}"
    return Owner(request.by, host, 0, request.name, frozenset({request.name}))


def _tell(event: Event) -> None:
    """What happens, and what a driver complains of, into the function's log."""
    if event.kind != "progress":
        print(json.dumps({"at": event.at, "kind": event.kind, "text": event.text}))


class AwsWorld:
    """S3, SageMaker and CloudWatch, as the function's role may use them."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        from release.aws.cloud import client
        from release.aws.store import S3History

        self._bucket = bucket
        self._s3 = client("s3")
        self.history: History = S3History(self._s3, bucket, endpoint)

    def manifest(self, endpoint: str) -> ReleaseManifest | None:
        from release.aws.store import read_manifest

        return read_manifest(self._s3, self._bucket, endpoint)

    def outcome(self, release_id: str) -> Ended:
        from release.aws.store import read_evidence

        text = read_evidence(self._s3, self._bucket, release_id)
        if text is None:
            return Ended("unknown", f"release {release_id} has ended without evidence", "")
        told = json.loads(text)
        content = str(told["destination"]["content_hash"])
        return Ended(str(told["outcome"]), str(told["reason"]), content)

    def drive(
        self, manifest: ReleaseManifest, owner: Owner, until: float, *, retry: bool
    ) -> TurnResult:
        from release.aws.cloud import AwsCloud
        from release.driver.collaborators import collaborators
        from release.driver.collect import collector

        cloud = AwsCloud(manifest.region)
        options = DriverOptions(
            observer=_tell,
            collector=collector(cloud),
            beside=collaborators(manifest, cloud, LAMBDA),
        )
        return turns(manifest, cloud, self.history, owner, until, retry=retry, options=options)

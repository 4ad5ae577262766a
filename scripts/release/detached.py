"""Releases that a state machine drives: started so that a second start is the first, followed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from contracts.canonical import sha256_text
from contracts.release_manifest import HookGate, ReleaseManifest
from release.aws.cloud import RefusedError, call
from release.driver.progress import Event, Observer
from release.errors import InterruptedReleaseError, ReleaseError
from release.evidence.document import HELD, ReleaseResult, result_of, summarize
from release.handler import release_of
from release.hooks.questions import LAMBDA, runs_in
from release.state import EndpointState, Release

MAX_ATTEMPTS = 20
MAX_ENDPOINT = 24
RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"


class DetachError(ReleaseError):
    """The release cannot be driven by a state machine, or it is driven by none any more."""


@dataclass(frozen=True)
class Started:
    """The execution that drives the release after ``after``; it may have been there before."""

    arn: str
    name: str
    after: str


def state_machine(manifest: ReleaseManifest) -> str:
    """The ARN of what drives the stack's releases in AWS.

    Raises:
        DetachError: there is no such thing, or a hook could not be asked there.
    """
    arn = manifest.controller.state_machine_arn
    if arn is None:
        raise DetachError(
            f"stack {manifest.stack} has nothing in AWS that drives releases; release without "
            "--detach, or set `slipway:controller: {driver: lambda}` and run `slipway up`"
        )
    hooks = [gate for gate in manifest.release.gates if isinstance(gate, HookGate)]
    here = [hook.name for hook in hooks if not runs_in(hook, LAMBDA)]
    if here:
        raise DetachError(
            f"the gate{'s' if len(here) > 1 else ''} {', '.join(here)} run a command, which a "
            "Lambda cannot; make each a function, or release with --driver terminal"
        )
    return arn


def release_before(state: EndpointState) -> str:
    """The id of the last release before the one to drive: the running one's, or the last one."""
    known = state.releases[:-1] if state.current is not None else state.releases
    return known[-1] if known else ""


def content_of(state: EndpointState, manifest: ReleaseManifest) -> str:
    """The hash of what the running release goes to, or of what is staged."""
    return (manifest.target if state.current is None else state.current.destination).content_hash


def execution_name(state: EndpointState, manifest: ReleaseManifest, attempt: int) -> str:
    """The same for the same release, whoever starts it; at most 41 characters, for successors."""
    parts = (manifest.endpoint_name, release_before(state), content_of(state, manifest))
    name = f"{manifest.endpoint_name[:MAX_ENDPOINT]}-{sha256_text('/'.join(parts))[:12]}"
    return name if attempt == 1 else f"{name}-{attempt}"


def successor(lineage: str, name: str) -> str:
    """The name of the execution that ``name`` hands over to, as the state machine makes it."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{lineage}-{digest}"


class Executions:
    """The executions of one state machine."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._machine = state_machine_arn

    def arn(self, name: str) -> str:
        return f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"

    def start(
        self, state: EndpointState, manifest: ReleaseManifest, by: str, *, retry: bool
    ) -> Started:
        """Start it, or find it: one that runs already is the same one."""
        after = release_before(state)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            name = execution_name(state, manifest, attempt)
            told = {
                "endpoint": manifest.endpoint_name,
                "after": after,
                "content_hash": content_of(state, manifest),
                "by": by,
                "name": name,
                "retry": retry,
            }
            try:
                call(
                    self._client.start_execution,
                    stateMachineArn=self._machine,
                    name=name,
                    input=json.dumps(told),
                )
                return Started(self.arn(name), name, after)
            except RefusedError as error:
                if "ExecutionAlreadyExists" not in error.code:
                    raise
            # Started with another input (by someone else), or ended: then it is started anew.
            if self.last(name)[1] == RUNNING:
                return Started(self.arn(name), name, after)
        raise DetachError(
            f"{MAX_ATTEMPTS} executions of {self._machine} tried this release and ended; their "
            "causes are in its history; `slipway release --driver terminal` drives it from here"
        )

    def latest(self, state: EndpointState, manifest: ReleaseManifest) -> Started:
        """The last execution that was started for the release that runs."""
        name = execution_name(state, manifest, 1)
        for attempt in range(2, MAX_ATTEMPTS + 1):
            following = execution_name(state, manifest, attempt)
            if not self._exists(following):
                break
            name = following
        return Started(self.arn(name), name, release_before(state))

    def last(self, lineage: str) -> tuple[str, str, str]:
        """Name, status and cause of the last execution that ``lineage`` was handed on to."""
        name, status, cause = lineage, "", ""
        while True:
            try:
                told = call(self._client.describe_execution, executionArn=self.arn(name))
            except RefusedError as error:
                if "ExecutionDoesNotExist" not in error.code:
                    raise
                return (lineage, "", "") if not status else (name, status, cause)
            status, cause = str(told["status"]), _cause(told)
            if status != SUCCEEDED or _is_done(told):
                return name, status, cause
            following = successor(lineage, name)
            if not self._exists(following):
                return name, status, cause
            name = following

    def _exists(self, name: str) -> bool:
        try:
            call(self._client.describe_execution, executionArn=self.arn(name))
        except RefusedError as error:
            if "ExecutionDoesNotExist" in error.code:
                return False
            raise
        return True


def _cause(told: dict[str, Any]) -> str:
    return str(told.get("cause") or told.get("error") or "")


def _is_done(told: dict[str, Any]) -> bool:
    """Whether its output is the end of a release, and not that it was handed on."""
    try:
        return bool(json.loads(told.get("output") or "{}").get("done"))
    except (ValueError, AttributeError):
        return False


def follow(
    load: Callable[[], EndpointState],
    read_evidence: Callable[[str], str | None],
    executions: Executions | None,
    started: Started,
    observer: Observer,
    stop: threading.Event,
    poll_seconds: float,
) -> ReleaseResult:
    """Show what the release tells of itself until it ends; reads only.

    Raises:
        DetachError: nothing drives it any more.
        InterruptedReleaseError: ``stop`` was set; the release goes on.
    """
    shown = 0
    while True:
        state = load()
        ours = release_of(state, started.after)
        current = state.current
        if current is not None and current.id == ours:
            for entry in current.log[shown:]:
                observer(Event(entry.at, entry.kind, entry.text, entry.data))
            shown = len(current.log)
            observer(_standing(current))
            if current.stage == HELD:
                return replace(summarize(current, {}), outcome=HELD)
        elif ours is not None:
            text = read_evidence(ours)
            if text is None:
                raise DetachError(f"release {ours} has ended without evidence")
            told: dict[str, Any] = json.loads(text)
            for entry in told["log"][shown:]:
                observer(Event(entry["at"], entry["kind"], entry["text"], entry["data"]))
            return result_of(told)
        if executions is not None:
            _refuse_dead(executions, started, ours)
        if stop.wait(poll_seconds):
            what = f"release {ours}" if ours is not None else "the release"
            raise InterruptedReleaseError(
                f"no longer following: {what} goes on without this terminal; `slipway release "
                "--follow` follows it again, `slipway abort` ends it"
            )


def _standing(current: Release) -> Event:
    at = max(current.stage_since, current.seen_at, current.asked_until)
    data = {"started_at": current.started_at, "paused": current.paused_at is not None}
    return Event(at, "progress", current.stage, data)


def _refuse_dead(executions: Executions, started: Started, ours: str | None) -> None:
    name, status, cause = executions.last(started.name)
    if status in (RUNNING, SUCCEEDED, ""):
        return
    if ours is None:
        raise DetachError(f"the release did not begin: {cause or status}")
    raise DetachError(
        f"nothing drives release {ours} any more: execution {name} is {status} ({cause}); what "
        "serves now goes on serving; `slipway release` continues it, `slipway rollback` undoes it"
    )

"""The lock on an endpoint's release state: a lease with the token of the driver that holds it.

Host and process are a hint only: they let a driver on the same machine continue at once what a dead
one left; everywhere else the lease decides.
"""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from contracts.release_manifest import HookGate
from release.errors import LockedError
from release.state import EndpointState, Lock, Owner, Release


def this_process(who: str, token: str, siblings: frozenset[str]) -> Owner:
    return Owner(who, socket.gethostname(), os.getpid(), token, siblings)


def process_is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Killed, but its parent has not noticed: it holds nothing any more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False  # gone meanwhile, or a system without /proc
    return text.rpartition(")")[2].split()[:1] == ["Z"]


def holder(state: EndpointState, wall: float, here: Owner) -> Lock | None:
    """The lock if another driver holds it; None if it is free, expired, or its owner is dead."""
    lock = state.lock
    if lock is None or lock.expires_at <= wall or lock.token == here.token:
        return None
    if lock.host != here.host or not lock.pid:
        return lock
    if lock.pid == here.pid:
        return lock if lock.token in here.siblings else None
    return lock if process_is_alive(lock.pid) else None


def where(lock: Lock) -> str:
    """The place of a driver, as people are told it."""
    return f"{lock.host} (process {lock.pid})" if lock.pid else lock.host


def lease_of(release: Release, seconds: float) -> float:
    """A lease of ``seconds``, and of as long as its driver may wait for a hook meanwhile."""
    hooks = (g for g in release.manifest.release.gates if isinstance(g, HookGate))
    return seconds + max((hook.timeout_seconds for hook in hooks), default=0.0)


def acquire(
    state: EndpointState, here: Owner, release_id: str, wall: float, lease_seconds: float
) -> EndpointState:
    """Take the lock, or say who has it.

    Raises:
        LockedError: a living driver holds an unexpired lease.
    """
    held = holder(state, wall, here)
    if held is not None:
        since = datetime.fromtimestamp(held.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        remedy = (
            "wait for its end or stop that process (Ctrl-C), then run this again: a release that "
            "was stopped is continued"
            if held.pid
            else "wait for its end, or end it with `slipway abort`"
        )
        raise LockedError(
            f"{state.endpoint_name}: release {held.release_id} is running, by {held.owner} on "
            f"{where(held)} since {since}; {remedy}"
        )
    expires = wall + lease_seconds
    since = wall if state.lock is None or state.lock.token != here.token else state.lock.since
    lock = Lock(here.who, here.host, here.pid, here.token, since, expires, release_id)
    return replace(state, lock=lock)


def unlocked(state: EndpointState) -> EndpointState:
    return replace(state, lock=None)

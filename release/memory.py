"""What an endpoint's state is once a release begins or ends, or its stack is destroyed."""

from __future__ import annotations

from dataclasses import replace

from release.owed import OwedScaling
from release.state import (
    PROMOTED,
    REMEMBERED_RELEASES,
    ROLLBACK,
    ROLLED_BACK,
    EndpointState,
    Entry,
    GoodVersion,
    Release,
)


def remember_good(
    good: tuple[GoodVersion, ...], version: GoodVersion, keep: int
) -> tuple[GoodVersion, ...]:
    """``version`` at the head, each content once, the last ``keep`` of them."""
    if not version.content_hash:
        return good
    others = (g for g in good if g.content_hash != version.content_hash)
    return (version, *others)[: max(1, keep)]


def finished(state: EndpointState, keep: int) -> EndpointState:
    """The running release has ended: remember what is good, what is rejected; free the lock."""
    release = state.current
    if release is None or release.outcome is None:
        raise AssertionError("only a release with an outcome can be finished")
    good = remember_good(state.good, release.before.good, keep)
    destination = replace(release.destination, since=release.stage_since)
    rejected = [h for h in state.rejected if h != release.destination.content_hash]
    if release.purpose == ROLLBACK:
        if release.outcome == ROLLED_BACK:
            good = remember_good(good, destination, keep)
            rejected += [h for h in (release.before.good.content_hash,) if h]
            good = tuple(g for g in good if g.content_hash != release.before.good.content_hash)
    elif release.outcome == PROMOTED:
        good = remember_good(good, destination, keep)
    elif release.outcome == ROLLED_BACK or release.destination.content_hash in state.rejected:
        rejected.append(release.destination.content_hash)
    return replace(
        state,
        lock=None,
        current=None,
        good=good,
        rejected=tuple(dict.fromkeys(rejected)),
        closed=None,
        owed_scaling=_owed(release),
        turnover_seconds=release.turnover_seconds or state.turnover_seconds,
    )


def _owed(release: Release) -> OwedScaling | None:
    target, is_removed = release.before.scaling, release.is_scaling_removed
    if target is None or not release.owes_scaling:
        return None
    is_removed = is_removed or release.is_scaling_owed
    return OwedScaling(target, is_removed, release.id, release.stage_since, release.owes_scaling)


def started(state: EndpointState, release: Release) -> EndpointState:
    """``release`` runs from now on. A closed history belonged to an endpoint that is gone."""
    was_closed = state.closed is not None
    return replace(
        state,
        current=release,
        closed=None,
        good=() if was_closed else state.good,
        rejected=() if was_closed else state.rejected,
        owed_scaling=None if was_closed else state.owed_scaling,
        releases=(*state.releases, release.id)[-REMEMBERED_RELEASES:],
    )


def closed(state: EndpointState, at: float, by: str) -> EndpointState:
    """The stack was destroyed; the history stays."""
    entry = Entry(at, "closed", f"stack destroyed by {by}", {"by": by})
    return replace(state, lock=None, current=None, closed=entry, owed_scaling=None)

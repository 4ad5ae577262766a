"""Puts back what a release could not put back of ``live``'s scaling, once AWS lets it."""

from __future__ import annotations

import time
from dataclasses import replace

from release.actions import RestoreScaling, SetScaling
from release.aws.cloud import Cloud, RefusedError, UnavailableError
from release.aws.store import History
from release.driver.lock import acquire, holder, unlocked
from release.owed import OwedScaling, due
from release.state import EndpointState, Owner


def settle(
    name: str,
    cloud: Cloud,
    history: History,
    state: EndpointState,
    here: Owner,
    lease_seconds: float,
) -> EndpointState:
    """The state as it is after a try, under the lock: a release that begins would suspend it again.

    Nothing happens where nothing is owed, or while a release runs.

    Raises:
        ConflictError: another process wrote the state meanwhile.
    """
    owed, wall = state.owed_scaling, time.time()
    if owed is None or state.current is not None or holder(state, wall, here) is not None:
        return state
    locked = acquire(state, here, owed.release_id, wall, lease_seconds)
    history.save(locked)
    settled = replace(unlocked(locked), owed_scaling=_left(name, cloud, owed))
    history.save(settled)
    return settled


def _left(name: str, cloud: Cloud, owed: OwedScaling) -> OwedScaling | None:
    try:
        wanted = due(owed, cloud.scaling(name))
        if wanted is not None:
            action = RestoreScaling(wanted) if owed.is_removed else SetScaling(wanted.suspended)
            cloud.execute(name, action)
    except RefusedError as error:
        return replace(owed, why=str(error))
    except UnavailableError:
        return owed
    return None

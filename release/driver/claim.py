"""Who drives: a driver begins what is staged, or continues what runs, once it holds the lock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from contracts.release_manifest import ReleaseManifest
from release.aws.cloud import Cloud
from release.aws.store import History
from release.controller import advance as controller
from release.controller.stages import Stage
from release.driver.beginning import new_release
from release.driver.lock import acquire, holder, lease_of, this_process
from release.driver.owed import settle
from release.driver.turn import DriverOptions, Running
from release.errors import ConflictError, ReleaseError
from release.memory import started
from release.state import EndpointState, Owner, Release

BEGIN_ATTEMPTS = 3
_DRIVERS: set[str] = set()


class Claim:
    """What one driver has to say of a release before it may move it.

    ``who`` is the caller's name, as the lock and the evidence tell it.
    """

    def __init__(
        self, cloud: Cloud, history: History, options: DriverOptions, running: Running
    ) -> None:
        self._cloud = cloud
        self._history = history
        self._owner = options.owner
        self._lease_seconds = options.pace.lease_seconds
        self._running = running
        self._token = self._owner.token if self._owner is not None else secrets.token_hex(8)

    @contextmanager
    def registered(self) -> Generator[None]:
        """Known to the other drivers of this process while it runs, however it ends."""
        _DRIVERS.add(self._token)
        try:
            yield
        finally:
            _DRIVERS.discard(self._token)

    @cached_property
    def who(self) -> str:
        return self._owner.who if self._owner is not None else self._cloud.caller()

    def begin_or_continue(self, manifest: ReleaseManifest, *, retry: bool) -> None:
        """Continue the release that runs, or begin what ``manifest`` stages.

        Raises:
            LockedError: another driver holds the release.
            ReleaseError: it cannot begin; nothing was moved.
        """
        for _ in range(BEGIN_ATTEMPTS):
            try:
                state = self._history.load()
                if state.current is not None:
                    self.take_over(state, state.current)
                else:
                    freeze = self._history.freeze()
                    self.begin(
                        state,
                        lambda state, token, freeze=freeze: new_release(
                            manifest, self._cloud, state, token, self.who, freeze, retry=retry
                        ),
                    )
                return
            except _LostRaceError:
                continue
        name = manifest.endpoint_name
        raise ConflictError(f"the release state of {name} keeps changing; run this again")

    def begin(self, state: EndpointState, make: Callable[[EndpointState, str], Release]) -> None:
        """Begin the release that ``make`` gives for the state and a token."""
        here = self._here()
        if holder(state, time.time(), here) is not None:
            acquire(state, here, "", time.time(), self._lease_seconds)
        state = self._settled(state, here)
        release = make(state, secrets.token_hex(2))
        state = started(state, release)
        self._running.teller.begin(None)
        lease = lease_of(release, self._lease_seconds)
        state = acquire(state, here, release.id, time.time(), lease)
        self._take(state, "another release began meanwhile")

    def take_over(self, state: EndpointState, release: Release) -> None:
        """Continue the running release unless a living driver has it; our own goes on quietly."""
        lock, lease = state.lock, lease_of(release, self._lease_seconds)
        state = acquire(state, self._here(), release.id, time.time(), lease)
        self._running.teller.begin(release)
        is_new = lock is None or lock.token != self._token
        if release.pending or (is_new and release.stage != Stage.HELD):
            release = controller.resumed(release, self._cloud.endpoint(state.endpoint_name))
        self._take(replace(state, current=release), "another driver continued it")

    def _settled(self, state: EndpointState, here: Owner) -> EndpointState:
        """What the release before owes is put back first, where AWS lets it now."""
        try:
            return settle(
                state.endpoint_name, self._cloud, self._history, state, here, self._lease_seconds
            )
        except ConflictError:
            raise _LostRaceError(f"{state.endpoint_name}: another process was faster") from None

    def _here(self) -> Owner:
        return self._owner or this_process(self.who, self._token, frozenset(_DRIVERS))

    def _take(self, state: EndpointState, lost: str) -> None:
        """Hold the lock from now on; ``lost`` says what happened where another one was faster."""
        try:
            self._history.save(state)
        except ConflictError:
            raise _LostRaceError(f"{state.endpoint_name}: {lost}") from None
        self._running.state = state


class _LostRaceError(ReleaseError):
    """Another driver wrote the state first: read it again and decide anew."""

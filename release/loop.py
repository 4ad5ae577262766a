"""One release, driven: look, decide, save, act, until it has ended.

The state is saved before each action, so that whoever comes next knows what may have been done, and
held against what is stored before each one; the same write renews the lease and fails if another
driver has taken over.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from contracts.release_manifest import ReleaseManifest
from release import controller
from release.actions import Action, describe
from release.aws import Cloud, RefusedError, UnavailableError
from release.beginning import new_release, new_rollback
from release.collect import nothing
from release.errors import (
    AwsError,
    ConflictError,
    InterruptedReleaseError,
    LockedError,
    ReleaseError,
)
from release.evidence import ReleaseResult, evidence, summarize
from release.lock import acquire, holder, this_process, unlocked
from release.look import look
from release.needs import whole_story
from release.observation import Endpoint, Request, Series
from release.progress import NOBODY, Collaborators, Observer, Pace
from release.stages import FORWARD, Stage
from release.state import HELD, RELEASE, EndpointState, Owner, Release, finished, started
from release.store import History
from release.telling import Teller

BEGIN_ATTEMPTS = 3
LONGEST_BACKOFF_SECONDS = 60.0
_DRIVERS: set[str] = set()
# Removes what nothing needs any more, and names it.
Collector = Callable[[EndpointState, ReleaseManifest], list[str]]


@dataclass(frozen=True)
class TurnResult:
    """How far a slice of turns came: the outcome (or held), or when to look again."""

    outcome: str | None
    next_look_seconds: float
    result: ReleaseResult | None


@dataclass(frozen=True)
class DriverOptions:
    """``owner``: who holds the lock; None for this process, with a token of its own."""

    observer: Observer = lambda _event: None
    pace: Pace = field(default_factory=Pace)
    stop: threading.Event = field(default_factory=threading.Event)
    collector: Collector = nothing
    beside: Collaborators = NOBODY
    owner: Owner | None = None


class Driver:
    def __init__(
        self, manifest: ReleaseManifest, cloud: Cloud, history: History, options: DriverOptions
    ) -> None:
        owner = options.owner
        self._manifest = manifest
        self._name = manifest.endpoint_name
        self._cloud = cloud
        self._history = history
        self._teller = Teller(options.observer)
        self._pace = options.pace
        self._stop = options.stop
        self._state = EndpointState(self._name)
        self._collector = options.collector
        self._beside = options.beside
        self._owner = owner
        self._token = owner.token if owner is not None else secrets.token_hex(8)

    # --- beginning

    def release(self, *, retry: bool) -> ReleaseResult:
        with self._registered():
            self._begin_or_continue(retry=retry)
            return self._drive()

    def rollback(self, to: str | None) -> ReleaseResult:
        with self._registered():
            return self._rollback(to)

    @contextmanager
    def _registered(self) -> Generator[None]:
        """Known to the other drivers of this process while it runs, however it ends."""
        _DRIVERS.add(self._token)
        try:
            yield
        finally:
            _DRIVERS.discard(self._token)

    def _here(self, who: str) -> Owner:
        return self._owner or this_process(who, self._token, frozenset(_DRIVERS))

    def _who(self) -> str:
        return self._owner.who if self._owner is not None else self._cloud.caller()

    def _begin_or_continue(self, *, retry: bool) -> None:
        who = self._who()
        for _ in range(BEGIN_ATTEMPTS):
            try:
                self._state = self._history.load()
                if self._state.current is not None:
                    self._take_over(who)
                else:
                    freeze = self._history.freeze()
                    self._begin(
                        who,
                        lambda state, token, freeze=freeze: new_release(
                            self._manifest, self._cloud, state, token, who, freeze, retry=retry
                        ),
                    )
                return
            except _LostRaceError:
                continue
        raise ConflictError(f"the release state of {self._name} keeps changing; run this again")

    def _rollback(self, to: str | None) -> ReleaseResult:
        who = self._who()
        self._state = self._history.load()
        if self._state.current is not None:
            self._take_over(who)
            current = self._running()
            is_release = current.purpose == RELEASE
            if is_release:
                now = self._cloud.endpoint(self._name).now
                stopped = controller.abort(current, f"stopped by `slipway rollback` ({who})", now)
                self._save(replace(self._state, current=stopped))
            result = self._drive()
            if to is None or not is_release or result.from_version == to:
                return result
            self._state = self._history.load()
        self._begin(
            who,
            lambda state, token: new_rollback(self._manifest, self._cloud, state, token, who, to),
        )
        return self._drive()

    def _begin(self, who: str, make: Callable[[EndpointState, str], Release]) -> None:
        state, here = self._state, self._here(who)
        if holder(state, time.time(), here) is not None:
            acquire(state, here, "", time.time(), self._pace.lease_seconds)
        release = make(state, secrets.token_hex(2))
        state = started(state, release)
        self._teller.begin(None)
        state = acquire(state, here, release.id, time.time(), self._pace.lease_seconds)
        try:
            self._history.save(state)
        except ConflictError:
            raise _LostRaceError(f"{self._name}: another release began meanwhile") from None
        self._state = state

    def _take_over(self, who: str) -> None:
        """Continue the running release unless a living driver has it; our own goes on quietly."""
        release, lock = self._running(), self._state.lock
        now = time.time()
        state = acquire(self._state, self._here(who), release.id, now, self._pace.lease_seconds)
        self._teller.begin(release)
        is_new = lock is None or lock.token != self._token
        if release.pending or (is_new and release.stage != Stage.HELD):
            release = controller.resumed(release, self._cloud.endpoint(self._name))
        state = replace(state, current=release)
        try:
            self._history.save(state)
        except ConflictError:
            raise _LostRaceError(f"{self._name}: another driver continued it") from None
        self._state = state

    # --- driving

    def _drive(self) -> ReleaseResult:
        last_answer, failures = time.monotonic(), 0
        while True:
            try:
                result = self._step()
                if result is not None:
                    return result
                last_answer, failures = time.monotonic(), 0
            except UnavailableError as error:
                self._teller.say("trouble", str(error))
                failures += 1
                if time.monotonic() - last_answer > self._pace.give_up_seconds:
                    self._give_up(error)
                    last_answer, failures = time.monotonic(), 0
            if failures == 0 and self._running().pending:
                continue
            backoff = min(LONGEST_BACKOFF_SECONDS, self._pace.poll_seconds * 2 ** min(failures, 8))
            wait = backoff * random.uniform(0.5, 1.0) if failures else self._pace.poll_seconds
            if self._stop.wait(wait):
                self._interrupt()

    def turns(self, until: float, *, retry: bool) -> TurnResult:
        """Go on until nothing can be done at once, or ``until`` (time.monotonic) has come."""
        with self._registered():
            self._begin_or_continue(retry=retry)
            while True:
                before = self._running()
                try:
                    result = self._step(with_series=False)
                except UnavailableError as error:
                    self._unanswered(error)
                    raise
                if result is not None:
                    return TurnResult(result.outcome, 0.0, result)
                after = self._running()
                is_idle = not after.pending and after.stage == before.stage and not before.pending
                if is_idle or time.monotonic() >= until:
                    break
            wait = 0.0 if self._running().pending else self._pace.poll_seconds
            self._save(self._state, self._pace.lease_seconds + wait)
            return TurnResult(None, wait, None)

    def _step(self, *, with_series: bool = True) -> ReleaseResult | None:
        """Execute what is pending, else look and decide; the result when it has ended.

        A held one is summarized without its minutes where nobody reads them (``with_series``).
        """
        if self._running().pending:
            self._execute()
            return None
        if self._turn():
            return self._finish()
        if self._running().stage == Stage.HELD:
            return self._hold(with_series=with_series)
        return None

    def _turn(self) -> bool:
        """Look, decide and save; True when the release has an outcome."""
        release = self._running()
        request = self._request()
        observation = look(release, self._cloud, self._beside, request, self._trouble)
        self._teller.now = observation.endpoint.now
        changed, _ = controller.advance(release, observation)
        changed = self._announced(changed)
        if changed != release or self._lease_is_half_over():
            self._save(replace(self._state, current=changed))
        if request is not None:
            self._forget(request, changed)
        self._teller.report(changed, observation)
        return changed.outcome is not None

    def _execute(self) -> None:
        release = self._running()
        for action in release.pending:
            if self._lease_is_half_over():
                self._save(self._state)
            elif not self._history.is_unchanged():
                raise self._taken_over()
            try:
                self._cloud.execute(self._name, action)
            except RefusedError as error:
                self._refused(action, str(error))
                return
            self._teller.say("action", describe(action))
        self._save(replace(self._state, current=controller.executed(release)))

    def _refused(self, action: Action, message: str) -> None:
        now = self._cloud.endpoint(self._name).now
        changed = controller.refused(self._running(), action, message, now)
        self._save(replace(self._state, current=changed))

    def _unanswered(self, error: UnavailableError) -> None:
        """Remember since when a pending action is not taken; give it up as the terminal would.

        On the way back nothing is given up: the state machine asks again, and tells a person.
        """
        release, now = self._running(), time.time()
        if not release.pending or Stage(release.stage) not in FORWARD:
            return
        if release.unanswered_since is None or release.unanswered_since > now:
            self._save(replace(self._state, current=replace(release, unanswered_since=now)))
        elif now - release.unanswered_since > self._pace.give_up_seconds:
            self._give_up(error)

    def _give_up(self, error: UnavailableError) -> None:
        """One action that AWS does not take for so long ends the release safely, if all else works.

        Raises:
            ReleaseError: the endpoint cannot be seen either, or it is the way back that is blocked.
        """
        release = self._running()
        try:
            if release.pending and Stage(release.stage) in FORWARD:
                self._refused(release.pending[0], f"no answer any more ({error})")
                return
        except AwsError:
            pass
        raise ReleaseError(
            f"release {release.id} stands in stage {release.stage}: {error}; "
            "run the same command again to continue it"
        ) from error

    def _hold(self, *, with_series: bool) -> ReleaseResult:
        """The lock is free; a person's word, or another command, goes on with it."""
        release = self._running()
        series: Series = {}
        if with_series:
            series = self._whole_series(release, self._cloud.endpoint(self._name))
        self._history.save(unlocked(self._state))
        return summarize(replace(release, outcome=HELD), series)

    def _finish(self) -> ReleaseResult:
        """Evidence first, then the end: a kill in between only writes the evidence again."""
        release = self._running()
        endpoint = self._cloud.endpoint(self._name)
        series = self._whole_series(release, endpoint)
        self._history.write_evidence(release.id, self._evidence(release, series, endpoint))
        ended = finished(self._state, release.manifest.release.keep_versions)
        self._history.save(ended)
        self._state = ended
        self._collect(release.manifest)
        return summarize(release, series)

    def _evidence(self, release: Release, series: Series, endpoint: Endpoint) -> str:
        after = self._cloud.config(endpoint.config_name) if endpoint.config_name else None
        return evidence(release, series, endpoint.config_name, after)

    def _collect(self, manifest: ReleaseManifest) -> None:
        """What could not be removed today is found again at the end of the next release."""
        try:
            removed = self._collector(self._state, manifest)
        except AwsError as error:
            self._teller.say("trouble", f"collection stopped: {error}")
            return
        for name in removed:
            self._teller.say("collected", name)

    def _whole_series(self, release: Release, endpoint: Endpoint) -> Series:
        series: Series = {}
        for query in whole_story(release, endpoint.now):
            try:
                found = self._cloud.series(self._name, query)
            except AwsError as error:
                self._trouble(f"minutes are missing in the evidence: {error}")
                continue
            for name, minutes in found.items():
                series[name] = series.get(name, {}) | minutes
        return series

    def _interrupt(self) -> None:
        release = self._running()
        self._history.save(unlocked(self._state))
        goes_on = "what serves now goes on serving"
        if release.stage == Stage.SHIFT and release.issued:
            goes_on = "SageMaker goes on by its own timers and alarms, without the gates"
        raise InterruptedReleaseError(
            f"release {release.id} waits in stage {release.stage}; {goes_on}; run the same command "
            "again to continue it, or `slipway rollback` to undo it"
        )

    # --- a person's word, and the world

    def _request(self) -> Request | None:
        try:
            return self._history.request()
        except AwsError as error:
            self._trouble(str(error))
            return None

    def _forget(self, request: Request, release: Release) -> None:
        if request.release_id == release.id and request.id not in release.requests:
            return
        try:
            self._history.forget_request(request)
        except AwsError as error:
            self._trouble(str(error))

    def _announced(self, release: Release) -> Release:
        told = self._beside.announce(release, release.told)
        if told.problem:
            self._trouble(told.problem)
        return release if told.count == release.told else replace(release, told=told.count)

    def _trouble(self, text: str) -> None:
        self._teller.say("trouble", text)

    # --- the state and its lease

    def _running(self) -> Release:
        if self._state.current is None:
            raise AssertionError("no release is running")
        return self._state.current

    def _lease_is_half_over(self) -> bool:
        lock = self._state.lock
        return lock is None or lock.expires_at - time.time() < self._pace.lease_seconds / 2

    def _save(self, state: EndpointState, lease_seconds: float | None = None) -> None:
        """Write the state with a renewed lease; refused if another driver has taken over."""
        if state.lock is not None:
            lease = self._pace.lease_seconds if lease_seconds is None else lease_seconds
            state = replace(state, lock=replace(state.lock, expires_at=time.time() + lease))
        try:
            self._history.save(state)
        except ConflictError:
            raise self._taken_over() from None
        self._state = state

    def _taken_over(self) -> LockedError:
        return LockedError(
            f"{self._name}: another process has taken over release {self._running().id}; "
            "this one stops and changes nothing more"
        )


class _LostRaceError(ReleaseError):
    """Another driver wrote the state first: read it again and decide anew."""


def turns(
    manifest: ReleaseManifest,
    cloud: Cloud,
    history: History,
    owner: Owner,
    until: float,
    *,
    retry: bool = False,
    options: DriverOptions | None = None,
) -> TurnResult:
    """A slice of a release for a driver that comes and goes, such as a Lambda.

    Begins what ``manifest`` stages where nothing runs on its endpoint, else continues it; goes on
    until nothing can be done at once, at the latest until ``until`` (``time.monotonic``). The lock
    stays with ``owner``, whose token is the same in all its slices, until a lease after the next
    look.

    Raises:
        LockedError: another driver holds the release.
        ReleaseError: it cannot begin; nothing was moved.
        UnavailableError: AWS does not answer; another slice may.
    """
    mine = replace(options or DriverOptions(), owner=owner)
    return Driver(manifest, cloud, history, mine).turns(until, retry=retry)

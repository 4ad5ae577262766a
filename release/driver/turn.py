"""One release under way: look, decide, save, act; its state, and the lock that its driver holds.

The state is saved before each action, so that whoever comes next knows what may have been done, and
held against what is stored before each one; the same write renews the lease and fails if another
driver has taken over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from contracts.errors import ContractError
from contracts.release_manifest import ReleaseManifest
from release.actions import describe, is_in_the_way
from release.aws.cloud import Cloud, RefusedError, UnavailableError
from release.aws.store import History
from release.controller import advance as controller
from release.controller.needs import whole_story
from release.controller.retreat import FOREIGN
from release.controller.stages import Stage
from release.driver.collect import nothing
from release.driver.lock import lease_of, unlocked
from release.driver.look import look, with_author
from release.driver.progress import NOBODY, Collaborators, Observer, Pace
from release.driver.telling import Teller
from release.errors import AwsError, ConflictError, LockedError
from release.evidence.document import ReleaseResult, evidence, summarize, together
from release.memory import finished
from release.observation import Endpoint, Request, Series
from release.state import HELD, EndpointState, Owner, Release

# How long a release that has ended waits for its end to be told, and for the minutes of its
# evidence, looking again at the usual pace.
TELL_SECONDS = 120.0
# Removes what nothing needs any more, and names it.
Collector = Callable[[EndpointState, ReleaseManifest], list[str]]


@dataclass(frozen=True)
class DriverOptions:
    """``owner``: who holds the lock; None for this process, with a token of its own."""

    observer: Observer = lambda _event: None
    pace: Pace = field(default_factory=Pace)
    stop: threading.Event = field(default_factory=threading.Event)
    collector: Collector = nothing
    beside: Collaborators = NOBODY
    owner: Owner | None = None


class Running:
    """The release that runs on the endpoint ``name``, as one driver moves it on.

    ``state`` is what was read or written last.
    """

    def __init__(self, name: str, cloud: Cloud, history: History, options: DriverOptions) -> None:
        self.state = EndpointState(name)
        self.teller = Teller(options.observer)
        self._name = name
        self._cloud = cloud
        self._history = history
        self._pace = options.pace
        self._collector = options.collector
        self._beside = options.beside
        # Which of the pending actions was tried last.
        self._tried = 0
        # Whether they were decided by this driver's last look, and not tried in vain since.
        self._is_fresh = False
        self._is_untold = False

    @property
    def release(self) -> Release:
        if self.state.current is None:
            raise AssertionError("no release is running")
        return self.state.current

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person: what it decided for itself is executed first."""
        return self.release.stage == Stage.HELD and not self.release.pending

    # --- one step

    def step(self) -> ReleaseResult | None:
        """Execute what is pending, else look and decide; the result when it has ended.

        What was decided before another driver came, or AWS failed, is decided anew before it is
        executed: the world may have changed since.
        """
        if self.release.pending and self._is_fresh:
            self._execute()
            return None
        had_pending = bool(self.release.pending)
        has_ended = self._turn()
        if had_pending and self.release.pending:
            self._execute()
        return self._finish() if has_ended else None

    def _turn(self) -> bool:
        """Look, decide and save; True when the release has an outcome."""
        release = self.release
        decide = controller.reconsidered if release.pending else controller.advance
        request = self._request()
        observation = look(release, self._cloud, self._beside, request, self._trouble)
        self.teller.now = observation.endpoint.now
        changed, _ = decide(release, observation)
        if any(entry.kind == FOREIGN for entry in changed.log[len(release.log) :]):
            changed, _ = decide(release, with_author(observation, release, self._cloud))
        if changed != release or self._lease_is_half_over():
            self.save(changed)
        # Only what is saved is told: another driver may have decided otherwise meanwhile.
        announced = self._announced(changed)
        if announced != changed:
            self.save(announced)
        changed = announced
        self._is_fresh = True
        if request is not None:
            self._forget(request, changed)
        self.teller.report(changed, observation)
        waited = observation.endpoint.now - changed.stage_since
        # Nobody goes on with a release that has ended: what was not told now is never told.
        is_heard = not self._is_untold or waited >= TELL_SECONDS
        return changed.outcome is not None and is_heard

    def _execute(self) -> None:
        release = self.release
        for self._tried, action in enumerate(release.pending):
            if self._lease_is_half_over():
                self.save(release)
            elif not self._history.is_unchanged():
                raise self._taken_over()
            try:
                self._cloud.execute(self._name, action)
            except RefusedError as error:
                if is_in_the_way(action, self._cloud.endpoint(self._name)):
                    # Scaling, or a person, was faster: look again, and wait for its end.
                    self._is_fresh = False
                else:
                    self.refuse(str(error))
                return
            except AwsError:
                self._is_fresh = False
                raise
            self.teller.say("action", describe(action))
        self.save(controller.executed(release))

    def refuse(self, message: str) -> None:
        """Decide what follows where the action that was tried last is not to be had."""
        release = self.release
        now = self._cloud.endpoint(self._name).now
        self.save(controller.refused(release, release.pending[self._tried], message, now))

    # --- the end

    def hold(self, *, with_series: bool) -> ReleaseResult:
        """The lock is free; a person's word, or another command, goes on with it.

        ``with_series`` reads all of its minutes, to tell what the candidate got.
        """
        release = self.release
        series: Series = {}
        if with_series:
            endpoint = self._cloud.endpoint(self._name)
            series = self._whole_series(release, endpoint, is_patient=False)
        self.unlock()
        return summarize(replace(release, outcome=HELD), series)

    def _finish(self) -> ReleaseResult | None:
        """Evidence first, then the end: a kill in between only writes the evidence again.

        None where the evidence waits for minutes that could not be read now.
        """
        release = self.release
        endpoint = self._cloud.endpoint(self._name)
        is_patient = endpoint.now - release.stage_since < TELL_SECONDS
        try:
            series = self._whole_series(release, endpoint, is_patient=is_patient)
        except UnavailableError as error:
            self._trouble(f"the evidence waits for its minutes: {error}")
            return None
        self._history.write_evidence(release.id, self._evidence(release, series, endpoint))
        ended = finished(self.state, release.manifest.release.keep_versions)
        self._history.save(ended)
        self.state = ended
        self._collect(release.manifest)
        return summarize(release, series)

    def _evidence(self, release: Release, series: Series, endpoint: Endpoint) -> str:
        after = self._cloud.config(endpoint.config_name) if endpoint.config_name else None
        return evidence(release, series, endpoint.config_name, after)

    def _collect(self, manifest: ReleaseManifest) -> None:
        """What could not be removed today is found again at the end of the next release."""
        try:
            state = self._history.load()
            if state.current is not None:
                return  # another one has begun, and needs what it found
            removed = self._collector(state, manifest)
        except AwsError as error:
            self._trouble(f"collection stopped: {error}")
            return
        for name in removed:
            self.teller.say("collected", f"removed {name}, which is no longer needed")

    def _whole_series(self, release: Release, endpoint: Endpoint, *, is_patient: bool) -> Series:
        """Every minute; those that cannot be read are told as missing.

        Raises:
            UnavailableError: ``is_patient``, and they may be read a little later.
        """
        series: Series = {}
        for query in whole_story(release, endpoint.now):
            try:
                found = self._cloud.series(self._name, query)
            except AwsError as error:
                if is_patient and isinstance(error, UnavailableError):
                    raise
                self._trouble(f"minutes are missing in the evidence: {error}")
                continue
            series = together(series, found)
        return series

    # --- a person's word, and the world

    def _request(self) -> Request | None:
        try:
            return self._history.request()
        except (AwsError, ContractError) as error:
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
        self._is_untold = bool(told.problem)
        if told.problem:
            self._trouble(told.problem)
        return release if told.count == release.told else replace(release, told=told.count)

    def _trouble(self, text: str) -> None:
        self.teller.say("trouble", text)

    # --- the state and its lease

    def _lease_is_half_over(self) -> bool:
        lock, lease = self.state.lock, lease_of(self.release, self._pace.lease_seconds / 2)
        return lock is None or lock.expires_at - time.time() < lease

    def save(self, release: Release, extra_seconds: float = 0.0) -> None:
        """Write the release with a renewed lease, ``extra_seconds`` longer than usual.

        Raises:
            LockedError: another driver has taken over.
        """
        state = replace(self.state, current=release)
        if state.lock is not None:
            lease = lease_of(release, self._pace.lease_seconds) + extra_seconds
            state = replace(state, lock=replace(state.lock, expires_at=time.time() + lease))
        try:
            self._history.save(state)
        except ConflictError:
            raise self._taken_over() from None
        self.state = state

    def unlock(self) -> None:
        """Whoever comes next may go on with it at once."""
        self._history.save(unlocked(self.state))

    def _taken_over(self) -> LockedError:
        return LockedError(
            f"{self._name}: another process has taken over release {self.release.id}; "
            "this one stops and changes nothing more"
        )

"""One release, driven: look, decide, save, act, until it has ended.

The state is saved before each action, so that whoever comes next knows what may have been done; the
same write renews the lease and fails if another process has taken over.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, ReleaseManifest
from release import controller, start
from release.actions import describe
from release.aws import Cloud, RefusedError, UnavailableError
from release.counting import MINUTE
from release.errors import (
    AwsError,
    ConflictError,
    InterruptedReleaseError,
    LockedError,
    ReleaseError,
)
from release.evidence import ReleaseResult, evidence, summarize
from release.observation import MISSING, Endpoint, MetricQuery, Observation, Series
from release.plan import refuse_errors
from release.progress import Event, Observer, Pace
from release.stages import transition_config
from release.state import (
    RELEASE,
    EndpointState,
    GoodVersion,
    Owner,
    Release,
    acquire,
    finished,
    holder,
    started,
    this_process,
    unlocked,
)
from release.store import History

BEGIN_ATTEMPTS = 3
_DRIVERS: set[str] = set()
# Removes what nothing needs any more, and names it.
Collector = Callable[[EndpointState, ReleaseManifest], list[str]]


class Driver:
    def __init__(
        self,
        manifest: ReleaseManifest,
        cloud: Cloud,
        history: History,
        observer: Observer,
        pace: Pace,
        stop: threading.Event,
        collector: Collector,
    ) -> None:
        self._manifest = manifest
        self._name = manifest.endpoint_name
        self._cloud = cloud
        self._history = history
        self._observer = observer
        self._pace = pace
        self._stop = stop
        self._state = EndpointState(self._name)
        self._collector = collector
        self._token = secrets.token_hex(8)
        self._now = 0.0
        self._shown_entries = 0
        self._shown_minutes = 0

    # --- beginning

    def release(self, *, retry: bool) -> ReleaseResult:
        with self._registered():
            return self._release(retry=retry)

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
        return this_process(who, self._token, frozenset(_DRIVERS))

    def _release(self, *, retry: bool) -> ReleaseResult:
        who = self._cloud.caller()
        for _ in range(BEGIN_ATTEMPTS):
            try:
                self._state = self._history.load()
                if self._state.current is not None:
                    self._take_over(who)
                else:
                    self._begin(who, lambda s, i: self._new_release(s, i, who, retry=retry))
                return self._drive()
            except _LostRaceError:
                continue
        raise ConflictError(f"the release state of {self._name} keeps changing; run this again")

    def _rollback(self, to: str | None) -> ReleaseResult:
        who = self._cloud.caller()
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
        self._begin(who, lambda s, i: self._new_rollback(s, i, who, to))
        return self._drive()

    def _begin(self, who: str, make: Callable[[EndpointState, str], Release]) -> None:
        state, here = self._state, self._here(who)
        if holder(state, time.time(), here) is not None:
            acquire(state, here, "", time.time(), self._pace.lease_seconds)
        release = make(state, secrets.token_hex(2))
        state = started(state, release)
        self._shown_entries = self._shown_minutes = 0
        state = acquire(state, here, release.id, time.time(), self._pace.lease_seconds)
        try:
            self._history.save(state)
        except ConflictError:
            raise _LostRaceError(f"{self._name}: another release began meanwhile") from None
        self._state = state

    def _take_over(self, who: str) -> None:
        """Continue the running release unless a living process drives it."""
        release = self._running()
        now = time.time()
        state = acquire(self._state, self._here(who), release.id, now, self._pace.lease_seconds)
        self._shown_entries, self._shown_minutes = len(release.log), len(release.minutes)
        endpoint = self._cloud.endpoint(self._name)
        resumed = controller.resumed(release, endpoint)
        try:
            self._history.save(replace(state, current=resumed))
        except ConflictError:
            raise _LostRaceError(f"{self._name}: another process continued it") from None
        self._state = replace(state, current=resumed)

    def _new_release(self, state: EndpointState, token: str, who: str, *, retry: bool) -> Release:
        snapshot = self._snapshot(self._manifest.target.endpoint_config_name)
        new_id = start.release_id(self._manifest.model, snapshot.endpoint.now, token)
        release = start.begin_release(state, self._manifest, snapshot, new_id, who, retry=retry)
        refuse_errors(self._manifest, snapshot)
        return release

    def _new_rollback(self, state: EndpointState, token: str, who: str, to: str | None) -> Release:
        endpoint = self._cloud.endpoint(self._name)
        live = None if endpoint.status == MISSING else self._cloud.config(endpoint.config_name)
        chosen: GoodVersion = start.choose_good(state, live.content_hash if live else None, to)
        snapshot = self._snapshot(chosen.endpoint_config_name)
        new_id = start.release_id(self._manifest.model, endpoint.now, token)
        return start.begin_rollback(state, self._manifest, snapshot, chosen, new_id, who)

    def _snapshot(self, target: str) -> start.Snapshot:
        endpoint = self._cloud.endpoint(self._name)
        if endpoint.status == MISSING:
            return start.Snapshot(endpoint, None, None, None)
        return start.Snapshot(
            endpoint,
            self._cloud.config(endpoint.config_name),
            self._cloud.config(target),
            self._cloud.suspended(self._name),
        )

    # --- driving

    def _drive(self) -> ReleaseResult:
        last_answer = time.monotonic()
        while True:
            try:
                if self._running().pending:
                    self._execute()
                elif self._turn():
                    return self._finish()
                last_answer = time.monotonic()
            except UnavailableError as error:
                if time.monotonic() - last_answer > self._pace.give_up_seconds:
                    raise ReleaseError(
                        f"release {self._running().id} stands in stage {self._running().stage}: "
                        f"{error}; run the same command again to continue it"
                    ) from error
                self._observer(Event(self._now, "trouble", str(error)))
            if self._running().pending:
                continue
            if self._stop.wait(self._pace.poll_seconds):
                self._pause()

    def _turn(self) -> bool:
        """Look, decide and save; True when the release has an outcome."""
        release = self._running()
        observation = self._observe(release)
        changed, _ = controller.advance(release, observation)
        if changed != release or self._lease_is_half_over():
            self._save(replace(self._state, current=changed))
        self._report(changed, observation)
        return changed.outcome is not None

    def _execute(self) -> None:
        release = self._running()
        for action in release.pending:
            if self._lease_is_half_over():
                self._save(self._state)
            try:
                self._cloud.execute(self._name, action)
            except RefusedError as error:
                now = self._cloud.endpoint(self._name).now
                changed = controller.refused(release, action, str(error), now)
                self._save(replace(self._state, current=changed))
                return
            self._observer(Event(self._now, "action", describe(action)))
        self._save(replace(self._state, current=controller.executed(release)))

    def _observe(self, release: Release) -> Observation:
        endpoint = self._cloud.endpoint(self._name)
        self._now = endpoint.now
        needs = controller.needs(release, endpoint)
        series: Series = {}
        if needs.metrics is not None:
            series = self._cloud.series(self._name, needs.metrics)
        alarms: dict[str, str] = {}
        if needs.alarms:
            alarms = self._cloud.alarms(needs.alarms)
        return Observation(endpoint, series, alarms)

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
            self._observer(Event(self._now, "trouble", f"collection stopped: {error}"))
            return
        for name in removed:
            self._observer(Event(self._now, "collected", name))

    def _whole_series(self, release: Release, endpoint: Endpoint) -> Series:
        if release.purpose != RELEASE:
            return {}
        query = MetricQuery(
            transition_config(release),
            (LIVE_VARIANT, CANDIDATE_VARIANT),
            release.started_at // MINUTE * MINUTE,
            endpoint.now // MINUTE * MINUTE,
        )
        return self._cloud.series(self._name, query)

    def _pause(self) -> None:
        release = self._running()
        self._history.save(unlocked(self._state))
        raise InterruptedReleaseError(
            f"release {release.id} is paused in stage {release.stage}; what serves now goes on "
            "serving; run the same command again to continue it, or `slipway rollback` to undo it"
        )

    # --- the state and its lease

    def _running(self) -> Release:
        if self._state.current is None:
            raise AssertionError("no release is running")
        return self._state.current

    def _lease_is_half_over(self) -> bool:
        lock = self._state.lock
        return lock is None or lock.expires_at - time.time() < self._pace.lease_seconds / 2

    def _save(self, state: EndpointState) -> None:
        """Write the state with a renewed lease; refused if another process has taken over."""
        if state.lock is not None:
            expires = time.time() + self._pace.lease_seconds
            state = replace(state, lock=replace(state.lock, expires_at=expires))
        try:
            self._history.save(state)
        except ConflictError:
            raise LockedError(
                f"{self._name}: another process has taken over release {self._running().id}; "
                "this one stops and changes nothing more"
            ) from None
        self._state = state

    # --- showing

    def _report(self, release: Release, observation: Observation) -> None:
        """New lines of the story, new counted minutes, and where it stands."""
        for entry in release.log[self._shown_entries :]:
            self._observer(Event(entry.at, entry.kind, entry.text, entry.data))
        for minute in release.minutes[self._shown_minutes :]:
            data = {
                "weight": minute.share * 100,
                "live": minute.live,
                "candidate": minute.candidate,
            }
            self._observer(Event(minute.start, "minute", "", data))
        self._shown_entries, self._shown_minutes = len(release.log), len(release.minutes)
        endpoint = observation.endpoint
        data: dict[str, Any] = {
            "stage": release.stage,
            "status": endpoint.status,
            "variants": endpoint.variants,
            "started_at": release.started_at,
        }
        if release.stage == "bake":
            data["verdict"] = controller.verdict(release, observation)
        self._observer(Event(endpoint.now, "progress", release.stage, data))


class _LostRaceError(ReleaseError):
    """Another process wrote the state first: read it again and decide anew."""

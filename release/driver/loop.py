"""Who drives a release and for how long: a terminal to its end, a Lambda a slice at a time.

What fails on the way is tried again; what AWS does not take for too long ends the release safely.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace

from contracts.release_manifest import ReleaseManifest
from release.aws.cloud import Cloud, UnavailableError
from release.aws.store import History
from release.controller import advance as controller
from release.controller.stages import FORWARD, Stage
from release.controller.versions import is_named
from release.driver.beginning import new_rollback
from release.driver.claim import Claim
from release.driver.turn import DriverOptions, Running
from release.errors import AwsError, InterruptedReleaseError, ReleaseError
from release.evidence.document import ReleaseResult
from release.state import HELD, PROMOTED, RELEASE, ROLLBACK, ROLLED_BACK, Owner, Release

LONGEST_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True)
class TurnResult:
    """How far a slice of turns came: the outcome (or held), or when to look again."""

    outcome: str | None
    next_look_seconds: float
    result: ReleaseResult | None


class Driver:
    """Drives the release of one endpoint: it begins or continues it, then takes step after step."""

    def __init__(
        self, manifest: ReleaseManifest, cloud: Cloud, history: History, options: DriverOptions
    ) -> None:
        self._manifest = manifest
        self._name = manifest.endpoint_name
        self._cloud = cloud
        self._history = history
        self._pace = options.pace
        self._stop = options.stop
        self._running = Running(self._name, cloud, history, options)
        self._claim = Claim(cloud, history, options, self._running)

    def release(self, *, retry: bool) -> ReleaseResult:
        with self._claim.registered():
            self._claim.begin_or_continue(self._manifest, retry=retry)
            return self._drive()

    def rollback(self, to: str | None) -> ReleaseResult:
        with self._claim.registered():
            return self._rollback(to)

    def _rollback(self, to: str | None) -> ReleaseResult:
        who = self._claim.who
        state = self._history.load()
        if state.current is not None:
            self._claim.take_over(state, state.current)
            current = self._running.release
            if current.purpose == RELEASE:
                now = self._cloud.endpoint(self._name).now
                why = f"stopped by `slipway rollback` ({who})"
                self._running.save(controller.abort(current, why, now))
            result = self._drive()
            if _is_where_wanted(current, result, to):
                return result
            state = self._history.load()
        self._claim.begin(
            state,
            lambda state, token: new_rollback(self._manifest, self._cloud, state, token, who, to),
        )
        return self._drive()

    # --- to its end

    def _drive(self) -> ReleaseResult:
        """Step after step until the release has ended, or is held."""
        running = self._running
        last_answer, failures = time.monotonic(), 0
        while True:
            try:
                result = running.step()
                if result is not None:
                    return result
                if running.is_held:
                    return running.hold(with_series=True)
                last_answer, failures = time.monotonic(), 0
            except UnavailableError as error:
                running.teller.say("trouble", str(error))
                failures += 1
                if time.monotonic() - last_answer > self._pace.give_up_seconds:
                    self._give_up(error)
                    last_answer, failures = time.monotonic(), 0
            if failures == 0 and running.release.pending:
                continue
            backoff = min(LONGEST_BACKOFF_SECONDS, self._pace.poll_seconds * 2 ** min(failures, 8))
            wait = backoff * random.uniform(0.5, 1.0) if failures else self._pace.poll_seconds
            if self._stop.wait(wait):
                self._interrupt()

    # --- a slice of it

    def turns(self, until: float, *, retry: bool) -> TurnResult:
        """Go on until nothing can be done at once, or ``until`` (time.monotonic) has come."""
        running = self._running
        with self._claim.registered():
            self._claim.begin_or_continue(self._manifest, retry=retry)
            while True:
                before = running.release
                result = self._step_of_slice()
                if result is not None:
                    return TurnResult(result.outcome, 0.0, result)
                if running.is_held:
                    # It is looked at again and again, and nobody reads its minutes.
                    return TurnResult(HELD, 0.0, running.hold(with_series=False))
                after = running.release
                is_idle = not after.pending and after.stage == before.stage and not before.pending
                if is_idle or time.monotonic() >= until:
                    break
            wait = 0.0 if after.pending else self._pace.poll_seconds
            running.save(after, wait)
            return TurnResult(None, wait, None)

    def _step_of_slice(self) -> ReleaseResult | None:
        """A step; an action that slices have tried for too long is given up as a terminal would.

        Raises:
            UnavailableError: another slice may try it again, and the way back for ever.
        """
        try:
            return self._running.step()
        except UnavailableError as error:
            if self._is_overdue() and self._refuse_unanswered(error):
                return None
            raise

    def _is_overdue(self) -> bool:
        """Whether the pending actions have gone unanswered for too long; remembers since when."""
        release, now = self._running.release, time.time()
        if not release.pending:
            return False
        since = release.unanswered_since
        if since is None or since > now:
            self._running.save(replace(release, unanswered_since=now))
            return False
        return now - since > self._pace.give_up_seconds

    # --- what AWS does not answer

    def _give_up(self, error: UnavailableError) -> None:
        """One action that AWS does not take for so long ends the release safely, if all else works.

        Raises:
            ReleaseError: the endpoint cannot be seen either, or it is the way back that is blocked.
        """
        if self._refuse_unanswered(error):
            return
        release = self._running.release
        raise ReleaseError(
            f"release {release.id} stands in stage {release.stage}: {error}; "
            "run the same command again to continue it"
        ) from error

    def _refuse_unanswered(self, error: UnavailableError) -> bool:
        """What is not answered any more counts as refused, unless it is the way back."""
        release = self._running.release
        if not release.pending or Stage(release.stage) not in FORWARD:
            return False
        try:
            self._running.refuse(f"no answer any more ({error})")
        except AwsError:
            return False
        return True

    def _interrupt(self) -> None:
        release = self._running.release
        self._running.unlock()
        goes_on = "what serves now goes on serving"
        if release.stage == Stage.SHIFT and release.issued:
            goes_on = "SageMaker goes on by its own timers and alarms, without the gates"
        raise InterruptedReleaseError(
            f"release {release.id} waits in stage {release.stage}; {goes_on}; run the same command "
            "again to continue it, or `slipway rollback` to undo it"
        )


def _is_where_wanted(ended: Release, result: ReleaseResult, to: str | None) -> bool:
    """Whether what was under way ended where a rollback to ``to`` goes; None: what was before."""
    if to is None:
        return result.outcome != PROMOTED
    has_moved = result.outcome == (ROLLED_BACK if ended.purpose == ROLLBACK else PROMOTED)
    return is_named(ended.destination if has_moved else ended.before.good, to)


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

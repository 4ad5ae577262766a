"""The thread that evaluates alarms in their rhythm, and carries out what they fire."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from localcloud.clock import Clock
from localcloud.cloudwatch import evaluation
from localcloud.cloudwatch.book import COMPOSITE, METRIC, AlarmBook, Changed, Fired
from localcloud.cloudwatch.paging import when
from localcloud.cloudwatch.store import MetricStore
from localcloud.service import Actions, AlarmAction, ServiceError

log = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.01
_DATA_SECONDS = 2.0


class Watch:
    """Evaluates under the lock that it is given, acts without it."""

    def __init__(
        self,
        clock: Clock,
        store: MetricStore,
        book: AlarmBook,
        lock: threading.RLock,
        actions: Actions,
    ) -> None:
        self._clock, self._store, self._book = clock, store, book
        self._lock, self._actions = lock, actions
        self._wake, self._stopping = threading.Event(), False
        self._before = clock.timestamp() - evaluation.LAG_SECONDS
        self._told, self._told_at = store.changes, 0.0
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
        self._on_change: Callable[[], None] = lambda: None

    def start(self, on_change: Callable[[], None]) -> None:
        """``on_change`` is told when a state changed, or when there is new data."""
        self._on_change = on_change
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=5)

    def wake(self) -> None:
        """There may be an alarm that wants to be looked at sooner."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            with self._lock:
                is_fine = evaluation.has_fine_alarms(self._book.alarms.values())
            due = evaluation.next_tick(self._before, is_fine)
            wait = self._clock.wall_seconds(due - self._clock.timestamp())
            if wait > 0 and self._wake.wait(wait):
                self._wake.clear()
                continue
            try:
                is_changed = self.evaluate_all(self._clock.timestamp() - evaluation.LAG_SECONDS)
                self._tell(is_changed)
            except Exception:
                log.exception("the alarms could not be evaluated")
            # However fast the clock is, others want to work too.
            time.sleep(_PAUSE_SECONDS)

    def _tell(self, is_changed: bool) -> None:
        """A state's change is kept at once, data points every other second."""
        changes, moment = self._store.changes, time.monotonic()
        has_data = changes != self._told and moment - self._told_at >= _DATA_SECONDS
        if is_changed or has_data:
            self._told, self._told_at = changes, moment
            self._on_change()

    def evaluate_all(self, now: float) -> bool:
        """Evaluate what is due on the whole periods before ``now``; True when a state changed.

        What changes, changes at the moment of the evaluation, which is a little later.
        """
        moment = now + evaluation.LAG_SECONDS
        self._store.prune(now)
        is_changed = False
        with self._lock:
            before, self._before = self._before, now
            self._book.history.prune(now)
            for (region, _), alarm in self._book.alarms.items():
                if alarm.type == METRIC and evaluation.is_due(alarm, before, now):
                    verdict = evaluation.judge(self._store, alarm, region, now)
                    is_moved = self._book.move(alarm, region, verdict, moment)
                    if not is_moved and evaluation.is_new_minute(before, now):
                        self._book.repeat(alarm, region, moment)
                    is_changed |= is_moved
            is_changed |= self.evaluate_composites(moment)
        self.act()
        return is_changed

    def evaluate_composites(self, now: float) -> bool:
        """Until nothing moves any more: one may depend on another, but not in a circle for ever."""
        with self._lock:
            found = [
                (region, alarm)
                for (region, _), alarm in self._book.alarms.items()
                if alarm.type == COMPOSITE
            ]
            is_changed = False
            for _ in found:
                moved = False
                for region, alarm in found:
                    states = {n: a.state for (r, n), a in self._book.alarms.items() if r == region}
                    verdict = evaluation.judge_composite(alarm, states)
                    moved |= self._book.move(alarm, region, verdict, now)
                if not moved:
                    break
                is_changed = True
            return is_changed

    def act(self) -> None:
        """Carry out what was fired; a failure is told in the log and the alarm's history."""
        with self._lock:
            fired, changed = self._book.take_fired(), self._book.take_changed()
        for one in changed:
            self._tell_bus(one)
        for one in fired:
            error = self._act(one)
            if one.is_repeated:
                continue
            if error is not None:
                log.warning("alarm %s: %s", one.alarm.name, error)
            with self._lock:
                self._book.history.action(one.region, one.alarm, one.action, error, one.at)

    def _act(self, fired: Fired) -> str | None:
        action = AlarmAction(
            arn=fired.action,
            region=fired.region,
            alarm_name=fired.alarm.name,
            alarm_arn=fired.alarm.arn,
            state=fired.state,
            subject=fired.subject,
            message=fired.message,
            payload=fired.payload,
            at=when(fired.at),
            is_repeated=fired.is_repeated,
        )
        try:
            self._actions.carry_out(action)
        except ServiceError as error:
            return str(error)
        except Exception as error:
            log.exception("the action %s failed", fired.action)
            return f"{type(error).__name__}: {error}"
        return None

    def _tell_bus(self, changed: Changed) -> None:
        try:
            self._actions.put_event(changed.region, changed.entry)
        except Exception:
            log.exception("an alarm's change did not reach EventBridge")

"""Carries out what the control plane accepted: creations, updates, weights, capacity, deletions.

Each runs in a thread of its own; the endpoint's status keeps a second one from starting.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from localcloud.sagemaker.capacity import FleetMap, instances_of
from localcloud.sagemaker.fleet import VariantFleet
from localcloud.sagemaker.instance import StartError, StoppedError
from localcloud.sagemaker.plans import planned
from localcloud.sagemaker.policies import guardrails_of
from localcloud.sagemaker.records import (
    CREATING,
    DELETING,
    FAILED,
    IN_SERVICE,
    SYSTEM_UPDATING,
    UPDATE_ROLLBACK_FAILED,
    UPDATING,
    Endpoint,
    Leftover,
    Pending,
    VariantState,
    stamp,
)
from localcloud.sagemaker.rollout import RollbackFailedError, RolledBackError, Rollout, Tools
from localcloud.sagemaker.routes import other_route, own_route
from localcloud.sagemaker.routing import Side
from localcloud.sagemaker.state import Key, key_of

log = logging.getLogger(__name__)

JOIN_SECONDS = 0.1


class Deployer:
    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._state, self._standing = tools.state, tools.standing
        self._capacity, self._router, self._news = tools.capacity, tools.router, tools.news
        self._stop = threading.Event()
        self._threads: set[threading.Thread] = set()

    def fleets(self) -> list[VariantFleet]:
        """Those that serve, or are about to: the ones to be kept whole."""
        with self._state.lock:
            return self._standing.every()

    def begin(self, endpoint: Endpoint) -> None:
        """Do what the endpoint's status asks for; under the state's lock."""
        works = {
            CREATING: self._create,
            UPDATING: self._resize if endpoint.pending is None else self._update,
            SYSTEM_UPDATING: self._bring_back,
            DELETING: self._delete,
        }
        thread = threading.Thread(
            target=self._run,
            args=(works[endpoint.status], endpoint, self._stop),
            name="deployment",
            daemon=True,
        )
        self._threads = {t for t in self._threads if t.is_alive()} | {thread}
        thread.start()

    def halt(self, grace_seconds: float) -> None:
        """Call off what runs and end every instance; the records stay as they are."""
        self._router.clear()
        with self._state.lock:
            self._stop.set()
            threads, self._threads = self._threads, set()
            self._standing.clear()
            self._stop = threading.Event()
        deadline = time.monotonic() + grace_seconds
        self._capacity.end_all(grace_seconds)
        for thread in threads:
            thread.join(max(JOIN_SECONDS, deadline - time.monotonic()))

    def _run(
        self,
        work: Callable[[Endpoint, threading.Event], None],
        endpoint: Endpoint,
        stop: threading.Event,
    ) -> None:
        try:
            work(endpoint, stop)
        except StoppedError:
            log.info("%s: called off", endpoint.name)
        except Exception as error:
            log.exception("%s: %s failed", endpoint.name, work.__name__)
            status = IN_SERVICE if _key(endpoint) in self._standing.own else FAILED
            with contextlib.suppress(StoppedError):
                self._finish(endpoint, stop, status, f"The local cloud failed: {error!r}")

    # what the statuses ask for

    def _create(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """Creation does not bake, whatever DeploymentConfig it came with (fact sheet 3.1)."""
        pending = _pending(endpoint)
        fleets = self._come(endpoint, pending)
        counts = {name: s.desired_count for name, s in _states(pending).items()}
        try:
            self._capacity.provision(fleets, counts, stop.is_set)
            self._capacity.settle(stop)
        except StartError as error:
            self._capacity.remove(fleets, {n: fleet.desired for n, fleet in fleets.items()})
            self._finish(endpoint, stop, FAILED, str(error))
            return
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            self._router.publish(other_route(endpoint, pending, fleets))
        self._succeed(endpoint, stop)

    def _update(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """A whole new fleet, by the policy of the update."""
        pending = _pending(endpoint)
        self._come(endpoint, pending)
        rails = guardrails_of(pending.deployment, pending.config)
        rollout = Rollout(self._tools, endpoint, pending, rails, stop)
        stuck = endpoint.leftover is not None
        try:
            rollout.run()
        except RolledBackError as error:
            status = UPDATE_ROLLBACK_FAILED if stuck else IN_SERVICE
            self._finish(endpoint, stop, status, str(error))
        except RollbackFailedError as error:
            with self._state.lock:
                endpoint.leftover = error.leftover
                coming = self._standing.coming.pop(_key(endpoint))
                self._standing.leftover[_key(endpoint)] = coming
            self._finish(endpoint, stop, UPDATE_ROLLBACK_FAILED, str(error))
        else:
            self._succeed(endpoint, stop)

    def _resize(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """Weights and capacity of the fleets that serve; on failure everything is as it was."""
        reason: str | None = None
        with self._state.lock:
            fleets = self._standing.own[_key(endpoint)]
        try:
            for name, variant in endpoint.variants.items():
                self._capacity.scale(fleets[name], variant.desired_count, stop)
        except StartError as error:
            reason = str(error)
        self._capacity.settle(stop)
        with self._state.lock:
            for name, variant in endpoint.variants.items():
                if reason is None:
                    variant.current_weight = variant.desired_weight
                else:
                    variant.desired_weight = variant.current_weight
                    variant.desired_count = fleets[name].desired
            if stop.is_set():
                raise StoppedError
            self._router.publish(own_route(endpoint, fleets))
        self._finish(endpoint, stop, IN_SERVICE, reason)

    def _delete(self, endpoint: Endpoint, stop: threading.Event) -> None:
        self._router.withdraw(endpoint.region, endpoint.name)
        with self._state.lock:
            gone = self._standing.take_away(_key(endpoint))
        for fleets in gone:
            self._capacity.retire(instances_of(fleets))
        self._capacity.settle(stop)
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            self._state.endpoints.pop(_key(endpoint), None)
        self._news.changed()

    def _bring_back(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """After a restart of the daemon: what served starts again, then what was under way.

        A deployment begins anew; one that was on its way back has then arrived.
        """

        def failed(reason: str) -> None:
            log.warning("%s is not back yet: %s", endpoint.name, reason)
            with self._state.lock:
                endpoint.failure_reason = reason
            self._news.changed()

        before, leftover = endpoint.failure_reason, endpoint.leftover
        own = planned(
            self._state, endpoint, endpoint.config, {**endpoint.variants, **endpoint.shadows}
        )
        left = (
            {}
            if leftover is None
            else planned(self._state, endpoint, leftover.config, leftover.variants)
        )
        if leftover is not None:
            for name, count in leftover.own_counts.items():
                own[name].desired = count
        fleets = [*own.values(), *left.values()]
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            for variant in endpoint.variants.values():
                variant.current_weight = variant.desired_weight
            for fleet in fleets:
                fleet.is_filling = True  # here, not by the supervisor
            self._standing.own[_key(endpoint)] = own
            if leftover is not None:
                self._standing.leftover[_key(endpoint)] = left
            self._router.publish(own_route(endpoint, own), _sides(endpoint, leftover, left))
        for some in (own, left):
            self._capacity.bring_back(some, stop, failed)
        for fleet in fleets:
            fleet.is_filling = False
        self._go_on(endpoint, stop, before)

    def _go_on(self, endpoint: Endpoint, stop: threading.Event, reason: str | None) -> None:
        """What was under way when the daemon ended."""
        pending = endpoint.pending
        status = IN_SERVICE if endpoint.leftover is None else UPDATE_ROLLBACK_FAILED
        if pending is None:
            self._finish(endpoint, stop, status, reason)
        elif pending.rollback_reason is not None:
            log.warning("%s: the restart completed a rollback", endpoint.name)
            self._finish(endpoint, stop, status, pending.rollback_reason)
        else:
            log.warning("%s: after the restart its deployment begins anew", endpoint.name)
            with self._state.lock:
                if stop.is_set():
                    raise StoppedError
                endpoint.status, endpoint.failure_reason = UPDATING, None
                for state in _states(pending).values():
                    state.progress = None
                self._news.state(endpoint)
            self._update(endpoint, stop)

    # steps

    def _come(self, endpoint: Endpoint, pending: Pending) -> FleetMap:
        """The pending configuration's fleet, without an instance yet."""
        fleets = planned(self._state, endpoint, pending.config, _states(pending))
        for fleet in fleets.values():
            fleet.desired = 0
        with self._state.lock:
            self._standing.coming[_key(endpoint)] = fleets
        return fleets

    def _succeed(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """The pending side becomes the endpoint's own."""
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            key, pending = _key(endpoint), _pending(endpoint)
            self._standing.own[key] = self._standing.coming.pop(key)
            self._standing.leftover.pop(key, None)
            endpoint.config_name, endpoint.config = pending.config_name, pending.config
            endpoint.variants, endpoint.shadows = pending.variants, pending.shadows
            endpoint.leftover = None
            if pending.deployment is not None:
                endpoint.last_deployment = pending.deployment
            self._finish(endpoint, stop, IN_SERVICE, None)

    def _finish(
        self, endpoint: Endpoint, stop: threading.Event, status: str, reason: str | None
    ) -> None:
        """Nothing is under way any more; what came without success is forgotten."""
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            endpoint.pending = None
            self._standing.coming.pop(_key(endpoint), None)
            for state in (*endpoint.variants.values(), *endpoint.shadows.values()):
                state.progress = None
            endpoint.status, endpoint.failure_reason = status, reason or None
            endpoint.modified = stamp(self._tools.clock.now())
            self._standing.refresh_counts(endpoint)
            self._news.state(endpoint)
        if reason is not None:
            log.warning("%s: %s", endpoint.name, reason or "rolled back in silence")


def _key(endpoint: Endpoint) -> Key:
    return key_of(endpoint.region, endpoint.name)


def _pending(endpoint: Endpoint) -> Pending:
    if endpoint.pending is None:
        raise ValueError(f"no deployment of {endpoint.name} is under way")
    return endpoint.pending


def _states(pending: Pending) -> dict[str, VariantState]:
    return {**pending.variants, **pending.shadows}


def _sides(endpoint: Endpoint, leftover: Leftover | None, fleets: FleetMap) -> list[Side]:
    if leftover is None:
        return []
    return [Side(other_route(endpoint, leftover, fleets), leftover.shares)]

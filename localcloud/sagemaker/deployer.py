"""Carries out what the control plane accepted: creations, updates, weights, capacity, deletions.

Each runs in a thread of its own; the endpoint's status keeps a second one from starting.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable

from localcloud.clock import Clock
from localcloud.sagemaker.capacity import Capacity, FleetMap, instances_of
from localcloud.sagemaker.capture import CaptureSettings
from localcloud.sagemaker.fleet import Launcher, VariantFleet, VariantSpec
from localcloud.sagemaker.instance import StartError, StoppedError
from localcloud.sagemaker.records import (
    CREATING,
    DELETING,
    FAILED,
    IN_SERVICE,
    SYSTEM_UPDATING,
    UPDATING,
    Endpoint,
    Params,
    Pending,
    Stored,
    VariantState,
    stamp,
    variant_params,
)
from localcloud.sagemaker.routing import EndpointRoute, Router, VariantRoute
from localcloud.sagemaker.rules import arn, could_not_find
from localcloud.sagemaker.state import Key, State, key_of
from localcloud.service import ACCOUNT_ID

log = logging.getLogger(__name__)

JOIN_SECONDS = 0.1


class Deployer:
    """``on_change`` is called when an endpoint has changed by itself."""

    def __init__(
        self,
        state: State,
        launcher: Launcher,
        router: Router,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self._state = state
        self._capacity = Capacity(launcher, router, clock)
        self._router = router
        self._clock = clock
        self._on_change = on_change
        self._serving: dict[Key, FleetMap] = {}
        self._coming: dict[Key, FleetMap] = {}
        self._stop = threading.Event()
        self._threads: set[threading.Thread] = set()

    def fleets(self) -> list[VariantFleet]:
        """Those that serve: the ones to be kept whole."""
        with self._state.lock:
            return [fleet for fleets in self._serving.values() for fleet in fleets.values()]

    def refresh_counts(self, endpoint: Endpoint) -> None:
        """Current instance counts, into the record; under the state's lock."""
        key = _key(endpoint)
        _refresh(endpoint.variants, self._serving.get(key, {}))
        if endpoint.pending is not None:
            _refresh(endpoint.pending.variants, self._coming.get(key, {}))

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
            threads = self._threads
            for fleet in self.fleets():
                fleet.desired = 0
            self._serving, self._coming, self._threads = {}, {}, set()
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
            status = IN_SERVICE if _key(endpoint) in self._serving else FAILED
            with contextlib.suppress(StoppedError):
                self._finish(endpoint, stop, status, f"The local cloud failed: {error!r}")

    # what the statuses ask for

    def _create(self, endpoint: Endpoint, stop: threading.Event) -> None:
        try:
            self._put_in(endpoint, stop)
        except StartError as error:
            self._finish(endpoint, stop, FAILED, str(error))
        else:
            self._finish(endpoint, stop, IN_SERVICE, None)

    def _update(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """A whole new fleet, all traffic at once, then the old fleet drains and goes."""
        try:
            old = self._put_in(endpoint, stop)
        except StartError as error:
            self._finish(endpoint, stop, IN_SERVICE, str(error))
        else:
            self._capacity.retire(instances_of(old))
            self._finish(endpoint, stop, IN_SERVICE, None)

    def _resize(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """Weights and capacity of the fleets that serve; on failure everything is as it was."""
        reason: str | None = None
        with self._state.lock:
            fleets = self._serving[_key(endpoint)]
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
            self._serve(endpoint, _route(endpoint, fleets), fleets, stop)
        self._finish(endpoint, stop, IN_SERVICE, reason)

    def _delete(self, endpoint: Endpoint, stop: threading.Event) -> None:
        self._router.withdraw(endpoint.region, endpoint.name)
        with self._state.lock:
            fleets = self._serving.pop(_key(endpoint), {})
            for fleet in fleets.values():
                fleet.desired = 0
        self._capacity.retire(instances_of(fleets))
        self._capacity.settle(stop)
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            self._state.endpoints.pop(_key(endpoint), None)
        self._on_change()

    def _bring_back(self, endpoint: Endpoint, stop: threading.Event) -> None:
        """After a restart of the daemon: what served starts again, then what was under way."""

        def failed(reason: str) -> None:
            log.warning("%s is not back yet: %s", endpoint.name, reason)
            with self._state.lock:
                endpoint.failure_reason = reason
            self._on_change()

        fleets = self._plan(endpoint, endpoint.config, endpoint.variants.values())
        with self._state.lock:
            for variant in endpoint.variants.values():
                variant.current_weight = variant.desired_weight
            for fleet in fleets.values():
                fleet.is_filling = True  # here, not by the supervisor
            self._serve(endpoint, _route(endpoint, fleets), fleets, stop)
        self._capacity.bring_back(fleets, stop, failed)
        for fleet in fleets.values():
            fleet.is_filling = False
        if endpoint.pending is None:
            self._finish(endpoint, stop, IN_SERVICE, None)
            return
        with self._state.lock:
            endpoint.status, endpoint.failure_reason = UPDATING, None
        self._update(endpoint, stop)

    # steps

    def _put_in(self, endpoint: Endpoint, stop: threading.Event) -> FleetMap:
        """The pending configuration's fleet gets all traffic; returns the one that had it."""
        pending = endpoint.pending
        if pending is None:
            raise ValueError(f"no deployment of {endpoint.name} is under way")
        fleets = self._plan(endpoint, pending.config, pending.variants.values())
        with self._state.lock:
            self._coming[_key(endpoint)] = fleets
        self._capacity.provision(fleets, stop)
        with self._state.lock:
            old = self._serving.get(_key(endpoint), {})
            self._serve(endpoint, _pending_route(endpoint, pending, fleets), fleets, stop)
        return old

    def _plan(
        self, endpoint: Endpoint, config: Params, variants: Iterable[VariantState]
    ) -> FleetMap:
        fleets: FleetMap = {}
        for state in variants:
            variant = variant_params(config, state.name)
            find_model = self._model_finder(endpoint.region, variant["ModelName"])
            spec = VariantSpec(endpoint.region, endpoint.name, variant, find_model)
            fleets[state.name] = VariantFleet(spec=spec, desired=state.desired_count)
        return fleets

    def _serve(
        self, endpoint: Endpoint, route: EndpointRoute, fleets: FleetMap, stop: threading.Event
    ) -> None:
        if stop.is_set():
            raise StoppedError
        self._serving[_key(endpoint)] = fleets
        self._router.publish(route)

    def _finish(
        self, endpoint: Endpoint, stop: threading.Event, status: str, reason: str | None
    ) -> None:
        """The deployment's end. Only success makes the pending side the endpoint's own."""
        with self._state.lock:
            if stop.is_set():
                raise StoppedError
            pending, endpoint.pending = endpoint.pending, None
            self._coming.pop(_key(endpoint), None)
            if pending is not None and reason is None:
                endpoint.config_name, endpoint.config = pending.config_name, pending.config
                endpoint.variants = pending.variants
                if pending.deployment is not None:
                    endpoint.last_deployment = pending.deployment
            endpoint.status, endpoint.failure_reason = status, reason
            endpoint.modified = stamp(self._clock.now())
        if reason is not None:
            log.warning("%s: %s", endpoint.name, reason)
        self._on_change()

    def _model_finder(self, region: str, name: str) -> Callable[[], Stored]:
        def find() -> Stored:
            with self._state.lock:
                found = self._state.models.get(key_of(region, name))
            if found is None:
                missing = could_not_find("model", arn("model", region, ACCOUNT_ID, name))
                raise StartError(missing.message)
            return found

        return find


def _key(endpoint: Endpoint) -> Key:
    return key_of(endpoint.region, endpoint.name)


def _refresh(variants: dict[str, VariantState], fleets: FleetMap) -> None:
    for name, variant in variants.items():
        variant.current_count = len(fleets[name].instances) if name in fleets else 0


def _route(endpoint: Endpoint, fleets: FleetMap) -> EndpointRoute:
    return _route_of(endpoint, endpoint.config_name, endpoint.config, endpoint.variants, fleets)


def _pending_route(endpoint: Endpoint, pending: Pending, fleets: FleetMap) -> EndpointRoute:
    return _route_of(endpoint, pending.config_name, pending.config, pending.variants, fleets)


def _route_of(
    endpoint: Endpoint,
    config_name: str,
    config: Params,
    states: dict[str, VariantState],
    fleets: FleetMap,
) -> EndpointRoute:
    return EndpointRoute(
        region=endpoint.region,
        endpoint=endpoint.name,
        config_name=config_name,
        variants=tuple(
            VariantRoute(name, states[name].current_weight, fleet.spec.routing_strategy, fleet)
            for name, fleet in fleets.items()
        ),
        capture=CaptureSettings.of(config.get("DataCaptureConfig")),
    )

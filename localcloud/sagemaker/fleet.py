"""Fleets: the instances of the variants of an endpoint; starting and stopping them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.variables import LOCK_SHA256, NATIVE_ENVIRONMENT
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.image import local_image, only_ours
from localcloud.sagemaker.artifacts import ArtifactError, Artifacts
from localcloud.sagemaker.instance import Container, Instance, StartError, StoppedError
from localcloud.sagemaker.nursery import Nursery
from localcloud.sagemaker.records import Stored
from localcloud.sagemaker.routing import Fleet
from model_code.environments import environment_of

STARTUP_SECONDS = 480  # fact sheet 1.2: /ping within 8 minutes
MAX_STARTING = 2
PLACE_SECONDS = 15.0
DELAY_TICK_SECONDS = 0.05
# As SageMaker words it for training and endpoints alike; the exact text is UNVERIFIED.
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)
KILL_AFTER_SECONDS = 30.0  # fact sheet 1.1: SIGKILL 30 s after SIGTERM


@dataclass(frozen=True)
class LaunchSettings:
    """How instances are run: by ``command``, else as our own server.

    ``min_startup_seconds`` are wall seconds, whatever the speed. Native models find their own
    interpreter below ``environments``, where `slipway up` builds it, as an image would hold it.
    """

    command: tuple[str, ...] | None
    logs: Path
    min_startup_seconds: float
    environments: Path


@dataclass(frozen=True)
class VariantSpec:
    """What a fleet is made of. ``model`` looks the model up, which may be gone by then."""

    region: str
    endpoint: str
    variant: dict[str, Any]
    model: Callable[[], Stored]

    @property
    def name(self) -> str:
        return self.variant["VariantName"]

    @property
    def routing_strategy(self) -> str:
        return (self.variant.get("RoutingConfig") or {}).get("RoutingStrategy", "RANDOM")


@dataclass
class VariantFleet(Fleet):
    """``desired`` instances are kept up; a deployment raises it as instances come up."""

    spec: VariantSpec = field(kw_only=True)
    desired: int = field(kw_only=True)
    is_filling: bool = False
    failures: int = 0
    retry_at: float = 0.0

    @property
    def missing(self) -> int:
        return self.desired - len(self.instances)


class Launcher:
    """Starts instances, at most two at a time, and knows every one that runs."""

    def __init__(
        self, settings: LaunchSettings, artifacts: Artifacts, clock: Clock, faults: Faults
    ) -> None:
        self._settings = settings
        self._artifacts = artifacts
        self._clock = clock
        self._faults = faults
        self._places = threading.Semaphore(MAX_STARTING)
        self._lock = threading.Lock()
        self._running: set[Instance] = set()
        self._nursery = Nursery()

    def launch(self, spec: VariantSpec, is_stopped: Callable[[], bool]) -> Instance:
        """One instance that answers ``/ping``.

        Raises:
            StartError: it does not come up; the text is SageMaker's.
            StoppedError: ``is_stopped`` said so.
        """
        self._delay(self._faults.start_delay_seconds(spec.endpoint), is_stopped)
        with self._places:
            if not self._faults.has_capacity(spec.variant["InstanceType"], spec.endpoint):
                raise StartError(NO_CAPACITY)
            instance = self._start(self._container(spec), is_stopped)
            is_healthy = self._wait(spec, instance, is_stopped, PLACE_SECONDS)
        # One that takes long sleeps more than it computes, and keeps nobody else from starting.
        while not is_healthy:
            is_healthy = self._wait(spec, instance, is_stopped, PLACE_SECONDS)
        return instance

    def _delay(self, simulated_seconds: float, is_stopped: Callable[[], bool]) -> None:
        until = self._clock.timestamp() + simulated_seconds
        while (left := until - self._clock.timestamp()) > 0:
            if is_stopped():
                raise StoppedError
            time.sleep(min(DELAY_TICK_SECONDS, self._clock.wall_seconds(left)))

    def _start(self, container: Container, is_stopped: Callable[[], bool]) -> Instance:
        with self._lock:
            # Under the lock of stop_all: no process starts behind its back.
            if is_stopped():
                raise StoppedError
            instance = Instance(container)
            self._running.add(instance)
            return instance

    def _wait(
        self,
        spec: VariantSpec,
        instance: Instance,
        is_stopped: Callable[[], bool],
        patience_seconds: float,
    ) -> bool:
        """As the instance's own; one that does not come up is ended."""
        try:
            return instance.wait_healthy(is_stopped, patience_seconds)
        except StartError as error:
            self.stop([instance], 0.0)
            raise StartError(_no_ping(spec, instance)) from error
        except BaseException:
            self.stop([instance], 0.0)
            raise

    @property
    def min_startup_seconds(self) -> float:
        """How long a start may take on this machine, in wall seconds, whatever the speed."""
        return self._settings.min_startup_seconds

    def launch_all(
        self,
        specs: Iterable[VariantSpec],
        is_stopped: Callable[[], bool],
        started: Callable[[VariantSpec, Instance], None],
    ) -> None:
        """One instance for each spec; the first that fails calls the others off, and is raised."""
        failed = threading.Event()

        def one(spec: VariantSpec) -> None:
            try:
                started(spec, self.launch(spec, lambda: failed.is_set() or is_stopped()))
            except BaseException:
                failed.set()
                raise

        wanted = list(specs)
        with ThreadPoolExecutor(max(1, len(wanted)), thread_name_prefix="launch") as pool:
            jobs = [pool.submit(one, spec) for spec in wanted]
        errors = [error for job in jobs if (error := job.exception()) is not None]
        for error in errors:
            if not isinstance(error, StoppedError):
                raise error
        if errors:
            raise errors[0]

    def stop(self, instances: Iterable[Instance], grace_seconds: float) -> None:
        """SIGTERM to all, SIGKILL to those that are there after ``grace_seconds``."""
        stopping = list(instances)
        deadline = time.monotonic() + grace_seconds
        for instance in stopping:
            instance.terminate()
        for instance in stopping:
            instance.wait(deadline - time.monotonic())
            with self._lock:
                self._running.discard(instance)

    def stop_all(self, grace_seconds: float) -> None:
        with self._lock:
            running = list(self._running)
        self.stop(running, grace_seconds)

    def close(self) -> None:
        """No instance starts any more."""
        self._nursery.close()

    def _container(self, spec: VariantSpec) -> Container:
        definition: dict[str, Any] = spec.model().params["PrimaryContainer"]
        if definition["Image"] != local_image():
            raise StartError(
                "Please make sure all images included in the model for the production variant "
                f"{spec.name} exist, and that the execution role used to create the model has "
                f"permissions to access them. {only_ours(definition['Image'])}"
            )
        try:
            model_dir = self._artifacts.fetch(definition.get("ModelDataUrl"))
        except ArtifactError as error:
            raise StartError(str(error)) from error
        window = spec.variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS)
        return Container(
            command=self._settings.command,
            nursery=self._nursery,
            model_dir=model_dir,
            environment=self._variables(definition.get("Environment") or {}),
            log_folder=self._settings.logs / spec.endpoint / spec.name,
            startup_seconds=max(
                self._settings.min_startup_seconds, self._clock.wall_seconds(window)
            ),
        )

    def _variables(self, given: dict[str, str]) -> dict[str, str]:
        """The container's own, and where the environment stands that was built from its lock."""
        lock = given.get(LOCK_SHA256)
        place = environment_of(lock, self._settings.environments) if lock else None
        if place is None or not place.is_dir():
            return given
        return {NATIVE_ENVIRONMENT: str(place), **given}


def _no_ping(spec: VariantSpec, instance: Instance) -> str:
    return (
        f"The primary container for production variant {spec.name} did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. The local cloud keeps them in "
        f"{instance.log}."
    )

"""Instances for fleets: a whole new one, more or fewer of one, and none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from localcloud.clock import Clock
from localcloud.sagemaker.fleet import KILL_AFTER_SECONDS, Launcher, VariantFleet, VariantSpec
from localcloud.sagemaker.instance import Instance, StartError, StoppedError
from localcloud.sagemaker.routing import Router, wait_idle
from localcloud.sagemaker.runtime import TIMEOUT_SECONDS

log = logging.getLogger(__name__)

# No change is done at once on AWS: who does not wait for InService shall notice here too.
SETTLE_SIMULATED_SECONDS = 15.0
SETTLE_WALL_SECONDS = (0.05, 1.0)
RETRY_SECONDS = (1.0, 30.0)

FleetMap = dict[str, VariantFleet]


class Capacity:
    """Every method blocks until it is done, and raises ``StoppedError`` once ``stop`` is set."""

    def __init__(self, launcher: Launcher, router: Router, clock: Clock) -> None:
        self._launcher = launcher
        self._router = router
        self._clock = clock

    @property
    def min_startup_seconds(self) -> float:
        return self._launcher.min_startup_seconds

    def provision(
        self, fleets: FleetMap, counts: Mapping[str, int], is_stopped: Callable[[], bool]
    ) -> None:
        """So many more healthy instances; each is the fleet's own as soon as it is up.

        Raises:
            StartError: one does not come up; those that did stay.
        """
        lock = threading.Lock()

        def add(spec: VariantSpec, instance: Instance) -> None:
            fleet = fleets[spec.name]
            with lock:
                # The instance first: nobody may find one missing and start another.
                self._router.add_instance(fleet, instance)
                fleet.desired += 1

        wanted = [fleets[name].spec for name, count in counts.items() for _ in range(count)]
        self._launcher.launch_all(wanted, is_stopped, add)

    def remove(self, fleets: FleetMap, counts: Mapping[str, int]) -> None:
        """So many fewer instances, the last ones; they must not take traffic any more."""
        leaving: list[Instance] = []
        for name, count in counts.items():
            fleet = fleets[name]
            fleet.desired = max(0, fleet.desired - count)
            going = fleet.instances[fleet.desired :]
            for instance in going:
                self._router.remove_instance(fleet, instance)
            leaving += going
        self.retire(leaving)

    def bring_back(
        self, fleets: FleetMap, stop: threading.Event, failed: Callable[[str], None]
    ) -> None:
        """As many as there should be, each routed as soon as it is up, whatever it takes."""
        pause, longest = RETRY_SECONDS
        while missing := _missing(fleets):
            try:
                self._launcher.launch_all(missing, stop.is_set, self._adder(fleets))
            except StartError as error:
                failed(str(error))
                stop.wait(pause)
                pause = min(longest, 2 * pause)

    def scale(self, fleet: VariantFleet, count: int, stop: threading.Event) -> None:
        """Out: start, then route. In: take the last ones off the route, drain, end them.

        Raises:
            StartError: a new instance does not come up; the fleet is as it was.
        """
        more = count - fleet.desired
        if more > 0:
            started: list[Instance] = []
            try:
                self._launcher.launch_all(
                    [fleet.spec] * more, stop.is_set, lambda _, instance: started.append(instance)
                )
            except BaseException:
                self._launcher.stop(started, 0.0)
                raise
            fleet.desired = count
            for instance in started:
                self._router.add_instance(fleet, instance)
        elif more < 0:
            fleet.desired = count
            leaving = fleet.instances[count:]
            for instance in leaving:
                self._router.remove_instance(fleet, instance)
            self.retire(leaving)

    def retire(self, instances: Iterable[Instance]) -> None:
        """End instances that no route leads to any more; what is in flight is answered first."""
        leaving = list(instances)
        wait_idle(leaving, TIMEOUT_SECONDS)
        self._launcher.stop(leaving, KILL_AFTER_SECONDS)

    def end_all(self, grace_seconds: float) -> None:
        self._launcher.stop_all(grace_seconds)

    def settle(self, stop: threading.Event) -> None:
        shortest, longest = SETTLE_WALL_SECONDS
        wanted = self._clock.wall_seconds(SETTLE_SIMULATED_SECONDS)
        if stop.wait(min(longest, max(shortest, wanted))):
            raise StoppedError

    def _adder(self, fleets: FleetMap) -> Callable[[VariantSpec, Instance], None]:
        return lambda spec, instance: self._router.add_instance(fleets[spec.name], instance)


def _missing(fleets: FleetMap) -> list[VariantSpec]:
    return [fleet.spec for fleet in fleets.values() for _ in range(fleet.missing)]


def instances_of(fleets: FleetMap) -> list[Instance]:
    return [instance for fleet in fleets.values() for instance in fleet.instances]

"""Keeps serving fleets whole: pings instances, replaces what fails, measures what they use."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcloud.clock import Clock
from localcloud.sagemaker.fleet import Launcher, VariantFleet
from localcloud.sagemaker.instance import Instance, StartError, StoppedError
from localcloud.sagemaker.metrics import MetricSink, Utilization, record_utilization
from localcloud.sagemaker.routing import Router

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
PING_EVERY_SECONDS = 2.0
# On a busy laptop one ping may be late; three in a row are a server that hangs.
FAILED_PINGS = 3
MAX_RETRY_SECONDS = 30.0
MINUTE_SECONDS = 60.0


class Supervisor:
    """One thread for all fleets; replacements start in threads of their own."""

    def __init__(
        self,
        fleets: Callable[[], Iterable[VariantFleet]],
        launcher: Launcher,
        router: Router,
        clock: Clock,
        metrics: MetricSink,
        home: Path,
    ) -> None:
        self._fleets = fleets
        self._launcher = launcher
        self._router = router
        self._clock = clock
        self._gauge = _Gauge(clock, metrics, home)
        self._closing = threading.Event()
        self._pings = ThreadPoolExecutor(8, thread_name_prefix="ping")
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Replace nothing any more."""
        self._closing.set()

    def close(self) -> None:
        self.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._pings.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        next_ping = time.monotonic()
        while not self._closing.wait(TICK_SECONDS):
            try:
                fleets = list(self._fleets())
                if time.monotonic() >= next_ping:
                    self._ping(fleets)
                    next_ping = time.monotonic() + PING_EVERY_SECONDS
                for fleet in fleets:
                    self._keep_whole(fleet)
                self._gauge.measure(fleets)
            except Exception:
                log.exception("the supervision of instances failed")

    def _ping(self, fleets: Iterable[VariantFleet]) -> None:
        instances = [i for fleet in fleets for i in fleet.instances]
        for instance, answered in zip(
            instances, self._pings.map(Instance.ping, instances), strict=True
        ):
            instance.failed_pings = 0 if answered else instance.failed_pings + 1

    def _keep_whole(self, fleet: VariantFleet) -> None:
        for instance in fleet.instances:
            if instance.is_alive and instance.failed_pings < FAILED_PINGS:
                continue
            log.warning(
                "%s/%s: instance %s %s and is replaced", fleet.spec.endpoint, fleet.spec.name,
                instance.id, "hangs" if instance.is_alive else "died",
            )  # fmt: skip
            self._router.remove_instance(fleet, instance)
            self._launcher.stop([instance], 0.0)
        if fleet.missing > 0 and not fleet.is_filling and time.monotonic() >= fleet.retry_at:
            fleet.is_filling = True
            threading.Thread(target=self._fill, args=(fleet,), daemon=True).start()

    def _fill(self, fleet: VariantFleet) -> None:
        """Start what is missing; after a failure wait longer each time."""
        try:
            self._launcher.launch_all(
                [fleet.spec] * fleet.missing,
                lambda: self._closing.is_set() or fleet.desired == 0,
                lambda _, instance: self._router.add_instance(fleet, instance),
            )
            fleet.failures = 0
        except StoppedError:
            pass
        except StartError as error:
            fleet.failures += 1
            fleet.retry_at = time.monotonic() + min(MAX_RETRY_SECONDS, 2.0**fleet.failures)
            log.warning("%s/%s: no new instance: %s", fleet.spec.endpoint, fleet.spec.name, error)
        except Exception:
            fleet.retry_at = time.monotonic() + MAX_RETRY_SECONDS
            log.exception("%s/%s: no new instance", fleet.spec.endpoint, fleet.spec.name)
        finally:
            fleet.is_filling = False


class _Gauge:
    """CPU, memory and disk of every instance, once a simulated minute."""

    def __init__(self, clock: Clock, metrics: MetricSink, home: Path) -> None:
        self._clock = clock
        self._metrics = metrics
        self._home = home
        self._minute = clock.timestamp() // MINUTE_SECONDS
        self._cpu: dict[int, tuple[float, float]] = {}

    def measure(self, fleets: Iterable[VariantFleet]) -> None:
        minute = self._clock.timestamp() // MINUTE_SECONDS
        if minute == self._minute:
            return
        self._minute = minute
        seen: dict[int, tuple[float, float]] = {}
        for fleet in fleets:
            for instance in fleet.instances:
                used = self._used(instance, seen)
                if used is not None:
                    spec = fleet.spec
                    now = self._clock.now()
                    record_utilization(
                        self._metrics, spec.region, spec.endpoint, spec.name, used, now
                    )
        self._cpu = seen

    def _used(self, instance: Instance, seen: dict[int, tuple[float, float]]) -> Utilization | None:
        """What an instance uses; CPU since the last minute. None when it has just ended."""
        import psutil

        try:
            process = psutil.Process(instance.pid)
            times, memory = process.cpu_times(), process.memory_percent()
        except psutil.NoSuchProcess:
            return None
        now, spent = time.monotonic(), times.user + times.system
        seen[instance.pid] = (now, spent)
        since, before = self._cpu.get(instance.pid, (now, spent))
        cpu = 100.0 * (spent - before) / (now - since) if now > since else 0.0
        return Utilization(cpu, memory, psutil.disk_usage(str(self._home)).percent)

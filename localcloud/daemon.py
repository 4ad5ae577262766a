"""The daemon: puts the parts of the local cloud together, serves them, and takes them down.

`python -m localcloud.daemon --home DIR --port N --speed X` runs it in the foreground;
`slipway cloud start` runs it detached.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import faulthandler
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from contracts.errors import SlipwayError
from localcloud import clock as clocks
from localcloud import moto_hooks, serverless
from localcloud.actions import AUTOSCALING, LAMBDA, SNS, ActionTable
from localcloud.autoscaling.service import AutoScaling
from localcloud.clock import Clock, ClockKeeper
from localcloud.cloudwatch.service import CloudWatch
from localcloud.cloudwatch.store import MetricStore
from localcloud.connect import (
    DEFAULT_PORT,
    DEFAULT_SPEED,
    EXIT_ALREADY_RUNNING,
    CloudError,
    port_in_use,
)
from localcloud.deliveries import Deliveries
from localcloud.dispatch import CloudDispatcher
from localcloud.events_sink import BusSink
from localcloud.faults import Faults
from localcloud.front import BACKLOG, Front, Invoker
from localcloud.home import CloudHome
from localcloud.in_process import InProcess
from localcloud.moto_app import MotoApp
from localcloud.moto_state import MotoState
from localcloud.own_state import OwnState
from localcloud.provider_process import ProviderProcess
from localcloud.quotas import ServiceQuotas
from localcloud.s3_access import InProcessS3, InProcessTopics
from localcloud.sagemaker.control import SageMaker
from localcloud.sagemaker.neighbours import CloudWatchAlarms, Neighbours
from localcloud.service import OwnService

log = logging.getLogger(__name__)

LOCK_TIMEOUT_SECONDS = 1.0
LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Options:
    home: Path
    port: int
    speed: float


@dataclass(frozen=True)
class Parts:
    """What one daemon serves with, put together and filled with what stood before."""

    services: dict[str, OwnService]
    invoker: Invoker | None
    moto: MotoApp
    moto_state: MotoState
    own_state: OwnState
    faults: Faults
    deliveries: Deliveries

    def close(self) -> None:
        """End model servers and background work; keep everything once more."""
        self.deliveries.close()
        for service in self.services.values():
            service.close()
        self.own_state.close()


def assemble(home: CloudHome, clock: Clock, endpoint_url: str) -> Parts:
    """The composition root: which services are our own, and what each is given."""
    moto_hooks.install(clock)
    moto_state = MotoState(home.state / "moto")
    moto_state.restore()
    moto = MotoApp(moto_state)
    own_state = OwnState(home.state / "own")
    quotas, faults = ServiceQuotas(), Faults()
    bus = BusSink(moto, clock)
    parts = serverless.assemble(moto, clock, home.folder, endpoint_url, own_state.notifier)
    services: dict[str, OwnService] = {quotas.name: quotas, **parts.services}
    in_process = InProcess(services, own_state.keep, clock)
    autoscaling = AutoScaling(clock, in_process, own_state.notifier("application-autoscaling"))
    store = MetricStore()
    # A service that takes alarm actions is a row here, by the service in the action's ARN.
    actions = ActionTable(
        {
            SNS: InProcessTopics(moto).take,
            AUTOSCALING: autoscaling.take,
            LAMBDA: parts.deliveries.take,
        },
        bus,
    )
    cloudwatch = CloudWatch(clock, store, actions, own_state.notifier("cloudwatch"))
    keep_sagemaker = own_state.notifier("sagemaker")

    def endpoint_changed() -> None:
        keep_sagemaker()
        autoscaling.wake()

    sagemaker = SageMaker(
        clock,
        store,
        home.folder,
        InProcessS3(moto),
        endpoint_changed,
        autoscaling,
        neighbours=Neighbours(CloudWatchAlarms(cloudwatch, clock), bus, quotas.allowed, faults),
    )
    for service in (cloudwatch, sagemaker, autoscaling):
        services[service.name] = service
    own_state.restore(services)
    autoscaling.start()
    return Parts(services, sagemaker.runtime, moto, moto_state, own_state, faults, parts.deliveries)


class Daemon:
    """One life of the local cloud, from the first socket to the removal of its record."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._home = CloudHome.of(options.home)
        self._clock = Clock(options.speed, clocks.load_start(self._home.clock))
        self._clock_keeper = ClockKeeper(self._home.clock, self._clock)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        listener = _listen(self._options.port)
        port = int(listener.getsockname()[1])
        record: dict[str, Any] = {
            "pid": os.getpid(),
            "port": port,
            "endpoint_url": f"http://127.0.0.1:{port}",
            "provider_port": None,
            "speed": self._clock.speed,
            "started_at": self._clock.now().isoformat(),
        }
        self._home.write_settings(
            {"port": port, "any_port": self._options.port == 0, "speed": self._clock.speed}
        )
        # Both take a second; requests that come meanwhile wait in the socket's backlog.
        provider = ProviderProcess(record["endpoint_url"])
        provider.start()
        self._clock_keeper.start()
        parts = await asyncio.to_thread(
            assemble, self._home, self._clock, str(record["endpoint_url"])
        )
        dispatcher = CloudDispatcher(
            parts.services, parts.own_state, parts.moto, parts.moto_state, self._clock, parts.faults
        )
        front = Front(dispatcher, parts.invoker, self._clock)
        await front.start(listener)
        try:
            record["provider_port"] = await asyncio.to_thread(provider.wait_ready)
            self._home.write_record(record)
            log.info("ready at %s", record["endpoint_url"])
            await stopping.wait()
            log.info("stopping")
        finally:
            await front.stop()
            await asyncio.to_thread(parts.close)
            await asyncio.to_thread(provider.stop)
            self._clock_keeper.stop()
            self._home.remove_record()
            log.info("stopped")


def main(arguments: list[str] | None = None) -> int:
    faulthandler.enable()  # into the daemon's log, for a crash leaves nothing else
    options = _parse(arguments)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    home = CloudHome.of(options.home)
    if _acquire(home) is None:
        log.error("another daemon runs for %s", home.root)
        return EXIT_ALREADY_RUNNING
    _prepare_environment()
    home.remove_record()
    try:
        uvloop.run(Daemon(options).run())
    except SlipwayError as error:
        log.error("%s", error)
        return 1
    return 0


def _parse(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m localcloud.daemon", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--speed", type=float, default=DEFAULT_SPEED)
    found = parser.parse_args(arguments)
    return Options(found.home, found.port, found.speed)


def _acquire(home: CloudHome) -> int | None:
    """The home's lock; somebody who merely looks whether it is held may hold it for a moment."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while (descriptor := home.acquire()) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(LOCK_POLL_SECONDS)
    return descriptor


def _prepare_environment() -> None:
    """moto reads these at import; nothing of the caller's AWS account may reach the daemon."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise port_in_use(port) from None
        raise CloudError(f"cannot listen on port {port}: {error.strerror}") from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # A worker thread that still waits (a long poll) must not keep the process alive.
    os._exit(code)

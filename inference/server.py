"""One process that serves: it loads the model, answers, and ends when it is told to.

``/ping`` answers 200 once the model is loaded and has scored a row. The model runs in one thread
beside the event loop, so that ``/ping`` answers while it works.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from inference.answering.turn import Answering
from inference.application import Application
from inference.errors import ServerError
from inference.http import connection as http
from inference.http.limits import MAX_BODY_BYTES, Limits, budget_of, connection_cap, memory_limit
from inference.http.site import DRAIN_TICK_SECONDS
from inference.http.streaming import StreamingConnection
from inference.integrity import is_sagemakers
from inference.predictor import load
from inference.processes import memory, telemetry
from inference.processes.board import GONE, LOADING, READY, Board, Slot
from inference.processes.log import log, write
from inference.pyfunc.model import Health, NativeEngine
from inference.settings import whole_number

if TYPE_CHECKING:
    from inference.desk import Desk

DESK = "SLIPWAY_DESK"
PORT = "SAGEMAKER_BIND_TO_PORT"
EMBEDDED = "SLIPWAY_EMBEDDED_METRICS"
MAX_BODY = "SLIPWAY_MAX_BODY_BYTES"
BATCH_PAYLOAD = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
BATCH_LARGEST_MB = 100  # of a request of batch transform (fact 1.2)
STREAMED = "; a body of any length is taken as text/csv or as application/jsonlines"
DRAIN_SECONDS = 25.0  # SageMaker kills 30 s after SIGTERM (container contract)
BEAT_SECONDS = 1.0
TELL_SECONDS = 60.0
BACKLOG = 1024


@dataclass(frozen=True)
class Place:
    """Where a process serves: its socket, its slot of the board, and whose end ends it.

    ``lifeline``: a file descriptor; at its end of file (its writer has died) the process ends.
    """

    listener: socket.socket
    board: Board
    slot: Slot
    lifeline: int | None


def port_to_bind(given: str | None) -> int:
    """The port that the command line, else the platform, says.

    Raises:
        ServerError: it is none.
    """
    name, text = ("--port", given) if given is not None else (PORT, os.environ.get(PORT, "8080"))
    return whole_number(name, text, "a port from 0 (any) to 65535", most=65535)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; ``shared``: several processes listen on the same port.

    Raises:
        ServerError: the port cannot be used; says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as problem:
        listener.close()
        raise ServerError(
            f"cannot listen on {host}:{port}: {problem.strerror or problem}; "
            "stop what uses the port, or name another with --port"
        ) from None
    listener.setblocking(False)
    return listener


async def serve(place: Place, model_dir: Path) -> None:
    """Load, and answer until SIGTERM or the end of the lifeline."""
    loop = asyncio.get_running_loop()
    limit, streams = body_limit(), streams_bodies()
    application = Application(place.board, place.slot, 0 if streams else limit)
    application.desk = _desk(place.listener)
    answering = Answering(application)
    limits = affordable(Limits(body_bytes=limit, remedy=STREAMED if streams else ""))
    budget = budget_of(len(place.board.slots), limit, memory_limit())
    site = http.Site(answering.answer, limits, budget, refused=answering.refused)
    server = await loop.create_server(
        (lambda: StreamingConnection(site, answering.stream))
        if streams
        else (lambda: http.Connection(site)),
        sock=place.listener,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if place.lifeline is not None:
        # A daemon: whoever ends the loop waits for the threads of an executor, and this one reads
        # for as long as the lifeline stays open.
        Thread(
            target=_wait_for_eof, args=(loop, stop, place.lifeline), name="lifeline", daemon=True
        ).start()

    beside = [
        asyncio.ensure_future(http.watch(site)),
        asyncio.ensure_future(_beat(place.slot)),
    ]
    if tells := _tells(place, model_dir):
        beside.append(asyncio.ensure_future(_tell_each_minute(application)))
    stopped = asyncio.ensure_future(stop.wait())
    loading = asyncio.ensure_future(load_model(answering, model_dir))
    await asyncio.wait({stopped, loading}, return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        loading.result()  # raises what made the loading fail
        await stopped
    server.close()
    for task in beside:
        task.cancel()
    until = loop.time() + DRAIN_SECONDS
    await http.drain(site, DRAIN_SECONDS)
    place.slot.state = GONE
    if tells and application.predictor is not None:
        await _others_gone(place.board, until)
        _tell(application)


async def _others_gone(board: Board, until: float) -> None:
    """Wait for what the other workers still answer, so that the last line counts it."""
    loop = asyncio.get_running_loop()
    while any(slot.state != GONE for slot in board.slots) and loop.time() < until:
        await asyncio.sleep(DRAIN_TICK_SECONDS)


def affordable(limits: Limits) -> Limits:
    """With as many connections as there may be files."""
    connections = connection_cap(limits.connections)
    if connections < limits.connections:
        log("few files may be open", connections=connections, wanted=limits.connections)
    return replace(limits, connections=connections)


def _desk(listener: socket.socket) -> Desk | None:
    """The page at ``/`` where ``SLIPWAY_DESK`` asks for it, for nobody but this machine."""
    if os.environ.get(DESK, "0") != "1":
        return None
    try:
        from inference.desk import LOOPBACK, Desk
    except ImportError:
        raise ServerError(f"{DESK} is set, and an image has no page; unset it") from None
    address = str(listener.getsockname()[0])
    if address not in LOOPBACK:
        raise ServerError(
            f"{DESK} is set and the server listens on {address}; the page is for 127.0.0.1 alone: "
            f"unset {DESK}, or listen there"
        )
    return Desk()


async def _beat(slot: Slot) -> None:
    """Show that the loop turns."""
    while True:
        slot.beat = time.monotonic()
        await asyncio.sleep(BEAT_SECONDS)


def _tells(place: Place, model_dir: Path) -> bool:
    """Whether this worker tells the log, for all, what nobody can scrape on SageMaker."""
    default = "1" if is_sagemakers(model_dir) else "0"
    return place.slot is place.board.slots[0] and os.environ.get(EMBEDDED, default) == "1"


async def _tell_each_minute(application: Application) -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        _tell(application)


def _tell(application: Application) -> None:
    index = None if application.predictor is None else application.predictor.index
    write(telemetry.embedded(application.board, index, round(time.time() * 1000)))


def body_limit() -> int:
    """Bytes of a body: the operator's limit, else what a batch transform job says it sends.

    Raises:
        ServerError: what is set is no number of bytes, or of megabytes.
    """
    text = os.environ.get(MAX_BODY)
    if text is not None:
        return whole_number(MAX_BODY, text, "a number of bytes above 0", least=1)
    text = os.environ.get(BATCH_PAYLOAD) or str(MAX_BODY_BYTES >> 20)
    # 0 is no limit; what cannot be answered while it comes has the largest that there is beside.
    return (_megabytes(text) or BATCH_LARGEST_MB) << 20


def _megabytes(text: str) -> int:
    return whole_number(BATCH_PAYLOAD, text, "a whole number of MB")


def streams_bodies() -> bool:
    """Whether bodies have no limit: nobody set one, and batch transform sends whole files (0)."""
    text = os.environ.get(BATCH_PAYLOAD)
    return MAX_BODY not in os.environ and bool(text) and _megabytes(text) == 0


async def load_model(answering: Answering, model_dir: Path) -> None:
    """Load and probe the model in its thread; from then on ``/ping`` answers 200."""
    loop = asyncio.get_running_loop()
    predictor = await loop.run_in_executor(answering.model_thread, load, model_dir)
    await loop.run_in_executor(answering.model_thread, predictor.probe)
    answering.open(predictor)
    memory.settle()
    if (desk := answering.application.desk) is not None:
        desk.show(predictor.index, model_dir)
    answering.slot.beat = answering.slot.ready_at = time.monotonic()
    answering.slot.state = READY
    if isinstance(predictor.engine, NativeEngine):
        predictor.engine.watch = partial(_follow, answering)
    index = predictor.index
    log("ready", model=index.model, version=index.version, engine=index.serving_engine)


def _follow(answering: Answering, health: Health) -> None:
    """A worker whose model's process is gone does not serve until there is another one."""
    if health is Health.GIVEN_UP:
        answering.application.board.give_up()
    answering.slot.state = READY if health is Health.SERVES else LOADING


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, descriptor: int) -> None:
    while os.read(descriptor, 4096):
        pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        os._exit(0)  # the loop is closed already: we are on our way out

"""The model server: SageMaker's container contract, and ``POST /predict``.

``/ping`` answers 200 once the model is loaded and has scored a row. The model runs in one thread
beside the event loop, so that ``/ping`` answers while it works.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

from inference import http, telemetry
from inference.application import Application, log
from inference.board import READY, Board
from inference.errors import ServerError, shown
from inference.limits import MAX_BODY_BYTES, Limits
from inference.predictor import load

EMBEDDED = "SLIPWAY_EMBEDDED_METRICS"
SAGEMAKER_MODEL = Path("/opt/ml/model")
MAX_BODY = "SLIPWAY_MAX_BODY_BYTES"
DRAIN_SECONDS = 25.0  # SageMaker kills 30 s after SIGTERM (container contract)


async def serve(host: str, port: int, model_dir: Path) -> None:
    """Listen, load, answer until SIGTERM (or, with SLIPWAY_WATCH_STDIN, until stdin closes)."""
    loop = asyncio.get_running_loop()
    board, limit = Board(1), _body_limit()
    application = Application(board, board.slots[0], limit)
    site = http.Site(application, Limits(body_bytes=limit))
    try:
        server = await loop.create_server(lambda: http.Connection(site), host, port, backlog=1024)
    except OSError as problem:
        raise ServerError(
            f"cannot listen on {host}:{port}: {problem.strerror or problem}; "
            "stop what uses the port, or name another with --port"
        ) from None
    log("listening", port=server.sockets[0].getsockname()[1])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if os.environ.get("SLIPWAY_WATCH_STDIN") == "1":
        # A daemon: whoever ends the loop waits for the threads of an executor, and this one reads
        # for as long as stdin stays open.
        Thread(target=_wait_for_eof, args=(loop, stop), name="stdin", daemon=True).start()

    watching = asyncio.ensure_future(http.watch(site))
    telling = asyncio.ensure_future(_tell(application, model_dir))
    stopped = asyncio.ensure_future(stop.wait())
    loading = asyncio.ensure_future(_load(application, model_dir))
    await asyncio.wait({stopped, loading}, return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        loading.result()  # raises what made the loading fail
        await stopped
    server.close()
    watching.cancel()
    telling.cancel()
    await http.drain(site.connections, DRAIN_SECONDS)


async def _tell(application: Application, model_dir: Path) -> None:
    """Once a minute, on SageMaker: what nobody can scrape there, as a line of the log."""
    if os.environ.get(EMBEDDED, "1" if model_dir == SAGEMAKER_MODEL else "0") != "1":
        return
    before: Any = None
    while True:
        await asyncio.sleep(60)
        predictor = application.predictor
        index = None if predictor is None else predictor.index
        line, before = telemetry.embedded(
            application.board, index, round(time.time() * 1000), before
        )
        print(line, flush=True)


def _body_limit() -> int:
    text = os.environ.get(MAX_BODY, str(MAX_BODY_BYTES))
    if not text.isdigit() or int(text) == 0:
        raise ServerError(f"{MAX_BODY} is {shown(text)}; a number of bytes above 0 is needed")
    return int(text)


async def _load(application: Application, model_dir: Path) -> None:
    """Load and probe the model in its thread; from then on ``/ping`` answers 200."""
    loop = asyncio.get_running_loop()
    predictor = await loop.run_in_executor(application.model_thread, load, model_dir)
    await loop.run_in_executor(application.model_thread, predictor.probe)
    application.predictor = predictor
    application.slot.state = READY
    index = predictor.index
    log("ready", model=index.model, version=index.version, engine=index.engine)


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        os._exit(0)  # the loop is closed already: we are on our way out

"""The model server: SageMaker's container contract, and ``POST /predict``.

``/ping`` answers 200 once the model is loaded and has scored a row. The model runs in one thread
beside the event loop, so that ``/ping`` answers while it works.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Thread

from inference import codecs, http
from inference.errors import ModelFailedError, RequestError, ServerError, shown
from inference.limits import MAX_BODY_BYTES, Limits
from inference.predictor import Predictor, load

MAX_BODY = "SLIPWAY_MAX_BODY_BYTES"
DRAIN_SECONDS = 25.0  # SageMaker kills 30 s after SIGTERM (container contract)
PREDICT_PATHS = frozenset({"/invocations", "/predict"})
ALLOWED = {"/ping": "GET"} | dict.fromkeys(PREDICT_PATHS, "POST")


class Application:
    """Answers requests; ``predictor`` is None until the model has been loaded and probed."""

    def __init__(self) -> None:
        self.predictor: Predictor | None = None
        self.model_thread = ThreadPoolExecutor(1, "model")

    async def __call__(self, request: http.Request) -> http.Response:
        match request.method, request.path:
            case "GET", "/ping":
                return http.Response(200 if self.predictor else 503, b"")
            case "POST", path if path in PREDICT_PATHS:
                return await self._predict(request)
            case method, path if path in ALLOWED:
                problem = f"method is {shown(method)}; {path} takes {ALLOWED[path]}"
                return replace(http.error(405, problem), headers=(("Allow", ALLOWED[path]),))
            case _:
                return http.error(404, "there are /ping, /invocations and /predict")

    async def _predict(self, request: http.Request) -> http.Response:
        predictor = self.predictor
        if predictor is None:
            return http.error(503, "the model is being loaded")
        try:
            answer_type = codecs.accepted(request.headers.get("accept", ""))
            if request.headers.get("content-encoding", "identity") != "identity":
                raise RequestError(415, "the body is encoded; send it as it is")
            content_type = request.headers.get("content-type", "")
            decoded = codecs.decode(predictor.signature, content_type, bytes(request.body))
            loop = asyncio.get_running_loop()
            predictions = await loop.run_in_executor(self.model_thread, predictor.predict, decoded)
            body = codecs.encode(answer_type, predictions)
        except RequestError as problem:
            return http.error(problem.status, str(problem))
        except ModelFailedError as problem:
            log("model failed", error=str(problem), trace=_trace(problem))
            return http.error(500, str(problem))
        except Exception as problem:  # noqa: BLE001 a defect of ours: one line to the client
            log("server failed", error=repr(problem), trace=_trace(problem))
            return http.error(500, "the server failed; its log says how")
        return http.Response(200, body, answer_type)


def _trace(problem: BaseException) -> str:
    return "".join(traceback.format_exception(problem))[-4000:]


def log(event: str, **fields: object) -> None:
    """One line of JSON on stdout, where SageMaker takes a container's log from."""
    print(json.dumps({"event": event, **fields}), flush=True)


async def serve(host: str, port: int, model_dir: Path) -> None:
    """Listen, load, answer until SIGTERM (or, with SLIPWAY_WATCH_STDIN, until stdin closes)."""
    loop = asyncio.get_running_loop()
    application = Application()
    site = http.Site(application, Limits(body_bytes=_body_limit()))
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
    stopped = asyncio.ensure_future(stop.wait())
    loading = asyncio.ensure_future(_load(application, model_dir))
    await asyncio.wait({stopped, loading}, return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        loading.result()  # raises what made the loading fail
        await stopped
    server.close()
    watching.cancel()
    await http.drain(site.connections, DRAIN_SECONDS)


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
    index = predictor.index
    log("ready", model=index.model, version=index.version, engine=index.engine)


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        os._exit(0)  # the loop is closed already: we are on our way out

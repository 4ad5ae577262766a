"""The one port: an HTTP server on the loopback that sorts requests and answers all of them."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

from aiohttp import web

from localcloud.clock import Clock
from localcloud.connect import RESET_PATH, STATUS_PATH
from localcloud.wire import WireAnswer, WireRequest

log = logging.getLogger(__name__)
_T = TypeVar("_T")

MAX_BODY_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 16
# Threads appear as they are needed; a long poll of a queue holds one for up to 20 s.
WORKER_THREADS = 64
BACKLOG = 512
_ENDPOINTS = "/endpoints/"
_INVOCATIONS = "/invocations"
_UNSUPPORTED_INVOCATIONS = (
    "/async-invocations",
    "/invocations-response-stream",
    "/invocations-bidirectional-stream",
)
# What the server itself sets, or what does not hold for the connection to our client.
_OWN_HEADERS = {"date", "server", "transfer-encoding", "connection", "keep-alive"}


class InvokeResult(Protocol):
    """What the runtime answers to one invocation."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Invoker(Protocol):
    """The SageMaker runtime: called on the event loop for every invocation."""

    async def invoke(
        self, endpoint: str, headers: Mapping[str, str], body: bytes
    ) -> InvokeResult: ...


class Dispatcher(Protocol):
    """Everything but invocations; called from worker threads."""

    def dispatch(self, request: WireRequest, request_id: str) -> WireAnswer: ...

    def status(self) -> dict[str, Any]: ...

    def reset(self) -> None: ...


class Front:
    """Listens on 127.0.0.1; invocations run on the event loop, all else in worker threads."""

    def __init__(self, dispatcher: Dispatcher, invoker: Invoker | None, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._invoker = invoker
        self._clock = clock
        self._workers = ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="request")
        self._runner: web.ServerRunner | None = None

    async def start(self, listener: socket.socket) -> None:
        """Answer what comes in at ``listener``."""
        server = web.Server(
            self._handle,
            request_factory=_request_factory,
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=BACKLOG).start()

    async def stop(self) -> None:
        """Refuse new connections, let requests in flight finish for a moment, end."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # The interim answer is not part of the answer's body.
            request.writer.output_size = 0
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._render(_too_large(), request_id)
        try:
            answer = await self._answer(request, body, request_id)
        except Exception:
            log.exception("failed at %s %s", request.method, request.raw_path)
            answer = _json(
                500, {"__type": "InternalFailure", "message": "see `slipway cloud logs`"}
            )
        return self._render(answer, request_id)

    async def _answer(self, request: web.BaseRequest, body: bytes, request_id: str) -> WireAnswer:
        target = request.raw_path
        path = target.partition("?")[0]
        if path.startswith(_ENDPOINTS) and request.method == "POST":
            name, _, action = path[len(_ENDPOINTS) :].partition("/")
            if "/" + action == _INVOCATIONS:
                return await self._invoke(unquote(name), request.headers, body)
            if "/" + action in _UNSUPPORTED_INVOCATIONS:
                return _unsupported(unquote(name), action)
        if path == STATUS_PATH:
            return _json(200, await self._in_worker(self._dispatcher.status))
        if path == RESET_PATH and request.method == "POST":
            await self._in_worker(self._dispatcher.reset)
            return _json(200, {"status": "ok"})
        wire = WireRequest(request.method, target, tuple(request.headers.items()), body)
        return await self._in_worker(lambda: self._dispatcher.dispatch(wire, request_id))

    async def _invoke(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> WireAnswer:
        if self._invoker is None:
            return _runtime_error(500, "InternalFailure", "this cloud has no SageMaker runtime")
        result = await self._invoker.invoke(endpoint, headers, body)
        return WireAnswer(result.status, list(result.headers.items()), result.body)

    def _in_worker(self, work: Callable[[], _T]) -> Awaitable[_T]:
        return asyncio.get_running_loop().run_in_executor(self._workers, work)

    def _render(self, answer: WireAnswer, request_id: str) -> web.Response:
        response = web.Response(status=answer.status, body=answer.body)
        response.headers.popall("Content-Type", None)
        for name, value in answer.headers:
            lower = name.lower()
            if lower == "set-cookie":
                response.headers.add(name, value)
            elif lower not in _OWN_HEADERS:
                response.headers[name] = value
        response.headers["Date"] = format_datetime(self._clock.now(), usegmt=True)
        if "x-amzn-RequestId" not in response.headers:
            response.headers["x-amzn-RequestId"] = request_id
        return response


def _request_factory(*arguments: Any) -> web.BaseRequest:
    message, payload, protocol, writer, task = arguments
    return web.BaseRequest(
        message,
        payload,
        protocol,
        writer,
        task,
        asyncio.get_running_loop(),
        client_max_size=MAX_BODY_BYTES,
    )


def _json(status: int, value: dict[str, Any]) -> WireAnswer:
    body = json.dumps(value, default=str).encode()
    return WireAnswer(status, [("Content-Type", "application/json")], body)


def _runtime_error(status: int, code: str, message: str) -> WireAnswer:
    """An error as the SageMaker runtime (rest-json) tells it."""
    answer = _json(status, {"Message": message})
    answer.headers.append(("x-amzn-ErrorType", code))
    return answer


def _unsupported(endpoint: str, action: str) -> WireAnswer:
    return _runtime_error(
        400,
        "ValidationError",
        f"Endpoint {endpoint} does not support {action}: only real-time invocations are supported",
    )


def _too_large() -> WireAnswer:
    message = f"the request is larger than {MAX_BODY_BYTES} bytes"
    return _json(413, {"__type": "RequestEntityTooLargeException", "message": message})

"""What the server answers to each path; the model runs in one thread beside the event loop."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from inference import codecs, http, openapi, telemetry, v2
from inference.board import Board, Slot
from inference.errors import ModelFailedError, RequestError, shown
from inference.log import log
from inference.predictor import Predictor

if TYPE_CHECKING:
    from inference.desk import Desk

PREDICT_ROUTES = {"/invocations": "invocations", "/predict": "predict"}
GET_PATHS = ("/ping", "/metrics", "/execution-parameters", "/openapi.json")
REQUEST_ID = "x-request-id"
MAX_ID = 128
ACCESS_LOG = "SLIPWAY_ACCESS_LOG"
LOGGED = ("errors", "all", "none")


@dataclass(frozen=True)
class Answered:
    """A response, and under which route it counts."""

    route: str
    response: http.Response


class Application:
    """Answers requests; ``predictor`` is None until the model has been loaded and probed."""

    def __init__(self, board: Board, slot: Slot, max_body: int) -> None:
        self.predictor: Predictor | None = None
        self.desk: Desk | None = None
        self.model_thread = ThreadPoolExecutor(1, "model")
        self.board = board
        self.slot = slot
        self.max_body = max_body
        self.started = time.time()
        self.logged = os.environ.get(ACCESS_LOG, "errors")

    async def __call__(self, request: http.Request) -> http.Response:
        began = time.perf_counter()
        answered = await self._route(request)
        seconds = time.perf_counter() - began
        response = answered.response
        self.slot.count(answered.route, response.status, seconds)
        found = _request_id(request)
        # A 503 of /ping is how a server says that it loads, and comes every second.
        is_error = response.status >= 400 and answered.route != "ping"
        if self.logged == "all" or (self.logged == "errors" and is_error):
            self._log(request, response, found, seconds)
        return replace(response, headers=(*response.headers, *self._headers(found)))

    def _headers(self, request_id: str) -> tuple[tuple[str, str], ...]:
        headers = (("X-Request-Id", request_id),)
        if self.predictor is None:
            return headers
        index = self.predictor.index
        return (*headers, ("X-Model-Name", index.model), ("X-Model-Version", index.version))

    async def _route(self, request: http.Request) -> Answered:
        path = request.path
        if self.desk is not None:
            page = self.desk.answer(request.method, path, request.headers.get("host"))
            if page is not None:
                return Answered("other", page)
        if path in PREDICT_ROUTES:
            return await self._only("POST", PREDICT_ROUTES[path], request, self._predict)
        if path == "/ping":
            return await self._only("GET", "ping", request, self._ping)
        if path == "/v2" or path.startswith("/v2/"):
            return Answered("v2", await self._v2(request))
        if path in GET_PATHS:
            return await self._only("GET", "other", request, self._about)
        paths = ", ".join((*GET_PATHS, *PREDICT_ROUTES, "/v2/…"))
        return Answered("other", http.error(404, f"there are {paths}"))

    async def _only(
        self,
        method: str,
        route: str,
        request: http.Request,
        answer: Callable[[http.Request], Awaitable[http.Response]],
    ) -> Answered:
        if request.method == method:
            return Answered(route, await answer(request))
        problem = f"method is {shown(request.method)}; {request.path} takes {method}"
        return Answered(route, replace(http.error(405, problem), headers=(("Allow", method),)))

    async def _ping(self, _request: http.Request) -> http.Response:
        is_healthy = self.board.is_healthy(time.monotonic())
        return http.Response(200 if is_healthy else 503, b"")

    async def _about(self, request: http.Request) -> http.Response:
        predictor = self.predictor
        index = None if predictor is None else predictor.index
        match request.path:
            case "/metrics":
                text = telemetry.prometheus(self.board, index, self.started)
                return http.Response(200, text.encode(), telemetry.CONTENT_TYPE)
            case "/execution-parameters":
                return _json(
                    {
                        "MaxConcurrentTransforms": 2 * len(self.board.slots),
                        "BatchStrategy": "MULTI_RECORD",
                        "MaxPayloadInMB": max(1, self.max_body >> 20),
                    }
                )
            case _:
                if index is None:
                    return http.error(503, "the model is being loaded")
                return _json(openapi.document(index))

    # --- predictions

    async def _predict(self, request: http.Request) -> http.Response:
        async def answer(predictor: Predictor) -> http.Response:
            answer_type = codecs.accepted(request.headers.get("accept", ""))
            content_type = request.headers.get("content-type", "")
            decoded = codecs.decode(predictor.signature, content_type, bytes(request.body))
            predictions = await self._score(predictor, decoded)
            return http.Response(200, codecs.encode(answer_type, predictions), answer_type)

        return await self._guarded(request, answer)

    async def _v2(self, request: http.Request) -> http.Response:
        parts = request.path.strip("/").split("/")[1:]
        if request.method == "POST" and parts and parts[-1] == "infer":
            return await self._infer(request, parts)
        if request.method != "GET":
            return replace(http.error(405, "a method of V2 is GET or POST …/infer"))
        return self._describe(parts)

    def _describe(self, parts: list[str]) -> http.Response:
        predictor = self.predictor
        match parts:
            case []:
                return _json(v2.server_metadata("1"))
            case ["health", "live"]:
                return _json({"live": True})
            case ["health", "ready"]:
                return _json({"ready": predictor is not None}, 200 if predictor else 503)
            case _ if predictor is None:
                return http.error(503, "the model is being loaded")
            case _ if not _is_model(parts, predictor):
                index = predictor.index
                problem = f"there is the model {index.model}, version {index.version}"
                return http.error(404, problem)
            case _:
                pass
        if parts[-1] == "ready":
            return _json({"name": predictor.index.model, "ready": True})
        return _json(v2.model_metadata(predictor.index, predictor.signature))

    async def _infer(self, request: http.Request, parts: list[str]) -> http.Response:
        async def answer(predictor: Predictor) -> http.Response:
            if not _is_model(parts, predictor):
                index = predictor.index
                raise RequestError(404, f"there is the model {index.model}, {index.version}")
            decoded, request_id = v2.decode(predictor.signature, bytes(request.body))
            predictions = await self._score(predictor, decoded)
            return _json(v2.encode(predictor.index, predictions, request_id))

        return await self._guarded(request, answer)

    async def _score(self, predictor: Predictor, decoded: codecs.Decoded) -> list[Any]:
        loop = asyncio.get_running_loop()
        self.slot.count_rows(decoded.rows)
        return await loop.run_in_executor(self.model_thread, predictor.predict, decoded)

    async def _guarded(
        self, request: http.Request, answer: Callable[[Predictor], Awaitable[http.Response]]
    ) -> http.Response:
        predictor = self.predictor
        if predictor is None:
            return http.error(503, "the model is being loaded")
        try:
            if request.headers.get("content-encoding", "identity") != "identity":
                raise RequestError(415, "the body is encoded; send it as it is")
            return await answer(predictor)
        except RequestError as problem:
            return http.error(problem.status, str(problem))
        except ModelFailedError as problem:
            log("model failed", error=str(problem), trace=_trace(problem))
            return http.error(500, str(problem))
        except Exception as problem:  # noqa: BLE001 a defect of ours: one line to the client
            log("server failed", error=repr(problem), trace=_trace(problem))
            return http.error(500, "the server failed; its log says how")

    def _log(
        self, request: http.Request, response: http.Response, found: str, seconds: float
    ) -> None:
        log(
            "request",
            method=shown(request.method),
            path=shown(request.path),
            status=response.status,
            request_id=found,
            microseconds=round(seconds * 1e6),
        )


def _is_model(parts: list[str], predictor: Predictor) -> bool:
    """``models/NAME[/versions/VERSION][/ready|/infer]`` of what is served."""
    index = predictor.index
    named = parts[:-1] if parts[-1] in ("ready", "infer") else parts
    whole = ["models", index.model, "versions", index.version]
    return named in (whole, whole[:2])


def _request_id(request: http.Request) -> str:
    """The client's, where it is printable and short, else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    if given and len(given) <= MAX_ID and given.isascii() and given.isprintable():
        return given
    return secrets.token_hex(8)


def _json(value: Any, status: int = 200) -> http.Response:
    return http.Response(status, orjson.dumps(value))


def _trace(problem: BaseException) -> str:
    return "".join(traceback.format_exception(problem))[-4000:]

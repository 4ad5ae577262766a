"""What happens to the requests of one turn: decoded each, scored by one call, answered in order.

Where the engine is quick, all of it happens on the loop, without a task or a future for a request.
Large bodies are decoded in a thread, and engines that take their time work in another one, so that
``/ping`` answers beside them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from time import perf_counter
from typing import Any

from orjson import dumps

from inference import codecs
from inference.application import LOADING, Application, route_of
from inference.codecs import Decoded
from inference.decoding.numbers import NumberReader
from inference.errors import ModelFailedError, RequestError, shown
from inference.large import LargeWork
from inference.log import log
from inference.messages import Head, Request, Response, error, render
from inference.model_thread import ModelThread
from inference.plans import Plan, Planner, is_prediction
from inference.predictor import Predictor
from inference.scoring import Outcome, Scorer
from inference.strict_json import LARGE_BYTES

REQUEST_ID = "x-request-id"
MAX_ID = 128
ACCESS_LOG = "SLIPWAY_ACCESS_LOG"
BATCH = "SAGEMAKER_BATCH"
NOTHING = Decoded({}, 0)
# More rows are not scored or encoded on the loop.
LARGE_ROWS = 4096


class Awaited(Request):
    """A request of no connection: whoever made it waits for the response."""

    __slots__ = ("response",)

    def __init__(
        self, head: Head, body: bytes | bytearray, response: asyncio.Future[Response]
    ) -> None:
        super().__init__(head, body, None, 0)
        self.response = response


class Answering:
    """Answers the requests of a :class:`Site`."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.slot = application.slot
        self.logged = os.environ.get(ACCESS_LOG, "errors")
        self.planner: Planner | None = None
        self.model_thread = ThreadPoolExecutor(1, "model")
        self.id_prefix, self.ids = secrets.token_hex(4).encode(), count()

    def open(self, predictor: Predictor) -> None:
        """From now on, answer by this model."""
        is_batch = os.environ.get(BATCH, "").lower() == "true"
        self.planner = Planner(predictor, is_batch=is_batch)
        self._scorer: Scorer = predictor.scorer()
        self._engine = predictor.engine
        self._waiting = ModelThread(self._scorer, self.model_thread, self._conclude)
        self._large = LargeWork(
            predictor,
            self._scorer,
            decoded=self._decoded,
            respond=self._respond,
            fail=self._fail,
        )
        self.application.predictor = predictor

    async def respond(self, head: Head, body: bytes | bytearray) -> Response:
        """The response to one request of another front end."""
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.answer([Awaited(head, body, future)], perf_counter())
        return await future

    def refused(self, status: int) -> None:
        """Count what broke a limit before it was a request."""
        self.slot.count("other", status, 0.0)

    def answer(self, requests: list[Request], began: float) -> None:
        """Give every request its answer, now or later."""
        quick: list[Request] = []
        careful: list[Request] = []
        for request in requests:
            request.began = began
            try:
                plan: Plan | None = request.head.plan or self._plan(request)
                if plan is None:
                    continue
                if len(request.body) > LARGE_BYTES:
                    self._large.decode(request, plan)
                elif (part := plan.read(request.body)) is not None:
                    request.rows, request.part = part
                    quick.append(request)
                else:
                    self._decode(request, plan)
                    careful.append(request)
            except Exception as problem:  # noqa: BLE001 a defect of ours: one line to the client
                self._fail(request, problem)
        try:
            if quick:
                self._score_quick(quick, careful, began)
            if careful:
                self._score_careful(careful)
        except Exception as problem:  # noqa: BLE001
            for request in (*quick, *careful):
                if not request.answer:
                    self._fail(request, problem)

    def _plan(self, request: Request) -> Plan | None:
        """How to answer it; None where that is done already."""
        head = request.head
        if not is_prediction(head):
            self._respond(request, route_of(head), self.application.respond(head))
        elif self.planner is None:
            self._respond(request, route_of(head), error(503, LOADING))
        else:
            head.plan = plan = self.planner.plan(head)
            if self.logged == "all" or REQUEST_ID in head.headers:
                plan.template = b""  # each such response is made by itself
            return plan
        return None

    def _decode(self, request: Request, plan: Plan) -> None:
        decoded: Decoded = plan.decode(bytes(request.body))
        request.rows, request.part = decoded.rows, decoded
        if decoded.ignored:
            self.slot.count_ignored(decoded.ignored)

    # --- on the loop

    def _score_quick(self, requests: list[Request], careful: list[Request], began: float) -> None:
        """One call for all, one pass over the answers; what cannot be so goes to ``careful``."""
        reader = self._reader()
        matrix = reader.matrix([request.part for request in requests])
        if reader.is_bounded and not reader.fits(matrix):
            requests = self._those_that_fit(requests, careful)
            if not requests:
                return
            matrix = reader.matrix([request.part for request in requests])
        rows, engine = len(matrix), self._engine
        if engine.is_quick and rows <= LARGE_ROWS and (engine.merges or len(requests) == 1):
            try:
                predictions = self._scorer.call(Decoded({}, rows, matrix))
            except Exception:  # noqa: BLE001 whose fault it is shows when each is alone
                pass
            else:
                self.slot.count_call(rows, len(requests))
                self._deliver(requests, predictions, began)
                return
        for request in requests:
            request.part = Decoded({}, request.rows, reader.matrix([request.part]))
        careful += requests

    def _reader(self) -> NumberReader:
        if self.planner is None or self.planner.reader is None:
            raise ValueError("a part was read without a reader")
        return self.planner.reader

    def _those_that_fit(self, requests: list[Request], careful: list[Request]) -> list[Request]:
        """Those whose values lie in their ranges; the others are decoded carefully."""
        reader = self._reader()
        fitting: list[Request] = []
        for request in requests:
            if reader.fits(reader.matrix([request.part])):
                fitting.append(request)
                continue
            try:
                self._decode(request, request.head.plan)
                careful.append(request)
            except Exception as problem:  # noqa: BLE001
                self._fail(request, problem)
        return fitting

    def _deliver(self, requests: list[Request], predictions: list[Any], began: float) -> None:
        """Answer requests whose predictions stand below one another."""
        prefix, ids = self.id_prefix, self.ids
        plain = 0
        at = 0
        plan: Plan | None = None
        for request in requests:
            if request.head.plan is not plan:
                self._count(plan, plain, began)
                plan, plain = request.head.plan, 0
            assert plan is not None
            end = at + request.rows
            values = predictions[at:end]
            at = end
            body = _wrapped(values) if plan.is_json else plan.encode(NOTHING, values)
            if plan.template and request.connection is not None:
                request.answer = plan.template % (prefix, next(ids), len(body), body)
                plain += 1
            else:
                self._respond(request, plan.route, Response(200, body, plan.answer_type))
        self._count(plan, plain, began)
        for request in requests:
            if request.connection is not None:
                request.connection.send()

    def _count(self, plan: Plan | None, answered: int, began: float) -> None:
        if plan is not None and answered:
            self.slot.count(plan.route, 200, perf_counter() - began, answered)

    def _score_careful(self, requests: list[Request]) -> None:
        rows = sum(request.rows for request in requests)
        if self._engine.is_quick and rows <= LARGE_ROWS:
            outcomes = self._scorer.score([request.part for request in requests])
            self._conclude(requests, outcomes)
        else:
            self._waiting.put(requests)

    def _conclude(self, requests: list[Request], outcomes: list[Outcome]) -> None:
        """Answer requests that were scored, in one call where the engine merges."""
        if self._engine.merges:
            self.slot.count_call(sum(request.rows for request in requests), len(requests))
        for request, outcome in zip(requests, outcomes, strict=True):
            if not self._engine.merges:
                self.slot.count_call(request.rows, 1)
            if isinstance(outcome, Exception):
                self._fail(request, outcome)
                continue
            plan: Plan = request.head.plan
            if len(outcome) > LARGE_ROWS:
                self._large.encode(request, plan, outcome)
                continue
            try:
                body = plan.encode(request.part, outcome)
            except Exception as problem:  # noqa: BLE001 what the client asks of the answer, perhaps
                self._fail(request, problem)
            else:
                self._respond(request, plan.route, Response(200, body, plan.answer_type))

    def _decoded(self, request: Request, decoded: Decoded, answer: bytes | None) -> None:
        """A large body has been decoded, and perhaps answered."""
        request.rows, request.part = decoded.rows, decoded
        if decoded.ignored:
            self.slot.count_ignored(decoded.ignored)
        if answer is None:
            self._waiting.put([request])
            return
        plan: Plan = request.head.plan
        self.slot.count_call(decoded.rows, 1)
        self._respond(request, plan.route, Response(200, answer, plan.answer_type))

    # --- responses

    def _fail(self, request: Request, problem: BaseException) -> None:
        route = route_of(request.head)
        match problem:
            case RequestError():
                response = error(problem.status, str(problem))
            case ModelFailedError():
                log("model failed", error=str(problem), trace=_trace(problem))
                response = error(500, str(problem))
            case _:
                log("server failed", error=repr(problem), trace=_trace(problem))
                response = error(500, "the server failed; its log says how")
        self._respond(request, route, response)

    def _respond(self, request: Request, route: str, response: Response) -> None:
        """Count, log and send any response."""
        head = request.head
        seconds = perf_counter() - request.began
        self.slot.count(route, response.status, seconds)
        request_id = self._request_id(head)
        # A 503 of /ping is how a server says that it loads, and comes every second.
        is_error = response.status >= 400 and route != "ping"
        if self.logged == "all" or (self.logged == "errors" and is_error):
            log(
                "request",
                method=shown(head.method),
                path=shown(head.path),
                status=response.status,
                request_id=request_id,
                microseconds=round(seconds * 1e6),
            )
        headers = (("X-Request-Id", request_id),)
        if self.planner is not None:
            headers += self.planner.identity
        if isinstance(request, Awaited):
            response = replace(response, headers=(*response.headers, *headers))
            if not request.response.done():
                request.response.set_result(response)
        else:
            request.finish(render(response, headers))

    def _request_id(self, head: Head) -> str:
        """The client's, where it is printable and short, else a new one."""
        given = head.headers.get(REQUEST_ID, "")
        if given and len(given) <= MAX_ID and given.isascii() and given.isprintable():
            return given
        return f"{self.id_prefix.decode()}{next(self.ids):08x}"


def _wrapped(predictions: list[Any]) -> bytes:
    try:
        return dumps({"predictions": predictions})
    except TypeError:  # whole numbers beyond 64 bits
        return codecs.encode(codecs.JSON, predictions)


def _trace(problem: BaseException) -> str:
    return "".join(traceback.format_exception(problem))[-4000:]

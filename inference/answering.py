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
from itertools import count
from time import perf_counter
from typing import Any

from inference.application import LOADING, Application
from inference.codecs import Decoded
from inference.decoding.numbers import NumberReader
from inference.errors import ModelFailedError, RequestError, shown
from inference.log import log
from inference.messages import Head, Request, Response, error, render
from inference.model_thread import ModelThread
from inference.plans import Plan, Planner, is_prediction
from inference.predictor import Predictor
from inference.scoring import Outcome, Scorer

REQUEST_ID = "x-request-id"
MAX_ID = 128
ACCESS_LOG = "SLIPWAY_ACCESS_LOG"
# Above so many bytes or rows a request does not hold up the loop.
LARGE_BYTES = 256 * 1024
LARGE_ROWS = 4096


class Awaited(Request):
    """A request of no connection: whoever made it waits for the response."""

    __slots__ = ("response",)

    def __init__(self, head: Head, body: bytes, response: asyncio.Future[Response]) -> None:
        super().__init__(head, body, None, 0)
        self.response = response


class Answering:
    """Answers the requests of a :class:`Site`."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.slot = application.slot
        self.logged = os.environ.get(ACCESS_LOG, "errors")
        self.model_thread = ThreadPoolExecutor(1, "model")
        self._decoders = ThreadPoolExecutor(1, "decode")
        self._id, self._ids = secrets.token_hex(4).encode(), count()
        self._planner: Planner | None = None

    def open(self, predictor: Predictor) -> None:
        """From now on, answer by this model."""
        self._planner = Planner(predictor)
        self._scorer: Scorer = predictor.scorer()
        self._engine = predictor.engine
        self._waiting = ModelThread(self.model_thread, self._score_in_thread, self._engine.merges)
        self._large_reader = None if self._planner.reader is None else NumberReader(
            predictor.signature
        )  # fmt: skip
        self.application.predictor = predictor

    async def respond(self, head: Head, body: bytes) -> Response:
        """The response to one request of another front end."""
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.answer([Awaited(head, body, future)], perf_counter())
        return await future

    def answer(self, requests: list[Request], began: float) -> None:
        """Give every request its answer, now or later."""
        quick: list[Request] = []
        careful: list[Request] = []
        for request in requests:
            request.began = began
            try:
                plan = request.head.plan or self._plan(request)
                if plan is None:
                    continue
                body = request.body
                if len(body) > LARGE_BYTES:
                    self._decode_beside(request, plan)
                elif (part := plan.read(body)) is not None:
                    request.rows, request.part = part
                    quick.append(request)
                else:
                    self._decode(request, plan)
                    careful.append(request)
            except Exception as problem:  # noqa: BLE001 a defect of ours: one line to the client
                self._fail(request, problem)
        try:
            if quick:
                self._score_quick(quick, began, careful)
            if careful:
                self._score_careful(careful)
        except Exception as problem:  # noqa: BLE001
            for request in (*quick, *careful):
                if request.answer is None:
                    self._fail(request, problem)

    def _plan(self, request: Request) -> Plan | None:
        """How to answer it; None where that is done already."""
        head = request.head
        if not is_prediction(head):
            answered = self.application.respond(head)
            self._respond(request, answered.route, answered.response)
        elif self._planner is None:
            self._respond(request, _route(head), error(503, LOADING))
        else:
            head.plan = self._planner.plan(head)
            return head.plan
        return None

    def _decode(self, request: Request, plan: Plan) -> None:
        request.part, request.tag = plan.decode(bytes(request.body))
        request.rows = request.part.rows
        if request.part.ignored:
            self.slot.count_ignored(request.part.ignored)

    # --- on the loop

    def _score_quick(self, requests: list[Request], began: float, careful: list[Request]) -> None:
        """One call for all, and one pass over the answers."""
        assert self._planner is not None
        reader = self._planner.reader
        assert reader is not None
        matrix = reader.matrix([request.part for request in requests])
        if reader.is_bounded and not reader.fits(matrix):
            requests = self._those_that_fit(requests, reader, careful)
            if not requests:
                return
            matrix = reader.matrix([request.part for request in requests])
        rows = len(matrix)
        engine = self._engine
        is_one = engine.merges or len(requests) == 1
        if engine.is_quick and is_one and rows <= LARGE_ROWS:
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

    def _those_that_fit(
        self, requests: list[Request], reader: NumberReader, careful: list[Request]
    ) -> list[Request]:
        """Those whose values lie in their ranges; the others are decoded carefully."""
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
        prefix, ids = self._id, self._ids
        routes: dict[str, int] = {}
        at = 0
        for request in requests:
            plan: Plan = request.head.plan
            end = at + request.rows
            body = plan.encode(predictions[at:end], None)
            at = end
            if request.connection is None or self.logged == "all" or REQUEST_ID in (
                request.head.headers
            ):  # fmt: skip
                self._respond(request, plan.route, Response(200, body, plan.answer_type))
                continue
            request.answer = plan.template % (prefix, next(ids), len(body), body)
            routes[plan.route] = routes.get(plan.route, 0) + 1
        seconds = perf_counter() - began
        for route, answered in routes.items():
            self.slot.count(route, 200, seconds, answered)
        for request in requests:
            connection = request.connection
            if connection is not None:
                connection.send()

    def _score_careful(self, requests: list[Request]) -> None:
        engine = self._engine
        rows = sum(request.rows for request in requests)
        if not engine.is_quick or rows > LARGE_ROWS:
            self._waiting.put(requests)
            return
        self._conclude(requests, self._scorer.score([request.part for request in requests]))

    # --- beside the loop

    def _score_in_thread(self, requests: list[Request]) -> None:
        loop = self._waiting.loop
        outcomes = self._scorer.score([request.part for request in requests])
        loop.call_soon_threadsafe(self._conclude, requests, outcomes)

    def _conclude(self, requests: list[Request], outcomes: list[Outcome]) -> None:
        is_merged = self._engine.merges
        if is_merged:
            self.slot.count_call(sum(request.rows for request in requests), len(requests))
        for request, outcome in zip(requests, outcomes, strict=True):
            if not is_merged:
                self.slot.count_call(request.rows, 1)
            if isinstance(outcome, Exception):
                self._fail(request, outcome)
                continue
            plan: Plan = request.head.plan
            if len(outcome) > LARGE_ROWS:
                self._encode_beside(request, plan, outcome)
            else:
                body = plan.encode(outcome, request.tag)
                self._respond(request, plan.route, Response(200, body, plan.answer_type))

    def _decode_beside(self, request: Request, plan: Plan) -> None:
        """Decode a large body in a thread; a quick engine scores it there, too."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                ...
            except Exception as problem:  # noqa: BLE001
                loop.call_soon_threadsafe(self._fail, request, problem)

        self._decoders.submit(work)

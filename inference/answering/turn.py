"""What happens to the requests of one turn: decoded each, scored by one call, answered in order.

Where the engine is quick, all of it happens on the loop, without a task or a future for a request.
Large bodies are decoded in a thread, and engines that take their time work in another one, so that
``/ping`` answers beside them.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

from orjson import OPT_SERIALIZE_NUMPY, dumps

from inference.answering.large import LargeWork
from inference.answering.model_thread import ModelThread
from inference.answering.plans import PREDICT_ROUTES, Plan, Planner, is_prediction
from inference.answering.responses import REQUEST_ID, Awaited, Responder
from inference.answering.scoring import Outcome, Scorer
from inference.answering.streams import RowWork, Stream
from inference.application import LOADING, Application, route_of
from inference.decoding.numbers import NumberReader
from inference.formats import codecs
from inference.formats.codecs import Decoded, Predictions
from inference.formats.strict_json import LARGE_BYTES
from inference.http.messages import Head, Request, Response, error
from inference.predictor import Predictor

if TYPE_CHECKING:
    from inference.http.streaming import StreamingConnection

BATCH = "SAGEMAKER_BATCH"
NOTHING = Decoded({}, 0)
# Plain numbers are read on the loop up to here: a thread would cost more than it frees.
QUICK_BYTES = 1 << 20
# More rows are not scored or encoded on the loop.
LARGE_ROWS = 4096


class Answering:
    """Answers the requests of a :class:`Site`."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.slot = application.slot
        self.responder = Responder(application.slot)
        self.planner: Planner | None = None
        self.model_thread = ThreadPoolExecutor(1, "model")

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
            respond=self.responder.respond,
            fail=self.responder.fail,
        )
        self.responder.identity = self.planner.identity
        self.application.predictor = predictor

    async def respond(self, head: Head, body: bytes | bytearray) -> Response:
        """The response to one request of another front end."""
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.answer([Awaited(head, body, future)], perf_counter())
        return await future

    async def refuse(self, head: Head, refusal: Response) -> Response:
        """What a caller without a connection gets for what broke a limit."""
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        request = Awaited(head, b"", future)
        request.began = perf_counter()
        self.refused(request, refusal)
        return await future

    def refused(self, request: Request, response: Response) -> None:
        """Answer what broke a limit before it was a request."""
        self.responder.respond(request, "other", response)

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
                size = len(request.body)
                if size > LARGE_BYTES and (size > QUICK_BYTES or plan.reader is None):
                    self._large.decode(request, plan)
                elif (part := plan.read(request.body)) is not None:
                    request.rows, request.part = part
                    quick.append(request)
                elif self._decode(request, plan):
                    careful.append(request)
            except Exception as problem:  # noqa: BLE001 a defect of ours: one line to the client
                self.responder.fail(request, problem)
        try:
            if quick:
                self._score_quick(quick, careful, began)
            if careful:
                self._score_careful(careful)
        except Exception as problem:  # noqa: BLE001
            for request in (*quick, *careful):
                if not request.answer:
                    self.responder.fail(request, problem)

    def stream(self, head: Head, connection: StreamingConnection) -> Stream | None:
        """One for a request that can be answered while its body comes.

        Raises:
            RequestError: what the head asks for cannot be answered.
        """
        given, planner = head.headers.get("content-type", ""), self.planner
        if planner is None or not codecs.can_stream(given) or head.path not in PREDICT_ROUTES:
            return None
        if head.method != "POST":
            return None
        head.plan = plan = planner.plan(head)
        rows = codecs.stream(planner.predictor.signature, given, batch=planner.is_batch)
        answers, reader = codecs.AnswerStream(plan.answer_type), self._large.new_reader()
        work = RowWork(rows, answers, self._scorer, reader, plan.reader)
        executor = self._large.thread if self._engine.is_quick else self.model_thread
        return Stream(head, connection, work, executor, self.responder)

    def _plan(self, request: Request) -> Plan | None:
        """How to answer it; None where that is done already."""
        head, desk = request.head, self.application.desk
        page = None
        if desk is not None:
            page = desk.answer(head.method, head.path, head.headers.get("host"))
        if page is not None:
            self.responder.respond(request, route_of(head), page)
        elif not is_prediction(head):
            self.responder.respond(request, route_of(head), self.application.respond(head))
        elif self.planner is None:
            self.responder.respond(request, route_of(head), error(503, LOADING))
        else:
            head.plan = plan = self.planner.plan(head)
            if self.responder.logged == "all" or REQUEST_ID in head.headers:
                plan.template = b""  # each such response is made by itself
            return plan
        return None

    def _decode(self, request: Request, plan: Plan) -> bool:
        """Decode it carefully, a large body beside the loop; whether that is done."""
        if len(request.body) > LARGE_BYTES:
            self._large.decode(request, plan)
            return False
        decoded: Decoded = plan.decode(bytes(request.body))
        request.rows, request.part = decoded.rows, decoded
        if decoded.ignored:
            self.slot.count_ignored(decoded.ignored)
        return True

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
                if self._decode(request, request.head.plan):
                    careful.append(request)
            except Exception as problem:  # noqa: BLE001
                self.responder.fail(request, problem)
        return fitting

    def _deliver(self, requests: list[Request], predictions: Predictions, began: float) -> None:
        """Answer requests whose predictions stand below one another."""
        prefix, ids = self.responder.id_prefix, self.responder.ids
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
                self.responder.respond(request, plan.route, Response(200, body, plan.answer_type))
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
                self.responder.fail(request, outcome)
                continue
            plan: Plan = request.head.plan
            if len(outcome) > LARGE_ROWS:
                self._large.encode(request, plan, outcome)
                continue
            try:
                body = plan.encode(request.part, outcome)
            except Exception as problem:  # noqa: BLE001 what the client asks of the answer, perhaps
                self.responder.fail(request, problem)
            else:
                self.responder.respond(request, plan.route, Response(200, body, plan.answer_type))

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
        self.responder.respond(request, plan.route, Response(200, answer, plan.answer_type))


def _wrapped(predictions: Predictions) -> bytes:
    try:
        return dumps({"predictions": predictions}, option=OPT_SERIALIZE_NUMPY)
    except TypeError:  # whole numbers beyond 64 bits
        return codecs.encode(codecs.JSON, predictions)

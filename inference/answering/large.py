"""Large bodies and answers: decoded, scored by a quick engine, and encoded beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from inference.answering.model_thread import is_gone, keep, return_kept
from inference.answering.plans import Plan
from inference.answering.scoring import Scorer
from inference.decoding.large_numbers import LargeReader
from inference.decoding.numbers import NumberReader
from inference.formats.codecs import Decoded, Predictions
from inference.http.messages import Request, Response
from inference.predictor import Predictor


class LargeWork:
    """A thread with a reader of its own; what it made comes back on the loop.

    Meanwhile a request's bytes of the budget are kept here: a client that goes does not free what
    the thread still holds. Work whose client has gone is not begun. ``decoded`` gets a request
    with its rows, and its answer's body where that is made already; ``respond`` a response,
    ``fail`` a request that got an error. ``thread``: for other work that would hold up the loop.
    """

    def __init__(
        self,
        predictor: Predictor,
        scorer: Scorer,
        *,
        decoded: Callable[[Request, Decoded, bytes | None], None],
        respond: Callable[[Request, str, Response], None],
        fail: Callable[[Request, BaseException], None],
    ) -> None:
        self._signature, self._engine = predictor.signature, predictor.engine
        self._reader = self.new_reader()
        self._scorer = scorer
        self._decoded, self._respond, self._fail = decoded, respond, fail
        self.thread = ThreadPoolExecutor(1, "large")
        self._loop = asyncio.get_running_loop()

    def new_reader(self) -> LargeReader | None:
        """A quick decoder, for one thread; None where the signature has more than numbers."""
        if not NumberReader.reads(self._signature):
            return None
        return LargeReader(self._signature, takes_matrix=self._engine.takes_matrix)

    def decode(self, request: Request, plan: Plan) -> None:
        """Decode its body; where the engine is quick, score and encode it, too."""
        body = request.body

        def work() -> Callable[[], None]:
            decoded = self._decode(plan, bytes(body))
            answer = None
            if self._engine.is_quick:
                outcome = self._scorer.score([decoded])[0]
                if isinstance(outcome, Exception):
                    raise outcome
                answer = plan.encode(decoded, outcome)
            return lambda: self._decoded(request, decoded, answer)

        self._submit(work, request)

    def encode(self, request: Request, plan: Plan, predictions: Predictions) -> None:
        """Make a long answer's body, and send it."""

        def work() -> Callable[[], None]:
            response = Response(200, plan.encode(request.part, predictions), plan.answer_type)
            return lambda: self._respond(request, plan.route, response)

        self._submit(work, request)

    def _submit(self, work: Callable[[], Callable[[], None]], request: Request) -> None:
        self.thread.submit(self._guarded, work, request, keep(request))

    def _guarded(
        self, work: Callable[[], Callable[[], None]], request: Request, reserved: int
    ) -> None:
        tell: Callable[[], None] | None = None
        try:
            if not is_gone(request):
                tell = work()
        except Exception as problem:  # noqa: BLE001 it is told on the loop
            tell = partial(self._fail, request, problem)
        self._loop.call_soon_threadsafe(self._done, request, reserved, tell)

    def _done(self, request: Request, reserved: int, tell: Callable[[], None] | None) -> None:
        return_kept(request, reserved)
        if tell is not None:
            tell()

    def _decode(self, plan: Plan, body: bytes) -> Decoded:
        """As on the loop: the quick way, and the careful one where that leaves it."""
        decoded: Decoded | None = None
        if self._reader is not None and plan.reader is not None:
            decoded = self._reader.read(plan.reader, body)
        return plan.decode(body) if decoded is None else decoded

"""Slipway's own server with a constant answer: its HTTP, limits, metrics and headers, no model.

``python -m benchmarks.serving_noop serve …`` takes what ``python -m inference serve`` takes.
"""

from __future__ import annotations

from inference import server
from inference.__main__ import main
from inference.answering import Answering
from inference.messages import Request

BODY = b'{"predictions":[0.123456789012345]}'


class Constant(Answering):
    """Answers every prediction with :data:`BODY`, whatever was asked."""

    def answer(self, requests: list[Request], began: float) -> None:
        prefix, ids = self.responder.id_prefix, self.responder.ids
        answered: list[Request] = []
        for request in requests:
            request.began = began
            plan = request.head.plan or self._plan(request)
            if plan is None:
                continue
            request.answer = plan.template % (prefix, next(ids), len(BODY), BODY)
            answered.append(request)
        if answered:
            self.slot.count_call(len(answered), len(answered))
            self._count(answered[0].head.plan, len(answered), began)
        for request in answered:
            if request.connection is not None:
                request.connection.send()


if __name__ == "__main__":
    server.Answering = Constant
    main()

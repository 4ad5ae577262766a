"""The model server without a model: same HTTP, limits, metrics and response head, one answer.

``python -m benchmarks.serving_noop --port 9000`` is what the other servers are measured against:
what it costs is the price of the contract, and what a model's server costs more is the model's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from time import perf_counter
from typing import Any

import uvloop

from contracts.package import ArchiveIndex
from inference.answering.plans import Plan, is_prediction
from inference.answering.turn import Answering
from inference.application import Application
from inference.formats.codecs import Decoded
from inference.formats.signature import Column, Signature
from inference.http import connection as http
from inference.http.limits import MAX_BODY_BYTES, Limits
from inference.http.messages import Request
from inference.predictor import Predictor
from inference.processes import memory
from inference.processes.board import READY, Board
from inference.server import listen

ANSWER = b'{"predictions":[0.123456789012345]}'


class NoEngine:
    """Stands where a model would; it is never called."""

    name = "none"
    is_quick = merges = takes_matrix = True

    def __call__(self, decoded: Decoded) -> list[Any]:
        return [0.123456789012345] * decoded.rows


class ConstantAnswering(Answering):
    """Answers a prediction before its body is looked at; everything else as ever."""

    def answer(self, requests: list[Request], began: float) -> None:
        prefix, ids = self.responder.id_prefix, self.responder.ids
        answered: list[Request] = []
        for request in requests:
            head = request.head
            plan: Plan | None = head.plan
            if plan is None:
                if not is_prediction(head) or self.planner is None:
                    super().answer([request], began)
                    continue
                plan = head.plan = self.planner.plan(head)
            request.answer = plan.template % (prefix, next(ids), len(ANSWER), ANSWER)
            answered.append(request)
        if answered:
            self.slot.count_call(len(answered), len(answered))
            self.slot.count("invocations", 200, perf_counter() - began, len(answered))
            for request in answered:
                if request.connection is not None:
                    request.connection.send()


def predictor() -> Predictor:
    signature = Signature((Column("x", "number", "double", nullable=False),), None)
    schema = {"properties": {"x": {"type": "number"}}, "x-columns": ["x"]}
    index = ArchiveIndex("no-op", "1", "none", "predict", schema, {}, ())
    return Predictor(index, signature, NoEngine())


async def serve(host: str, port: int) -> None:
    """Until the process is killed."""
    board = Board(1)
    slot = board.slots[0]
    slot.pid = os.getpid()
    answering = ConstantAnswering(Application(board, slot, MAX_BODY_BYTES))
    answering.open(predictor())
    site = http.Site(answering.answer, Limits(), refused=answering.refused)
    loop = asyncio.get_running_loop()
    slot.beat, slot.state = time.monotonic(), READY
    await loop.create_server(lambda: http.Connection(site), sock=listen(host, port))
    print(f"listening on {host}:{port}", flush=True)
    await http.watch(site)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_noop", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    memory.prepare()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(args.host, args.port))


if __name__ == "__main__":
    main()

"""The BentoML service: our application, mounted; ``slipway package --bento`` makes its Bento."""

from __future__ import annotations

import json
import os
from pathlib import Path

import bentoml

from contracts.variables import MANIFEST_SHA256
from inference.answering.turn import Answering
from inference.application import Application
from inference.bento_asgi import AsgiApplication
from inference.http.limits import Limits
from inference.http.messages import Head, Response
from inference.processes.board import Board
from inference.server import body_limit, load_model

# What the Bento holds beside the code: the unpacked package, and the hash that it must have.
HERE = Path(__file__).resolve().parents[1]
PACKAGE = HERE / "package"
PIN = HERE / "pin.json"
# Ours are longer than BentoML's own, which would end a request with a 504 in another form.
TIMEOUT_SECONDS = 3600.0

limit = body_limit()
board = Board(1)
board.slots[0].pid = os.getpid()
application = Application(board, board.slots[0], limit)
answering = Answering(application)


async def answer(method: str, path: str, headers: dict[str, str], body: bytearray) -> Response:
    return await answering.respond(Head(method, path, headers), body)


async def refuse(method: str, path: str, headers: dict[str, str], refusal: Response) -> Response:
    return await answering.refuse(Head(method, path, headers), refusal)


mounted = AsgiApplication(answer, refuse, board.slots[0], Limits(body_bytes=limit))


@bentoml.service(
    name="slipway",
    workers=1,  # one process counts and answers; more of them are more replicas
    traffic={"timeout": TIMEOUT_SECONDS},
    metrics={"enabled": False},  # /metrics is ours
    logging={"access": {"enabled": False}},
    envs=[{"name": MANIFEST_SHA256, "value": json.loads(PIN.read_text())["manifest_sha256"]}],
)
@bentoml.asgi_app(mounted)
class ModelServer:
    """Answers what ``python -m inference serve`` answers."""

    @bentoml.on_startup
    async def load(self) -> None:
        """Check every file of the package, load the model and score a row with it."""
        await load_model(answering, PACKAGE)

    async def __is_ready__(self) -> bool:
        return application.predictor is not None

"""What the server answers to each path but predictions: health, metrics, and what it serves."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from inference.answering.plans import PREDICT_ROUTES, is_model
from inference.errors import shown
from inference.formats import v2
from inference.http.messages import Head, Response, error
from inference.openapi import document as openapi
from inference.predictor import Predictor
from inference.processes import telemetry
from inference.processes.board import Board, Slot

if TYPE_CHECKING:
    from inference.desk import Desk

GET_PATHS = ("/ping", "/metrics", "/execution-parameters", "/openapi.json")
LOADING = "the model is being loaded"


def route_of(head: Head) -> str:
    """Under which of the board's routes it counts."""
    path = head.path
    if path in PREDICT_ROUTES:
        return PREDICT_ROUTES[path]
    if path == "/ping":
        return "ping"
    return "v2" if path == "/v2" or path.startswith("/v2/") else "other"


class Application:
    """Answers what needs no model; ``predictor`` is None until it has been loaded and probed.

    ``max_body``: a body's limit in bytes, 0 where there is none.
    """

    def __init__(self, board: Board, slot: Slot, max_body: int) -> None:
        self.predictor: Predictor | None = None
        self.desk: Desk | None = None
        self.board = board
        self.slot = slot
        self.max_body = max_body
        self._document = b""

    def respond(self, head: Head) -> Response:
        path = head.path
        if path in PREDICT_ROUTES:
            return self._only("POST", head)
        if path == "/v2" or path.startswith("/v2/"):
            return self._v2(head)
        if path in GET_PATHS:
            return self._only("GET", head)
        return error(404, f"there are {', '.join((*GET_PATHS, *PREDICT_ROUTES, '/v2/…'))}")

    def _only(self, method: str, head: Head) -> Response:
        if head.method != method and not (method == "GET" and head.method == "HEAD"):
            problem = f"method is {shown(head.method)}; {head.path} takes {method}"
            return replace(error(405, problem), headers=(("Allow", method),))
        if head.path == "/ping":
            return Response(200 if self.board.is_healthy(time.monotonic()) else 503)
        return self._about(head.path)

    def _about(self, path: str) -> Response:
        index = None if self.predictor is None else self.predictor.index
        match path:
            case "/metrics":
                text = telemetry.prometheus(self.board, index)
                return Response(200, text.encode(), telemetry.CONTENT_TYPE)
            case "/execution-parameters":
                return _json(
                    {
                        "MaxConcurrentTransforms": 2 * len(self.board.slots),
                        "BatchStrategy": "MULTI_RECORD",
                        "MaxPayloadInMB": self.max_body and max(1, self.max_body >> 20),
                    }
                )
            case _ if index is None:
                return error(503, LOADING)
            case _:
                self._document = self._document or orjson.dumps(openapi.document(index))
                return Response(200, self._document)

    def _v2(self, head: Head) -> Response:
        is_infer = head.path.endswith("/infer")
        if head.method not in ("GET", "HEAD") or is_infer:
            allow = "POST" if is_infer else "GET"
            problem = f"method is {shown(head.method)}; {shown(head.path)} takes {allow}"
            return replace(error(405, problem), headers=(("Allow", allow),))
        predictor = self.predictor
        is_ready = predictor is not None and self.board.is_healthy(time.monotonic())
        match head.path.strip("/").split("/")[1:]:
            case []:
                return _json(v2.server_metadata("1"))
            case ["health", "live"]:
                return _json({"live": True})
            case ["health", "ready"]:
                return _json({"ready": is_ready}, 200 if is_ready else 503)
            case _ if predictor is None:
                return error(503, LOADING)
            case _ if not is_model(head.path, predictor):
                index = predictor.index
                return error(404, f"there is the model {index.model}, version {index.version}")
            case [*_, "ready"]:
                told = {"name": predictor.index.model, "ready": is_ready}
                return _json(told, 200 if is_ready else 503)
            case _:
                pass
        return _json(v2.model_metadata(predictor.index, predictor.signature))


def _json(value: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value))

"""A handler of AWS's Multi Model Server: ``handle`` is called with a batch of requests."""

import json
import os
from typing import Any

from benchmarks.peers.onnx import Model

_models: list[Model] = []


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[str] | None:  # noqa: ARG001
    if not _models:
        _models.append(Model(os.environ["BENCHMARK_MODEL"]))
    if data is None:
        return None
    answers: list[str] = []
    for item in data:
        body = item["body"]
        document = body if isinstance(body, dict) else json.loads(bytes(body))
        answers.append(json.dumps({"predictions": _models[0](document["instances"]).tolist()}))
    return answers

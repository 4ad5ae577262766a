"""A BentoML service: ``bentoml serve benchmarks.peers.bentoml_app:Service``."""

import os
from typing import Any

import bentoml

from benchmarks.peers.onnx import Model


@bentoml.service(workers=1)
class Service:
    def __init__(self) -> None:
        self.model = Model(os.environ["BENCHMARK_MODEL"])

    @bentoml.api(route="/invocations")
    def invocations(self, instances: list[list[Any]]) -> dict[str, Any]:
        return {"predictions": self.model(instances).tolist()}

"""LitServe: ``litserve_app.py PORT MODEL.onnx``."""

import sys
from typing import Any

import litserve

from benchmarks.peers.onnx import Model


class Api(litserve.LitAPI):
    def __init__(self, path: str) -> None:
        super().__init__(api_path="/invocations")
        self.path = path

    def setup(self, device: str) -> None:  # noqa: ARG002 LitServe's name
        self.model = Model(self.path)

    def decode_request(self, request: dict[str, Any]) -> list[list[Any]]:
        return request["instances"]

    def predict(self, rows: list[list[Any]]) -> Any:
        return self.model(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(sys.argv[2]), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )

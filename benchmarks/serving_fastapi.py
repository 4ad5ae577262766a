"""The peer that people write by hand: FastAPI on uvicorn with uvloop, and ONNX Runtime.

``python -m benchmarks.serving_fastapi PORT MODEL.onnx``: numbers in ``instances``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Instances(BaseModel):
    instances: list[list[float]]


def application(path: str) -> FastAPI:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    output = session.get_outputs()[-1].name
    app = FastAPI()

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {}

    @app.post("/invocations")
    async def invocations(body: Instances) -> dict[str, Any]:
        rows = np.asarray(body.instances, dtype=np.float32)
        return {"predictions": session.run([output], {name: rows})[0].tolist()}

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )

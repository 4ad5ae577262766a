"""FastAPI as its documentation has it, on uvicorn with uvloop, httptools and orjson.

``fastapi_app.py PORT MODEL.onnx [lean]``: lean leaves out FastAPI's own validation and encoding.
"""

import sys
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from benchmarks.peers.onnx import Model


class Numbers(BaseModel):
    instances: list[list[float]]


class Mixed(BaseModel):
    instances: list[list[float | str | None]]


class OrjsonResponse(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def typed(model: Model) -> FastAPI:
    """A declared body, checked by pydantic."""
    app = FastAPI(default_response_class=OrjsonResponse)
    body_type: Any = Numbers if model.is_matrix else Mixed

    async def invocations(body: body_type) -> dict[str, Any]:
        return {"predictions": model(body.instances).tolist()}

    app.post("/invocations", response_model=None)(invocations)
    return app


def lean(model: Model) -> FastAPI:
    """Little more than FastAPI's router."""
    app = FastAPI()

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        rows = orjson.loads(await request.body())["instances"]
        body = orjson.dumps({"predictions": model(rows)}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")

    return app


if __name__ == "__main__":
    make = lean if sys.argv[3:] == ["lean"] else typed
    uvicorn.run(
        make(Model(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )

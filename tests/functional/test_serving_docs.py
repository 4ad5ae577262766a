"""The examples in ``docs/serving.md`` are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.inference_server import ModelServer, running, write_package

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
BLOCK = re.compile(r"```(http|batch|python)\n(.*?)\n```", re.DOTALL)
COLUMNS = [
    ("size", "number", "double", False),
    ("rooms", "integer", "int64", False),
    ("town", "string", "", True),
]


def flats() -> Any:
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.tree import DecisionTreeClassifier

    rows = pd.DataFrame({"size": np.arange(160.0), "rooms": 3, "town": "Bonn"})
    columns = make_column_transformer(("passthrough", ["size", "rooms"]))
    labels = np.where(rows["size"] > 80, "dear", "cheap")
    return make_pipeline(columns, DecisionTreeClassifier()).fit(rows, labels)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModelServer]]:
    """One that answers in real time, and one of batch transform."""
    folder = tmp_path_factory.mktemp("flats")
    digest = write_package(folder, flats(), COLUMNS, model="flats", version="3")
    with (
        running(folder, digest) as http,
        running(folder, digest, SAGEMAKER_BATCH="true") as batch,
    ):
        yield {"http": http, "batch": batch}


def examples() -> list[tuple[str, str, str]]:
    """Which server, the request, and the answer."""
    blocks = [(kind, text) for kind, text in BLOCK.findall(DOCS.read_text()) if kind != "python"]
    pairs = zip(blocks[::2], blocks[1::2], strict=True)
    return [(kind, request, answer) for (kind, request), (_, answer) in pairs]


@pytest.mark.parametrize(("kind", "request_text", "answer"), examples())
def test_a_request_gets_the_answer_that_the_docs_show(
    servers: dict[str, ModelServer], kind: str, request_text: str, answer: str
) -> None:
    head, _, body = request_text.partition("\n\n")
    (method, path), *fields = (line.split(" ", 1) for line in head.splitlines())
    headers = {name.rstrip(":").replace("-", "_"): value for name, value in fields}
    reply = servers[kind].request(method, path, body.encode(), **headers)
    status, _, want = answer.partition("\n\n")
    assert f"{reply.status} {reply.headers['content-type']}" == status, reply.body
    assert reply.body.decode().rstrip("\n") == want


def test_the_arrow_example_runs(servers: dict[str, ModelServer]) -> None:
    (code,) = (text for kind, text in BLOCK.findall(DOCS.read_text()) if kind == "python")
    exec(code.replace("8080", str(servers["http"].port)), {})


def test_batch_answers_in_the_bodys_own_type(servers: dict[str, ModelServer]) -> None:
    for kind, body in (("text/csv", b"95.5,4,\n"), ("application/jsonlines", b"[95.5, 4, null]")):
        reply = servers["batch"].request("POST", "/invocations", body, Content_Type=kind)
        assert (reply.status, reply.headers["content-type"]) == (200, kind), reply.body

"""The server's process: SageMaker's container contract, and answers equal to the model's own."""

from __future__ import annotations

import csv
import io
import json
import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.functional.inference_server import ModelServer, running, write_package

COLUMNS = [
    ("town", "string", "", False),
    ("size", "number", "double", False),
    ("rooms", "integer", "int64", False),
    ("furnished", "boolean", "", False),
]
NAMES = [column[0] for column in COLUMNS]


@dataclass(frozen=True)
class Served:
    server: ModelServer
    model: Any
    rows: Any


def flats() -> Any:
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "town": random.choice(["Bonn", "Köln", "Aachen"], 200),
            "size": random.normal(80, 20, 200),
            "rooms": random.integers(1, 6, 200),
            "furnished": random.random(200) < 0.5,
        }
    )
    return frame.astype({"town": "object"})


def fitted(rows: Any) -> Any:
    """Refuses a town that it never saw and numbers that are missing: both make it raise."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (OneHotEncoder(), ["town"]), (StandardScaler(), ["size", "rooms"]), remainder="passthrough"
    )
    target = (rows["size"] > 80).map({True: "dear", False: "cheap"})
    return make_pipeline(columns, LogisticRegression()).fit(rows, target)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    rows = flats()
    model = fitted(rows)
    folder = tmp_path_factory.mktemp("flats")
    digest = write_package(folder, model, COLUMNS, output="predict_proba")
    with running(folder, digest) as server:
        yield Served(server, model, rows)


def split(rows: Any) -> dict[str, Any]:
    document = rows.to_dict(orient="split")
    return {"columns": document["columns"], "data": document["data"]}


@pytest.mark.parametrize("path", ["/invocations", "/predict"])
def test_answers_equal_the_models_own_bit_by_bit(served: Served, path: str) -> None:
    for count in (1, 2, 200):
        rows = served.rows.head(count)
        want = served.model.predict_proba(rows).tolist()
        got = served.server.predictions({"dataframe_split": split(rows)}, path)
        assert got == want, f"{count} rows are answered otherwise than the model answers"


def test_every_form_of_input_gets_the_same_answer(served: Served) -> None:
    rows = served.rows.head(20)
    want = served.model.predict_proba(rows).tolist()
    records = rows.to_dict(orient="records")
    for document in (
        {"instances": records},
        {"dataframe_records": records},
        {"instances": split(rows)["data"]},
        {"inputs": rows.to_dict(orient="list")},
        {"dataframe_split": split(rows[NAMES[::-1]])},
    ):
        assert served.server.predictions(document) == want, document
    for header, kind in (
        (True, "text/csv"),
        (False, "text/csv"),
        (True, "text/csv; header=present"),
    ):
        body = rows.to_csv(index=False, header=header).encode()
        reply = served.server.request("POST", "/invocations", body, content_type=kind)
        assert reply.json["predictions"] == want, kind


def test_accept_is_honoured(served: Served) -> None:
    rows = served.rows.head(3)
    body = json.dumps({"dataframe_split": split(rows)}).encode()
    reply = served.server.request("POST", "/invocations", body, accept="text/csv")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/csv")
    lines = csv.reader(io.StringIO(reply.body.decode()))
    got = [[float(cell) for cell in line] for line in lines]
    assert got == served.model.predict_proba(rows).tolist()
    refused = served.server.request("POST", "/invocations", body, accept="image/png")
    assert refused.status == 406
    assert "application/json, text/csv or application/jsonlines can be answered" in refused.error


def test_ping_is_200_with_an_empty_body(served: Served) -> None:
    reply = served.server.request("GET", "/ping")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/invocations", 405, "POST"),
        ("PUT", "/predict", 405, "POST"),
        ("POST", "/ping", 405, "GET"),
        ("GET", "/", 404, None),
        ("POST", "/invocations/", 404, None),
    ],
)
def test_other_methods_and_paths_are_refused(
    served: Served, method: str, path: str, status: int, allow: str | None
) -> None:
    reply = served.server.request(method, path)
    assert (reply.status, reply.headers.get("allow")) == (status, allow)
    assert reply.error


GOOD: dict[str, Any] = {"town": "Bonn", "size": 80.0, "rooms": 3, "furnished": True}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({k: v for k, v in GOOD.items() if k != "rooms"}, "column 'rooms' is missing; needed are"),
        (
            {**{k: v for k, v in GOOD.items() if k != "town"}, "twon": 1},
            "column 'town' is missing; needed are town, size, rooms, furnished; 'twon' came, which",
        ),
        ({**GOOD, "size": "large"}, "column 'size': 'large' came; a finite number is needed"),
        ({**GOOD, "rooms": 2**63}, "column 'rooms': 9223372036854775808 came; a whole number"),
        ({**GOOD, "rooms": None}, "column 'rooms': null came; a whole number"),
        ({**GOOD, "furnished": "yes"}, "column 'furnished': 'yes' came; true or false"),
        ({**GOOD, "town": ["Bonn"]}, "column 'town': ['Bonn'] came; text is needed"),
        ({**GOOD, "size": None}, "column 'size': null came; a finite number is needed, and the mo"),
        ({**GOOD, "size": math.nan}, "column 'size': null came; a finite number is needed, and th"),
        ({**GOOD, "size": math.inf}, "the body holds Infinity"),
    ],
)
def test_a_bad_row_is_a_400_that_names_the_column(
    served: Served, row: dict[str, Any], message: str
) -> None:
    body = json.dumps({"instances": [row]}).encode()
    reply = served.server.request("POST", "/invocations", body, content_type="application/json")
    assert reply.status == 400, reply.body
    assert message in reply.error


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", "application/json", 400, "the body is empty"),
        (b"", "text/csv", 400, "the body is empty; rows of town, size, rooms, furnished"),
        (b"Bonn,80,3,true,9\n", "text/csv", 400, "row 0 has 5 cells; 4 are needed"),
        (b"K\xf6ln,80,3,true\n", "text/csv", 400, "the CSV is not UTF-8 (byte 1)"),
        (b"town,town\n", "text/csv; header=present", 400, "column 'town' came more than once"),
        (b'{"instances": [[1], [1, 2]]}', "", 400, "row 0 has 1 values; 4 are needed"),
        (b"[" * 5000, "application/json", 400, "the body is not JSON"),
        (b'{"instances": [{"town": "a", "town": "b"}]}', "", 400, "'town' came more than once"),
        (b"\x93NUMPY", "application/x-npy", 415, "content type is 'application/x-npy'"),
        (b"\x1f\x8b", "text/csv; charset=utf-16", 415, "charset is 'utf-16'; utf-8 is needed"),
    ],
)
def test_a_bad_body_is_a_4xx_that_says_what_is_needed(
    served: Served, body: bytes, kind: str, status: int, message: str
) -> None:
    reply = served.server.request("POST", "/invocations", body, content_type=kind)
    assert reply.status == status, reply.body
    assert message in reply.error


def test_an_encoded_body_is_415(served: Served) -> None:
    reply = served.server.request("POST", "/invocations", b"x", content_encoding="gzip")
    assert reply.status == 415


def test_a_body_above_six_mebibytes_is_413(served: Served) -> None:
    reply = served.server.request("POST", "/invocations", b" " * (6 * 1024 * 1024 + 1))
    assert reply.status == 413
    assert "more than 6291456 bytes" in reply.error


def test_a_value_that_the_model_refuses_is_a_400_that_names_it(served: Served) -> None:
    served.server.predictions({"instances": [GOOD]})
    body = json.dumps({"instances": [GOOD, {**GOOD, "town": "Atlantis"}]}).encode()
    reply = served.server.request("POST", "/invocations", body)
    assert reply.status == 400
    want = "row 1, column 'town': 'Atlantis' came, and the model says ValueError: Found unknown cat"
    assert reply.error.startswith(want)
    assert served.server.request("GET", "/ping").status == 200, "the failure took the server along"


def test_pipelined_requests_of_a_half_closed_connection_are_all_answered(served: Served) -> None:
    one = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=10) as client:
        client.sendall(one * 3)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_what_is_no_http_is_refused_and_the_connection_ends(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=10) as client:
        client.sendall(b"hello\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the request is not HTTP/1.1" in answer


def test_a_tensor_model_answers_as_its_own_predict(tmp_path: Path) -> None:
    import numpy as np
    from sklearn.linear_model import Ridge

    random = np.random.default_rng(1)
    inputs = random.normal(size=(50, 3)).astype("float32")
    model = Ridge().fit(inputs, inputs.sum(axis=1))
    columns = [(str(n), "number", "double", False) for n in range(3)]
    digest = write_package(tmp_path, model, columns, tensor="float32")
    with running(tmp_path, digest) as server:
        got = server.predictions({"instances": inputs.tolist()})
    assert got == model.predict(inputs).tolist()

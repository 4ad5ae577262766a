"""What ``/openapi.json`` says is true: no request gets an answer that it does not name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from inference.decoding.media import ARROW, LINES, PARQUET
from tests.functional.inference_server import running, write_package

EXAMPLES, FEW_EXAMPLES = 100, 5
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
SETTINGS = partial(
    settings,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
COLUMNS = [
    ("size", "number", "double", False),
    ("rooms", "integer", "int32", False),
    ("furnished", "boolean", "", True),
    ("town", "string", "", False),
]


@schemathesis.serializer(*sorted(LINES), *sorted(ARROW | PARQUET))
def as_it_is(_context: Any, value: Any) -> bytes:
    """The bytes of a body that schemathesis itself cannot write."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def model() -> Any:
    """Takes whatever the signature allows."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline

    rows = pd.DataFrame({"size": np.arange(60.0), "rooms": 3, "furnished": True, "town": "Bonn"})
    columns = make_column_transformer(("passthrough", ["size", "rooms"]))
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=2)).fit(
        rows, np.where(rows["size"] > 30, "dear", "cheap")
    )


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("flats")
    digest = write_package(folder, model(), COLUMNS, output="predict_proba")
    with running(folder, digest) as server:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
def test_every_answer_is_one_that_the_document_names(api: Any, mode: GenerationMode) -> None:
    operations = [result.ok() for result in api.get_all_operations()]
    assert sum(operation.method == "post" for operation in operations) == 4, operations
    for operation in operations:
        count = EXAMPLES if operation.method == "post" else FEW_EXAMPLES
        if mode == GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing is sent that could be wrong

        @SETTINGS(max_examples=count)
        @given(operation.as_strategy(generation_mode=mode))
        def answered(case: Case) -> None:
            case.call_and_validate(checks=CHECKS)

        answered()


ROW = {"size": 80.5, "rooms": 3, "furnished": None, "town": "Bonn"}
TENSORS = {
    "inputs": [
        {"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]}
        for name, kind in (("size", "FP64"), ("rooms", "INT32"), ("town", "BYTES"))
    ]
}


@pytest.mark.parametrize(
    ("path", "kind", "body", "accept", "answer"),
    [
        ("/invocations", "application/json", {"instances": [ROW]}, "*/*", "application/json"),
        ("/invocations", "application/json", TENSORS, "*/*", "application/json"),
        ("/predict", "text/csv", "80.5,3,,Bonn\n", "text/csv", "text/csv"),
        ("/predict", "application/x-ndjson", '[1, 2, null, "Bonn"]', "*/*", "application/json"),
        ("/invocations", "text/csv", "1,3,,a\n", "application/ndjson", "application/ndjson"),
        ("/v2/models/by-hand/infer", "application/json", TENSORS, "*/*", "application/json"),
    ],
)
def test_answers_are_what_the_document_names(
    api: Any, path: str, kind: str, body: Any, accept: str, answer: str
) -> None:
    case = api[path]["POST"].Case(body=body, media_type=kind, headers={"Accept": accept})
    response = case.call()
    assert (response.status_code, response.headers["content-type"]) == (200, [answer])
    case.validate_response(response, checks=CHECKS)


def test_an_accept_that_nothing_fits_is_a_documented_406(api: Any) -> None:
    case = api["/invocations"]["POST"].Case(
        body={"instances": [ROW]}, media_type="application/json", headers={"Accept": "image/png"}
    )
    response = case.call()
    assert response.status_code == 406
    case.validate_response(response, checks=CHECKS[:-2])  # the body was not at fault

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

"""MLflow signatures as JSON schemas: every type that a request can carry, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_code.errors import PackagingError
from model_code.signature import (
    COLUMN_TYPES,
    answer_schema,
    output_schema,
    params_schema,
    row_schema,
)


def specs(*columns: dict[str, Any]) -> str:
    return json.dumps(columns)


def test_columns_keep_their_order_types_and_nullability() -> None:
    columns: list[dict[str, Any]] = [
        {"name": f"{kind}-{required}", "type": kind, "required": required}
        for kind in COLUMN_TYPES
        for required in (True, False)
    ]
    schema = row_schema(specs(*columns), "models:/m/1")
    assert schema["x-columns"] == [column["name"] for column in columns]
    assert schema["required"] == [c["name"] for c in columns if c["required"]]
    for column in columns:
        found = schema["properties"][column["name"]]
        assert found == {**COLUMN_TYPES[column["type"]], "nullable": not column["required"]}


def test_columns_without_a_name_are_named_by_position() -> None:
    assert row_schema(specs({"type": "double"}, {"type": "long"}), "m")["x-columns"] == ["0", "1"]


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "number"), ("uint8", "integer")])
def test_a_tensor_of_rows_becomes_columns(dtype: str, kind: str) -> None:
    tensor = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, 3]}}
    schema = row_schema(specs(tensor), "m")
    assert (schema["x-columns"], schema["x-tensor"]) == (["0", "1", "2"], dtype)
    assert {p["type"] for p in schema["properties"].values()} == {kind}


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float64", [-1, 28, 28]), ("float64", [-1, -1]), ("float64", [5, 3]), ("object", [-1, 3])],
)
def test_other_tensors_are_refused(dtype: str, shape: list[int]) -> None:
    tensor = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    with pytest.raises(PackagingError, match=r"numbers of shape \(-1, n\), or named columns"):
        row_schema(specs(tensor), "m")


@pytest.mark.parametrize("inputs", [None, ""])
def test_a_model_without_a_signature_is_refused_with_the_remedy(inputs: str | None) -> None:
    with pytest.raises(PackagingError, match=r"models:/m/1 has no signature.*infer_signature"):
        row_schema(inputs, "models:/m/1")


def test_a_type_that_no_request_can_carry_names_its_column() -> None:
    with pytest.raises(PackagingError, match="column 'photo' has type 'binary'; one of boolean, "):
        row_schema(specs({"name": "photo", "type": "binary"}), "m")


@pytest.mark.parametrize(
    ("outputs", "schema"),
    [
        (None, {}),
        (specs({"type": "double"}), {"type": "number", "format": "double"}),
        (
            specs({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}),
            {"type": "array", "items": {"type": "number", "format": "double"}},
        ),
        (
            specs({"type": "tensor", "tensor-spec": {"dtype": "object", "shape": [-1]}}),
            {"type": "string"},
        ),
        (
            specs({"type": "tensor", "tensor-spec": {"dtype": "bool", "shape": [-1]}}),
            {"type": "boolean"},
        ),
        (
            specs({"type": "tensor", "tensor-spec": {"dtype": "bool", "shape": [-1, 2, 2]}}),
            {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}},
        ),
        (  # as of an ONNX model, which answers a dict
            specs(
                {
                    "name": "variable",
                    "type": "tensor",
                    "tensor-spec": {"dtype": "float64", "shape": [-1, 1]},
                }
            ),
            {
                "type": "object",
                "properties": {
                    "variable": {"type": "array", "items": {"type": "number", "format": "double"}}
                },
                "required": ["variable"],
            },
        ),
    ],
)
def test_outputs_are_described_as_far_as_the_signature_tells(
    outputs: str | None, schema: dict[str, Any]
) -> None:
    assert output_schema(outputs) == schema


def test_the_answer_follows_the_method_that_was_chosen() -> None:
    labels = json.dumps([{"type": "string"}])
    shares = {"type": "array", "items": {"type": "number", "format": "double"}}
    assert answer_schema(labels, "predict", "predict") == {"type": "string"}
    assert answer_schema(labels, "predict", "predict_proba") == shares
    assert answer_schema(labels, "predict_proba", "predict") == {}
    both = answer_schema(labels, "predict", "both")
    assert both["properties"] == {"predicted_label": {"type": "string"}, "probabilities": shares}


def test_params_keep_their_types_and_defaults() -> None:
    assert params_schema(None, "m") == params_schema("[]", "m") == {}
    given = specs(
        {"name": "top", "type": "integer", "default": 3, "shape": None},
        {"name": "stops", "type": "string", "default": ["."], "shape": [-1]},
        {"name": "more", "type": "object", "default": {"a": 1}, "shape": None, "properties": {}},
        {"name": "old", "dtype": "double", "default": 0.5},
    )
    assert params_schema(given, "m")["properties"] == {
        "top": {"type": "integer", "format": "int32", "default": 3},
        "stops": {"type": "array", "items": {"type": "string"}, "default": ["."]},
        "more": {"type": "object", "default": {"a": 1}},
        "old": {"type": "number", "format": "double", "default": 0.5},
    }


def test_a_param_of_a_type_that_is_not_known_is_refused() -> None:
    given = specs({"name": "raw", "type": "binary", "default": "", "shape": None})
    with pytest.raises(PackagingError, match="param 'raw' has type 'binary'; one of boolean, int"):
        params_schema(given, "models:/m/1")

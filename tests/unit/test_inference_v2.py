"""KServe's V2 protocol: tensors to columns and back, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.package import ArchiveIndex
from inference.errors import RequestError
from inference.formats import v2
from inference.formats.signature import Column, Signature

SIGNATURE = Signature(
    (Column("size", "number", "double", False), Column("town", "string", "", True)), None
)
ARRAY = Signature(
    (Column("0", "number", "float32", False), Column("1", "number", "float32", False)), "float32"
)
INDEX = ArchiveIndex("rent", "3", "sklearn", "predict", {}, {}, ())


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> Any:
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}


def decode(*inputs: Any, signature: Signature = SIGNATURE, **more: Any) -> Any:
    return v2.decode(signature, json.dumps({"inputs": list(inputs), **more}).encode())


def test_one_tensor_a_column() -> None:
    size, town = tensor("size", "FP64", [1.5, 2]), tensor("town", "BYTES", ["a", "b"], [2, 1])
    decoded, request_id = decode(town, size, id="abc")
    assert decoded.columns == {"size": [1.5, 2.0], "town": ["a", "b"]}
    assert (decoded.rows, request_id) == (2, "abc")


def test_a_nullable_column_may_be_absent() -> None:
    assert decode(tensor("size", "FP64", [1.5]))[0].columns["town"] == [None]


@pytest.mark.parametrize("data", [[1.0, 2.0, 3.0, 4.0], [[1.0, 2.0], [3.0, 4.0]]])
def test_one_tensor_of_all_columns(data: list[Any]) -> None:
    decoded, _ = decode(tensor("x", "FP32", data, [2, 2]), signature=ARRAY)
    assert decoded.columns == {"0": [1.0, 3.0], "1": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "the body has no inputs; a list of tensors is needed"),
        ([{"name": "size"}], r"inputs\[0\] is no tensor; an object with data, datatype, name, sh"),
        ([tensor("size", "FP65", [1])], r"inputs\[0\]: datatype is 'FP65'; BOOL, BYTES, FP16"),
        ([tensor("size", "FP64", [1], [-1])], r"inputs\[0\]: shape is \[-1\]; \[rows\] or"),
        ([tensor("size", "FP64", [1], [1, 1, 1])], r"shape is \[1, 1, 1\]; \[rows\] or \[rows, c"),
        (
            [tensor("size", "FP64", [1, 2], [3]), tensor("town", "BYTES", ["a"], [1])],
            "the tensor 'size' has 2 values; its shape says 3",
        ),
        (
            [tensor("size", "FP64", [1, 2]), tensor("town", "BYTES", ["a"])],
            r"the tensors have \[1, 2\] rows; one number is needed",
        ),
        (
            [tensor("size", "FP64", [1]), tensor("size", "FP64", [1])],
            "column 'size' came more than once; once is allowed",
        ),
        (
            [tensor("sise", "FP64", [1]), tensor("town", "BYTES", ["a"])],
            "column 'size' is missing; needed are size, town; 'sise' came, which the model does",
        ),
        ([tensor(5, "FP64", [1])], r"inputs\[0\]: name is 5; text is needed"),
        ([tensor("size", ["FP64"], [1])], r"inputs\[0\]: datatype is \['FP64'\]; BOOL, BYTES"),
        ([tensor("size", "FP64", [[1], 5], [2, 1])], r"column 'size': \[1\] came; a finite numb"),
        (
            [tensor("x", "FP64", [[1], [2, 3]], [2, 2])],
            "'x' has 1 values in row 0; its shape says 2",
        ),
        (
            [tensor("size", "FP64", ["x"]), tensor("town", "BYTES", ["a"])],
            "row 0, column 'size': 'x' came; a finite number is needed",
        ),
        ([tensor("x", "FP64", [1, 2, 3], [1, 3])], r"the shape \[1, 3\]; \[rows, 2\] is needed"),
    ],
)
def test_what_does_not_fit_is_named(inputs: list[Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as info:
        decode(*inputs)
    assert info.value.status == 400


def test_a_missing_column_is_named() -> None:
    two = Signature((*SIGNATURE.columns, Column("rooms", "integer", "", False)), None)
    size, rooms = tensor("size", "FP64", [1]), tensor("rooms", "INT64", [1])
    assert decode(size, rooms, signature=two)[0].rows == 1
    with pytest.raises(RequestError, match="column 'rooms' is missing; needed are size, town, r"):
        decode(size, tensor("town", "BYTES", ["a"]), signature=two)


@pytest.mark.parametrize(
    ("predictions", "shape", "kind", "data"),
    [
        ([1.5, None], [2], "FP64", [1.5, None]),
        ([[0.2, 0.8], [0.4, 0.6]], [2, 2], "FP64", [0.2, 0.8, 0.4, 0.6]),
        (["a"], [1], "BYTES", ["a"]),
        ([1], [1], "INT64", [1]),
        ([True], [1], "BOOL", [True]),
        ([], [0], "FP64", []),
    ],
)
def test_answers_are_one_tensor(
    predictions: list[Any], shape: list[int], kind: str, data: list[Any]
) -> None:
    answer = v2.encode(INDEX, predictions, "abc")
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("rent", "3", "abc")
    assert answer["outputs"] == [
        {"name": "predictions", "shape": shape, "datatype": kind, "data": data}
    ]
    assert "id" not in v2.encode(INDEX, predictions, None)

"""Columns: the signature's order and types decide what a value becomes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from inference.errors import RequestError, shown
from inference.formats.codecs import Decoded
from inference.formats.frames import model_input, null_of, outputs_as_rows, to_json_values
from inference.formats.signature import Column, Signature, checked, from_text, from_texts

SCHEMA: dict[str, Any] = {
    "properties": {
        "when": {"type": "string", "format": "date-time", "nullable": True},
        "size": {"type": "number", "format": "float", "nullable": False},
        "rooms": {"type": "integer", "format": "int32", "nullable": True},
        "flag": {"type": "boolean", "nullable": True},
        "town": {"type": "string", "nullable": True},
    },
    "x-columns": ["town", "size", "rooms", "flag", "when"],
}


def test_the_order_of_columns_is_the_schemas_own() -> None:
    signature = Signature.from_schema(SCHEMA)
    assert signature.names == SCHEMA["x-columns"]
    assert signature.tensor is None


def test_a_frame_has_the_signatures_types_and_order() -> None:
    signature = Signature.from_schema(SCHEMA)
    values = [["Bonn"], [1.5], [3], [True], ["2020-01-02T03:04:05"]]
    columns = {c.name: checked(c, v) for c, v in zip(signature.columns, values, strict=True)}
    frame = model_input(signature, Decoded(columns, 1))
    assert list(frame.columns) == signature.names
    kinds = [str(frame[name].dtype) for name in signature.names]
    assert kinds == ["object", "float32", "int32", "bool", "datetime64[ns]"]


def test_nulls_widen_the_types_that_have_none() -> None:
    signature = Signature.from_schema(SCHEMA)
    columns = {c.name: checked(c, [None]) for c in signature.columns}
    frame = model_input(signature, Decoded(columns, 1))
    kinds = [str(frame[name].dtype) for name in signature.names]
    assert kinds == ["object", "float32", "float64", "object", "datetime64[ns]"]
    assert frame.isna().all(axis=None), frame


@pytest.mark.parametrize(
    ("dtype", "kind", "fits", "not_fits"),
    [
        ("uint8", "integer", 255, 256),
        ("int8", "integer", -128, 128),
        ("uint64", "integer", 2**64 - 1, -1),
        ("float32", "number", 3e38, 4e38),
        ("float16", "number", 65504.0, 70000.0),
    ],
)
def test_a_tensor_holds_what_its_type_holds(
    dtype: str, kind: str, fits: float, not_fits: float
) -> None:
    schema = {"properties": {"0": {"type": kind}}, "x-columns": ["0"], "x-tensor": dtype}
    signature = Signature.from_schema(schema)
    column = signature.columns[0]
    array = model_input(signature, Decoded({"0": checked(column, [fits])}, 1))
    assert (str(array.dtype), array.shape) == (dtype, (1, 1))
    assert array.flags.c_contiguous
    with pytest.raises(RequestError, match="column '0': "):
        checked(column, [not_fits])


def test_a_time_with_an_offset_means_utc() -> None:
    column = Column("when", "string", "date-time", False)
    assert checked(column, ["2020-01-02T03:04:05+02:00", "2020-01-02T03:04:05"]) == [
        dt.datetime(2020, 1, 2, 1, 4, 5),  # noqa: DTZ001 the model's columns have no zone
        dt.datetime(2020, 1, 2, 3, 4, 5),  # noqa: DTZ001
    ]


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "1677-01-01", "2262-06-01"])
def test_a_time_that_pandas_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(RequestError, match="of the years 1678 to 2261"):
        checked(Column("when", "string", "date-time", False), [value])


def test_an_empty_cell_is_null_except_in_text_that_has_none() -> None:
    assert from_text(Column("a", "string", "", True), "") is None
    assert from_text(Column("a", "string", "", False), "") == ""
    assert from_text(Column("a", "number", "double", False), "") is None


def test_answers_of_every_kind_become_plain_values() -> None:
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix

    frame = pd.DataFrame({"x": np.array([1, 2]), 5: [0.5, float("nan")]})
    assert to_json_values(np.array([1.5, np.inf])) == [1.5, None]
    assert to_json_values(np.array(["a", "b"], dtype=object)) == ["a", "b"]
    assert to_json_values(pd.Series([True, False])) == [True, False]
    assert to_json_values([np.int64(3), [np.float32(0.5)]]) == [3, [0.5]]
    assert to_json_values(frame) == [{"x": 1, "5": 0.5}, {"x": 2, "5": None}]
    assert to_json_values(csr_matrix([[1, 0], [0, 1]])) == [[1, 0], [0, 1]]
    outputs = [np.array([[0.1, 0.9], [1.0, 0.0], [0.5, 0.5]]), np.array([[1.0], [1.0], [1.0]])]
    assert outputs_as_rows(outputs)[0] == [[0.1, 0.9], [1.0]], "outputs were taken for rows"
    assert len(outputs_as_rows(outputs)) == 3


def test_an_error_shows_at_most_64_characters_of_a_value() -> None:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    assert shown("x" * 100) == "'" + "x" * 60 + "..."
    assert shown(nested) == "a list"
    assert shown(10**5000) == "a int"


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("boolean", ["true", "False", "TRUE"]),
        ("boolean", ["true", "False", ""]),
        ("boolean", ["true", "1", "x"]),
        ("string", ["", "a", "true"]),
        ("integer", ["1", "", "5.0", "x"]),
    ],
)
def test_a_column_of_cells_is_spelled_as_each_cell_alone(
    kind: str, cells: list[str], nullable: bool
) -> None:
    column = Column("c", kind, "", nullable)
    assert from_texts(column, cells) == [from_text(column, cell) for cell in cells]


def test_a_null_is_none_to_a_model_that_knows_none_and_nan_to_any_other() -> None:
    import numpy as np
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def fitted(null: Any, *steps: Any) -> Any:
        rows = np.array([["a"], [null], ["b"]], dtype=object)
        return make_pipeline(make_column_transformer((make_pipeline(*steps), [0]))).fit(rows)

    assert null_of(fitted(None, OneHotEncoder())) is None
    assert (
        null_of(fitted(None, SimpleImputer(missing_values=None, strategy="most_frequent"))) is None
    )
    for model in (fitted(np.nan, OneHotEncoder()), fitted("c", OneHotEncoder()), object(), None):
        assert null_of(model) != null_of(model), "NaN is not itself"

    class Strange:
        __slots__ = ("categories_",)

        def get_params(self) -> None: ...

    assert null_of(Strange()) is not None

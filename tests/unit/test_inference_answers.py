"""Answers: each output in each format, and what the metadata says of them."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.package import ArchiveIndex
from inference.errors import RequestError
from inference.formats import codecs, v2
from inference.formats.codecs import CSV, JSON, JSON_LINES, AnswerStream, Decoded, V2Request, encode
from inference.formats.encoding import from_json
from inference.formats.frames import both_as_rows, to_json_values
from inference.formats.signature import Column, Signature
from inference.openapi import document as openapi
from inference.openapi.schemas import answers_schema
from model_code.signature import output_schema

SIGNATURE = Signature((Column("size", "number", "double", False),), None)
INPUTS = {"properties": {"size": {"type": "number", "format": "double"}}, "x-columns": ["size"]}
INDEX = ArchiveIndex("rent", "3", "sklearn", "predict", INPUTS, {}, ())
LABELS = {"type": "string"}
BOTH = both_as_rows(np.array(["dear", "cheap"]), np.array([[0.1, 0.9], [1.0, np.nan]]))
ANY = Decoded({}, 2)


def test_both_is_the_label_and_the_probabilities_in_every_format() -> None:
    assert BOTH == [
        {"predicted_label": "dear", "probabilities": [0.1, 0.9]},
        {"predicted_label": "cheap", "probabilities": [1.0, None]},
    ]
    index = replace(INDEX, output="both", outputs=LABELS)
    assert json.loads(codecs.answer(index, JSON, ANY, BOTH)) == {"predictions": BOTH}
    assert codecs.answer(index, CSV, ANY, BOTH) == b"dear,0.1,0.9\ncheap,1.0,\n"
    lines = codecs.answer(index, JSON_LINES, ANY, BOTH).splitlines()
    assert [json.loads(line) for line in lines] == BOTH
    asked = replace(ANY, v2=V2Request("7"))
    assert json.loads(codecs.answer(index, JSON, asked, BOTH)) == {
        "model_name": "rent",
        "model_version": "3",
        "outputs": [
            {
                "name": "predicted_label",
                "shape": [2],
                "datatype": "BYTES",
                "data": ["dear", "cheap"],
            },
            {
                "name": "probabilities",
                "shape": [2, 2],
                "datatype": "FP64",
                "data": [0.1, 0.9, 1.0, None],
            },
        ],
        "id": "7",
    }
    assert codecs.answer(index, CSV, asked, BOTH) == b"dear,0.1,0.9\ncheap,1.0,\n"


def test_a_v2_request_gets_the_outputs_that_it_names() -> None:
    index = replace(INDEX, output="both", outputs=LABELS)
    answer = v2.encode(index, BOTH, None, ["probabilities"])
    assert [tensor["name"] for tensor in answer["outputs"]] == ["probabilities"]
    with pytest.raises(RequestError, match="outputs names 'scores'; the model answers predicted_l"):
        v2.encode(index, BOTH, None, ["scores"])
    none = v2.encode(index, [], None, ["probabilities"])
    assert none["outputs"] == [
        {"name": "probabilities", "shape": [0, 0], "datatype": "FP64", "data": []}
    ]


@pytest.mark.parametrize("outputs", [5, [5], [{"id": 1}]])
def test_outputs_of_v2_are_objects_with_a_name(outputs: Any) -> None:
    tensor = {"name": "size", "shape": [1], "datatype": "FP64", "data": [1]}
    with pytest.raises(RequestError, match=r"outputs is .*; a list of objects with a name"):
        v2.decode(SIGNATURE, json.dumps({"inputs": [tensor], "outputs": outputs}).encode())


@pytest.mark.parametrize(
    ("output", "outputs", "declared"),
    [
        ("predict", {}, {}),
        ("predict", {"type": "number", "format": "double"}, {"predictions": ("FP64", [-1])}),
        ("predict", {"type": "number", "format": "float"}, {"predictions": ("FP32", [-1])}),
        ("predict", {"type": "integer", "format": "int64"}, {"predictions": ("INT64", [-1])}),
        ("predict", LABELS, {"predictions": ("BYTES", [-1])}),
        ("predict", {"type": "boolean"}, {"predictions": ("BOOL", [-1])}),
        ("predict_proba", LABELS, {"predictions": ("FP64", [-1, -1])}),
        (
            "predict_proba",
            {"type": "array", "items": {"type": "number", "format": "float"}},
            {"predictions": ("FP32", [-1, -1])},
        ),
        ("predict_proba", {"type": "array", "items": {"type": "integer"}}, {}),
        (
            "both",
            {"type": "integer", "format": "int64"},
            {"predicted_label": ("INT64", [-1]), "probabilities": ("FP64", [-1, -1])},
        ),
        (
            "predict",
            {"type": "object", "properties": {"low": {"type": "number"}, "high": LABELS}},
            {"low": ("FP64", [-1]), "high": ("BYTES", [-1])},
        ),
    ],
)
def test_v2_metadata_says_what_the_signature_says(
    output: str, outputs: dict[str, Any], declared: dict[str, tuple[str, list[int]]]
) -> None:
    index = replace(INDEX, output=output, outputs=outputs)
    told = v2.model_metadata(index, SIGNATURE)["outputs"]
    assert {t["name"]: (t["datatype"], t["shape"]) for t in told} == declared
    assert openapi.document(index)["paths"]["/predict"], "the document cannot be made"


@pytest.mark.parametrize(
    ("predictions", "outputs", "shape", "kind", "data"),
    [
        ([1, None], {}, [2], "FP64", [1, None]),
        ([1, 2], {"type": "number"}, [2], "FP64", [1, 2]),
        ([0.5], {"type": "number", "format": "float"}, [1], "FP32", [0.5]),
        ([2**63], {}, [1], "UINT64", [2**63]),
        ([2**64, 1], {}, [2], "BYTES", ["18446744073709551616", "1"]),
        ([-(2**63) - 1], {}, [1], "BYTES", ["-9223372036854775809"]),
        (["a", 5, None], {}, [3], "BYTES", ["a", "5", None]),
        ([[[1.0], [2.0]], [[3.0], [4.0]]], {}, [2, 2], "FP64", [1.0, 2.0, 3.0, 4.0]),
        ([[1.0], [2.0, 3.0]], {}, [2], "BYTES", ["[1.0]", "[2.0, 3.0]"]),
    ],
)
def test_v2_answers_of_every_kind(
    predictions: list[Any], outputs: dict[str, Any], shape: list[int], kind: str, data: list[Any]
) -> None:
    answer = v2.encode(replace(INDEX, outputs=outputs), predictions, None)
    assert answer["outputs"] == [
        {"name": "predictions", "shape": shape, "datatype": kind, "data": data}
    ]


@pytest.mark.parametrize(
    "value", [2**63, 2**64, -(2**70), [{"a": [2**70, 0.5]}], "1" * 30, 0.1234567890123456, 1e300]
)
def test_a_native_models_whole_numbers_keep_their_digits_as_in_mlflow(value: Any) -> None:
    made = from_json(json.dumps([value]).encode())
    assert made == [value]
    assert type(made[0]) is type(value)
    assert json.loads(encode(JSON, made)) == {"predictions": [value]}


def test_one_answer_of_a_pyfunc_may_come_under_its_columns_name() -> None:
    index = replace(INDEX, engine="pyfunc", outputs={"type": "number"})
    by_name = {"minProperties": 1, "maxProperties": 1, "type": "object"}
    number = {"type": ["number", "null"]}
    items = answers_schema(index)["anyOf"][0]["properties"]["predictions"]["items"]
    assert items == {"anyOf": [number, {**by_name, "additionalProperties": number}]}
    index = replace(index, engine="sklearn")
    assert answers_schema(index)["anyOf"][0]["properties"]["predictions"]["items"] == number


def test_csv_is_quoted_as_rfc_4180_says() -> None:
    items = ["plain", 'a "b"', "a,b", "a\rb", "a\nb", True, None, 2**70, math.nan, [1, [2.5, None]]]
    body = encode(CSV, items)
    assert body.startswith(b'plain\n"a ""b"""\n"a,b"\n"a\rb"\n"a\nb"\ntrue\n""\n118')
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    assert len(lines) == len(items), "an answer has no line of its own"
    assert lines[-2:] == [[""], ["1", "2.5", ""]]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.lists(VALUES, max_size=6), st.sampled_from([JSON, CSV, JSON_LINES]), st.integers(1, 4))
def test_answers_in_chunks_are_the_same_bytes(predictions: list[Any], kind: str, size: int) -> None:
    stream = AnswerStream(kind)
    chunks = [predictions[at : at + size] for at in range(0, len(predictions), size)]
    body = b"".join([*map(stream.chunk, chunks), stream.chunk([]), stream.end()])
    if kind == JSON and any(isinstance(v, int) and abs(v) >= 2**63 for v in predictions):
        assert json.dumps(json.loads(body)) == json.dumps(json.loads(encode(kind, predictions)))
    else:
        assert body == encode(kind, predictions)


@example([2**70, math.inf, {"a": [-math.inf]}])
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_every_answer_is_json_without_nan(predictions: list[Any]) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(encode(JSON, predictions), parse_constant=refuse)
    assert len(told["predictions"]) == len(predictions)


def test_values_of_pandas_and_numpy_become_plain_ones() -> None:
    times = np.array(["2020-01-02T03:04:05", "NaT"], dtype="datetime64[ns]")
    assert to_json_values(times) == ["2020-01-02T03:04:05", None]
    assert to_json_values(pd.Series(times)) == ["2020-01-02T03:04:05", None]
    assert to_json_values(pd.Series([1, None], dtype="Int64")) == [1, None]
    assert to_json_values([np.array([1.0, np.inf]), {"a": np.int64(3)}]) == [[1.0, None], {"a": 3}]


def test_a_signature_of_several_outputs_is_an_object() -> None:
    specs = [{"name": "low", "type": "double"}, {"name": "town", "type": "string"}]
    assert output_schema(json.dumps(specs)) == {
        "type": "object",
        "properties": {"low": {"type": "number", "format": "double"}, "town": LABELS},
        "required": ["low", "town"],
    }


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("text/*;q=0.9, text/csv;q=0.1, application/json;q=0.5", JSON),
        ("application/json;q=0, */*", CSV),
        ("*/*, application/json;q=0.1", CSV),
        ("application/jsonlines", JSON_LINES),
        ("application/x-ndjson;q=0.3, text/csv;q=0.2", "application/x-ndjson"),
        ("text/csv, application/json", CSV),
        ("application/json, text/csv", JSON),
        ("*/*, text/csv", CSV),
        ('text/csv; header="absent"', CSV),
        ('text/html; title="a,b;q=1", application/json', JSON),
        ("text/csv;charset=utf-8", CSV),
        ("text/csv; Q=0.5, application/json; q=0.400", CSV),
    ],
)
def test_the_most_precise_range_counts_and_the_highest_q_wins(accept: str, answer: str) -> None:
    assert codecs.accepted(accept) == answer


@pytest.mark.parametrize(
    "accept",
    [
        "*/*;q=0",
        "text/csv;header=present",
        "text/csv;charset=latin-1",
        "application/json;q=2",
        "application/json;q=nan",
        "application/json;q=0.5000",
        "json",
        ",;,",
    ],
)
def test_what_cannot_be_answered_or_understood_is_406(accept: str) -> None:
    with pytest.raises(RequestError) as info:
        codecs.accepted(accept)
    assert info.value.status == 406


@pytest.mark.parametrize(
    ("accept", "content_type", "answer"),
    [
        ("", "text/csv; header=absent", CSV),
        ("*/*", "application/x-ndjson", "application/x-ndjson"),
        ("", "application/json", JSON),
        ("", "application/vnd.apache.arrow.stream", JSON),
        ("application/json", "text/csv", JSON),
        ("*/*;q=0.5", "text/csv", CSV),
    ],
)
def test_in_a_batch_the_bodys_own_type_is_answered(
    accept: str, content_type: str, answer: str
) -> None:
    assert codecs.accepted(accept, content_type, batch=True) == answer
    if answer != JSON and accept != "application/json":
        assert codecs.accepted(accept, content_type) == JSON, "in real time it is JSON"


def test_very_many_columns_do_not_fill_an_error() -> None:
    names = [f"column_{i}" for i in range(1000)]
    many = Signature(tuple(Column(name, "number", "double", False) for name in names), None)
    with pytest.raises(RequestError) as info:
        codecs.decode(many, JSON, b'{"instances": [{}]}')
    assert len(str(info.value)) < 800
    assert str(info.value).endswith(", … (1000 in all)")


def test_a_dict_of_columns_is_an_object_a_row() -> None:
    answer = {"label": np.array(["a", "b"]), "shares": np.array([[0.5, 0.5], [1.0, np.nan]])}
    assert to_json_values(answer) == [
        {"label": "a", "shares": [0.5, 0.5]},
        {"label": "b", "shares": [1.0, None]},
    ]
    assert to_json_values({}) == []
    with pytest.raises(ValueError, match=r"columns that differ in length: .*a.: 1, .b.: 2"):
        to_json_values({"a": [1], "b": [1, 2]})


@pytest.mark.parametrize(("answer", "kind"), [("ab", "str"), (b"ab", "bytes"), (1.5, "float")])
def test_one_value_is_no_answer_for_rows(answer: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=f"the model answered one {kind}; a list, an array, a "):
        to_json_values(answer)


def test_bytes_in_an_answer_are_base64() -> None:
    assert to_json_values([b"ab"]) == ["YWI="]

"""Large bodies of numbers are read quickly for any engine, with the careful decoder's values."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.decoding import large_numbers
from inference.decoding.large_numbers import LargeReader
from inference.errors import RequestError
from inference.formats import codecs, v2
from inference.formats.codecs import Decoded
from inference.formats.signature import Column, Signature

COLUMNS = (
    Column("size", "number", "double", nullable=False),
    Column("rooms", "integer", "int32", nullable=False),
    Column("share", "number", "float", nullable=False),
)
NAMES = [column.name for column in COLUMNS]
SIGNATURE = Signature(COLUMNS, None)
DATATYPES = ["FP64", "INT32", "FP32"]
ROWS = st.lists(
    st.tuples(
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
        st.integers(-(2**31), 2**31 - 1),
        st.floats(-1e30, 1e30),
    ).map(list),
    min_size=1,
    max_size=6,
)


def readers() -> list[LargeReader]:
    return [LargeReader(SIGNATURE, takes_matrix=takes) for takes in (True, False)]


def same(found: Decoded, want: Decoded) -> None:
    """``found`` has the values of ``want``, in columns of the same types or in a matrix."""
    assert (found.rows, found.v2) == (want.rows, want.v2)
    if found.matrix is None:
        assert found.columns == want.columns
        for name, values in found.columns.items():
            assert list(map(type, values)) == list(map(type, want.columns[name]))
        return
    assert found.columns == {}
    assert found.matrix.flags.c_contiguous
    np.testing.assert_array_equal(found.matrix, np.array(list(want.columns.values()), float).T)


def tensors(rows: list[list[Any]], form: str) -> list[dict[str, Any]]:
    if form == "columns":
        return [
            {"name": name, "shape": [len(rows)], "datatype": kind, "data": [r[i] for r in rows]}
            for i, (name, kind) in enumerate(zip(NAMES, DATATYPES, strict=True))
        ]
    data = rows if form == "nested" else [value for row in rows for value in row]
    return [{"name": "all", "shape": [len(rows), 3], "datatype": "FP64", "data": data}]


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from(["columns", "flat", "nested"]), st.data())
def test_tensors_are_what_the_careful_decoder_makes_of_them(
    rows: list[list[Any]], form: str, data: st.DataObject
) -> None:
    document: dict[str, Any] = {"inputs": data.draw(st.permutations(tensors(rows, form)))}
    if data.draw(st.booleans()):
        document["id"] = "7"
    if data.draw(st.booleans()):
        document["outputs"] = [{"name": "predictions"}]
    if form == "columns" and data.draw(st.booleans()):
        document["inputs"][0]["shape"] = [len(rows), 1]
    body = json.dumps(document).encode()
    want, _ = v2.decode(SIGNATURE, body)
    for reader in readers():
        for kind in ("v2", "json"):
            found = reader.read(kind, body)
            assert found is not None
            same(found, want)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sampled_from(["instances", "records", "split", "inputs"]))
def test_rows_are_what_the_careful_decoder_makes_of_them(rows: list[list[Any]], form: str) -> None:
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    document: dict[str, Any] = {
        "instances": {"instances": rows},
        "records": {"dataframe_records": records},
        "split": {"dataframe_split": {"columns": NAMES, "data": rows}},
        "inputs": {"inputs": {name: [row[i] for row in rows] for i, name in enumerate(NAMES)}},
    }[form]
    body = json.dumps(document).encode()
    want = codecs.decode(SIGNATURE, codecs.JSON, body)
    for reader in readers():
        found = reader.read("json", body)
        assert found is not None
        same(found, want)


def tensor(**changed: Any) -> dict[str, Any]:
    return {**tensors([[1.5, 2, 3.5]], "flat")[0], **changed}


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [tensor(data=[1.5, None, 3.5])]},
        {"inputs": [tensor(data=[1.5, True, 3.5])]},
        {"inputs": [tensor(data=[1.5, "2", 3.5])]},
        {"inputs": [tensor(data=[1.5, 2.5, 3.5])]},
        {"inputs": [tensor(data=[1.5, [2, 3.5]])]},
        {"inputs": [tensor(data=[[1.5, 2], [3.5]])]},
        {"inputs": [tensor(data=[1.5, 2])]},
        {"inputs": [tensor(shape=[1.0, 3])]},
        {"inputs": [tensor(shape=[True, 3])]},
        {"inputs": [tensor(shape=[3])]},
        {"inputs": [tensor(shape=[])]},
        {"inputs": [tensor(shape=[0, 3], data=[])]},
        {"inputs": [tensor(datatype="BYTES")]},
        {"inputs": [tensor(datatype="FP8")]},
        {"inputs": [tensor(name=5)]},
        {"inputs": [tensor(name="size", shape=[3])]},
        {"inputs": tensors([[1.5, 2, 3.5]], "columns")[:2]},
        {"inputs": tensors([[1.5, 2, 3.5]], "columns") * 2},
        {"inputs": [*tensors([[1.5, 2, 3.5]], "columns")[:2], tensor(name="share", shape=[1, 3])]},
        {"inputs": [tensor()], "id": 0},
        {"inputs": [tensor()], "outputs": [{"name": 1}]},
        {"inputs": [tensor()], "params": {"a": 1}},
        {"inputs": [tensor(parameters={"a": [1]})]},
        {"inputs": []},
        {"inputs": {"size": 1}},
        {},
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_decoder(document: Any) -> None:
    for reader in readers():
        assert reader.read("v2", json.dumps(document).encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs":[{"name":"all","name":"all","shape":[1,3],"datatype":"FP64","data":[1,2,3]}]}',
        b'{"inputs":[{"name":"all","shape":[1,3],"datatype":"FP64","data":[1,2,3]}],"inputs":[]}',
        b'{"inputs":[{"name":"all","shape":[1,3],"datatype":"FP64","data":[1,2,NaN]}]}',
        b"[]",
        b"{",
    ],
)
def test_a_name_that_comes_twice_and_what_is_no_json_is_left_too(body: bytes) -> None:
    for reader in readers():
        assert reader.read("v2", body) is None
    with pytest.raises(RequestError):
        v2.decode(SIGNATURE, body.replace(b"NaN", b"Infinity"))


def test_many_objects_are_not_parsed_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """For no other thread has its turn meanwhile."""
    body = json.dumps({"instances": [dict(zip(NAMES, [1.5, 2, 3.5], strict=True))] * 20}).encode()
    (reader, _) = readers()
    assert reader.read("json", body) is not None
    monkeypatch.setattr(large_numbers, "OBJECTS_BYTES", len(body) - 1)
    (reader, _) = readers()
    assert reader.read("json", body) is None

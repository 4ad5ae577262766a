"""Bodies: every accepted form decodes to the same columns; answers encode as the client asks."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import RequestError
from inference.formats.codecs import CSV, JSON, Decoded, accepted, decode, encode
from inference.formats.signature import Column, Signature

SIGNATURE = Signature(
    (
        Column("size", "number", "double", False),
        Column("rooms", "integer", "int64", False),
        Column("furnished", "boolean", "", False),
        Column("town", "string", "", False),
        Column("rent", "number", "double", True),
    ),
    None,
)
TENSOR = Signature(tuple(Column(str(n), "number", "float64", False) for n in range(3)), "float64")
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
ROWS = st.lists(
    st.tuples(
        NUMBERS,
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        TEXT,
        st.none() | NUMBERS,
    ),
    min_size=1,
    max_size=6,
)


def expected(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def assert_same(decoded: Decoded, rows: list[tuple[Any, ...]]) -> None:
    assert decoded.rows == len(rows)
    assert list(decoded.columns) == SIGNATURE.names, "columns are not in the signature's order"
    for name, want in zip(SIGNATURE.names, expected(rows), strict=True):
        for got, value in zip(decoded.columns[name], want, strict=True):
            same = math.isnan(got) if value is None else got == value
            assert same, f"{name}: {value!r} came out as {got!r}"


def as_csv(rows: list[tuple[Any, ...]], header: list[str] | None) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(header)
    spelled = {True: "true", False: "False"}
    for size, rooms, furnished, town, rent in rows:
        writer.writerow([repr(size), rooms, spelled[furnished], town, "" if rent is None else rent])
    return out.getvalue().encode()


@given(ROWS)
def test_json_forms_decode_to_what_was_sent(rows: list[tuple[Any, ...]]) -> None:
    names = SIGNATURE.names
    records = [dict(zip(names, row, strict=True)) for row in rows]
    backwards = [row[::-1] for row in rows]
    for document in (
        {"dataframe_split": {"columns": names, "data": rows}},
        {"dataframe_split": {"columns": names[::-1], "index": [1], "data": backwards}},
        {"dataframe_split": {"data": rows}},
        {"dataframe_records": records},
        {"instances": records},
        {"instances": rows},
        {"inputs": dict(zip(names, expected(rows), strict=True))},
    ):
        assert_same(decode(SIGNATURE, JSON, json.dumps(document).encode()), rows)


@given(ROWS)
def test_csv_decodes_to_what_was_sent_with_and_without_header(rows: list[tuple[Any, ...]]) -> None:
    assert_same(decode(SIGNATURE, CSV, as_csv(rows, None)), rows)
    assert_same(decode(SIGNATURE, CSV, as_csv(rows, SIGNATURE.names)), rows)
    assert_same(decode(SIGNATURE, "text/csv; header=absent", as_csv(rows, None)), rows)


def test_a_csv_header_names_the_columns_in_any_order() -> None:
    body = b"town,rooms,size,furnished\r\nBonn,3,80.5,TRUE\r\n"
    decoded = decode(SIGNATURE, 'text/csv; charset=utf-8; header="present"', body)
    assert [decoded.columns[n][0] for n in SIGNATURE.names[:4]] == [80.5, 3, True, "Bonn"]
    assert math.isnan(decoded.columns["rent"][0]), "an absent nullable column is not null"


def test_a_byte_order_mark_and_blank_lines_are_no_data() -> None:
    decoded = decode(SIGNATURE, CSV, "\ufeff1.0,2,true,Köln,\n\n2.0,3,false,Bonn,5\n".encode())
    assert decoded.columns["town"] == ["Köln", "Bonn"]


def test_numbers_may_be_spelled_as_whole_floats() -> None:
    body = b'{"instances": [[80, 3.0, true, "Bonn", null]]}'
    assert decode(SIGNATURE, "", body).columns["rooms"] == [3]
    assert decode(SIGNATURE, CSV, b"80,3e0,true,Bonn,\n").columns["rooms"] == [3]


def test_a_bare_nan_is_null_as_pandas_writes_it() -> None:
    body = b'{"instances": [[80.0, 3, true, "NaN: none", NaN]]}'
    decoded = decode(SIGNATURE, JSON, body)
    assert math.isnan(decoded.columns["rent"][0])
    assert decoded.columns["town"] == ["NaN: none"]


def test_colons_inside_text_are_no_repeated_names() -> None:
    body = json.dumps({"instances": [{"size": 1, "rooms": 2, "furnished": True, "town": "a:b:c"}]})
    assert decode(SIGNATURE, JSON, body.encode()).columns["town"] == ["a:b:c"]


def test_a_tensor_takes_rows_of_numbers() -> None:
    decoded = decode(TENSOR, JSON, b'{"inputs": [[1, 2, 3], [4, 5, 6]]}')
    assert decoded.columns == {"0": [1, 4], "1": [2, 5], "2": [3, 6]}
    assert decode(TENSOR, CSV, b"0,1,2\n").rows == 1, "numbers were taken for a header"


def test_no_rows_are_no_error() -> None:
    assert decode(SIGNATURE, JSON, b'{"instances": []}').rows == 0
    assert decode(SIGNATURE, CSV, b"size,rooms,furnished,town,rent\n").rows == 0


def status_of(kind: str, body: bytes) -> int:
    """What a client would get; anything but a RequestError is a defect and goes through."""
    try:
        decode(SIGNATURE, kind, body)
    except RequestError as error:
        return error.status
    return 200


@given(st.binary(max_size=200), st.sampled_from([JSON, CSV, "", "text/csv; header=present"]))
def test_any_bytes_decode_or_are_the_clients_fault(body: bytes, kind: str) -> None:
    status = status_of(kind, body)
    assert status in {200, 400}, f"{status} for {body!r}"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=12,
)


@given(st.sampled_from(["dataframe_split", "instances", "inputs", "other"]), JSON_VALUES)
def test_any_json_decodes_or_is_the_clients_fault(form: str, value: Any) -> None:
    for inner in (value, {"columns": value, "data": value}, {"columns": ["size"], "data": value}):
        body = json.dumps({form: inner}).encode()
        status = status_of(JSON, body)
        assert status in {200, 400}, f"{status} for {body!r}"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("text/*", CSV),
        ("text/csv;q=0.5, application/json;q=0.9", JSON),
        ("text/csv, */*;q=0.1", CSV),
        ("application/x-npy, text/csv;q=0.2", CSV),
    ],
)
def test_accept_decides_the_form_of_the_answer(accept: str, answer: str) -> None:
    assert accepted(accept) == answer


@pytest.mark.parametrize("accept", ["application/x-npy", "image/*", "text/csv;q=0", "text/csv;q=x"])
def test_an_accept_that_nothing_fits_is_refused(accept: str) -> None:
    with pytest.raises(
        RequestError, match=r"accept is .*; application/json, text/csv or application/jsonlines can"
    ) as info:
        accepted(accept)
    assert info.value.status == 406


@given(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1))
def test_answers_keep_every_digit(predictions: list[list[float]]) -> None:
    assert json.loads(encode(JSON, predictions)) == {"predictions": predictions}
    lines = list(csv.reader(io.StringIO(encode(CSV, predictions).decode())))
    assert [[float(cell) for cell in line] for line in lines] == predictions


def test_answers_as_csv_have_no_header_and_leave_null_empty() -> None:
    assert encode(CSV, ["a,b", None, 2]) == b'"a,b"\n""\n2\n'
    assert encode(CSV, [{"x": 1.5, "y": None}]) == b"1.5,\n"

"""Bad input: a 4xx that names the column, what came and what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.errors import RequestError
from inference.formats.codecs import CSV, JSON, decode
from inference.formats.signature import Column, Signature

SIGNATURE = Signature(
    (
        Column("size", "number", "double", False),
        Column("rooms", "integer", "int32", False),
        Column("furnished", "boolean", "", False),
        Column("town", "string", "", False),
        Column("built", "string", "date-time", True),
        Column("rent", "number", "float", True),
    ),
    None,
)
GOOD: dict[str, Any] = {
    "size": 80.5,
    "rooms": 3,
    "furnished": True,
    "town": "Bonn",
    "built": "1990-05-01T00:00:00",
    "rent": 900.0,
}
NAMES = list(GOOD)


def refused(body: bytes, kind: str = JSON) -> RequestError:
    with pytest.raises(RequestError) as info:
        decode(SIGNATURE, kind, body)
    return info.value


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("size", "80", "'80' came; a finite number is needed"),
        ("size", True, "True came; a finite number is needed"),
        ("size", [1], r"\[1\] came; a finite number"),
        ("rent", 1e39, "1e[+]39 came; a finite number"),
        pytest.param("size", 10**400, "000... came; a finite number", id="size-10**400"),
        ("rooms", 2.5, "2.5 came; a whole number from -2147483648 to 2147483647"),
        ("rooms", 2**31, "2147483648 came; a whole number from"),
        ("rooms", 10**30, "1e[+]30 came; a whole number"),
        ("rooms", None, "null came; a whole number"),
        ("rooms", "3", "'3' came; a whole number"),
        ("furnished", 1, "1 came; true or false is needed"),
        ("furnished", "true", "'true' came; true or false is needed"),
        ("furnished", None, "null came; true or false"),
        ("town", 5, "5 came; text is needed"),
        ("town", None, "null came; text is needed"),
        ("town", {"a": 1}, "came; text is needed"),
        ("built", "yesterday", "'yesterday' came; a date and time in ISO 8601"),
        ("built", "9999-01-01T00:00:00", "of the years 1678 to 2261"),
        ("built", 5, "5 came; a date and time"),
    ],
)
def test_a_value_of_another_type_names_row_and_column(
    column: str, value: Any, message: str
) -> None:
    body = json.dumps({"instances": [GOOD, {**GOOD, column: value}]}).encode()
    error = refused(body)
    assert error.status == 400
    assert f"row 1, column {column!r}: " in str(error), str(error)
    with pytest.raises(RequestError, match=message):
        raise error


@pytest.mark.parametrize("form", ["instances", "dataframe_records"])
def test_a_missing_column_is_named_with_those_needed(form: str) -> None:
    body = {form: [GOOD, {k: v for k, v in GOOD.items() if k != "rooms"}]}
    error = refused(json.dumps(body).encode())
    assert str(error) == f"row 1: column 'rooms' is missing; needed are {', '.join(NAMES)}"


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (b"size,furnished,town,built,rent", b"1,true,Bonn,,5", "column 'rooms' is missing"),
        (b"size,rooms,furnished,town,built,rent,sea", b"1,2,true,Bonn,,5,6", "'sea'"),
        (b"size,rooms,rooms,furnished,town,built,rent", b"1,2,2,true,Bonn,,5", "'rooms'"),
    ],
)
def test_a_header_that_nobody_announced_is_still_told_by_its_names(
    header: bytes, row: bytes, message: str
) -> None:
    error = refused(header + b"\n" + row + b"\n", CSV)

    assert error.status == 400
    assert message in str(error)


def test_a_column_missing_from_a_split_or_a_header_is_named() -> None:
    split = {"columns": ["size"], "data": [[1.0]]}
    for error in (
        refused(json.dumps({"dataframe_split": split}).encode()),
        refused(b"size\n1.0\n", "text/csv; header=present"),
    ):
        assert str(error).startswith("column 'rooms' is missing; needed are size, rooms"), error


def test_an_unknown_column_is_named_where_a_needed_one_is_missing() -> None:
    misspelt = {**{k: v for k, v in GOOD.items() if k != "town"}, "twon": "Bonn"}
    split = {"columns": list(misspelt), "data": [list(misspelt.values())]}
    header = ",".join(misspelt).encode()
    for kind, body in (
        (JSON, json.dumps({"instances": [misspelt]}).encode()),
        (JSON, json.dumps({"dataframe_split": split}).encode()),
        (JSON, json.dumps({"inputs": {k: [v] for k, v in misspelt.items()}}).encode()),
        ("application/jsonlines", json.dumps(misspelt).encode()),
        ("text/csv; header=present", header + b"\n"),
        (CSV, header + b"\n"),
    ):
        error = refused(body, kind)
        assert error.status == 400
        want = f"column 'town' is missing; needed are {', '.join(NAMES)}; 'twon' came, which the"
        assert want in str(error), str(error)


def test_a_name_that_comes_twice_is_refused_in_every_form() -> None:
    twice = json.dumps(GOOD)[:-1] + ', "size": 2}'
    for body in (
        b'{"instances": [' + twice.encode() + b"]}",
        b'{"instances": [], "instances": []}',
        json.dumps({"dataframe_split": {"columns": ["size", "size"], "data": [[1, 2]]}}).encode(),
    ):
        assert "came more than once; once is allowed" in str(refused(body)), body
    error = refused(b"size,size\n1,2\n", "text/csv; header=present")
    assert str(error) == "column 'size' came more than once; once is allowed"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; a JSON object is needed"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b'{"instances": [[Infinity]]}', "the body holds Infinity; send numbers that are finite"),
        (b'{"instances": [[NaN, -Infinity]]}', "the body holds -Infinity"),
        (b'{"instances": [["\\ud800", NaN]]}', "the body is not JSON"),
        pytest.param(b"[" * 100_000, "the body is not JSON", id="deep"),
        pytest.param(b"[NaN" + b",[" * 100_000, "the body is not JSON", id="deep-nan"),
        pytest.param(b"9" * 5000, "the body is not JSON", id="digits"),
        (b"[]", "the body is a list; an object with dataframe_split"),
        (b'"text"', "the body is text; an object"),
        (b"null", "the body is null; an object"),
        (b"{}", r"the body has \[\]; one of dataframe_split, dataframe_records, instances or inp"),
        (b'{"rows": []}', r"the body has \['rows'\]; one of"),
        (b'{"instances": [], "inputs": []}', r"the body has \['instances', 'inputs'\]; one of"),
        (b'{"instances": 5}', "instances is a number; a list of rows is needed"),
        (b'{"instances": [5]}', "instances: row 0 is a number; a list is needed"),
        (b'{"instances": [[1.0, 2]]}', "row 0 has 2 values; 6 are needed, in the order size, roo"),
        (b'{"instances": [{}, 5]}', "instances: row 1 is a number; an object is needed"),
        (b'{"inputs": {"size": [1], "rooms": [1, 2]}}', r"the columns have \[1, 2\] rows"),
        (b'{"inputs": {"size": 1}}', "inputs: 'size' is a number; a list is needed"),
        (b'{"inputs": {}}', "column 'size' is missing"),
        (b'{"dataframe_split": 5}', "dataframe_split needs an object with columns and data"),
        (b'{"dataframe_split": {"columns": "a", "data": []}}', "columns is text; a list is need"),
        (
            b'{"dataframe_split": {"columns": ["size"], "data": [[1], [1, 2]]}}',
            "row 1 has 2 values; columns names 1: 'size'",
        ),
        (
            json.dumps({"dataframe_split": {"columns": ["z" * 300] * 9, "data": [[1]]}}).encode(),
            r"row 0 has 1 values; columns names 9: ('z{60}\.\.\.(, |$)){8}$",
        ),
        (b'{"dataframe_split": {"columns": ["size"], "data": [5]}}', "row 0 has a number; colu"),
    ],
)
def test_a_body_of_another_form_says_which_is_needed(body: bytes, message: str) -> None:
    error = refused(body)
    assert error.status == 400
    with pytest.raises(RequestError, match=message):
        raise error


@pytest.mark.parametrize("depth", [29, 30])
def test_json_is_at_most_32_deep(depth: int) -> None:
    row = json.dumps(GOOD).encode().replace(b"80.5", b"[" * depth + b'"]"' + b"]" * depth)
    error = refused(b'{"instances": [' + row + b"]}")
    too_deep = "the JSON is nested more than 32 deep; a request needs 5"
    assert (str(error) == too_deep) == (depth > 29), error
    assert len(str(error)) < 200, "the error carries the whole value"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", CSV, "the body is empty; rows of size, rooms, furnished, town, built, rent are"),
        (b"1,2\n", CSV, "row 0 has 2 cells; 6 are needed, in the order size, rooms"),
        (b"1,2,true,Bonn,,5,6\n", CSV, "row 0 has 7 cells; 6 are needed"),
        (b"1,2,true,B\xf6nn,,5\n", CSV, r"the CSV is not UTF-8 \(byte 10\)"),
        (b'1,2,true,"Bonn,,5\n', CSV, "the body is not CSV"),
        (b"x,2,true,Bonn,,5\n", CSV, "row 0, column 'size': 'x' came; a finite number"),
        (b"inf,2,true,Bonn,,5\n", CSV, "column 'size': inf came; a finite number"),
        (b"1_0,2,true,Bonn,,5\n", CSV, "column 'size': '1_0' came"),
        (b"1,2.5,true,Bonn,,5\n", CSV, "column 'rooms': 2.5 came; a whole number"),
        (b"1,,true,Bonn,,5\n", CSV, "column 'rooms': null came; a whole number"),
        (b"1," + b"9" * 5000 + b",true,Bonn,,5\n", CSV, "column 'rooms': inf came"),
        (b"1,2,yes,Bonn,,5\n", CSV, "column 'furnished': 'yes' came; true or false"),
        (b"1,2,true,Bonn,soon,5\n", CSV, "column 'built': 'soon' came; a date and time"),
        (b"1,2,true,Bonn,,5\n", "text/csv; header=maybe", "header is 'maybe'; present or absent"),
    ],
)
def test_csv_at_fault_names_row_and_column(body: bytes, kind: str, message: str) -> None:
    error = refused(body, kind)
    assert error.status == 400
    with pytest.raises(RequestError, match=message):
        raise error


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "application/x-npy",
            "content type is 'application/x-npy'; application/json, text/csv, appl",
        ),
        ("text/csv; charset=latin-1", "charset is 'latin-1'; utf-8 is needed"),
    ],
)
def test_content_that_cannot_be_read_is_415(kind: str, message: str) -> None:
    error = refused(b"{}", kind)
    assert error.status == 415
    assert message in str(error)

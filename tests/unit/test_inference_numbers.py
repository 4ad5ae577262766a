"""The quick way from bytes to numbers gives what the careful way gives, or leaves it to that."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.decoding.csv_numbers import MARKED_BYTES
from inference.decoding.numbers import NumberReader
from inference.errors import RequestError
from inference.formats.codecs import decode
from inference.formats.signature import Column, Signature

NUMBERS = Signature(
    (
        Column("size", "number", "double", nullable=False),
        Column("rooms", "integer", "int32", nullable=False),
        Column("rent", "number", "float", nullable=True),
    ),
    None,
)
PLAIN = Signature(tuple(Column(f"f{i}", "number", "double", False) for i in range(3)), None)
MIXED = Signature((*NUMBERS.columns, Column("furnished", "boolean", "", nullable=False)), None)
TENSOR = Signature(tuple(Column(str(n), "number", "float32", False) for n in range(2)), "float32")
ONE = Signature((Column("x", "integer", "int64", nullable=False),), None)
SIGNATURES = [NUMBERS, PLAIN, MIXED, TENSOR, ONE]


def quick(signature: Signature, kind: str, body: bytes | bytearray) -> Any:
    """The matrix of the quick way, or None where it leaves the body to the careful one."""
    reader = NumberReader(signature)
    part = reader.json(body) if kind == "application/json" else reader.csv(body)
    if part is None:
        return None
    matrix = reader.matrix([part[1]])
    assert matrix.shape == (part[0], len(signature.columns))
    return matrix if reader.fits(matrix) else None


def careful(signature: Signature, kind: str, body: bytes) -> Any:
    """The same of the careful way; None for a refusal."""
    try:
        decoded = decode(signature, kind, body)
    except RequestError:
        return None
    columns = [[np.nan if v is None else v for v in values] for values in decoded.columns.values()]
    return np.array(columns, dtype=np.float64).reshape(len(columns), decoded.rows).T


def assert_same(signature: Signature, kind: str, body: bytes) -> Any:
    found = quick(signature, kind, body)
    if found is None:
        return None
    want = careful(signature, kind, body)
    assert want is not None, f"the careful way refuses {body!r}"
    assert want.shape == found.shape, body
    assert found.tobytes() == np.ascontiguousarray(want).tobytes(), f"{body!r}: {found} != {want}"
    return found


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1000, 1000).map(lambda v: round(v, 3)),
    st.integers(-5, 5),
    st.integers(-5, 5).map(float),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**53, 2**53 + 1, -(2**53), 2**63, 2**64, 3.5e38, 1e39, -0.0, 1e-320]),
)
ODD = st.one_of(
    VALUES, st.none(), st.booleans(), st.sampled_from(["1", "", "x", math.nan, math.inf, [1], {}])
)
SPELLINGS = st.sampled_from(["-0", "+1", "1.", ".5", "01", "1_0", " 2", "1e400", '"3"', "0x1", ""])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[Signature, bytes]:
    """JSON in every form, mostly good, now and then with something that is not."""
    signature = draw(st.sampled_from(SIGNATURES))
    names = list(signature.names)
    value = draw(st.sampled_from([VALUES, VALUES, ODD]))
    rows = draw(st.lists(st.lists(value, min_size=len(names), max_size=len(names)), max_size=4))
    if signature is MIXED:
        rows = [[*row[:-1], draw(st.booleans())] for row in rows]
    if draw(st.integers(0, 9)) == 0 and rows:
        draw(st.sampled_from(rows)).append(1.0)
    order = draw(st.one_of(st.just(names), st.permutations(names)))
    if draw(st.integers(0, 9)) == 0:
        order = draw(st.sampled_from([[*order, "more"], order[1:], [*order[1:], order[-1]]]))
    records = [dict(zip(names, row, strict=False)) for row in rows]
    form = draw(st.sampled_from(["instances", "dataframe_records", "inputs", "split", "columns"]))
    document: dict[str, Any]
    match form:
        case "split":
            split = {"columns": order, "data": rows}
            if draw(st.booleans()):
                split["index"] = list(range(len(rows)))
            document = {"dataframe_split": split}
        case "columns":
            document = {"inputs": {n: [row[i] for row in rows] for i, n in enumerate(names)}}
        case _:
            document = {form: draw(st.sampled_from([rows, records]))}
    if draw(st.integers(0, 9)) == 0:
        document[draw(st.sampled_from(["instances", "params", "a:b"]))] = draw(ODD)
    return signature, _text(document, draw)


def _text(document: Any, draw: st.DrawFn) -> bytes:
    text = json.dumps(document, indent=draw(st.sampled_from([None, None, 1])))
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("1", draw(SPELLINGS), 1)
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("[", draw(st.sampled_from(["[[", "[ ", "[],["])), 1)
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at] + draw(st.sampled_from(["", ",", "]", "}", " ", "\ufeff", "0"])) + text[at:]
        )
    return text.encode()


@settings(max_examples=500, deadline=None)
@given(bodies())
def test_json_has_the_values_of_the_careful_decoder(body: tuple[Signature, bytes]) -> None:
    assert_same(body[0], "application/json", body[1])


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([PLAIN, ONE]), st.sampled_from([", ", ","]))
def test_rows_that_were_touched_are_read_as_carefully(
    data: st.DataObject, signature: Signature, comma: str
) -> None:
    """Brackets and commas moved about in good rows: nothing is read that is not there."""
    width = len(signature.columns)
    rows = [[row * width + i for i in range(width)] for row in range(5)]
    text = json.dumps({"instances": rows}, separators=(comma, ":"))
    csv_text = "\n".join(",".join(map(str, row)) for row in rows)
    for _ in range(data.draw(st.integers(1, 3))):
        at, size = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
        new = data.draw(st.sampled_from(["", "[", "]", ",", "],[", "], [", "[]", " ", "\n", "\r"]))
        text = text[:at] + new + text[at + size :]
        csv_text = csv_text[:at] + new + csv_text[at + size :]
    assert_same(signature, "application/json", text.encode())
    assert_same(signature, "text/csv", csv_text.encode())


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_many_rows_are_read_quickly(indent: int | None, separators: tuple[str, str]) -> None:
    rows = [[float(row), row + 0.5, -row / 8] for row in range(1000)]
    body = json.dumps({"instances": rows}, indent=indent, separators=separators).encode()
    found = assert_same(PLAIN, "application/json", body)
    assert found is not None
    assert found.tolist() == rows


LINES = 6000
END = b"\n"


def line(row: int) -> bytes:
    return b"%d.5,%d.25,-%d" % (row, row, row + 1)


@pytest.mark.parametrize("first", [b"", b"f0,f1,f2\n", b"f0,f1,f2\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_many_lines_are_read_quickly(first: bytes, last: bytes) -> None:
    body = first + END.join(map(line, range(LINES))) + last
    assert len(body) > MARKED_BYTES
    found = assert_same(PLAIN, "text/csv", body)
    assert found is not None
    assert found.shape == (LINES, 3)
    assert quick(PLAIN, "text/csv", bytearray(body)) is not None


@pytest.mark.parametrize(
    "lines",
    [
        [b"1,2,3,4", b"5,6"],
        [b"1,2", b"3,4,5,6"],
        [b"1,2,3", b""],
        [b"1,2,3e99"],
        [b"1,2,3,3e99,4,5,6"],
        [b"1,2,3,30e98,4,5", b"6"],
        [b"3e99,3e99,3e99"],
        [b"1,2,-0"],
        [b"1,2,-0.0"],
        [b"1,2,0", b"0,0,-0"],
        [b"1,2,"],
        [b"1,2,[3]"],
        [b"1,2,null"],
        [b"1,2,3]"],
        [b"],[1,2,3"],
    ],
)
@pytest.mark.parametrize("at", [0, 3000])
def test_one_line_among_many_is_read_as_carefully(lines: list[bytes], at: int) -> None:
    every = [line(row) for row in range(LINES)]
    assert_same(PLAIN, "text/csv", END.join((*every[:at], *lines, *every[at:])))


def test_a_carriage_return_inside_a_line_is_left_to_the_careful_decoder() -> None:
    body = b"1,2\r,3"
    assert quick(PLAIN, "text/csv", body) is None
    with pytest.raises(RequestError, match="row 0 has 2 cells; 3 are needed"):
        decode(PLAIN, "text/csv", body)


def test_objects_in_a_long_body_are_left_to_the_thread_of_large_bodies() -> None:
    document = {"instances": [RECORD] * 10}
    body = json.dumps(document).encode()
    assert NumberReader(NUMBERS, len(body)).json(body) is not None
    assert NumberReader(NUMBERS, len(body) - 1).json(body) is None


@st.composite
def tables(draw: st.DrawFn) -> tuple[Signature, bytes]:
    """CSV, mostly of plain numbers."""
    signature = draw(st.sampled_from(SIGNATURES))
    width = len(signature.columns)
    cell = st.one_of(VALUES.map(repr), VALUES.map(repr), SPELLINGS)
    cell = draw(st.sampled_from([VALUES.map(repr), VALUES.map(repr), cell]))
    rows = draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=4))
    if draw(st.integers(0, 9)) == 0 and rows:
        draw(st.sampled_from(rows)).append("1")
    if draw(st.booleans()):
        rows.insert(0, draw(st.one_of(st.just(signature.names), st.permutations(signature.names))))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(",".join(row) for row in rows) + draw(st.sampled_from(["", end, end * 2]))
    return signature, text.encode()


@settings(max_examples=500, deadline=None)
@given(tables())
def test_csv_has_the_values_of_the_careful_decoder(body: tuple[Signature, bytes]) -> None:
    assert_same(body[0], "text/csv", body[1])


ROW = [80.5, 3, 900.25]
RECORD = dict(zip(NUMBERS.names, ROW, strict=True))


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [ROW]},
        {"instances": [ROW, ROW]},
        {"inputs": [ROW]},
        {"instances": [RECORD, dict(reversed(RECORD.items()))]},
        {"dataframe_records": [RECORD]},
        {"dataframe_split": {"columns": NUMBERS.names, "data": [ROW]}},
        {"dataframe_split": {"columns": NUMBERS.names[::-1], "data": [ROW[::-1], ROW[::-1]]}},
        {"dataframe_split": {"data": [ROW]}},
        {"dataframe_split": {"columns": NUMBERS.names, "index": [0], "data": [ROW]}},
        {"inputs": {name: [value, value] for name, value in RECORD.items()}},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_common_forms_are_read_quickly(document: Any, indent: int | None) -> None:
    body = json.dumps(document, indent=indent).encode()
    found = assert_same(NUMBERS, "application/json", body)
    assert found is not None, "a common form is left to the careful decoder"
    assert quick(NUMBERS, "application/json", bytearray(body)) is not None
    assert found[0].tolist() == ROW


@pytest.mark.parametrize("body", [b"80.5,3,900.25\n", b"size,rooms,rent\r\n80.5,3,900.25"])
def test_plain_csv_is_read_quickly(body: bytes) -> None:
    found = assert_same(NUMBERS, "text/csv", body)
    assert found is not None, "plain CSV is left to the careful decoder"
    assert found.tolist() == [ROW]


def test_true_and_false_are_numbers_in_their_own_columns_alone() -> None:
    body = json.dumps({"instances": [[*ROW, True], [*ROW, False]]}).encode()
    found = assert_same(MIXED, "application/json", body)
    assert found is not None
    assert found[:, 3].tolist() == [1.0, 0.0]
    for row in ([True, 3, 1.0, True], [1.0, 3, 1.0, 1]):
        assert quick(MIXED, "application/json", json.dumps({"instances": [row]}).encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[[1, 2], 3, []]]}',
        b'{"instances": [[1, 2, [3]]]}',
        b'{"instances": [[1, 2], [3, 4, 5, 6]]}',
        b'{"instances": [[1, 2, 3]], "instances": [[1, 2, 3]]}',
        b'{"instances": [[1, 2, 3]], "params": {}}',
        b'{"instances": [1, 2, 3]}',
        b'{"instances": []}',
        b'{"instances": [[1, 5.5, 3]]}',
        b'{"instances": [[1, 2147483648, 3]]}',
        b'{"instances": [[1, 9007199254740993, 3]]}',
        b'{"instances": [[1, 2, 1e39]]}',
        b'{"instances": [[1, 2, null]]}',
        b'{"instances": [[1, 2, NaN]]}',
        b'{"instances": [[1, 2, "3"]]}',
        b'{"instances": [[1, 2, true]]}',
        b'{"instances": [{"size": 1, "rooms": 2, "rent": 3, "rent": 4}]}',
        b'{"instances": [{"size": 1, "rooms": 2, "sea": 4}]}',
        b'\xef\xbb\xbf{"instances": [[1, 2, 3]]}',
        b"[[1, 2, 3]]",
        b"",
    ],
)
def test_what_is_not_understood_in_full_is_left_to_the_careful_decoder(body: bytes) -> None:
    assert quick(NUMBERS, "application/json", body) is None


def test_signatures_with_text_are_not_read() -> None:
    assert not NumberReader.reads(Signature((Column("town", "string", "", False),), None))
    assert not NumberReader.reads(Signature((), None))
    assert all(NumberReader.reads(signature) for signature in SIGNATURES)


def test_a_refused_body_leaves_the_reader_as_it_was() -> None:
    reader = NumberReader(NUMBERS)
    for body in (b'{"instances": [[1, "2", 3]]}', b"{", b'{"instances": [[1,2,3],{}]}'):
        assert reader.json(body) is None
    assert reader.json(b'{"instances": [[1, 2, 3]]}') is not None


NAMED = Signature(tuple(Column(str(n), "number", "double", False) for n in (1, 2, 3)), None)


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        (b"1,2,3", 1),
        (b"3,1,2", 1),
        (b"1,2,3\r", 1),
        (b"1,2,3.0", 2),
        (b"1,2,5", 2),
        (b"1,1,1", 2),
        (b"1,2,-3", 2),
    ],
)
def test_a_first_line_of_numbers_is_a_header_only_if_these_are_the_names(
    first: bytes, rows: int
) -> None:
    body = first + b"\n4,5,6\n"
    found = careful(NAMED, "text/csv", body)
    assert found is not None, "a row was refused as a header that went wrong"
    assert len(found) == rows
    assert_same(NAMED, "text/csv", body)
    assert (quick(NAMED, "text/csv", body) is None) == (rows == 1)


def test_names_that_are_numbers_are_a_row_where_there_is_said_to_be_no_header() -> None:
    part = NumberReader(NAMED).csv_rows(b"1,2,3\n")
    assert part is not None
    assert part[0] == 1 == decode(NAMED, "text/csv; header=absent", b"1,2,3\n").rows

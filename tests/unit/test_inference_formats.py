"""Every format says the same rows, and whatever comes is rows or the client's fault."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.decoding import parquet
from inference.errors import RequestError
from inference.formats import codecs
from inference.formats.codecs import Decoded
from inference.formats.signature import Column, Signature

STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
LINES = "application/jsonlines"
SIGNATURE = Signature(
    (
        Column("size", "number", "double", False),
        Column("rooms", "integer", "int32", False),
        Column("furnished", "boolean", "", True),
        Column("town", "string", "", False),
        Column("built", "string", "date-time", True),
    ),
    None,
)
NAMES = SIGNATURE.names
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
ROWS = st.lists(
    st.tuples(
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(2**31), 2**31 - 1),
        st.none() | st.booleans(),
        TEXT,
        st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),  # noqa: DTZ001
    ),
    min_size=1,
    max_size=8,
)
Rows = list[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def parquet_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PARQUET", "1")


def table(rows: Rows, **types: Any) -> Any:
    kinds = [pa.float64(), pa.int32(), pa.bool_(), pa.string(), pa.timestamp("us")]
    columns = zip(*rows, strict=True)
    arrays = {
        name: pa.array(list(values), types.get(name, kind))
        for name, values, kind in zip(NAMES, columns, kinds, strict=True)
    }
    return pa.table({"unheard of": pa.array([[1]] * len(rows)), **arrays})


def as_arrow(of: Any, file: bool = False, **options: Any) -> bytes:
    out = io.BytesIO()
    new = pa.ipc.new_file if file else pa.ipc.new_stream
    with new(out, of.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(of, max_chunksize=3)
    return out.getvalue()


def as_parquet(of: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(of, out, **options)
    return out.getvalue()


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else value


def as_lines(rows: Rows) -> bytes:
    records = [{n: as_json(v) for n, v in zip(NAMES, row, strict=True)} for row in rows]
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def as_csv(rows: Rows) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(NAMES)
    writer.writerows([["" if v is None else as_json(v) for v in row] for row in rows])
    return out.getvalue().encode()


def decode(kind: str, body: bytes, **more: Any) -> Decoded:
    return codecs.decode(SIGNATURE, kind, body, **more)


def comparable(decoded: Decoded) -> dict[str, list[Any]]:
    return {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in values]
        for name, values in decoded.columns.items()
    }


def refused(kind: str, body: bytes, **more: Any) -> RequestError:
    with pytest.raises(RequestError) as info:
        decode(kind, body, **more)
    return info.value


@settings(deadline=None)  # the first one starts Parquet's reader
@given(ROWS)
def test_every_format_decodes_to_what_was_sent(rows: Rows) -> None:
    want = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    of = table(rows)
    for kind, body, ignored in (
        (STREAM, as_arrow(of), 1),
        (FILE, as_arrow(of, file=True), 1),
        (PARQUET, as_parquet(of), 1),
        (LINES, as_lines(rows), 0),
        ("application/x-ndjson", as_lines(rows)[:-1], 0),
    ):
        decoded = decode(kind, body)
        assert comparable(decoded) == want, kind
        assert (decoded.rows, decoded.ignored) == (len(rows), ignored), kind
    spelled = [row for row in rows if "\0" not in row[3]]
    if len(spelled) == len(rows):
        assert comparable(decode("text/csv", as_csv(rows))) == want


VIEWS = pa.dictionary(pa.uint16(), pa.string_view())
NOT_IN_PARQUET = (pa.float16(), VIEWS)  # pyarrow writes none of them
ROW = (80.5, 3, True, "Bonn, or a longer name of a town", dt.datetime(1990, 5, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("town", pa.large_string()),
        ("town", pa.string_view()),
        ("town", pa.dictionary(pa.int8(), pa.string())),
        ("town", VIEWS),
        ("size", pa.float32()),
        ("size", pa.float16()),
        ("rooms", pa.uint8()),
        ("rooms", pa.int64()),
        ("rooms", pa.float64()),
        ("built", pa.timestamp("s")),
        ("built", pa.timestamp("ns", "Europe/Berlin")),
        ("built", pa.date32()),
        ("built", pa.date64()),
    ],
)
def test_arrow_and_parquet_take_every_type_that_says_the_same(column: str, kind: Any) -> None:
    want = comparable(decode(STREAM, as_arrow(table([ROW] * 4))))
    plain = table([ROW] * 4)
    at = plain.schema.get_field_index(column)
    if pa.types.is_dictionary(kind):
        encoded = plain[column].combine_chunks().cast(kind.value_type).dictionary_encode()
        indices = encoded.indices.cast(kind.index_type)
        cast = pa.DictionaryArray.from_arrays(indices, encoded.dictionary)
    else:
        cast = plain[column].cast(kind)
    other = plain.set_column(at, column, cast)
    assert comparable(decode(STREAM, as_arrow(other))) == want
    assert comparable(decode(FILE, as_arrow(other, file=True))) == want
    if kind not in NOT_IN_PARQUET:
        assert comparable(decode(PARQUET, as_parquet(other))) == want


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("size", ["80"], "row 0, column 'size': '80' came; a finite number is needed"),
        ("size", [math.inf], "row 0, column 'size': inf came; a finite number is needed"),
        ("size", [True], "row 0, column 'size': True came; a finite number is needed"),
        ("rooms", [None], "row 0, column 'rooms': null came; a whole number from -2147483648"),
        ("rooms", [2.5], "row 0, column 'rooms': 2.5 came; a whole number"),
        ("town", [5], "row 0, column 'town': 5 came; text is needed"),
        ("town", [["Bonn"]], "column 'town' is of "),
    ],
)
def test_arrow_and_parquet_are_checked_like_any_body(
    column: str, values: list[Any], message: str
) -> None:
    plain = table([ROW])
    of = plain.set_column(plain.schema.get_field_index(column), column, pa.array(values))
    for kind, body in ((STREAM, as_arrow(of)), (PARQUET, as_parquet(of))):
        error = refused(kind, body)
        assert error.status == 400
        assert message in str(error), (kind, str(error))


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_a_compressed_arrow_body_is_refused_with_the_remedy(name: str) -> None:
    error = refused(STREAM, as_arrow(table([ROW] * 3), compression=name))
    assert "the Arrow body is compressed; write it without, for example with pyarrow" in str(error)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "brotli"])
def test_parquet_is_read_whatever_compresses_it(codec: str) -> None:
    of = table([ROW] * 1000)
    decoded = decode(PARQUET, as_parquet(of, compression=codec, row_group_size=300))
    assert comparable(decoded) == comparable(decode(STREAM, as_arrow(of)))


@pytest.mark.parametrize(
    ("rows", "town", "message"),
    [
        (300_000, "", "the Parquet body has 300000 rows in "),
        (200, "x" * 1_000_000, "bytes; send fewer rows"),
    ],
)
def test_parquet_that_stands_for_far_more_than_its_bytes_is_refused(
    rows: int, town: str, message: str
) -> None:
    of = table([(1.0, 1, None, town and f"{i}{town}", None) for i in range(rows)])
    assert message in str(refused(PARQUET, as_parquet(of, compression="zstd")))


def test_parquet_is_415_unless_the_operator_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_PARQUET")
    error = refused(PARQUET, as_parquet(table([ROW])))
    assert (error.status, "build the image with --with-parquet" in str(error)) == (415, True)
    monkeypatch.setenv("SLIPWAY_PARQUET", "1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    error = refused(PARQUET, as_parquet(table([ROW])))
    assert (error.status, "pyarrow, which reads Parquet, is missing" in str(error)) == (415, True)


def test_a_parquet_body_that_ends_its_reader_costs_the_next_one_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text("import os, sys; sys.stdin.buffer.read(1); os.abort()")
    good = as_parquet(table([ROW]))
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "_READER", parquet.Reader())
        patch.setattr(parquet, "CHILD", dying)
        for _ in range(2):
            error = refused(PARQUET, good)
            assert str(error) == "the body is not Parquet: its reader ended"
        patch.undo()
        patch.setenv("SLIPWAY_PARQUET", "1")
        assert decode(PARQUET, good).rows == 1


def status_of(kind: str, body: bytes, batch: bool = False) -> int:
    """What a client would get; anything but a RequestError is a defect and goes through."""
    try:
        decoded = decode(kind, body, batch=batch)
    except RequestError as error:
        return error.status
    assert {len(values) for values in decoded.columns.values()} == {decoded.rows}
    return 200


GOOD_BODIES = [
    (STREAM, as_arrow(table([ROW] * 4))),
    (FILE, as_arrow(table([ROW] * 4, town=pa.string_view()), file=True)),
    (PARQUET, as_parquet(table([ROW] * 4))),
    (LINES, as_lines([ROW] * 2)),
    ("text/csv; header=present", as_csv([ROW] * 2)),
    ("application/json", json.dumps({"inputs": [dict.fromkeys(NAMES, 1)]}).encode()),
]
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 34, 44, 91, 127, 255])),
    max_size=4,
)


@settings(deadline=None)
@given(st.sampled_from(GOOD_BODIES), CHANGES, st.floats(0.2, 1), st.booleans())
def test_a_damaged_body_decodes_or_is_the_clients_fault(
    good: tuple[str, bytes], changes: list[tuple[float, int]], kept: float, batch: bool
) -> None:
    kind, body = good[0], bytearray(good[1])
    for where, value in changes:
        body[int(where * len(body))] = value
    assert status_of(kind, bytes(body[: int(kept * len(body))]), batch) in {200, 400, 413}


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([STREAM, FILE, PARQUET, LINES, "text/csv"]))
def test_any_bytes_decode_or_are_the_clients_fault(body: bytes, kind: str) -> None:
    assert status_of(kind, body) in {200, 400, 413}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"5", "row 0 is a number; an object or a list is needed"),
        (b"[1, 2]", "row 0 has 2 values; 5 are needed, in the order size, rooms"),
        (b'[1, 2, true, "a", null]\n{', "row 1: the body is not JSON"),
        (b'[1, 2, true, "a", null]\n[1, 2, true, 5, null]', "row 1, column 'town': 5 came; text"),
        (b'{"size": 1}', "row 0: column 'rooms' is missing; needed are size, rooms"),
        (b'{"size": 1, "size": 2}', "row 0: 'size' came more than once"),
    ],
)
def test_json_lines_at_fault_name_the_row(body: bytes, message: str) -> None:
    assert message in str(refused(LINES, body))


def test_extra_columns_are_ignored_and_counted() -> None:
    row = {"size": 1, "rooms": 2, "furnished": None, "town": "Bonn"}
    records = [{**row, "sea": 1}, {**row, "mountain": [1]}]
    split = {"columns": [*records[0]], "data": [[*records[0].values()]]}
    lines = "\n".join(map(json.dumps, records)).encode()
    for kind, body, ignored in (
        ("", json.dumps({"instances": records}).encode(), 2),
        ("", json.dumps({"dataframe_split": split}).encode(), 1),
        ("", json.dumps({"inputs": {k: [v] for k, v in records[0].items()}}).encode(), 1),
        (LINES, lines, 2),
        ("text/csv; header=present", b"sea,size,rooms,town\n1,1,2,Bonn\n", 1),
    ):
        assert decode(kind, body).ignored == ignored, body
    assert decode("", json.dumps({"instances": [row]}).encode()).ignored == 0


# --- headers


BATCH_ROW = b"1.5,2,true,Bonn,\n"
HEADER = ",".join(NAMES).encode() + b"\n"
BACKWARDS = ",".join(NAMES[::-1]).encode() + b"\n"


def test_in_a_batch_a_header_in_another_order_is_refused() -> None:
    for kind in ("text/csv", "text/csv; header=present"):
        assert decode(kind, HEADER + BATCH_ROW, batch=True).rows == 1
        assert decode(kind, BATCH_ROW, batch=True).rows == 1, "a later chunk lost its first row"
        assert "in a batch the header must be exactly" in str(refused(kind, BACKWARDS, batch=True))
    extra = b"sea," + HEADER
    error = refused("text/csv; header=present", extra + b"1," + BATCH_ROW, batch=True)
    assert "later chunks have none; needed is size, rooms" in str(error)
    assert decode("text/csv", BACKWARDS + b",Bonn,true,2,1.5\n").columns["town"] == ["Bonn"]


def test_a_header_that_is_said_to_be_absent_is_a_row() -> None:
    one = Signature((Column("town", "string", "", False),), None)
    assert codecs.decode(one, "text/csv", b"town\nBonn\n").columns == {"town": ["Bonn"]}
    said = codecs.decode(one, "text/csv; header=absent", b"town\nBonn\n")
    assert said.columns == {"town": ["town", "Bonn"]}


def test_a_header_with_a_column_too_many_says_how_to_have_it_ignored() -> None:
    error = refused("text/csv", HEADER[:-1] + b",sea\n" + BATCH_ROW[:-1] + b",1\n")
    assert str(error) == (
        "the first line names 'sea', which the model does not know; say text/csv; header=present "
        "to have it ignored"
    )


# --- streams


@given(ROWS, st.sampled_from(["text/csv", LINES]), st.data())
def test_however_a_body_is_cut_the_rows_are_the_same(
    rows: Rows, kind: str, data: st.DataObject
) -> None:
    body = as_csv(rows) if kind == "text/csv" else as_lines(rows)
    if data.draw(st.booleans()):
        body = body.rstrip(b"\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    stream = codecs.stream(SIGNATURE, kind, chunk_rows=data.draw(st.integers(1, 4)))
    chunks: list[Decoded] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        chunks += stream.feed(body[start:end])
    chunks += stream.end()
    whole = comparable(decode(kind, body))
    together = {name: [v for c in chunks for v in comparable(c)[name]] for name in NAMES}
    assert together == whole
    assert sum(chunk.rows for chunk in chunks) == len(rows)


@given(st.binary(max_size=120), st.integers(1, 40), st.sampled_from(["text/csv", LINES]))
def test_a_stream_refuses_what_the_whole_body_is_refused_for(
    body: bytes, size: int, kind: str
) -> None:
    def streamed() -> int:
        stream = codecs.stream(SIGNATURE, kind, chunk_rows=2)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = [chunk for piece in pieces for chunk in stream.feed(piece)]
        return sum(chunk.rows for chunk in [*chunks, *stream.end()])

    try:
        rows = decode(kind, body).rows
    except RequestError:
        with pytest.raises(RequestError):
            streamed()
    else:
        assert streamed() == rows


def test_a_stream_holds_no_more_than_a_chunk_and_counts_rows_from_the_start() -> None:
    stream = codecs.stream(SIGNATURE, "text/csv", chunk_rows=10)
    chunks = [chunk for _ in range(95) for chunk in stream.feed(BATCH_ROW)]
    assert [chunk.rows for chunk in chunks] == [10] * 9
    stream.feed(b"1.5,2,true,Bonn,soon\n")
    with pytest.raises(RequestError, match="row 95, column 'built': 'soon' came"):
        stream.end()


@pytest.mark.parametrize(
    ("kind", "first", "piece"),
    [
        ("text/csv", b"", b"x" * 2**20),
        ("text/csv", b'"', b"x\n" * 2**19),
        (LINES, b'"', b"x" * 2**20),
    ],
)
def test_a_stream_takes_no_row_without_an_end(kind: str, first: bytes, piece: bytes) -> None:
    stream = codecs.stream(SIGNATURE, kind)
    stream.feed(first)
    with pytest.raises(RequestError, match="row 0 has more than 6291456 bytes") as info:  # noqa: PT012 which piece it is does not matter
        for _ in range(8):
            stream.feed(piece)
    assert info.value.status == 413


def test_of_a_body_without_a_limit_only_rows_can_be_taken() -> None:
    with pytest.raises(RequestError, match="only text/csv and application/jsonlines can be taken"):
        codecs.stream(SIGNATURE, "application/json")


def test_decoding_imports_no_heavy_library(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(as_parquet(table([ROW])))
    (tmp_path / "arrow").write_bytes(as_arrow(table([ROW])))
    code = f"""
import sys
from pathlib import Path
from inference.formats import codecs
from inference.formats.signature import Column, Signature
signature = Signature((Column("size", "number", "double", False),), None)
for kind, name in (("{PARQUET}", "body"), ("{STREAM}", "arrow")):
    decoded = codecs.decode(signature, kind, (Path({str(tmp_path)!r}) / name).read_bytes())
    assert decoded.columns == {{"size": [80.5]}}, decoded
print(sorted({{"pyarrow", "pandas", "sklearn", "mlflow"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("[]\n", "")


@pytest.mark.parametrize("kind", [LINES, "text/csv; header=absent"])
@pytest.mark.parametrize("body", [b"", b"\n\r\n"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_body_of_no_rows_is_none_where_its_type_says_that_it_is_rows(
    kind: str, body: bytes, batch: bool
) -> None:
    decoded = decode(kind, body, batch=batch)
    assert decoded.rows == 0
    assert decoded.columns == {name: [] for name in NAMES}


@pytest.mark.parametrize("kind", ["text/csv", "text/csv; header=present"])
def test_an_empty_csv_that_may_have_a_header_is_refused(kind: str) -> None:
    with pytest.raises(RequestError, match="the body is empty; rows of size, rooms, furnished"):
        decode(kind, b"")

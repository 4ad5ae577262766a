"""Captured answers: read in any form, counted by minute, paired by id, in bounded memory."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.aws.cloud import UnavailableError
from release.capture.answers import (
    MAX_LINE_BYTES,
    CaptureQuery,
    CaptureReader,
    Captures,
    Pairs,
    hours,
    with_predictions,
)
from release.capture.histograms import Bins, choose, counted
from release.capture.records import LineError, Row, agree, record, rows
from release.observation import VariantMinute

NOON = datetime(2025, 11, 24, 12, 0, tzinfo=UTC).timestamp()
QUERY = CaptureQuery("s3://bucket/capture/wine", "wine", ("live", "candidate"), NOON, NOON + 120)
NAN = math.nan


def output(data: str, encoding: str = "CSV", kind: str = "text/csv") -> dict[str, Any]:
    return {"observedContentType": kind, "mode": "OUTPUT", "data": data, "encoding": encoding}


def line(
    data: str | None, at: float, event: str = "e", inference: str | None = None, **more: str
) -> bytes:
    metadata = {
        "eventId": event,
        "inferenceTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if inference is not None:
        metadata["inferenceId"] = inference
    captured = {} if data is None else {"endpointOutput": output(data, **more)}
    told = {"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(told).encode() + b"\n"


class Store:
    """S3 with a bucket of capture files."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []
        self.error: Exception | None = None

    def put(self, variant: str, at: float, *found: bytes, name: str = "") -> str:
        moment = datetime.fromtimestamp(at, UTC)
        file = name or f"{moment:%M-%S}-000-{len(self.objects):08d}.jsonl"
        key = f"capture/wine/wine/{variant}/{moment:%Y/%m/%d/%H}/{file}"
        self.objects[key] = b"".join(found)
        return key

    def get_paginator(self, name: str) -> Any:
        store = self

        class Pages:
            def __init__(self, prefix: str = "") -> None:
                self.prefix = prefix

            def paginate(self, Bucket: str, Prefix: str) -> Any:
                assert (name, Bucket) == ("list_objects_v2", "bucket")
                return Pages(Prefix)

            def build_full_result(self) -> dict[str, Any]:
                if store.error is not None:
                    raise store.error
                keys = [k for k in store.objects if k.startswith(self.prefix)]
                return {"Contents": [{"Key": k, "Size": len(store.objects[k])} for k in keys]}

        return Pages()

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        self.read.append(Key)
        body = io.BytesIO(self.objects[Key])
        return {"Body": _Body(body)}


class _Body:
    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def read(self, amt: int) -> bytes:
        return self._file.read(amt)


def floats(*values: float) -> tuple[Row, ...]:
    return tuple(Row(v, (v,)) for v in values)


# --- one answer, in every form


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        (output("0.5\n0.25\n"), floats(0.5, 0.25)),
        (output("0.5"), floats(0.5)),
        (output("yes,0.9\nno,0.8"), (Row("yes", ("yes", 0.9)), Row("no", ("no", 0.8)))),
        (output('"a ""b"""'), (Row('a "b"', ('a "b"',)),)),
        (output('{"predictions": [1, 0]}', "JSON", "application/json"), floats(1.0, 0.0)),
        (output('{"predictions": [[0.1, 0.9]]}', "JSON"), (Row("#1", (0.1, 0.9)),)),
        (output('{"predictions": [[0.7]]}', "JSON"), floats(0.7)),
        (output("[true, \"x\"]", "JSON"), (Row("true", ("true",)), Row("x", ("x",)))),
        (output("3", "JSON"), floats(3.0)),
        (output('{"label": "a", "alpha": 0.5}', "JSON"), (Row("a", ("a", 0.5)),)),
        (output('{"predictions": [{"score": 0.5, "a": "x"}]}', "JSON"), (Row(0.5, (0.5, "x")),)),
        (output('{"a": [1, 2], "b": [3, 4]}', "JSON"),
         (Row(1.0, (1.0, 3.0)), Row(2.0, (2.0, 4.0)))),
        (output('{"p": 1}\n{"p": 2}\n', "JSON"), floats(1.0, 2.0)),
        (output(base64.b64encode(b"0.5,x").decode(), "BASE64"), (Row(0.5, (0.5, "x")),)),
        (output(base64.b64encode(b'{"predictions": [2]}').decode(), "BASE64", "application/json"),
         floats(2.0)),
        (output(base64.b64encode(b"[1, 2]").decode(), "BASE64", "text/plain"), floats(1.0, 2.0)),
        (output(base64.b64encode(b"one\ntwo").decode(), "BASE64", ""),
         (Row("one", ("one",)), Row("two", ("two",)))),
    ],
)  # fmt: skip
def test_an_answer_is_read_in_the_form_it_has(captured: dict[str, Any], expected: Any) -> None:
    assert rows(captured) == expected


@pytest.mark.parametrize(
    "captured",
    [
        output(""),
        output("{", "JSON"),
        output('{"predictions": []}', "JSON"),
        output('{"predictions": [[]]}', "JSON"),
        output('{"predictions": [[[1]]]}', "JSON"),
        output("{}", "JSON"),
        output("no base64!", "BASE64"),
        output(base64.b64encode(b"\xff\xfe").decode(), "BASE64"),
        output("[" * 50_000, "JSON"),
        {"data": 7, "encoding": "CSV"},
        {},
    ],
)
def test_what_holds_no_predictions_is_none_and_no_error(captured: dict[str, Any]) -> None:
    assert rows(captured) is None


def test_missing_numbers_are_kept_as_such() -> None:
    found = rows(output('{"predictions": [null, NaN]}', "JSON"))

    assert found is not None
    assert [math.isnan(row.head) for row in found if isinstance(row.head, float)] == [True, True]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"eventMetadata": {}}', b'{"captureData": {}}',
     b'{"captureData": [], "eventMetadata": {"eventId": "e", "inferenceTime": "yesterday"}}',
     b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_a_malformed_line_is_told_as_such(text: bytes) -> None:
    with pytest.raises(LineError):
        record(text)


@given(st.binary(max_size=200))
def test_no_bytes_are_anything_but_a_record_or_malformed(text: bytes) -> None:
    with contextlib.suppress(LineError):
        record(text)


def test_the_inference_id_wins_over_the_event_id() -> None:
    assert record(line("1", NOON, "event", "mine")).id == "mine"  # pyright: ignore
    assert record(line("1", NOON, "event")).id == "event"  # pyright: ignore
    assert record(line(None, NOON)) is None


# --- comparing


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (floats(0.5), floats(0.50004), True),
        (floats(0.5), floats(0.501), False),
        (floats(0.0), floats(1e-7), True),
        (floats(NAN), floats(NAN), True),
        (floats(NAN), floats(0.0), False),
        (floats(1.0, 2.0), floats(1.0), False),
        ((Row("a", ("a", 0.5)),), (Row("a", ("a",)),), False),
        ((Row("a", ("a",)),), (Row("b", ("b",)),), False),
        (floats(1.0), (Row("1", ("1",)),), False),
    ],
)
def test_answers_agree_within_the_tolerance_of_numbers(a: Any, b: Any, same: bool) -> None:
    assert agree(a, b, 1e-4, 1e-6) is same


# --- bins


def test_few_labels_or_classes_are_bins_of_their_own() -> None:
    assert choose(["b", "a", "b"]) == Bins(labels=("a", "b"))
    assert choose([0.0, 1.0, 1.0]) == Bins(labels=("0", "1"))
    assert counted(Bins(labels=("0", "1")), [0.0, 1.0, 1.0, 2.0, "x", NAN]) == (1, 2, 3)


def test_many_labels_leave_the_rare_ones_to_the_last_bin() -> None:
    values = [f"l{i:02d}" for i in range(30) for _ in range(30 - i)]

    bins = choose(values)

    assert bins is not None
    assert len(bins.labels) == 20
    assert counted(bins, values)[-1] == sum(30 - i for i in range(20, 30))


def test_numbers_are_binned_by_tenths_of_live() -> None:
    bins = choose([i / 1000 for i in range(1, 1001)])

    assert bins == Bins(edges=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
    assert counted(bins, [0.05, 0.1, 0.11, 5.0, -math.inf, math.inf, NAN, "x"]) == (
        3, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2,
    )  # fmt: skip
    assert bins.names()[0] == "≤ 0.1"
    assert bins.names()[-2:] == ("> 0.9", "no number")
    assert len(bins.names()) == bins.count


def test_without_answers_there_are_no_bins() -> None:
    assert choose([]) is None


@given(st.lists(st.one_of(st.floats(), st.text(max_size=3)), min_size=1, max_size=50))
def test_every_prediction_falls_into_one_bin(values: list[Any]) -> None:
    bins = choose(values)

    assert bins is not None
    counts = counted(bins, values)
    assert len(counts) == bins.count == len(bins.names())
    assert sum(counts) == len(values)


# --- reading


def test_answers_are_counted_by_variant_and_minute() -> None:
    store = Store()
    store.put("live", NOON + 61, line("a\nb", NOON + 5, "1"), line("a", NOON + 59, "2"))
    store.put("live", NOON + 121, line("b", NOON + 60, "3"))
    store.put("candidate", NOON + 62, line("b", NOON + 7, "4"), line("zz", NOON + 8, "5"))

    told = CaptureReader(store)(QUERY)

    assert told.bins == Bins(labels=("a", "b"))
    assert told.predictions == {
        "live": {NOON: (2, 1, 0), NOON + 60: (0, 1, 0)},
        "candidate": {NOON: (0, 1, 1)},
    }
    assert (told.pairs, told.notes) == ({}, ())


def test_only_the_minutes_that_were_asked_for_are_counted() -> None:
    store = Store()
    times = (NOON - 1, NOON, NOON + 179, NOON + 180)
    store.put("live", NOON, *(line("a", at, str(at)) for at in times))

    assert CaptureReader(store)(QUERY).predictions["live"] == {NOON: (1, 0), NOON + 120: (1, 0)}


def test_bins_that_were_chosen_before_stay() -> None:
    store = Store()
    store.put("live", NOON, line("3", NOON, "1"))
    bins = Bins(edges=(0.5, 2.0))

    told = CaptureReader(store)(replace(QUERY, bins=bins))

    assert told.bins == bins
    assert told.predictions["live"] == {NOON: (0, 0, 1, 0)}


def test_a_file_that_comes_late_is_there_at_the_next_call() -> None:
    store = Store()
    store.put("live", NOON, line("a", NOON, "1"))
    reader = CaptureReader(store)
    first = reader(replace(QUERY, bins=Bins(labels=("a",))))
    store.put("live", NOON + 600, line("a", NOON + 1, "2"))

    second = reader(replace(QUERY, bins=Bins(labels=("a",))))

    assert first.predictions["live"] == {NOON: (1, 0)}
    assert second.predictions["live"] == {NOON: (2, 0)}


def test_the_file_of_an_hour_before_may_hold_the_first_minute() -> None:
    store = Store()
    store.put("live", NOON - 60, line("a", NOON, "1"))
    store.put("live", NOON - 1200, line("a", NOON, "too early to hold it"))

    assert CaptureReader(store)(QUERY).predictions["live"] == {NOON: (1, 0)}
    assert len(store.read) == 1, "files of other minutes are not read"


def test_where_nothing_was_captured_there_is_nothing() -> None:
    assert CaptureReader(Store())(QUERY) == Captures({}, {}, None, ())


def test_malformed_and_unreadable_lines_are_counted_not_fatal() -> None:
    store = Store()
    store.put(
        "live", NOON, b"garbage\n\n", line("a", NOON, "1"), line("", NOON, "2"), b'{"cut": tru'
    )
    store.put("live", NOON, line("a", NOON, "1"), name="a name of another form.jsonl")
    store.put("live", NOON, b"never read", name="a name of another form.txt")

    told = CaptureReader(store)(QUERY)

    assert told.predictions["live"] == {NOON: (1, 0)}
    assert told.notes == (
        "2 lines of capture files are malformed",
        "1 captured answers hold no predictions that can be read",
        "1 captured answers repeat an id and were counted once",
    )


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    store = Store()
    store.put("live", NOON, b"x" * (MAX_LINE_BYTES + 200_000), b"\n", line("a", NOON, "1"))

    told = CaptureReader(store, max_bytes_per_minute=2**30)(QUERY)

    assert told.predictions["live"] == {NOON: (1, 0)}
    assert told.notes == ("1 lines of capture files are malformed",)


def test_of_a_busy_minute_a_sample_is_taken_by_id_on_both_sides_alike() -> None:
    store = Store()
    for variant in ("live", "candidate"):
        store.put(variant, NOON, *(line("a", NOON, f"{variant}{i}", f"id-{i}") for i in range(400)))
    total = sum(map(len, store.objects.values()))
    query = replace(QUERY, until=NOON, pair=("live", "candidate"))

    told = CaptureReader(store, max_bytes_per_minute=total // 8)(query)
    again = CaptureReader(store, max_bytes_per_minute=total // 8)(query)

    assert told == again
    (counts,) = told.pairs.values()
    assert counts.differ == 0
    assert 60 < counts.agree < 140
    assert told.notes == ("25.0% of the captured answers were looked at, chosen by their id",)


def test_more_than_can_be_read_at_once_is_left_out_and_said() -> None:
    store = Store()
    for i in range(4):
        store.put("live", NOON + i, line("a", NOON, str(i)))
    size = len(next(iter(store.objects.values())))

    told = CaptureReader(store, max_bytes_per_call=4 * size + 2)(QUERY)

    assert told.predictions["live"] == {NOON: (2, 0)}
    assert told.notes == ("2 capture files were left out: more than is read at once",)


def test_pairs_are_joined_by_id_and_counted_in_lives_minute() -> None:
    store = Store()
    store.put(
        "live",
        NOON,
        line("0.5", NOON + 59, "e1", "same"),
        line("0.5", NOON + 60, "e2", "differs"),
        line("0.5", NOON + 61, "e3"),
        line("0.5", NOON + 62, "e4", "not mirrored"),
    )
    store.put(
        "shadow",
        NOON,
        line("0.50001", NOON + 61, "x1", "same"),
        line("0.6", NOON + 61, "x2", "differs"),
        line("0.5", NOON + 61, "e3"),
        line("0.5", NOON + 61, "x4", "not captured of live"),
    )
    query = replace(QUERY, variants=("live", "shadow"), pair=("live", "shadow"))

    told = CaptureReader(store)(query)

    assert told.pairs == {NOON: Pairs(1, 0), NOON + 60: Pairs(1, 1)}
    assert told.notes == ("1 answers have no counterpart in the other variant",)


def test_where_s3_refuses_it_is_said_and_nothing_counted() -> None:
    from botocore.exceptions import ClientError

    store = Store()
    meta: Any = {"HTTPStatusCode": 403}
    store.error = ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": meta}, "List"
    )

    told = CaptureReader(store)(QUERY)

    assert told == Captures(notes=("captures cannot be read: AccessDenied: no",))


def test_where_s3_is_away_the_driver_decides() -> None:
    from botocore.exceptions import EndpointConnectionError

    store = Store()
    store.error = EndpointConnectionError(endpoint_url="http://s3")

    with pytest.raises(UnavailableError):
        CaptureReader(store)(QUERY)


def test_the_hours_of_a_query_cover_it() -> None:
    at = datetime(2025, 12, 31, 23, 59, 30, tzinfo=UTC).timestamp()

    assert [h.isoformat() for h in hours(at, at + 60)] == [
        "2025-12-31T23:00:00+00:00",
        "2026-01-01T00:00:00+00:00",
    ]


def test_minutes_get_what_was_captured_of_them() -> None:
    minute = VariantMinute(10, 0, None)
    captures = Captures({"live": {NOON: (1, 2)}})

    told = with_predictions({"live": {NOON: minute, NOON + 60: minute}, "shadow": {}}, captures)

    assert told == {
        "live": {NOON: replace(minute, predictions=(1, 2)), NOON + 60: minute},
        "shadow": {},
    }

"""Large JSON is parsed otherwise than small JSON, to the same document."""

from __future__ import annotations

import json
import math
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.decoding import large_json
from inference.decoding.numbers import NumberReader
from inference.errors import RequestError
from inference.formats import strict_json
from inference.formats.signature import Column, Signature, is_null

ONE_NUMBER = Signature((Column("x", "number", "double", nullable=False),), None)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@pytest.fixture(scope="module", autouse=True)
def everything_is_large() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "LARGE_BYTES", 0)
        yield


def refused(body: bytes) -> str:
    with pytest.raises(RequestError) as info:
        strict_json.parse(body)
    assert info.value.status == 400
    return str(info.value)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_every_document_is_what_was_sent(document: Any) -> None:
    assert strict_json.parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2], [3, 4]]},
        {"instances": [{"a": 1}, {"a": [1, {"b": 2}]}]},
        {"dataframe_split": {"columns": ["a"], "data": [[1], [None]], "index": [0, 1]}},
        {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.5]}]},
        {"instances": [2**70, 1.5]},
    ],
)
def test_the_forms_of_requests_are_what_was_sent(document: Any) -> None:
    assert strict_json.parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"instances": [[1, 2]', "the body is not JSON"),
        (b'{"a": 1, "a": 2}', "'a' came more than once; once is allowed"),
        (b'{"instances": [{"b": 1, "b": 2}]}', "'b' came more than once"),
        (b'{"instances": [{"b": 1}, {"c": 1, "c": 2}]}', "'c' came more than once"),
        (b'{"instances": [[Infinity]]}', "the body holds Infinity"),
        (b'{"instances": ["\\ud800", NaN]}', "the body is not JSON"),
        (b"[NaN" + b",[" * 40, "the body is not JSON"),
        (b"[" * 40 + b"]" * 40, "nested more than 32 deep"),
        (b'{"a": "\xff"}', "the body is not JSON"),
    ],
)
def test_what_is_refused_says_the_same(body: bytes, message: str) -> None:
    assert message in refused(body)


def test_a_bare_nan_is_null() -> None:
    (value,) = strict_json.parse(b'{"instances": [NaN]}')["instances"]
    assert is_null(value)


# Texts that look like JSON, and escapes before quotes.
TEXTS = st.text(st.sampled_from('NaN,:"\\[]{}é x'), max_size=12) | st.just("NaN") | st.just('"NaN')
WITH_NAN = st.recursive(
    TEXTS | st.just(math.nan) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def nulled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: nulled(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [nulled(item) for item in cast("list[Any]", value)]
    return None if value != value else value  # noqa: PLR0124 NaN alone does not equal itself


@settings(max_examples=500, deadline=None)
@given(WITH_NAN, st.integers(1, 30), st.booleans())
def test_nan_is_null_wherever_it_stands_bare_and_nowhere_else(
    document: Any, size: int, is_ascii: bool
) -> None:
    body = json.dumps(document, ensure_ascii=is_ascii).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_json, "SLICE_BYTES", size)
        assert json.loads(large_json.with_nulls(body)) == nulled(document)


@pytest.mark.parametrize("body", [b"[NaNa]", b"[-NaN]", b"[1NaN]", b"[NaN NaN]", b"{NaN: 1}"])
def test_what_holds_nan_and_is_no_json_stays_none(body: bytes) -> None:
    assert "the body is not JSON" in refused(body)


def test_nan_does_not_send_a_body_to_the_slow_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes 10 s for 100 MB."""
    monkeypatch.delattr(strict_json, "_parse_slowly")
    assert strict_json.parse(b'{"instances": [[NaN, "NaN"]]}') == {"instances": [[None, "NaN"]]}


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_item_by_item_it_is_the_same_document(document: Any) -> None:
    body = json.dumps({"instances": document}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_json, "may_have_endless_lists", lambda _: True)
        assert strict_json.parse(body) == json.loads(body)


def test_a_list_that_simdjson_cannot_count_is_whole() -> None:
    """Its count ends at 2**24 - 1, and ``as_list`` then writes past the end."""
    body = b'{"instances":[' + b"1," * large_json.MOST_ITEMS + b"1]}"
    items = strict_json.parse(body)["instances"]
    assert len(items) == 2**24
    assert set(items) == {1}


def test_more_lines_than_simdjson_counts_are_left_to_the_careful_decoder() -> None:
    reader = NumberReader(ONE_NUMBER)
    body = b"1\n" * (large_json.MOST_ITEMS + 1)
    assert reader.csv(body) is None
    assert reader.csv(body[: -2 * 2]) is not None
    assert reader.json(b'{"instances":[' + b"[1]," * large_json.MOST_ITEMS + b"[1]]}") is None

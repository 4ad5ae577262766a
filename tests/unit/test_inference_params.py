"""Params of a signature: checked before the model, given to it alone, and named in errors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.package import ArchiveIndex
from inference.answering.scoring import Scorer
from inference.errors import RequestError
from inference.formats import codecs
from inference.formats.codecs import Decoded
from inference.formats.params import Params
from inference.formats.signature import Signature
from inference.openapi import document as openapi
from inference.pyfunc.model import encoded

SCHEMAS: dict[str, dict[str, Any]] = {
    "times": {"type": "number", "format": "double", "default": 2.0},
    "top": {"type": "integer", "format": "int32", "default": 3},
    "is_loud": {"type": "boolean", "default": False},
    "town": {"type": "string", "default": "Bonn"},
    "since": {"type": "string", "format": "date-time", "default": "2020-01-01T00:00:00"},
    "stops": {"type": "array", "items": {"type": "string"}, "default": ["."]},
    "more": {"type": "object", "default": {}},
}
INPUTS = {
    "type": "object",
    "properties": {"x": {"type": "number", "format": "double", "nullable": False}},
    "required": ["x"],
    "x-columns": ["x"],
}
INDEX = ArchiveIndex(
    "m", "1", "pyfunc", "predict", INPUTS, {}, (), params={"type": "object", "properties": SCHEMAS}
)


def decode(index: ArchiveIndex, form: Any, params: Any) -> Decoded:
    signature = Signature.from_schema(index.inputs, Params.of(index))
    return codecs.decode(signature, "", json.dumps({**form, "params": params}).encode())


FORMS: list[dict[str, Any]] = [
    {"instances": [[1.0]]},
    {"inputs": {"x": [1.0]}},
    {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}},
    {"dataframe_records": [{"x": 1.0}]},
    {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]},
]


@pytest.mark.parametrize("form", FORMS)
def test_params_come_beside_rows_of_any_form(form: dict[str, Any]) -> None:
    decoded = decode(INDEX, form, {"times": 3, "stops": ["a", "b"]})
    assert decoded.columns == {"x": [1.0]}
    assert decoded.params == {"times": 3, "stops": ["a", "b"]}
    signature = Signature.from_schema(INPUTS)
    assert encoded(signature, decoded)[0]["params"] == decoded.params
    assert "params" not in encoded(signature, replace(decoded, params=None))[0]


@pytest.mark.parametrize("params", [None, {}])
def test_without_any_the_model_takes_its_defaults(params: Any) -> None:
    assert decode(INDEX, FORMS[0], params).params is None
    plain = replace(INDEX, params={})
    assert decode(plain, FORMS[0], params).params is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"time": 3}, "param 'time' came; the model takes times, top, is_loud, town, since, stops"),
        ([1], "params is [1]; an object is needed"),
        ({"times": "3"}, "param 'times': '3' came; a number is needed"),
        ({"times": True}, "param 'times': True came; a number is needed"),
        ({"top": 3.0}, "param 'top': 3.0 came; a whole number is needed"),
        ({"top": 2**70}, "a whole number is needed"),
        ({"is_loud": 1}, "param 'is_loud': 1 came; true or false is needed"),
        ({"town": 1}, "param 'town': 1 came; text is needed"),
        ({"since": "soon"}, "'soon' came; a date and time in ISO 8601 is needed"),
        ({"stops": "a"}, "param 'stops': 'a' came; a list, each of it text, is needed"),
        ({"stops": None}, "param 'stops': null came; a list"),
        ({"stops": [1]}, "a list, each of it text, is needed"),
        ({"more": None}, "param 'more': null came; an object is needed"),
        ({"town": "x" * 5000}, ""),
    ],
)
def test_what_is_no_such_param_is_named(params: Any, message: str) -> None:
    if not message:
        assert decode(INDEX, FORMS[0], params).params == params
        return
    with pytest.raises(RequestError) as info:
        decode(INDEX, FORMS[0], params)
    assert info.value.status == 400
    assert message in str(info.value)


def test_a_signature_without_params_takes_none() -> None:
    with pytest.raises(RequestError, match="params came; the model's signature has none"):
        decode(replace(INDEX, params={}), FORMS[0], {"times": 3})


def test_those_of_scikit_learn_are_checked_and_go_no_further_as_in_mlflow() -> None:
    index = replace(INDEX, engine="sklearn")
    assert decode(index, FORMS[0], {"times": 3}).params is None
    with pytest.raises(RequestError, match="a number is needed"):
        decode(index, FORMS[0], {"times": "3"})


def test_the_interface_tells_of_them_with_their_defaults() -> None:
    document = openapi.document(INDEX)
    content = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    for form in content["application/json"]["schema"]["oneOf"]:
        found = form["properties"]["params"]
        assert found["additionalProperties"] is False
        assert found["properties"]["times"] == {
            "type": ["number", "null"],
            "format": "double",
            "default": 2.0,
        }
        assert found["properties"]["stops"] == SCHEMAS["stops"]
    plain = json.dumps(openapi.document(replace(INDEX, params={})))
    assert '"params"' not in plain


class Powers:
    """Rows by a param, which it refuses below zero."""

    name = "native"
    is_quick = takes_matrix = False
    merges = True

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, decoded: Decoded) -> list[Any]:
        self.calls.append(decoded.rows)
        power = (decoded.params or {"power": 1})["power"]
        if power < 0:
            raise ValueError("power is below 0")
        if 13 in decoded.columns["x"]:
            raise ValueError("unlucky")
        return [x**power for x in decoded.columns["x"]]


def scored(engine: Powers, *requests: Decoded) -> list[Any]:
    return Scorer(engine, Signature.from_schema(INPUTS), [Decoded({"x": [0.0]}, 1)]).score(
        list(requests)
    )


def test_requests_with_params_are_scored_by_themselves() -> None:
    engine = Powers()
    squared = Decoded({"x": [3.0]}, 1, params={"power": 2})
    assert scored(engine, squared, Decoded({"x": [4.0]}, 1)) == [[9.0], [4.0]]
    assert engine.calls == [1, 1]


def test_params_that_the_model_refuses_are_no_rows_fault() -> None:
    (refused,) = scored(Powers(), Decoded({"x": [1.0, 2.0]}, 2, params={"power": -1}))
    assert str(refused) == "the model refuses these params: ValueError: power is below 0"
    assert refused.status == 400


def test_a_row_that_the_model_refuses_is_named_beside_params_too() -> None:
    (refused,) = scored(Powers(), Decoded({"x": [1.0, 13.0]}, 2, params={"power": 2}))
    assert "row 1, column 'x': 13.0 came" in str(refused)

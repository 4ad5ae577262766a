"""The page of ``slipway serve``: what it carries, and to whom it answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.package import ArchiveIndex, Conversion
from inference.desk import Desk, example
from inference.formats.signature import Signature

INPUTS: dict[str, Any] = {
    "properties": {
        "</script><b>": {"type": "string", "format": "", "nullable": True},
        "size": {"type": "number", "format": "double"},
        "rooms": {"type": "integer", "format": "int64"},
        "furnished": {"type": "boolean", "format": ""},
        "built": {"type": "string", "format": "date-time"},
    },
    "x-columns": ["</script><b>", "size", "rooms", "furnished", "built"],
}
INDEX = ArchiveIndex("wine & co", "1", "linear", "predict", INPUTS, {}, ())


def shown(folder: Path) -> Desk:
    desk = Desk()
    desk.show(INDEX, folder)
    return desk


def carried(page: str) -> Any:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_carries_the_signature_and_a_row_to_begin_with(tmp_path: Path) -> None:
    response = shown(tmp_path).answer("GET", "/", "localhost:8080")

    assert response is not None
    assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")
    page = response.body.decode()
    assert "<title>wine &amp; co 1</title>" in page
    about = carried(page)
    assert [column["name"] for column in about["columns"]] == INPUTS["x-columns"]
    assert about["columns"][0] == {
        "name": "</script><b>",
        "kind": "string",
        "form": "",
        "nullable": True,
    }
    assert about["example"] == ["", 0.0, 0, False, "2026-01-01T12:00:00"]


def test_it_loads_nothing_from_elsewhere_and_nobody_frames_it(tmp_path: Path) -> None:
    desk = shown(tmp_path)
    pages = [desk.answer("GET", "/", None) for _ in range(2)]
    policies = [dict(page.headers)["Content-Security-Policy"] for page in pages if page]
    assert len(set(policies)) == 2, "a nonce is for one answer"
    for policy in policies:
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    assert pages[0] is not None
    assert not re.findall(rb"(?:src|href)=\"(?!data:|#)", pages[0].body)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LocalHost", "[::1]:8080", None]
)
def test_it_answers_to_this_machines_names(tmp_path: Path, host: str | None) -> None:
    desk = shown(tmp_path)
    page = desk.answer("GET", "/", host)
    assert page is not None
    assert page.status == 200
    assert desk.answer("POST", "/predict", host) is None, "predictions are the application's"
    assert desk.answer("POST", "/", host) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "10.0.0.1", "[::2]"]
)
@pytest.mark.parametrize("path", ["/", "/predict", "/metrics"])
def test_a_name_that_was_made_to_point_here_gets_nothing(
    tmp_path: Path, host: str, path: str
) -> None:
    refused = shown(tmp_path).answer("GET", path, host)
    assert refused is not None
    assert refused.status == 421
    told = json.loads(refused.body)["error"]
    assert told == f"host is {host!r}; this server answers to 127.0.0.1 and localhost alone"


def test_until_the_model_is_loaded_it_says_so_and_looks_again() -> None:
    response = Desk().answer("GET", "/", "localhost")
    assert response is not None
    assert response.status == 503
    assert ("Refresh", "1") in response.headers
    assert b"the model is being loaded" in response.body


SPLIT = {"columns": ["rooms", "size"], "data": [[3, 80.5], [4, 90]]}


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("input_example.json", json.dumps(SPLIT), [80.5, 3]),
        ("serving_input_example.json", json.dumps({"dataframe_split": SPLIT}), [80.5, 3]),
        ("input_example.json", json.dumps({"columns": ["size"], "data": [[1]]}), [0.0, 0]),
        ("input_example.json", json.dumps({"columns": ["rooms", "size"], "data": []}), [0.0, 0]),
        ("input_example.json", json.dumps([1, 2]), [0.0, 0]),
        (
            "input_example.json",
            json.dumps({"columns": ["rooms", "size"], "data": [[1, [2]]]}),
            [0.0, 0],
        ),
        ("input_example.json", "[" * 100_000, [0.0, 0]),
        ("other.json", json.dumps(SPLIT), [0.0, 0]),
    ],
)
def test_the_row_is_the_models_own_example_where_it_has_one(
    tmp_path: Path, name: str, content: str, row: list[Any]
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_text(content)
    properties = {n: INPUTS["properties"][n] for n in ("size", "rooms")}
    signature = Signature.from_schema({"properties": properties, "x-columns": ["size", "rooms"]})
    assert example(signature, tmp_path) == row


def test_it_names_the_engine_that_answers(tmp_path: Path) -> None:
    desk = Desk()
    desk.show(replace(INDEX, engine="sklearn", conversion=Conversion(engine="forest")), tmp_path)
    page = desk.answer("GET", "/", None)
    assert page is not None
    assert carried(page.body.decode())["engine"] == "forest"


def test_an_example_with_nan_is_shown_as_null(tmp_path: Path) -> None:
    row = ["a", float("nan"), 1, True, "2026-01-01T12:00:00"]
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "serving_input_example.json"
    file.write_text(json.dumps({"columns": INPUTS["x-columns"], "data": [row]}))
    page = shown(tmp_path).answer("GET", "/", None)
    assert page is not None
    assert carried(page.body.decode())["example"] == ["a", None, 1, True, "2026-01-01T12:00:00"]

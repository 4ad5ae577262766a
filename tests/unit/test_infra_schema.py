"""The JSON Schema of the stack files says what the readers of the configuration say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.config import ConfigError, parse
from infra.schema import SCHEMA_FILE, stack_schema, to_text
from infra.schema_guide import GUIDE_FILE, guide
from infra.schema_words import LISTS, MAPS, VALUES
from tests.unit.infra_bad_configs import BAD_MODELS, BAD_ROOTS, BadConfig, with_model
from tests.unit.infra_samples import ACCEPTED, ROOT, package_of

PROJECT = Path(__file__).resolve().parents[2]
SCHEMA = stack_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def stack_file(raw: dict[str, Any]) -> dict[str, Any]:
    config = {f"slipway:{key}": value for key, value in raw.items()}
    return {"config": {"aws:region": "eu-west-1", **config}}


def errors(raw: dict[str, Any]) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(stack_file(raw))]


def without_empty_keys(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def bad_model(case: BadConfig) -> dict[str, Any]:
    """An empty key counts as not written, which is how the schema takes it: left out."""
    raw = with_model(**case.values)
    raw["models"]["wine"] = without_empty_keys(raw["models"]["wine"])
    return raw


BAD = [
    *((case, bad_model(case)) for case in BAD_MODELS),
    *((case, case.values) for case in BAD_ROOTS),
]


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every map, list and value of a schema with the path of its key."""
    yield path, schema
    for key, inner in schema.get("properties", {}).items():
        yield from properties(inner, f"{path}.{key}")
    items = schema.get("items", {})
    for kind in items.get("oneOf", [items] if items else []):
        yield from properties(kind, f"{path}[]")


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_committed_file_is_the_generated_one() -> None:
    committed = (PROJECT / SCHEMA_FILE).read_text()

    assert committed == to_text(SCHEMA), "run `.venv/bin/python -m infra.schema`"


@pytest.mark.parametrize("path", sorted(PROJECT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_the_sample_stack_files_are_valid(path: Path) -> None:
    found = list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text())))

    assert found == []


def test_there_are_sample_stack_files() -> None:
    assert len(list(PROJECT.glob("Pulumi.*.yaml"))) >= 3


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_the_readers_accept_is_valid(raw: dict[str, Any]) -> None:
    assert errors(raw) == []


@pytest.mark.parametrize(("case", "raw"), BAD, ids=[case.name for case, _ in BAD])
def test_what_the_readers_refuse_is_invalid_where_a_schema_can_tell(
    case: BadConfig, raw: dict[str, Any]
) -> None:
    assert bool(errors(raw)) == case.in_schema


@pytest.mark.parametrize("definition", ["model", "defaults"])
def test_every_key_has_a_description_and_every_value_a_unit_and_a_default(definition: str) -> None:
    described = 0
    for path, schema in properties(SCHEMA["definitions"][definition]):
        assert schema.get("description"), path
        is_value = schema.get("type") not in ("object", "array")
        if is_value:
            described += 1
            assert schema["x-unit"], path
            assert ("default" in schema) != ("x-default" in schema), path
            assert "default" not in schema or not list(
                jsonschema.Draft7Validator(schema).iter_errors(schema["default"])
            ), path
    assert described >= 25


def test_every_description_belongs_to_a_key_and_only_one_key_is_no_default() -> None:
    model = SCHEMA["definitions"]["model"]
    roots = SCHEMA["properties"]["config"]["properties"]
    described = [
        *properties(model),
        *properties(roots["slipway:controller"]),
        *properties(roots["slipway:imageBuild"]),
    ]
    used = {schema["description"] for _, schema in described}
    words = {*(w.text for w in VALUES.values()), *LISTS.values(), *MAPS.values()}

    assert words - used == {MAPS[name] for name in ("file", "config", "defaults", "models")}
    defaults = SCHEMA["definitions"]["defaults"]["properties"]
    assert set(model["properties"]) - set(defaults) == {"package"}


def test_the_defaults_that_it_names_are_those_of_the_readers() -> None:
    """Writing every default out changes nothing."""
    written = filled(SCHEMA["definitions"]["model"])
    assert written["release"]["steps"][0]["weight"] == 1

    plain = parse(with_model(), "prod", ROOT, "", package_of)

    assert parse(with_model(**written), "prod", ROOT, "", package_of) == plain


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    """Every default of a map, and of the maps in it."""
    found: dict[str, Any] = {}
    for key, inner in schema.get("properties", {}).items():
        if "default" in inner:
            found[key] = inner["default"]
        elif inner.get("type") == "object":
            found[key] = filled(inner)
    return found


def test_the_keys_that_it_knows_are_those_that_the_readers_know() -> None:
    """Told by the readers themselves, when every map holds a key that nobody knows."""
    checked = 0
    for path, schema in properties(SCHEMA["definitions"]["model"]):
        if "properties" not in schema:
            continue
        raw = with_model(**wrapped(path, {"nobody": 1}, schema))
        with pytest.raises(ConfigError) as refused:
            parse(raw, "prod", ROOT, "", package_of)
        told = next(p for p in refused.value.problems if "nobody is 1" in p)
        keys = told.split("the keys are ")[1].split(";")[0].split(", ")
        assert keys == sorted(schema["properties"]), path
        checked += 1
    assert checked == 23


def wrapped(path: str, value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """``value`` below the keys of ``path`` such as ``.release.steps[].bake``."""
    known = schema["properties"]
    metric = known.get("metric", {}).get("const")
    inner: Any = {"metric": metric, **value} if metric else value
    for kind in ("alarm", "hook"):
        inner = {kind: "name", **inner} if kind in known and path.endswith("gates[]") else inner
    for part in reversed([part for part in path.split(".") if part]):
        inner = {part.removesuffix("[]"): [inner] if part.endswith("[]") else inner}
    return inner


def test_it_can_be_read_by_any_tool() -> None:
    assert json.loads(to_text(SCHEMA)) == SCHEMA


def test_the_guide_of_the_keys_is_that_of_the_schema() -> None:
    written = (PROJECT / GUIDE_FILE).read_text()
    assert written == guide(SCHEMA), "run `python -m infra.schema`"
    for key in ("package", "instanceType", "rollbackBatch", "maxDisagreement", "dryRun", "driver"):
        assert f"| `{key}` |" in written
    assert "&lt;model>-&lt;stack>" in written, "a tag would not be shown"

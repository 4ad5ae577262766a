"""JSON Schema of the stack files, for editors and docs: ``python -m infra.schema`` writes both.

Keys, kinds, bounds and defaults are not written down here: the configuration's own readers are run
on a map that notes what they ask for. Only the words about each key are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts.errors import ContractError
from contracts.package import PackageManifest
from contracts.release_settings import LIMIT_METRICS
from infra.config import NAMESPACE, read_driver
from infra.image_build_config import read_image_build
from infra.model_config import (
    ENDPOINT_NAME,
    IMAGE,
    MAX_VARIABLE,
    MODEL_NAME,
    OWN_VARIABLES,
    SHARED_KEYS,
    VARIABLE_NAME,
    ModelReader,
)
from infra.reading import MICROSECONDS, SECONDS, Layer, Node, Problems
from infra.release_config import LEAST_WEIGHT
from infra.schema_guide import GUIDE_FILE, guide
from infra.schema_words import LISTS, MAPS, VALUES
from infra.settings import DEFAULT_STEPS

SCHEMA_FILE = Path("docs/stack-config.schema.json")
Schema = dict[str, Any]

LATENCY_PATTERN = rf"^\d+(\.\d+)?\s*({'|'.join(MICROSECONDS)})$"
# Values that are checked by hand where they are read, not by a method of `Node`.
_BY_HAND: dict[str, Schema] = {
    "package": {"type": "string", "pattern": r"^(?!.*://).+$"},
    "image": {"type": "string", "pattern": f"^{IMAGE}$"},
    "endpoint.name": {"type": "string", "pattern": f"^{ENDPOINT_NAME}$"},
    "release.steps[].weight": {
        "type": "number",
        "minimum": LEAST_WEIGHT,
        "exclusiveMaximum": 100,
    },
    "release.gates[errors].metric": {"const": "errors"},
    "release.gates[latency].metric": {"const": "latency"},
    "release.gates[predictions].metric": {"const": "predictions"},
    "release.gates[predictions].bins": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "number",
            "description": "An upper edge; more than the one before.",
            "x-unit": "value of the prediction",
            "x-default": "none",
        },
    },
    "release.gates[limit].metric": {"const": "limit"},
    "release.gates[limit].of": {"enum": list(LIMIT_METRICS)},
    "release.gates[limit].atMost": {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": LATENCY_PATTERN},
        ]
    },
    "release.gates[hook].command": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "string",
            "minLength": 1,
            "description": "The program, then its arguments.",
            "x-unit": "word",
            "x-default": "none",
        },
    },
}
_VARIABLES: Schema = {
    "propertyNames": {"pattern": f"^{VARIABLE_NAME}$", "not": {"enum": list(OWN_VARIABLES)}},
    "additionalProperties": {"type": "string", "maxLength": MAX_VARIABLE},
}
_ITEMS = {
    "release.steps": {"release.steps[]": {}},
    "release.gates": {
        "release.gates[errors]": {"metric": "errors"},
        "release.gates[latency]": {"metric": "latency"},
        "release.gates[predictions]": {"metric": "predictions"},
        "release.gates[limit]": {"metric": "limit"},
        "release.gates[alarm]": {"alarm": "NAME"},
        "release.gates[hook]": {"hook": "NAME"},
    },
}
_REQUIRED = {
    "": ["package"],
    "release.steps[]": ["weight"],
    "release.gates[errors]": ["metric"],
    "release.gates[latency]": ["metric", "over"],
    "release.gates[predictions]": ["metric"],
    "release.gates[limit]": ["metric", "of", "atMost"],
    "release.gates[alarm]": ["alarm"],
    "release.gates[hook]": ["hook"],
}


class Inquiry(Node):
    """A map that notes what its reader asks of it and answers with the reader's own defaults."""

    def __init__(self, place: str, values: dict[str, Any] | None = None) -> None:
        super().__init__((Layer(place, values or {}),), Problems())
        self.place = place
        self.allowed: tuple[str, ...] | None = None
        self.values: dict[str, Schema] = {}
        self.maps: dict[str, Inquiry] = {}
        self.lists: dict[str, list[Inquiry]] = {}

    def at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def only(self, *allowed: str) -> None:
        self.allowed = allowed

    def child(self, key: str) -> Inquiry:
        return self.maps.setdefault(key, Inquiry(self.at(key)))

    def items(self, key: str) -> list[Node] | None:
        places = _ITEMS[self.at(key)]
        self.lists[key] = [Inquiry(place, dict(values)) for place, values in places.items()]
        return list(self.lists[key])

    def text(self, key: str, default: str, pattern: str, allowed: str, remedy: str) -> str:  # noqa: ARG002
        self.values[key] = {"type": "string", "pattern": f"^{pattern}$", "default": default}
        return default

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        self.values[key] = {"enum": list(choices), "default": default}
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        self.values[key] = {"type": "boolean", "default": default}
        return default

    def number(self, key: str, default: float, low: float, high: float = float("inf")) -> float:
        self.values[key] = {"type": "number", **_bounds(low, high), "default": default}
        return default

    def integer(self, key: str, default: int, low: int, high: int | None = None) -> int:
        bounds = _bounds(low, float("inf") if high is None else high)
        self.values[key] = {"type": "integer", **bounds, "default": default}
        return default

    def seconds(self, key: str, default: float) -> float:
        self.values[key] = _quantity(default, SECONDS)
        return default

    def microseconds(self, key: str, default: float) -> float:
        self.values[key] = _quantity(default, MICROSECONDS)
        return default


def _bounds(low: float, high: float) -> Schema:
    return {"minimum": low} if high == float("inf") else {"minimum": low, "maximum": high}


def _quantity(default: float, units: dict[str, float]) -> Schema:
    pattern = rf"^\d+(\.\d+)?\s*({'|'.join(units)})$"
    size, unit = max((size, unit) for unit, size in units.items() if default >= size or size == 1)
    return {"type": "string", "pattern": pattern, "default": f"{default / size:g}{unit}"}


def stack_schema() -> Schema:
    """The schema of ``Pulumi.<stack>.yaml``."""
    model = _asked_of_a_model()
    definitions = {"model": _map(model), "defaults": _map(model)}
    # What only a model has: in the defaults it would be the same for all.
    definitions["model"]["required"] = _REQUIRED[""]
    definitions["defaults"]["description"] = MAPS["defaults"]
    del definitions["defaults"]["properties"]["package"]
    models: Schema = {
        "type": "object",
        "description": MAPS["models"],
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{MODEL_NAME}$"},
        "additionalProperties": {"$ref": "#/definitions/model"},
    }
    controller = Inquiry("controller")
    read_driver(controller, "stack")
    image_build = Inquiry("imageBuild")
    read_image_build(image_build, "stack")
    settings = {
        f"{NAMESPACE}:controller": _map(controller),
        f"{NAMESPACE}:imageBuild": _map(image_build),
        f"{NAMESPACE}:models": models,
        f"{NAMESPACE}:defaults": {"$ref": "#/definitions/defaults"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Slipway stack file (Pulumi.<stack>.yaml)",
        "description": MAPS["file"],
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "description": MAPS["config"],
                "required": [f"{NAMESPACE}:models"],
                "properties": settings,
                # Other namespaces, such as `aws:region`, are their providers'.
                "patternProperties": {f"^(?!{NAMESPACE}:)": {}},
                "additionalProperties": False,
            }
        },
        "definitions": definitions,
    }


def to_text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _asked_of_a_model() -> Inquiry:
    """Everything that the readers of one model ask for."""
    node = Inquiry("")
    node.allowed = ("package", *SHARED_KEYS)

    def no_package(_folder: Path) -> PackageManifest:
        raise ContractError("a schema has no package")

    ModelReader(node, "model", "stack", Path(), "").read(no_package)
    return node


def _map(node: Inquiry) -> Schema:
    schema: Schema = {"type": "object", "description": MAPS[node.place or "model"]}
    if node.allowed is None:
        return {**schema, **_VARIABLES}
    schema["additionalProperties"] = False
    schema["properties"] = {key: _property(node, key) for key in node.allowed}
    if node.place in _REQUIRED and node.place:
        schema["required"] = _REQUIRED[node.place]
    return schema


def _property(node: Inquiry, key: str) -> Schema:
    place = node.at(key)
    if key in node.maps:
        return _map(node.maps[key])
    if key in node.lists:
        kinds = [_map(item) for item in node.lists[key]]
        default = {"default": _default_steps()} if place == "release.steps" else {}
        return {
            "type": "array",
            "description": LISTS[place],
            "minItems": 1,
            "items": kinds[0] if len(kinds) == 1 else {"oneOf": kinds},
            **default,
        }
    words = VALUES[place]
    value = dict(_BY_HAND[place]) if place in _BY_HAND else dict(node.values[key])
    if words.default is not None:
        # Where the reader's default is made of something else, or there is none.
        value.pop("default", None)
        value["x-default"] = words.default
    return {"description": words.text, "x-unit": words.unit, **value}


def _default_steps() -> list[Schema]:
    return [
        {
            "weight": step.weight,
            "tolerance": {"ratio": step.tolerance.ratio, "points": step.tolerance.points},
            "bake": {
                "min": _quantity(step.bake_min_seconds, SECONDS)["default"],
                "max": _quantity(step.bake_max_seconds, SECONDS)["default"],
            },
        }
        for step in DEFAULT_STEPS
    ]


if __name__ == "__main__":
    SCHEMA_FILE.write_text(to_text(stack_schema()))
    GUIDE_FILE.write_text(guide(stack_schema()))

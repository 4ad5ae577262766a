"""JSON schemas of requests and answers, out of the model's signature."""

from __future__ import annotations

from typing import Any

from contracts.package import ArchiveIndex
from inference.decoding.tensors import DATATYPES
from inference.formats.signature import FLOAT_LIMITS, INT_RANGES, Column, Signature
from inference.openapi.answers import answer_schema


def column_schema(column: Column) -> dict[str, Any]:
    """What a value of a column may be in JSON."""
    match column.kind:
        case "integer":
            low, above = INT_RANGES[column.form or "int64"]
            schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": above - 1}
        case "number":
            limit = FLOAT_LIMITS.get(column.form)
            bounds = {} if limit is None else {"minimum": -limit, "maximum": limit}
            # The model itself says whether it can do without a number.
            return {"type": ["number", "null"], **bounds}
        case "string" if column.form == "date-time":
            schema = {"type": "string", "format": "date-time", "description": column.wanted}
        case kind:
            schema = {"type": kind}
    return schema | {"type": [schema["type"], "null"]} if column.nullable else schema


def _rows(signature: Signature) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row as an object, and as a list in the signature's order."""
    schemas = [column_schema(column) for column in signature.columns]
    by_name = {
        "type": "object",
        "properties": dict(zip(signature.names, schemas, strict=True)),
        "required": [c.name for c in signature.columns if not c.nullable],
    }
    width = len(schemas)
    by_place: dict[str, Any] = {"type": "array", "minItems": width, "maxItems": width}
    if all(schema == schemas[0] for schema in schemas):
        return by_name, by_place | {"items": schemas[0]}
    return by_name, by_place | {"prefixItems": schemas}


def body_schema(signature: Signature, params: dict[str, Any]) -> dict[str, Any]:
    """A JSON body of ``/invocations``: one of MLflow's forms, or V2's, and ``params`` beside it."""
    by_name, by_place = _rows(signature)
    objects, lists = ({"type": "array", "items": row} for row in (by_name, by_place))
    columns = {
        "type": "object",
        "properties": {
            name: {"type": "array", "items": schema}
            for name, schema in by_name["properties"].items()
        },
        "additionalProperties": {"type": "array"},
        "required": by_name["required"],
        "description": "Columns, all with the same number of values.",
    }
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "index": {},
            "data": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["data"],
        "additionalProperties": False,
        "description": "Rows in the order of columns; without columns, of the signature.",
    }
    forms = {
        "dataframe_split": split,
        "dataframe_records": {"anyOf": [objects, lists]},
        "instances": {"anyOf": [objects, lists]},
        "inputs": {"anyOf": [columns, objects, lists, tensors_schema()]},
    }
    beside = {"params": _params_schema(params)} if params else {}
    return {
        "oneOf": [
            {"type": "object", "properties": {form: schema, **beside}, "required": [form]}
            for form, schema in forms.items()
        ]
    }


def _params_schema(params: dict[str, Any]) -> dict[str, Any]:
    """The same, with null for whatever is no list and no object."""
    properties: dict[str, Any] = {}
    for name, schema in params["properties"].items():
        is_scalar = schema["type"] not in ("array", "object")
        properties[name] = {**schema, "type": [schema["type"], "null"]} if is_scalar else schema
    return {"type": "object", "properties": properties, "additionalProperties": False}


def tensors_schema() -> dict[str, Any]:
    """V2's tensors."""
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 1,
                "maxItems": 2,
            },
            "datatype": {"enum": sorted(DATATYPES)},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    return {"type": "array", "items": tensor, "minItems": 1}


def infer_answer_schema() -> dict[str, Any]:
    """V2's answer."""
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": tensors_schema(),
        },
        "required": ["model_name", "model_version", "outputs"],
    }


def answers_schema(index: ArchiveIndex) -> dict[str, Any]:
    """A JSON answer of ``/invocations``: predictions, or V2's for V2's."""
    answer = _with_null(answer_schema(index))
    if index.serving_engine == "pyfunc" and answer.get("type", "array") not in ("array", "object"):
        # MLflow's signatures of a Series and of a DataFrame of one column are the same.
        by_name = {"type": "object", "additionalProperties": answer} | dict.fromkeys(
            ("minProperties", "maxProperties"), 1
        )
        answer = {"anyOf": [answer, by_name]}
    predictions = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": answer}},
        "required": ["predictions"],
    }
    return {"anyOf": [predictions, infer_answer_schema()]}


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of an answer, where NaN is null; its formats go, which are not JSON schema's."""
    match schema.get("type"):
        case "array":
            return schema | {"items": _with_null(schema.get("items", {}))}
        case "object":
            parts: dict[str, Any] = schema["properties"]
            return schema | {"properties": {k: _with_null(v) for k, v in parts.items()}}
        case str() as kind:
            return {"type": [kind, "null"]}
        case _:
            return schema

"""An MLflow signature as JSON schemas of one row: pure functions on what stands in ``MLmodel``."""

from __future__ import annotations

import json
from typing import Any

from model_code.errors import PackagingError

# MLflow's column types that a request in JSON or CSV can carry, as JSON schema says them.
COLUMN_TYPES: dict[str, dict[str, str]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}
REMEDY = (
    "log the model with a signature: mlflow.models.infer_signature(inputs, model.predict(inputs))"
)


def row_schema(inputs: str | None, where: str) -> dict[str, Any]:
    """JSON schema of one input row; ``x-columns`` keeps the order that CSV and lists follow.

    A tensor of shape (-1, n) becomes n columns named by their position, with its ``dtype`` in
    ``x-tensor``.
    """
    if not inputs:
        raise PackagingError(f"{where} has no signature, so no request could be checked; {REMEDY}")
    specs: list[dict[str, Any]] = json.loads(inputs)
    if len(specs) == 1 and specs[0].get("type") == "tensor":
        return _tensor_schema(specs[0], where)
    properties: dict[str, Any] = {}
    for position, spec in enumerate(specs):
        name = str(spec.get("name", position))
        kind = spec.get("type")
        if kind not in COLUMN_TYPES:
            allowed = ", ".join(COLUMN_TYPES)
            raise PackagingError(
                f"{where}: column {name!r} has type {kind!r}; one of {allowed} is needed; {REMEDY}"
            )
        properties[name] = {
            **COLUMN_TYPES[kind],
            "nullable": not spec.get("required", True),
        }
    return {
        "type": "object",
        "properties": properties,
        "required": [n for n, p in properties.items() if not p["nullable"]],
        "x-columns": list(properties),
    }


def _tensor_schema(spec: dict[str, Any], where: str) -> dict[str, Any]:
    tensor: dict[str, Any] = spec["tensor-spec"]
    dtype, shape = str(tensor["dtype"]), list(tensor["shape"])
    numeric = dtype.startswith(("float", "int", "uint"))
    if len(shape) != 2 or shape[0] != -1 or shape[1] < 1 or not numeric:
        raise PackagingError(
            f"{where} takes a tensor of shape {shape} and type {dtype}; numbers of shape (-1, n), "
            f"or named columns, are needed; {REMEDY}"
        )
    kind = "double" if dtype.startswith("float") else "long"
    names = [str(position) for position in range(shape[1])]
    return {
        "type": "object",
        "properties": {name: {**COLUMN_TYPES[kind], "nullable": False} for name in names},
        "required": names,
        "x-columns": names,
        "x-tensor": dtype,
    }


def params_schema(params: str | None, where: str) -> dict[str, Any]:
    """JSON schema of a signature's params, with their defaults; empty where it has none."""
    specs: list[dict[str, Any]] = json.loads(params) if params else []
    properties: dict[str, Any] = {}
    for spec in specs:
        kind = str(spec.get("type") or spec.get("dtype"))
        if kind != "object" and kind not in COLUMN_TYPES:
            allowed = ", ".join(COLUMN_TYPES)
            raise PackagingError(
                f"{where}: param {spec.get('name')!r} has type {kind!r}; one of {allowed}, object "
                "is needed; log the model with such params"
            )
        # What an object holds is checked by MLflow alone.
        value: dict[str, Any] = dict(COLUMN_TYPES.get(kind, {"type": "object"}))
        schema = value if spec.get("shape") is None else {"type": "array", "items": value}
        properties[str(spec["name"])] = {**schema, "default": spec["default"]}
    return {"type": "object", "properties": properties} if properties else {}


def answer_schema(outputs: str | None, logged: str, chosen: str) -> dict[str, Any]:
    """JSON schema of one answer by ``chosen``; the signature tells of the ``logged`` method."""
    if chosen == logged:
        return output_schema(outputs)
    shares = {"type": "array", "items": dict(COLUMN_TYPES["double"])}
    if chosen == "predict_proba":
        return shares
    label = output_schema(outputs) if logged == "predict" else {}
    if chosen == "predict":
        return label
    return {
        "type": "object",
        "properties": {"predicted_label": label, "probabilities": shares},
        "required": ["predicted_label", "probabilities"],
    }


def output_schema(outputs: str | None) -> dict[str, Any]:
    """JSON schema of one prediction, as far as the signature tells."""
    specs: list[dict[str, Any]] = json.loads(outputs) if outputs else []
    is_dict = bool(specs) and all(s.get("name") and s.get("type") == "tensor" for s in specs)
    if len(specs) == 1 and not is_dict:
        return _output_of(specs[0])
    if specs and all("name" in spec for spec in specs):
        columns = {str(spec["name"]): _output_of(spec) for spec in specs}
        return {"type": "object", "properties": columns, "required": list(columns)}
    return {}


def _output_of(spec: dict[str, Any]) -> dict[str, Any]:
    """One row's part of one output: a list in a list for each further dimension of a tensor."""
    if spec.get("type") != "tensor":
        return dict(COLUMN_TYPES.get(str(spec.get("type")), {}))
    tensor: dict[str, Any] = spec["tensor-spec"]
    item: dict[str, Any] = _scalar(str(tensor["dtype"]))
    for _ in list(tensor["shape"])[1:]:
        item = {"type": "array", "items": item}
    return item


def _scalar(dtype: str) -> dict[str, str]:
    if dtype.startswith(("int", "uint")):
        return dict(COLUMN_TYPES["long"])
    if dtype.startswith("float"):
        return dict(COLUMN_TYPES["double"])
    return dict(COLUMN_TYPES["boolean" if dtype == "bool" else "string"])

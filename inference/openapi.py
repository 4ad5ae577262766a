"""The server's interface as OpenAPI 3.1, out of the model's signature."""

from __future__ import annotations

from typing import Any

from contracts.package import ArchiveIndex

JSON, CSV = "application/json", "text/csv"


def document(index: ArchiveIndex) -> dict[str, Any]:
    """What ``GET /openapi.json`` answers."""
    row = {k: v for k, v in index.inputs.items() if not k.startswith("x-")} | {"type": "object"}
    rows = {"type": "array", "items": row}
    values = {"type": "array", "items": {"type": "array"}}
    names: list[str] = list(index.inputs["x-columns"])
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"enum": names}},
            "data": values,
        },
        "required": ["data"],
    }
    forms = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": {"anyOf": [rows, values]},
    }
    body = {
        "oneOf": [
            {"type": "object", "properties": {form: schema}, "required": [form]}
            for form, schema in forms.items()
        ]
    }
    answer = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": index.outputs}},
        "required": ["predictions"],
    }
    predict = _predict(body, answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": index.model,
            "version": index.version,
            "description": f"Model {index.model}, version {index.version}, served by Slipway.",
        },
        "paths": {
            "/predict": {"post": predict | {"operationId": "predict"}},
            "/invocations": {"post": predict | {"operationId": "invocations"}},
            "/ping": {"get": _get("ping", "Whether the model is loaded.", ("200", "503"))},
            "/metrics": {"get": _get("metrics", "Prometheus metrics.", ("200",))},
            "/execution-parameters": {
                "get": _get("executionParameters", "What batch transform may send.", ("200",))
            },
        },
    }


def _predict(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    problem = {
        "type": "object",
        "properties": {"error": {"type": "string"}},
        "required": ["error"],
    }
    errors = {
        "400": "The body does not fit the signature; the error names row, column and value.",
        "406": "No type that Accept allows can be answered.",
        "413": "The body is too large.",
        "415": "The body's type or encoding is not understood.",
        "503": "The model is being loaded, or too much is under way.",
    }
    return {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": body}, CSV: {"schema": {"type": "string"}}},
        },
        "responses": {
            "200": {
                "description": "One prediction a row, in the order of the rows.",
                "content": {JSON: {"schema": answer}, CSV: {"schema": {"type": "string"}}},
            },
            **{
                code: {"description": text, "content": {JSON: {"schema": problem}}}
                for code, text in errors.items()
            },
        },
    }


def _get(name: str, text: str, codes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": text,
        "responses": {code: {"description": text} for code in codes},
    }

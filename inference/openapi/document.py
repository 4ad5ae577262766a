"""The server's interface as OpenAPI 3.1, out of the model's signature."""

from __future__ import annotations

from typing import Any

from contracts.package import ArchiveIndex
from inference.decoding.media import ARROW, CSV, JSON, LINES, PARQUET
from inference.formats.signature import Signature
from inference.openapi.schemas import (
    answers_schema,
    body_schema,
    infer_answer_schema,
    tensors_schema,
)

METRICS = "text/plain; version=0.0.4; charset=utf-8"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
# What any request may get, before its path is looked at or its body is read.
ALWAYS = {
    "400": "The request is no HTTP/1.1, or does not fit the model; the error says where.",
    "405": "The path takes another method; Allow names it.",
    "408": "The request came too slowly.",
    "413": "The body is too large.",
    "414": "The target is too long.",
    "431": "The head is too large.",
    "501": "A transfer encoding other than chunked, or one in HTTP/1.0.",
    "503": "The model is being loaded, or too much is under way.",
}
SCORING = {
    "406": "No type that Accept allows can be answered.",
    "415": "The body's type, charset or encoding is not understood.",
    "500": "The model failed on rows that fit its signature.",
}


def document(index: ArchiveIndex) -> dict[str, Any]:
    """What ``GET /openapi.json`` answers."""
    signature = Signature.from_schema(index.inputs)
    predict = _predict(signature, index)
    model = f"/v2/models/{index.model}"
    version = f"{model}/versions/{index.version}"
    unlike = {"404": "There is another model, or another version."}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": index.model,
            "version": index.version,
            "description": f"Model {index.model}, version {index.version}, served by Slipway.",
        },
        "paths": {
            "/invocations": {"post": predict | {"operationId": "invocations"}},
            "/predict": {"post": predict | {"operationId": "predict"}},
            "/ping": {"get": _get("ping", "Whether the model is loaded.")},
            "/metrics": {"get": _get("metrics", "Prometheus metrics.", METRICS)},
            "/execution-parameters": {
                "get": _get("executionParameters", "What batch transform may send.", JSON)
            },
            "/openapi.json": {"get": _get("openapi", "This document.", JSON)},
            "/v2": {"get": _get("v2Server", "The server's name.", JSON)},
            "/v2/health/live": {"get": _get("v2Live", "Whether the server lives.", JSON)},
            "/v2/health/ready": {"get": _get("v2Ready", "Whether the model is loaded.", JSON)},
            **{
                path: {"get": _get(name, text, JSON, unlike)}
                for path, name, text in (
                    (model, "v2Model", "The model's tensors."),
                    (f"{model}/ready", "v2ModelReady", "Whether it is loaded."),
                    (version, "v2Version", "The version's tensors."),
                    (f"{version}/ready", "v2VersionReady", "Whether it is loaded."),
                )
            },
            f"{model}/infer": {"post": _infer(signature) | {"operationId": "v2Infer"}},
            f"{version}/infer": {"post": _infer(signature) | {"operationId": "v2VersionInfer"}},
        },
    }


def _predict(signature: Signature, index: ArchiveIndex) -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    body = {
        JSON: {"schema": body_schema(signature, index.params)},
        CSV: text,
        **dict.fromkeys(sorted(LINES), text),
        **dict.fromkeys(sorted(ARROW | PARQUET), binary),
    }
    answers = {JSON: {"schema": answers_schema(index)}, CSV: text}
    return _scoring(body, answers | dict.fromkeys(sorted(LINES), text), SCORING)


def _infer(signature: Signature) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "inputs": tensors_schema()},
        "required": ["inputs"],
        "description": f"A tensor each for {signature.listed}, or one of them all.",
    }
    unlike = {"404": "There is another model, or another version."}
    text = {"schema": {"type": "string"}}
    texts = dict.fromkeys((CSV, *sorted(LINES)), text)
    answers = {JSON: {"schema": infer_answer_schema()}, **texts}
    return _scoring({JSON: {"schema": body}}, answers, SCORING | unlike)


def _scoring(
    body: dict[str, Any], answers: dict[str, Any], errors: dict[str, str]
) -> dict[str, Any]:
    done = {"description": "One answer a row, in the order of the rows.", "content": answers}
    return {
        "requestBody": {"required": True, "content": body},
        "responses": {"200": done, **_problems(ALWAYS | errors)},
    }


def _problems(errors: dict[str, str]) -> dict[str, Any]:
    content = {JSON: {"schema": PROBLEM}}
    return {code: {"description": text, "content": content} for code, text in errors.items()}


def _get(
    name: str, text: str, kind: str | None = None, errors: dict[str, str] | None = None
) -> dict[str, Any]:
    done: dict[str, Any] = {"description": text}
    if kind is not None:
        done["content"] = {kind: {"schema": {"type": "object"} if kind == JSON else {}}}
    return {
        "operationId": name,
        "summary": text,
        "responses": {"200": done, **_problems(ALWAYS | (errors or {}))},
    }

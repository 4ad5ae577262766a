"""KServe's V2 protocol (open inference protocol): the model's metadata, and answers as tensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from contracts.package import ArchiveIndex
from inference.decoding import tensors
from inference.decoding.decoded import Decoded
from inference.errors import RequestError, shown
from inference.formats import strict_json
from inference.formats.frames import LABEL, PROBABILITIES
from inference.formats.signature import Column, Signature
from inference.openapi.answers import answer_schema

PLATFORM = "slipway"
PREDICTIONS = "predictions"


def datatype(column: Column) -> str:
    """The V2 name of a column's type."""
    match column.kind:
        case "number":
            return {"float16": "FP16", "float32": "FP32", "float": "FP32"}.get(column.form, "FP64")
        case "integer":
            return (column.form or "int64").upper()
        case "boolean":
            return "BOOL"
        case _:
            return "BYTES"


def server_metadata(version: str) -> dict[str, Any]:
    return {"name": PLATFORM, "version": version, "extensions": []}


def model_metadata(index: ArchiveIndex, signature: Signature) -> dict[str, Any]:
    """Name, version, and the tensors in and out (none out where nobody declared it)."""
    inputs = [
        {"name": c.name, "datatype": datatype(c), "shape": [-1, 1]} for c in signature.columns
    ]
    return {
        "name": index.model,
        "versions": [index.version],
        "platform": PLATFORM,
        "inputs": inputs,
        "outputs": [
            {"name": name, "datatype": kind, "shape": shape}
            for name, (kind, shape) in _declared(index).items()
        ],
    }


def _declared(index: ArchiveIndex) -> dict[str, tuple[str, list[int]]]:
    """Datatype and shape of each output, from the schema of one answer."""
    schema = answer_schema(index)
    parts = schema["properties"] if schema.get("type") == "object" else {PREDICTIONS: schema}
    declared: dict[str, tuple[str, list[int]]] = {}
    for name, part in parts.items():
        is_row = part.get("type") == "array"
        value = part.get("items", {}) if is_row else part
        if "type" in value:
            column = Column(name, value["type"], value.get("format", ""), nullable=False)
            declared[name] = (datatype(column), [-1, -1] if is_row else [-1])
    return declared


def decode(signature: Signature, body: bytes) -> tuple[Decoded, str | None]:
    """The columns of an inference request, and its id; see ``decoding.tensors``."""
    document = strict_json.parse(body)
    if not isinstance(document, dict):
        raise RequestError(400, "the body has no inputs; a list of tensors is needed")
    decoded = tensors.decode(signature, cast("dict[str, Any]", document), len(body))
    return decoded, None if decoded.v2 is None else decoded.v2.id


def encode(
    index: ArchiveIndex,
    predictions: list[Any],
    request_id: str | None,
    wanted: Sequence[str] = (),
) -> dict[str, Any]:
    """The answer: one tensor ``predictions``, or one for each key where rows are objects.

    Raises:
        RequestError: ``wanted`` names an output that there is not.
    """
    declared = _declared(index)
    parts: dict[str, list[Any]] = {PREDICTIONS: predictions}
    if predictions and all(isinstance(row, dict) for row in predictions):
        names = dict.fromkeys(name for row in predictions for name in row)
        parts = {name: [row.get(name) for row in predictions] for name in names}
    elif not predictions and index.output == "both":
        parts = {LABEL: [], PROBABILITIES: []}
    for name in wanted:
        if name not in parts:
            raise RequestError(
                400, f"outputs names {shown(name)}; the model answers {', '.join(parts)}"
            )
    answer: dict[str, Any] = {
        "model_name": index.model,
        "model_version": index.version,
        "outputs": [
            _tensor(name, rows, declared.get(name))
            for name, rows in parts.items()
            if not wanted or name in wanted
        ],
    }
    return answer if request_id is None else {**answer, "id": request_id}


def _tensor(name: str, rows: list[Any], declared: tuple[str, list[int]] | None) -> dict[str, Any]:
    widths = {len(flat) if isinstance(row, list) else -1 for row, flat in _flattened(rows)}
    shape = [len(rows)]
    if widths == {-1} or not rows:
        data = rows
        if not rows and declared is not None:
            shape += [0] * (len(declared[1]) - 1)
    elif len(widths) == 1:
        shape += widths
        data = [value for _, flat in _flattened(rows) for value in flat]
    else:  # rows of unlike shape are no tensor
        data = [json.dumps(row, ensure_ascii=False) for row in rows]
    kind = _datatype_of(data, None if declared is None else declared[0])
    if kind == "BYTES":
        data = [v if v is None or isinstance(v, str) else json.dumps(v) for v in data]
    return {"name": name, "shape": shape, "datatype": kind, "data": data}


def _flattened(rows: list[Any]) -> list[tuple[Any, list[Any]]]:
    return [(row, _flat(row)) for row in rows]


def _flat(row: Any) -> list[Any]:
    if not isinstance(row, list):
        return [row]
    return [value for item in cast("list[Any]", row) for value in _flat(item)]


def _datatype_of(data: list[Any], declared: str | None) -> str:
    """What the values are; what was declared where they fit it."""
    kinds = set(map(type, data)) - {type(None)}
    if not kinds:
        return declared or "FP64"
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        is_whole = declared is None or declared.startswith(("FP", "INT", "UINT"))
        least, most = (of(v for v in data if v is not None) for of in (min, max))
        if least < -(2**63) or most >= 2**64:
            return "BYTES"  # V2 has no such numbers: as text they keep their digits
        found = "INT64" if most < 2**63 else "UINT64"
        if None in data:
            found = "FP64"  # whole numbers have no null
        return declared if declared and is_whole and None not in data else found
    if kinds <= {int, float}:
        return declared if declared in ("FP16", "FP32") else "FP64"
    return "BYTES"

"""KServe's V2 protocol (open inference protocol): tensors in and out, and the model's metadata."""

from __future__ import annotations

from typing import Any, cast

from contracts.package import ArchiveIndex
from inference import strict_json
from inference.codecs import Decoded
from inference.errors import RequestError, shown
from inference.signature import Column, Signature, checked

PLATFORM = "slipway"
INTEGERS = {f"INT{bits}" for bits in (8, 16, 32, 64)} | {f"UINT{b}" for b in (8, 16, 32, 64)}
DATATYPES = INTEGERS | {"BOOL", "FP16", "FP32", "FP64", "BYTES"}
TENSOR_KEYS = frozenset({"name", "shape", "datatype", "data"})


def datatype(column: Column) -> str:
    """The V2 name of a column's type."""
    match column.kind:
        case "number":
            return "FP32" if column.form in ("float", "float32") else "FP64"
        case "integer":
            return (column.form or "int64").upper()
        case "boolean":
            return "BOOL"
        case _:
            return "BYTES"


def server_metadata(version: str) -> dict[str, Any]:
    return {"name": PLATFORM, "version": version, "extensions": []}


def model_metadata(index: ArchiveIndex, signature: Signature) -> dict[str, Any]:
    inputs = [
        {"name": c.name, "datatype": datatype(c), "shape": [-1, 1]} for c in signature.columns
    ]
    return {
        "name": index.model,
        "versions": [index.version],
        "platform": PLATFORM,
        "inputs": inputs,
        "outputs": [{"name": "predictions", "datatype": "FP64", "shape": [-1]}],
    }


def decode(signature: Signature, body: bytes) -> tuple[Decoded, str | None]:
    """The columns of an inference request, and its id.

    One tensor a column, each of n values; or one of another name, of n × columns.
    """
    document = strict_json.parse(body)
    inputs: Any = cast("dict[str, Any]", document).get("inputs") if _is_object(document) else None
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(400, "the body has no inputs; a list of tensors is needed")
    tensors = [_tensor(position, value) for position, value in enumerate(cast("list[Any]", inputs))]
    found = cast("dict[str, Any]", document).get("id")
    if found is not None and not isinstance(found, str):
        raise RequestError(400, f"id is {shown(found)}; text is needed")
    if len(tensors) == 1 and tensors[0]["name"] not in signature.names:
        return _matrix(signature, tensors[0]), found
    return _columns(signature, tensors), found


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _tensor(position: int, value: Any) -> dict[str, Any]:
    where = f"inputs[{position}]"
    if not isinstance(value, dict) or not set(cast("dict[str, Any]", value)) >= TENSOR_KEYS:
        needed = ", ".join(sorted(TENSOR_KEYS))
        raise RequestError(400, f"{where} is no tensor; an object with {needed} is needed")
    tensor = cast("dict[str, Any]", value)
    if tensor["datatype"] not in DATATYPES:
        known = ", ".join(sorted(DATATYPES))
        raise RequestError(400, f"{where}: datatype is {shown(tensor['datatype'])}; {known}")
    shape, data = tensor["shape"], tensor["data"]
    is_shape = isinstance(shape, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in cast("list[Any]", shape)
    )
    if not is_shape or not 1 <= len(cast("list[Any]", shape)) <= 2:
        raise RequestError(400, f"{where}: shape is {shown(shape)}; [rows] or [rows, columns]")
    if not isinstance(data, list):
        raise RequestError(400, f"{where}: data is {shown(data)}; a list is needed")
    return tensor


def _flat(tensor: dict[str, Any]) -> list[Any]:
    """The values in row-major order, whether they came nested or not."""
    shape: list[int] = tensor["shape"]
    data: list[Any] = tensor["data"]
    if len(shape) == 2 and data and isinstance(data[0], list):
        data = [value for row in cast("list[list[Any]]", data) for value in row]
    size = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(data) != size:
        name = shown(tensor["name"])
        raise RequestError(400, f"the tensor {name} has {len(data)} values; its shape says {size}")
    return data


def _columns(signature: Signature, tensors: list[dict[str, Any]]) -> Decoded:
    names = [str(tensor["name"]) for tensor in tensors]
    if len(set(names)) != len(names):
        raise RequestError(400, "a tensor's name came more than once; once is allowed")
    signature.refuse_unknown(names)
    given: dict[str, list[Any]] = {}
    for tensor in tensors:
        shape: list[int] = tensor["shape"]
        if len(shape) == 2 and shape[1] != 1:
            name = shown(tensor["name"])
            raise RequestError(400, f"the tensor {name} has {shape[1]} columns; one is needed")
        given[str(tensor["name"])] = _flat(tensor)
    lengths = {len(values) for values in given.values()}
    if len(lengths) != 1:
        raise RequestError(400, f"the tensors have {sorted(lengths)} rows; one number is needed")
    rows = lengths.pop()
    columns: dict[str, list[Any]] = {}
    for column in signature.columns:
        if column.name not in given and not column.nullable:
            raise RequestError(
                400,
                f"column {column.name!r} is missing; needed are {', '.join(signature.names)}",
            )
        columns[column.name] = checked(column, given.get(column.name, [None] * rows))
    return Decoded(columns, rows)


def _matrix(signature: Signature, tensor: dict[str, Any]) -> Decoded:
    shape: list[int] = tensor["shape"]
    width = len(signature.columns)
    if len(shape) != 2 or shape[1] != width:
        raise RequestError(
            400,
            f"the tensor {shown(tensor['name'])} has the shape {shape}; [rows, {width}] is needed, "
            f"its columns in the order {', '.join(signature.names)}",
        )
    flat = _flat(tensor)
    return Decoded(
        {c.name: checked(c, flat[i::width]) for i, c in enumerate(signature.columns)}, shape[0]
    )


def encode(index: ArchiveIndex, predictions: list[Any], request_id: str | None) -> dict[str, Any]:
    """The answer: one tensor ``predictions``."""
    first = predictions[0] if predictions else None
    shape = [len(predictions)]
    data = predictions
    if isinstance(first, list):
        shape.append(len(cast("list[Any]", first)))
        data = [value for row in predictions for value in row]
        first = data[0] if data else None
    answer: dict[str, Any] = {
        "model_name": index.model,
        "model_version": index.version,
        "outputs": [
            {"name": "predictions", "shape": shape, "datatype": _datatype_of(first), "data": data}
        ],
    }
    return answer if request_id is None else {**answer, "id": request_id}


def _datatype_of(value: Any) -> str:
    match value:
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case str():
            return "BYTES"
        case _:
            return "FP64"

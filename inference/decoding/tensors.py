"""V2 (open inference protocol) tensors: one a column, or one of all columns."""

from __future__ import annotations

from typing import Any, cast

from inference.decoding.decoded import Decoded, V2Request, from_columns, refuse_repeated
from inference.errors import RequestError, shown
from inference.formats.signature import Signature

INTEGERS = {f"INT{bits}" for bits in (8, 16, 32, 64)} | {f"UINT{b}" for b in (8, 16, 32, 64)}
DATATYPES = INTEGERS | {"BOOL", "FP16", "FP32", "FP64", "BYTES"}
TENSOR_KEYS = frozenset({"name", "shape", "datatype", "data"})


def are_tensors(inputs: Any) -> bool:
    """Whether ``inputs`` is V2's: every item has name, shape, datatype and data."""
    return isinstance(inputs, list) and bool(inputs) and all(map(_is_tensor, cast("Any", inputs)))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and cast("dict[str, Any]", value).keys() >= TENSOR_KEYS


def decode(signature: Signature, document: dict[str, Any], body_bytes: int) -> Decoded:
    """The columns of an inference request: tensors of n values by the columns' names, or one of
    another name, of n × columns."""
    inputs: Any = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(400, "the body has no inputs; a list of tensors is needed")
    tensors = [_tensor(position, value) for position, value in enumerate(cast("list[Any]", inputs))]
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise RequestError(400, f"id is {shown(request_id)}; text is needed")
    v2 = V2Request(request_id, _wanted(document.get("outputs")))
    is_whole = len(tensors) == 1 and tensors[0]["name"] not in signature
    columns = _whole(signature, tensors[0]) if is_whole else _one_each(tensors)
    rows = len(next(iter(columns.values())))
    found = from_columns(signature, columns, rows, body_bytes)
    return Decoded(found.columns, rows, ignored=found.ignored, v2=v2)


def _wanted(outputs: Any) -> tuple[str, ...]:
    if outputs is None:
        return ()
    names: list[str] = []
    for item in cast("list[Any]", outputs) if isinstance(outputs, list) else [None]:
        name = cast("dict[str, Any]", item).get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise RequestError(400, f"outputs is {shown(outputs)}; a list of objects with a name")
        names.append(name)
    return tuple(names)


def _tensor(position: int, value: Any) -> dict[str, Any]:
    where = f"inputs[{position}]"
    if not _is_tensor(value):
        needed = ", ".join(sorted(TENSOR_KEYS))
        raise RequestError(400, f"{where} is no tensor; an object with {needed} is needed")
    tensor = cast("dict[str, Any]", value)
    name, datatype = tensor["name"], tensor["datatype"]
    if not isinstance(name, str):
        raise RequestError(400, f"{where}: name is {shown(name)}; text is needed")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        known = ", ".join(sorted(DATATYPES))
        raise RequestError(400, f"{where}: datatype is {shown(datatype)}; {known}")
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
    if len(shape) == 2 and data and all(isinstance(row, list) for row in data):
        for number, row in enumerate(data):
            if len(row) != shape[1]:
                raise _misshapen(tensor, f"{len(row)} values in row {number}", shape[1])
        data = [value for row in data for value in row]
    size = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(data) != size:
        raise _misshapen(tensor, f"{len(data)} values", size)
    return data


def _misshapen(tensor: dict[str, Any], came: str, needed: int) -> RequestError:
    says = f"its shape says {shown(needed)}"
    return RequestError(400, f"the tensor {shown(tensor['name'])} has {came}; {says}")


def _one_each(tensors: list[dict[str, Any]]) -> dict[str, list[Any]]:
    refuse_repeated(tensor["name"] for tensor in tensors)
    given: dict[str, list[Any]] = {}
    for tensor in tensors:
        name, shape = tensor["name"], tensor["shape"]
        if len(shape) == 2 and shape[1] != 1:
            raise RequestError(
                400, f"the tensor {shown(name)} has {shown(shape[1])} columns; one is needed"
            )
        given[name] = _flat(tensor)
    lengths = {len(values) for values in given.values()}
    if len(lengths) != 1:
        raise RequestError(
            400, f"the tensors have {shown(sorted(lengths))} rows; one number is needed"
        )
    return given


def _whole(signature: Signature, tensor: dict[str, Any]) -> dict[str, list[Any]]:
    shape: list[int] = tensor["shape"]
    width = len(signature.columns)
    if len(shape) != 2 or shape[1] != width:
        raise RequestError(
            400, f"the tensor {shown(tensor['name'])} has the shape {shown(shape)}; "
            f"[rows, {width}] is needed, its columns in the order {signature.listed}",
        )  # fmt: skip
    flat = _flat(tensor)
    return {name: flat[i::width] for i, name in enumerate(signature.names)}

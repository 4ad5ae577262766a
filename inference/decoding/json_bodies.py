"""JSON bodies: MLflow's four forms, and V2's tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from inference.decoding import tensors
from inference.decoding.decoded import (
    Decoded,
    absent,
    from_columns,
    from_rows,
    kind_of,
    refuse_bomb,
    refuse_repeated,
    refuse_width,
)
from inference.errors import RequestError, shown
from inference.formats import strict_json
from inference.formats.signature import Signature, checked

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
FORMS_TEXT = "dataframe_split, dataframe_records, instances or inputs"
MOST_NAMED = 8
SPLIT_KEYS = frozenset({"columns", "data", "index"})


def decode(signature: Signature, body: bytes) -> Decoded:
    """One of MLflow's forms; ``inputs`` is V2's where every item is a tensor of it."""
    document = strict_json.parse(body)
    if not isinstance(document, dict):
        raise RequestError(
            400, f"the body is {kind_of(document)}; an object with {FORMS_TEXT} is needed"
        )
    document = cast("dict[str, Any]", document)
    forms = [form for form in FORMS if form in document]
    if len(forms) != 1:
        came = shown(forms or sorted(document)[:8])
        raise RequestError(400, f"the body has {came}; one of {FORMS_TEXT} is needed")
    params = signature.params.checked(document.get("params"))
    decoded = _of_form(signature, forms[0], document, len(body))
    return decoded if params is None else replace(decoded, params=params)


def _of_form(signature: Signature, form: str, document: dict[str, Any], body_bytes: int) -> Decoded:
    match form, document[form]:
        case "inputs", value if tensors.are_tensors(value):
            return tensors.decode(signature, document, body_bytes)
        case "dataframe_split", value:
            return _split(signature, value, body_bytes)
        case "inputs", dict() as value:
            return _columns(signature, cast("dict[str, Any]", value), body_bytes)
        case _, list() as value:
            return _items(signature, form, cast("list[Any]", value), body_bytes)
        case _, value:
            raise RequestError(400, f"{form} is {kind_of(value)}; a list of rows is needed")


def _split(signature: Signature, value: Any, body_bytes: int) -> Decoded:
    if not isinstance(value, dict) or not isinstance(cast("Any", value).get("data"), list):
        raise RequestError(400, "dataframe_split needs an object with columns and data")
    split = cast("dict[str, Any]", value)
    if strange := sorted(set(split) - SPLIT_KEYS):
        raise RequestError(400, f"dataframe_split has {shown(strange[0])}; columns, index and data")
    data = cast("list[Any]", split["data"])
    names = split.get("columns")
    if names is None:
        return _rows(signature, "dataframe_split: data", data, body_bytes)
    if not isinstance(names, list):
        raise RequestError(400, f"dataframe_split: columns is {kind_of(names)}; a list is needed")
    order = [str(name) for name in cast("list[Any]", names)]
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(cast("list[Any]", row)) != len(order):
            raise RequestError(
                400, f"dataframe_split: row {number} has {_size(row)}; columns names "
                f"{len(order)}: {', '.join(map(shown, order[:MOST_NAMED]))}",
            )  # fmt: skip
    refuse_repeated(order)
    given = {name: [row[i] for row in data] for i, name in enumerate(order) if name in signature}
    return from_columns(signature, given, len(data), body_bytes, unknown=set(order) - set(given))


def _items(signature: Signature, form: str, items: list[Any], body_bytes: int) -> Decoded:
    """A list of objects, or of lists in the signature's order."""
    if not items or not isinstance(items[0], dict):
        return _rows(signature, form, items, body_bytes)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise RequestError(400, f"{form}: row {number} is {kind_of(item)}; an object is needed")
    return from_records(signature, cast("list[dict[str, Any]]", items), body_bytes)


def from_records(signature: Signature, records: list[dict[str, Any]], body_bytes: int) -> Decoded:
    """Rows as objects; nullable columns may be absent, others that nobody knows are counted."""
    refuse_bomb(signature, len(records), body_bytes)
    width = len(signature.columns)
    is_plain = all(len(record) == width for record in records)
    columns: dict[str, list[Any]] = {}
    for column in signature.columns:
        name = column.name
        try:
            values = [record[name] for record in records]
        except KeyError:
            is_plain = False
            if not column.nullable:
                raise _absent(signature, name, records) from None
            values = [record.get(name) for record in records]
        columns[name] = checked(column, values)
    if is_plain:
        return Decoded(columns, len(records))
    strange = set[str]().union(*records) - set(columns)
    return Decoded(columns, len(records), ignored=len(strange))


def _absent(signature: Signature, name: str, records: list[dict[str, Any]]) -> RequestError:
    number = next(i for i, record in enumerate(records) if name not in record)
    strange = [key for key in records[number] if key not in signature]
    return RequestError(400, f"row {number}: {absent(signature, name, strange)}")


def _columns(signature: Signature, value: dict[str, Any], body_bytes: int) -> Decoded:
    for name, values in value.items():
        if not isinstance(values, list):
            raise RequestError(400, f"inputs: {shown(name)} is {kind_of(values)}; a list is needed")
    lengths = {len(values) for values in value.values()}
    if len(lengths) > 1:
        raise RequestError(
            400, f"inputs: the columns have {shown(sorted(lengths))} rows; one number"
        )
    return from_columns(signature, value, max(lengths, default=0), body_bytes)


def _rows(signature: Signature, where: str, items: list[Any], body_bytes: int) -> Decoded:
    for number, item in enumerate(items):
        if not isinstance(item, list):
            raise RequestError(400, f"{where}: row {number} is {kind_of(item)}; a list is needed")
        refuse_width(signature, number, cast("list[Any]", item), "values")
    return from_rows(signature, cast("list[list[Any]]", items), body_bytes)


def _size(row: Any) -> str:
    return f"{len(cast('list[Any]', row))} values" if isinstance(row, list) else kind_of(row)

"""Request bodies to columns, predictions to response bodies. Pure; bad input is a RequestError."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from inference import strict_json
from inference.errors import RequestError, shown
from inference.signature import Signature, checked, columns_of_rows, from_text

JSON, CSV = "application/json", "text/csv"
OFFERED = {"*/*": JSON, "application/*": JSON, "text/*": CSV, JSON: JSON, CSV: CSV}
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
FORMS_TEXT = "dataframe_split, dataframe_records, instances or inputs"
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@dataclass(frozen=True)
class Decoded:
    """Checked columns in the signature's order, and how many rows they have.

    ``matrix``: the same as a C-contiguous float64 array of shape (rows, columns), where every
    column holds numbers that float64 holds exactly; null is NaN. It may stand without columns.
    """

    columns: dict[str, list[Any]]
    rows: int
    matrix: Any = None


def decode(signature: Signature, content_type: str, body: bytes) -> Decoded:
    """A body by its Content-Type; nothing said means JSON, as MLflow's clients send it."""
    kind, parameters = media_type(content_type)
    charset = parameters.get("charset", "utf-8")
    if charset not in CHARSETS:
        raise RequestError(415, f"charset is {shown(charset)}; utf-8 is needed")
    match kind:
        case "" | "application/json":
            return _decode_json(signature, body)
        case "text/csv":
            return _decode_csv(signature, body, parameters.get("header"))
        case other:
            raise RequestError(415, f"content type is {shown(other)}; {JSON} or {CSV} is needed")


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """``text/csv; header=present`` as its type and its parameters, in lower case."""
    kind, *rest = header.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {k.strip().lower(): v.strip(' "').lower() for k, _, v in pairs}


def _decode_json(signature: Signature, body: bytes) -> Decoded:
    document = strict_json.parse(body)
    if not isinstance(document, dict):
        raise RequestError(
            400, f"the body is {_kind(document)}; an object with {FORMS_TEXT} is needed"
        )
    document = cast("dict[str, Any]", document)
    forms = [form for form in FORMS if form in document]
    if len(forms) != 1:
        came = shown(forms or sorted(document)[:8])
        raise RequestError(400, f"the body has {came}; one of {FORMS_TEXT} is needed")
    if forms[0] == "dataframe_split":
        return _split(signature, document["dataframe_split"])
    return _items(signature, forms[0], document[forms[0]])


def _split(signature: Signature, value: Any) -> Decoded:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise RequestError(400, "dataframe_split needs an object with columns and data")
    split = cast("dict[str, Any]", value)
    data = cast("list[Any]", split["data"])
    names = split.get("columns")
    if names is None:
        return _rows(signature, "dataframe_split: data", data)
    if not isinstance(names, list):
        raise RequestError(400, f"dataframe_split: columns is {_kind(names)}; a list is needed")
    order = [str(name) for name in cast("list[Any]", names)]
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(cast("list[Any]", row)) != len(order):
            raise RequestError(
                400, f"dataframe_split: row {number} has {_size(row)}; columns names "
                f"{len(order)}: {', '.join(order)[:400]}",
            )  # fmt: skip
    return _by_name(signature, order, cast("list[list[Any]]", data))


def _by_name(signature: Signature, order: Sequence[str], data: Sequence[Sequence[Any]]) -> Decoded:
    """Rows whose values are named by ``order``, each column once; nullable ones may be absent."""
    _refuse_repeated(order)
    signature.refuse_unknown(order)
    position = {name: i for i, name in enumerate(order)}
    columns: dict[str, list[Any]] = {}
    for column in signature.columns:
        index = position.get(column.name)
        if index is not None:
            values = [row[index] for row in data]
        elif column.nullable:
            values = [None] * len(data)
        else:
            raise _absent(column.name, signature)
        columns[column.name] = checked(column, values)
    return Decoded(columns, len(data))


def _absent(name: str, signature: Signature) -> RequestError:
    return RequestError(400, f"column {name!r} is missing; needed are {', '.join(signature.names)}")


def _items(signature: Signature, key: str, value: Any) -> Decoded:
    """A list of objects, or of lists in column order; ``inputs`` may also map names to columns."""
    if key == "inputs" and isinstance(value, dict):
        return _columns(signature, cast("dict[str, Any]", value))
    if not isinstance(value, list):
        raise RequestError(400, f"{key} is {_kind(value)}; a list of rows is needed")
    items = cast("list[Any]", value)
    if not items or not isinstance(items[0], dict):
        return _rows(signature, key, items)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise RequestError(400, f"{key}: row {number} is {_kind(item)}; an object is needed")
    records = cast("list[dict[str, Any]]", items)
    for number, record in enumerate(records):
        signature.refuse_unknown(record, f"row {number}: ")
    columns: dict[str, list[Any]] = {}
    for column in signature.columns:
        if not column.nullable:
            for number, record in enumerate(records):
                if column.name not in record:
                    raise RequestError(
                        400, f"row {number}: column {column.name!r} is missing; needed are "
                        f"{', '.join(signature.names)}",
                    )  # fmt: skip
        columns[column.name] = checked(column, [record.get(column.name) for record in records])
    return Decoded(columns, len(records))


def _columns(signature: Signature, value: Mapping[str, Any]) -> Decoded:
    lengths: set[int] = set()
    for name, values in value.items():
        if not isinstance(values, list):
            raise RequestError(400, f"inputs: {shown(name)} is {_kind(values)}; a list is needed")
        lengths.add(len(cast("list[Any]", values)))
    if len(lengths) > 1:
        raise RequestError(400, f"inputs: the columns have {sorted(lengths)} rows; one number")
    signature.refuse_unknown(value, "inputs: ")
    return _by_name(signature, list(value), list(zip(*value.values(), strict=True)))


def _rows(signature: Signature, where: str, items: list[Any]) -> Decoded:
    for number, item in enumerate(items):
        if not isinstance(item, list):
            raise RequestError(400, f"{where}: row {number} is {_kind(item)}; a list is needed")
    return Decoded(columns_of_rows(signature, cast("list[list[Any]]", items)), len(items))


def _refuse_repeated(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(400, f"column {shown(name)} came more than once; once is allowed")
        seen.add(name)


def _size(row: Any) -> str:
    return f"{len(cast('list[Any]', row))} values" if isinstance(row, list) else _kind(row)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def _decode_csv(signature: Signature, body: bytes, header: str | None) -> Decoded:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the CSV is not UTF-8 (byte {error.start})") from None
    except csv.Error as error:
        raise RequestError(400, f"the body is not CSV: {error}") from None
    if not lines:
        raise RequestError(
            400, f"the body is empty; rows of {', '.join(signature.names)} are needed"
        )
    # A blank line is a row only where a row may be one empty cell.
    rows = [line or [""] for line in lines if line or len(signature.columns) == 1]
    names = signature.names
    has_header = bool(rows) and _has_header(signature, rows[0], header)
    if has_header:
        names = rows.pop(0)
        _refuse_repeated(names)
        signature.refuse_unknown(names)
    by_name = {column.name: column for column in signature.columns}
    columns = [by_name[name] for name in names]
    for number, row in enumerate(rows):
        if len(row) != len(names):
            if number == 0 and header is None and not has_header:
                _explain_header(signature, row)
            raise RequestError(
                400, f"row {number} has {len(row)} cells; {len(names)} are needed: "
                f"{', '.join(names)}",
            )  # fmt: skip
    typed = [
        [from_text(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows
    ]
    return _by_name(signature, names, typed)


def _has_header(signature: Signature, first: list[str], said: str | None) -> bool:
    """A first line is a header if it is said to be, or holds exactly the signature's names."""
    match said:
        case "present":
            return True
        case "absent":
            return False
        case None:
            return signature.tensor is None and sorted(first) == sorted(signature.names)
        case other:
            raise RequestError(400, f"header is {shown(other)}; present or absent is needed")


def _explain_header(signature: Signature, first: list[str]) -> None:
    """A first line that is mostly names is a header that went wrong: say in which column."""
    known = set(signature.names)
    if 2 * sum(name in known for name in first) <= len(first):
        return
    _refuse_repeated(first)
    signature.refuse_unknown(first)
    for column in signature.columns:
        if column.name not in first:
            raise _absent(column.name, signature)


def accepted(accept: str) -> str:
    """The type to answer with: the best that ``Accept`` allows, JSON where it does not mind."""
    if not accept.strip():
        return JSON
    best, best_q = "", 0.0
    for part in accept.split(","):
        kind, parameters = media_type(part)
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            quality = 0.0
        offered = OFFERED.get(kind)
        if offered and quality > best_q:
            best, best_q = offered, quality
    if not best:
        raise RequestError(406, f"accept is {shown(accept)}; {JSON} or {CSV} can be answered")
    return best


def encode(kind: str, predictions: list[Any]) -> bytes:
    """``{"predictions": [...]}``, or CSV without a header, a line a row; NaN is null or empty."""
    if kind == JSON:
        return orjson.dumps({"predictions": predictions})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for item in predictions:
        if isinstance(item, dict):
            writer.writerow([_cell(v) for v in cast("dict[str, Any]", item).values()])
        else:
            writer.writerow([_cell(v) for v in (item if isinstance(item, list) else [item])])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else value

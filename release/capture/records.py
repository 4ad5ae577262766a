"""One line of a data-capture file (facts 8) as what gates compare: an id, a time, predictions."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Scalar = float | str
# What a prediction with several named parts is counted by.
HEADS = ("prediction", "predicted_label", "label", "class", "predictions", "score", "probability")
MAX_ROWS = 10_000


@dataclass(frozen=True)
class Row:
    """One prediction: ``head`` goes into a histogram, ``values`` are compared pair by pair."""

    head: Scalar
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Record:
    """One captured answer; ``rows`` is None where its output cannot be read as predictions."""

    id: str
    at: float
    rows: tuple[Row, ...] | None


class LineError(ValueError):
    """The line is no record of a capture file."""


def record(line: bytes) -> Record | None:
    """The record of one line; None where no output was captured.

    Raises:
        LineError: it is malformed.
    """
    try:
        told = json.loads(line)
        metadata = told["eventMetadata"]
        key = metadata.get("inferenceId") or metadata["eventId"]
        at = _epoch(metadata["inferenceTime"])
        output = told["captureData"].get("endpointOutput")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LineError(str(error)) from None
    if not isinstance(output, dict):
        return None
    return Record(str(key), at, rows(output))


def _epoch(text: str) -> float:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def rows(output: dict[str, Any]) -> tuple[Row, ...] | None:
    """The predictions of an ``endpointOutput``; None where it holds none that can be read."""
    encoding, data = str(output.get("encoding", "")).upper(), output.get("data")
    if not isinstance(data, str):
        return None
    kind = str(output.get("observedContentType", "")).partition(";")[0].strip().lower()
    if encoding == "BASE64":
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        encoding = "CSV" if kind == "text/csv" else "JSON" if "json" in kind else ""
    if encoding == "CSV":
        return _of_csv(data)
    if encoding == "JSON":
        return _of_json(data)
    # A type that nobody named: whichever it turns out to be.
    return _of_json(data) or _of_csv(data)


def _of_csv(text: str) -> tuple[Row, ...] | None:
    try:
        lines = [cells for cells in csv.reader(io.StringIO(text)) if cells]
    except csv.Error:
        return None
    if not lines or len(lines) > MAX_ROWS:
        return None
    return tuple(_row([_cell(cell) for cell in cells]) for cells in lines)


def _of_json(text: str) -> tuple[Row, ...] | None:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return _of_lines(text)
    if isinstance(told, dict) and "predictions" in told:
        told = told["predictions"]
    items = _columns(told) if isinstance(told, dict) else told
    if not isinstance(items, list):
        items = [items]
    return _rows(items)


def _of_lines(text: str) -> tuple[Row, ...] | None:
    try:
        items = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None
    return _rows(items)


def _columns(told: dict[str, Any]) -> list[Any]:
    """``{"a": [1, 2], "b": [3, 4]}`` is two predictions, ``{"a": 1}`` is one."""
    lists = [v for v in told.values() if isinstance(v, list)]
    if lists and len(lists) == len(told) and len({len(v) for v in lists}) == 1:
        return [dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True)]
    return [told]


def _rows(items: list[Any]) -> tuple[Row, ...] | None:
    if not items or len(items) > MAX_ROWS:
        return None
    found = [_prediction(item) for item in items]
    return None if any(row is None for row in found) else tuple(r for r in found if r is not None)


def _prediction(item: Any) -> Row | None:
    """A vector of numbers is counted by the place of its greatest: it is one score a class."""
    if isinstance(item, list):
        values = [_scalar(value) for value in item]
        scores = [v for v in values if isinstance(v, float)]
        if not values or any(v is None for v in values):
            return None
        known = [v for v in values if v is not None]
        if len(known) > 1 and len(scores) == len(known):
            best = max(range(len(scores)), key=lambda i: _rank(scores[i]))
            return Row(f"#{best}", tuple(known))
        return _row(known)
    if isinstance(item, dict):
        return _of_names(item)
    value = _scalar(item)
    return None if value is None else _row([value])


def _of_names(item: dict[str, Any]) -> Row | None:
    names = sorted(item, key=lambda n: (HEADS.index(n) if n in HEADS else len(HEADS), n))
    values: list[Scalar] = []
    for name in names:
        row = _prediction(item[name])
        if row is None:
            return None
        values += row.values
    head = _prediction(item[names[0]]) if names else None
    return None if head is None else Row(head.head, tuple(values))


def _row(values: list[Scalar]) -> Row:
    return Row(values[0], tuple(values))


def _scalar(value: Any) -> Scalar | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            try:
                return float(value)
            except OverflowError:
                return math.inf
        case str():
            return value
        case None:
            return math.nan
        case _:
            return None


def _cell(text: str) -> Scalar:
    clean = text.strip()
    if not clean:
        return math.nan
    try:
        return float(clean)
    except ValueError:
        return clean


def _rank(score: float) -> float:
    return -math.inf if math.isnan(score) else score


# --- comparing


def agree(a: Iterable[Row], b: Iterable[Row], relative: float, absolute: float) -> bool:
    """Whether two answers say the same; numbers may differ a little, two NaN are the same."""
    left, right = tuple(a), tuple(b)
    return len(left) == len(right) and all(
        len(x.values) == len(y.values)
        and all(_same(p, q, relative, absolute) for p, q in zip(x.values, y.values, strict=True))
        for x, y in zip(left, right, strict=True)
    )


def _same(a: Scalar, b: Scalar, relative: float, absolute: float) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return math.isclose(a, b, rel_tol=relative, abs_tol=absolute)
    return a == b

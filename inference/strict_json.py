"""JSON bodies: parsed fast; a name that comes twice is refused, a bare NaN is null."""

from __future__ import annotations

import json
import math
from typing import Any, cast

import orjson

from inference.errors import RequestError, shown

REMEDY = "send numbers that are finite, or null"


def parse(body: bytes) -> Any:
    """The document in ``body``; a bare ``NaN`` is null, as pandas and MLflow's clients write it."""
    if not body.strip():
        raise RequestError(400, "the body is empty; a JSON object is needed")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # A number that no float holds is JSON all the same: its column's check will name it.
        is_constant = b"NaN" in body or b"Infinity" in body
        if not is_constant and "infinity" not in str(error):
            raise RequestError(400, f"the body is not JSON: {error}") from None
        return _parse_slowly(body, str(error))
    # Every name stands before a colon: as many colons as names were kept, and none came twice.
    if body.count(b":") != _names_kept(document):
        return _parse_slowly(body, "")
    return document


def _names_kept(document: Any) -> int:
    """Names in the document's objects, as deep as a request goes (deeper ones are not counted)."""
    if not isinstance(document, dict):
        return 0
    top = cast("dict[str, Any]", document)
    count = len(top)
    for value in top.values():
        if isinstance(value, dict):
            count += len(cast("dict[str, Any]", value))
        elif isinstance(value, list):
            for item in cast("list[Any]", value):
                if isinstance(item, dict):
                    count += len(cast("dict[str, Any]", item))
    return count


def _parse_slowly(body: bytes, problem: str) -> Any:
    try:
        document = json.loads(body, parse_constant=_constant, object_pairs_hook=_object)
        if problem:  # halves of surrogate pairs, which orjson refuses, are no text
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {problem or error}") from None


def _constant(name: str) -> float:
    if name == "NaN":
        return math.nan
    raise RequestError(400, f"the body holds {name}; {REMEDY}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RequestError(400, f"{shown(name)} came more than once; once is allowed")
            seen.add(name)
    return made

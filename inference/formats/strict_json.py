"""JSON bodies: parsed fast; a name that comes twice is refused, a bare NaN is null."""

from __future__ import annotations

import json
import math
import re
from typing import Any, cast

import orjson

from inference.decoding import large_json
from inference.errors import RequestError, shown

REMEDY = "send numbers that are finite, or null"
MAX_DEPTH = 32
LARGE_BYTES = 256 * 1024
# simdjson's names for numbers that fit into neither 64 bits nor a float.
LARGE_NUMBER = re.compile("BIGINT_ERROR|NUMBER_ERROR")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TOO_DEEP = f"the JSON is nested more than {MAX_DEPTH} deep; a request needs 5"

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")


def parse(body: bytes) -> Any:
    """The document in ``body``; a bare ``NaN`` is null, as pandas and MLflow's clients write it."""
    body = body.removeprefix(BYTE_ORDER_MARK)
    if not body.strip():
        raise RequestError(400, "the body is empty; a JSON object is needed")
    document = _parsed(body)
    # Most requests have few brackets, so none can be nested deep.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(body):
        raise RequestError(400, TOO_DEEP)
    return document


def _parsed(body: bytes) -> Any:
    if len(body) > LARGE_BYTES:
        return _parsed_large(body)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # A number that no float holds is JSON all the same: its column's check will name it.
        is_constant = b"NaN" in body or b"Infinity" in body
        if not is_constant and "infinity" not in str(error):
            raise RequestError(400, f"the body is not JSON: {error}") from None
        return _parse_slowly(body, str(error))
    # Every name stands before a colon: as many colons as names were kept, and none came twice.
    kept = _names_kept(document)
    if body.count(b":") != kept and _TEXT.sub(b"", body).count(b":") != kept:
        return _parse_slowly(body, "")
    return document


def _parsed_large(body: bytes) -> Any:
    """As :func:`_parsed`, for a body that would hold up every other thread."""
    try:
        try:
            return large_json.parse(body)
        except ValueError:
            if b"NaN" not in body:
                raise
            return large_json.parse(large_json.with_nulls(body))
    except large_json.UnusualError:
        return _parse_slowly(body, "")
    except ValueError as error:
        # Numbers and constants that simdjson does not take, the standard library may.
        is_constant = b"NaN" in body or b"Infinity" in body
        if not is_constant and not LARGE_NUMBER.search(str(error)):
            raise RequestError(400, f"the body is not JSON: {error}") from None
        return _parse_slowly(body, str(error))


def _is_deep(body: bytes) -> bool:
    """Whether valid JSON is nested too deep: each pass takes its innermost level away."""
    return _has_more_levels(body) and _has_more_levels(_TEXT.sub(b"", body))


def _has_more_levels(body: bytes) -> bool:
    brackets = body.translate(_AS_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


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
        decoder = large_json.SlowDecoder if len(body) > LARGE_BYTES else json.JSONDecoder
        document = json.loads(
            body.decode(), cls=decoder, parse_constant=_constant, object_pairs_hook=_object
        )
        if problem and b"\\ud" in body.lower():
            # Halves of surrogate pairs, which orjson refuses, are no text.
            for part in json.JSONEncoder(ensure_ascii=False).iterencode(document):
                part.encode()
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

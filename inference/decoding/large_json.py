"""JSON of any size, parsed so that other threads get their turn meanwhile.

simdjson walks 100 MB in a fraction of a second; the values are then made a row at a time.
"""

from __future__ import annotations

import json
from json.decoder import JSONArray, JSONObject  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from json.scanner import py_make_scanner  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from typing import Any, cast

import simdjson

# Of the values that a request has, the deepest are a row's, in dataframe_split's data.
ROW_DEPTH = 3
# simdjson counts the items of a list up to here, and writes past the end of what it made for more.
MOST_ITEMS = 2**24 - 1
# What is looked at in one go, while no other thread gets its turn.
SLICE_BYTES = 256 * 1024


class UnusualError(ValueError):
    """An object has a name twice, or one with a NUL, at which simdjson's Python part ends it."""


def parse(body: bytes) -> Any:
    """The document in ``body``.

    Raises:
        ValueError: it is no JSON, or simdjson does not take it (NaN, integers above 64 bits).
        UnusualError: it may be JSON, but a name in it is out of the ordinary.
    """
    make = _made_by_item if may_have_endless_lists(body) else _made
    try:
        return make(simdjson.Parser().parse(body), 0)
    except RuntimeError as error:  # integers above 64 bits
        raise ValueError(str(error)) from None


def may_have_endless_lists(body: bytes, between: bytes = b",") -> bool:
    """Whether a list in ``body``, its items with ``between`` among them, may pass MOST_ITEMS."""
    return len(body) > 2 * MOST_ITEMS and body.count(between) >= MOST_ITEMS - 1


def _made_by_item(value: Any, depth: int) -> Any:
    """As :func:`_made`, of lists of any length: nothing here trusts the count of a list."""
    if isinstance(value, simdjson.Object):
        names = list(value.keys())
        if len(names) != len(set(names)) or any("\0" in name for name in names):
            raise UnusualError
        return {name: _made_by_item(value[name], depth + 1) for name in names}
    if isinstance(value, simdjson.Array):
        return [_made_by_item(item, depth + 1) for item in value]
    return value


def _made(value: Any, depth: int) -> Any:
    if isinstance(value, simdjson.Object):
        if depth >= ROW_DEPTH:
            made = value.as_dict()
        else:
            names = list(value.keys())  # what ``items`` gives is made whole
            if any("\0" in name for name in names):
                raise UnusualError
            made = {name: _made(value[name], depth + 1) for name in names}
        if len(made) != len(value):
            raise UnusualError
        return made
    if not isinstance(value, simdjson.Array):
        return value
    if depth >= ROW_DEPTH or not len(value) or not _is_nested(value[0]):
        return cast("list[Any]", value.as_list())
    return [_made(item, ROW_DEPTH) for item in value]


def _is_nested(value: Any) -> bool:
    return isinstance(value, simdjson.Array | simdjson.Object)


def with_nulls(body: bytes) -> bytes:
    """``body`` with every bare NaN spelled null; what stands in texts stays as it is."""
    made: list[bytes] = []
    at, in_text = 0, False
    while at < len(body):
        end = body.find(b",", at + SLICE_BYTES) + 1 or len(body)
        piece, at = body[at:end], end
        # Of the same length, and each quote in it begins or ends a text.
        masked = piece.replace(b"\\\\", b"--").replace(b'\\"', b"--") if b"\\" in piece else piece
        parts = masked.split(b'"')
        if b"NaN" in piece:
            if masked is not piece:
                parts = _cut(piece, parts)
            first = int(in_text)
            parts[first::2] = [part.replace(b"NaN", b"null") for part in parts[first::2]]
            piece = b'"'.join(parts)
        made.append(piece)
        in_text ^= len(parts) % 2 == 0
    return b"".join(made)


def _cut(piece: bytes, like: list[bytes]) -> list[bytes]:
    """``piece`` cut where ``like`` is, whose parts a quote each lies between."""
    parts: list[bytes] = []
    at = 0
    for part in like:
        parts.append(piece[at : at + len(part)])
        at += len(part) + 1
    return parts


class SlowDecoder(json.JSONDecoder):
    """The standard library's decoder, all of it in Python: slow, and never in the way."""

    def __init__(self, **hooks: Any) -> None:
        super().__init__(**hooks)
        self.parse_object = JSONObject
        self.parse_array = JSONArray
        self.scan_once = py_make_scanner(self)

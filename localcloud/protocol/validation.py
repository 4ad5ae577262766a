"""Holds the parameters of a request against botocore's service model, in AWS's own words.

boto3 checks required members and lower bounds before it sends; it never checks enumerations,
patterns and upper bounds, and other clients check nothing. AWS does all of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from localcloud.protocol import patterns
from localcloud.service import ServiceError

_SHOWN_ITEMS = 20


def problems(shape: Any, params: Any) -> list[str]:
    """Every constraint that ``params`` break, worded as AWS does; an empty list when none."""
    return list(_check(shape, params, ""))


def check_json(shape: Any, params: Mapping[str, Any]) -> None:
    """Raise AWS's ``ValidationException`` with all problems at once.

    Raises:
        ServiceError: ``ValidationException``.
    """
    found = problems(shape, params)
    if found:
        raise ServiceError("ValidationException", _message(found))


def check_query(shape: Any, params: Mapping[str, Any]) -> None:
    """As :func:`check_json`, with the codes of a service that began with the Query protocol.

    Raises:
        ServiceError: ``MissingParameter`` for an absent top-level member, else ``ValidationError``.
    """
    for name in shape.required_members:
        if name not in params:
            raise ServiceError(
                "MissingParameter", f"The request must contain the parameter {name}."
            )
    found = problems(shape, params)
    if found:
        raise ServiceError("ValidationError", _message(found))


def _message(found: list[str]) -> str:
    noun = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {noun} detected: {'; '.join(found)}"


def _check(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            yield from _check_structure(shape, value, path)
        case "list":
            yield from _check_length(shape, len(value), value, path)
            for index, item in enumerate(value, start=1):
                yield from _check(shape.member, item, f"{path}.{index}.member")
        case "map":
            yield from _check_length(shape, len(value), value, path)
            for key, item in value.items():
                yield from _check(shape.key, key, f"{path}.{key}.key")
                yield from _check(shape.value, item, f"{path}.{key}.member")
        case "string":
            yield from _check_string(shape, value, path)
        case "blob":
            yield from _check_length(shape, len(value), value, path)
        case "integer" | "long" | "float" | "double":
            yield from _check_number(shape, value, path)
        case _:
            return


def _check_structure(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        where = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
        if name in value:
            yield from _check(member, value[name], where)
        elif name in shape.required_members:
            yield _problem(None, member, where, "Member must not be null")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield _problem(value, shape, path, "Exactly one member of the union must be set")


def _check_string(shape: Any, value: str, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        allowed = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield _problem(value, shape, path, allowed)
    yield from _check_length(shape, len(value), value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not patterns.matches(pattern, value):
        wanted = f"Member must satisfy regular expression pattern: {pattern}"
        yield _problem(value, shape, path, wanted)


def _check_length(shape: Any, length: int, value: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < int(low):
        wanted = f"Member must have length greater than or equal to {low}"
        yield _problem(value, shape, path, wanted)
    if high is not None and length > int(high):
        wanted = f"Member must have length less than or equal to {high}"
        yield _problem(value, shape, path, wanted)


def _check_number(shape: Any, value: float, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and (math.isnan(value) or value < float(low)):
        wanted = f"Member must have value greater than or equal to {low}"
        yield _problem(value, shape, path, wanted)
    if high is not None and value > float(high):
        wanted = f"Member must have value less than or equal to {high}"
        yield _problem(value, shape, path, wanted)


def _problem(value: Any, shape: Any, path: str, wanted: str) -> str:
    if value is None:
        shown = "Value null"
    elif shape.metadata.get("sensitive"):
        shown = "Value"
    else:
        shown = f"Value '{_show(value)}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {wanted}"


def _show(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case Mapping():
            return "{" + ", ".join(f"{k}={_show(v)}" for k, v in value.items()) + "}"
        case list():
            more = ", ..." if len(value) > _SHOWN_ITEMS else ""
            return "[" + ", ".join(_show(v) for v in value[:_SHOWN_ITEMS]) + more + "]"
        case bytes():
            return f"({len(value)} bytes)"
        case _:
            return str(value)


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]

"""Frozen dataclasses to JSON and back; a record of another form is refused by the field's name."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from contracts.errors import ContractError
from contracts.release_manifest import ReleaseManifest

T = TypeVar("T")
KIND = "kind"


def encode(value: Any) -> Any:
    """JSON-ready; a record carries the name of its class as ``kind``."""
    if isinstance(value, ReleaseManifest):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {KIND: type(value).__name__} | {
            f.name: encode(getattr(value, f.name)) for f in fields(value)
        }
    if isinstance(value, list | tuple):
        return [encode(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {k: encode(v) for k, v in cast("Mapping[str, Any]", value).items()}
    return value


def decode(kind: type[T], value: Any, where: str) -> T:
    """The record of class ``kind`` that ``value`` is the JSON form of."""
    return _decode(kind, value, where)


def _decode(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), value, where)
    if origin is tuple:
        item = get_args(hint)[0]
        items = _expect(value, list, where, "a list")
        return tuple(_decode(item, v, f"{where}[{i}]") for i, v in enumerate(items))
    if origin is dict:
        item = get_args(hint)[1]
        raw = _expect(value, dict, where, "an object")
        return {str(k): _decode(item, v, f"{where}.{k}") for k, v in raw.items()}
    if hint is Any:
        return value
    if is_dataclass(hint):
        return _record(cast("type[Any]", hint), value, where)
    if hint is float:
        return float(_expect(value, (int, float), where, "a number"))
    return _expect(value, hint, where, f"{hint.__name__}")


def _one_of(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    wanted = [o for o in options if o is not type(None)]
    if len(wanted) == 1:
        return _decode(wanted[0], value, where)
    raw = _expect(value, dict, where, "an object")
    for option in wanted:
        if option.__name__ == raw.get(KIND):
            return _decode(option, value, where)
    known = ", ".join(o.__name__ for o in wanted)
    raise ContractError(f"{where}: kind is {raw.get(KIND)!r}; one of {known} is needed")


def _record(kind: type[Any], value: Any, where: str) -> Any:
    if kind is ReleaseManifest:
        return ReleaseManifest.from_dict(value, where)
    raw = _expect(value, dict, where, "an object")
    hints, declared = _shape(kind)
    values: dict[str, Any] = {}
    for field in declared:
        if field.name in raw:
            values[field.name] = _decode(
                hints[field.name], raw[field.name], f"{where}.{field.name}"
            )
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ContractError(f"{where}: {field.name} is missing")
    return kind(**values)


@cache
def _shape(kind: type[Any]) -> tuple[dict[str, Any], tuple[Field[Any], ...]]:
    return get_type_hints(kind), fields(kind)


def _expect(value: Any, kind: Any, where: str, wanted: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ContractError(f"{where} is {value!r}; {wanted} is needed")
    return value

"""Frozen dataclasses to JSON and back; a record of another form is refused by the field's name."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from contracts.errors import ContractError
from contracts.release_manifest import ReleaseManifest

T = TypeVar("T")
Reader = Callable[[Any, str], Any]
KIND = "kind"
_PLAIN = frozenset({str, int, float, bool})


def encode(value: Any) -> Any:
    """JSON-ready; a record carries the name of its class as ``kind``."""
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, ReleaseManifest):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        found = {name: encode(getattr(value, name)) for name in _names(type(value))}
        return {KIND: type(value).__name__} | found
    if isinstance(value, list | tuple):
        return [encode(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {k: encode(v) for k, v in cast("Mapping[str, Any]", value).items()}
    return value


def decode(kind: type[T], value: Any, where: str) -> T:
    """The record of class ``kind`` that ``value`` is the JSON form of."""
    return _reader(kind)(value, where)


@cache
def _reader(hint: Any) -> Reader:
    """What reads a value of this type; types are looked into once, records are read often."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint))
    if origin is tuple:
        return partial(_tuple, _reader(get_args(hint)[0]))
    if origin is dict:
        return partial(_dict, _reader(get_args(hint)[1]))
    if hint is Any:
        return lambda value, _where: value
    if hint is ReleaseManifest:
        return ReleaseManifest.from_dict
    if is_dataclass(hint):
        return partial(_record, cast("type[Any]", hint))
    if hint is float:
        return lambda value, where: float(_expect(value, (int, float), where, "a number"))
    return lambda value, where: _expect(value, hint, where, hint.__name__)


def _tuple(item: Reader, value: Any, where: str) -> tuple[Any, ...]:
    items = _expect(value, list, where, "a list")
    return tuple(item(v, f"{where}[{i}]") for i, v in enumerate(items))


def _dict(item: Reader, value: Any, where: str) -> dict[str, Any]:
    raw = _expect(value, dict, where, "an object")
    return {str(k): item(v, f"{where}.{k}") for k, v in raw.items()}


def _one_of(options: tuple[Any, ...]) -> Reader:
    wanted = {o.__name__: _reader(o) for o in options if o is not type(None)}
    only = next(iter(wanted.values())) if len(wanted) == 1 else None

    def read(value: Any, where: str) -> Any:
        if value is None and type(None) in options:
            return None
        if only is not None:
            return only(value, where)
        found = _expect(value, dict, where, "an object").get(KIND)
        if found not in wanted:
            raise ContractError(f"{where}: kind is {found!r}; one of {', '.join(wanted)} is needed")
        return wanted[found](value, where)

    return read


def _record(kind: type[Any], value: Any, where: str) -> Any:
    raw = _expect(value, dict, where, "an object")
    values: dict[str, Any] = {}
    for field, read in _fields(kind):
        if field.name in raw:
            values[field.name] = read(raw[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ContractError(f"{where}: {field.name} is missing")
    return kind(**values)


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _fields(kind: type[Any]) -> tuple[tuple[Field[Any], Reader], ...]:
    hints = get_type_hints(kind)
    return tuple((field, _reader(hints[field.name])) for field in fields(kind))


def _expect(value: Any, kind: Any, where: str, wanted: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ContractError(f"{where} is {value!r}; {wanted} is needed")
    return value

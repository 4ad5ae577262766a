"""Between the contract's properties and the shapes of the AWS API, by the tables alone.

A member is called as in the API unless the table says otherwise (``api``); ``single`` is a list of
which AWS takes one element; ``keyValue`` and ``nameValue`` are maps that AWS writes as lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.provider.schema import Property
from localcloud.provider.values import Properties, Value

_PAIRS = {"keyValue": ("Key", "Value"), "nameValue": ("Name", "Value")}
# What is no member of the API's requests, on any type. Inside objects these are names like others.
_OWN = ("region", "tags", "tagsAll", "namePrefix")


def to_api(
    fields: Mapping[str, Property], value: Properties, only: Iterable[str] | None = None
) -> dict[str, Any]:
    """An object as AWS takes it; ``only`` picks properties."""
    names = fields.keys() if only is None else only
    return _members({name: fields[name] for name in names if name not in _OWN}, value)


def from_api(fields: Mapping[str, Property], answer: Mapping[str, Any]) -> Properties:
    """The properties that an answer of AWS holds; others of its members are passed over."""
    return _fields({name: prop for name, prop in fields.items() if name not in _OWN}, answer)


def _members(fields: Mapping[str, Property], value: Properties) -> dict[str, Any]:
    return {
        prop.api: _to_api(prop, value[name])
        for name, prop in fields.items()
        if value.get(name) is not None
    }


def _fields(fields: Mapping[str, Property], answer: Mapping[str, Any]) -> Properties:
    return {
        name: _from_api(prop, answer[prop.api])
        for name, prop in fields.items()
        if answer.get(prop.api) is not None
    }


def _to_api(prop: Property, value: Value) -> Any:
    shape = prop.rules.get("shape", "")
    if prop.container == "map" and shape in _PAIRS:
        key, text = _PAIRS[shape]
        return [{key: name, text: item} for name, item in sorted(value.items())]
    if prop.container in ("list", "set"):
        items = [_to_api(prop.item(), item) for item in value]
        return items[0] if prop.rules.get("single") else items
    if prop.element == "object":
        return _members(prop.fields, value)
    return float(value) if shape == "number" else value


def _from_api(prop: Property, value: Any) -> Value:
    shape = prop.rules.get("shape", "")
    if prop.container == "map":
        if shape in _PAIRS:
            key, text = _PAIRS[shape]
            return {item[key]: item[text] for item in value}
        return dict(value)
    if prop.container in ("list", "set"):
        items = [value] if prop.rules.get("single") else list(value)
        return [_from_api(prop.item(), item) for item in items]
    if prop.element == "object":
        return _fields(prop.fields, value)
    if shape == "number":
        return f"{value:.15g}"
    if prop.element == "integer" and isinstance(value, float):
        return int(value)
    return value

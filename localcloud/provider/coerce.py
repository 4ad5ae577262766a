"""Bring values into the types of the contract, as the bridge does, and name what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from localcloud.provider.paths import Path
from localcloud.provider.schema import Property
from localcloud.provider.values import DEFAULTS_KEY, UNKNOWN, Asset, Properties, Value, has_unknown

Report = Callable[[Path, str], None]

# Texts for which a program may give an object: it becomes JSON before it is looked at.
_JSON_CHECKS = ("json", "iamPolicy")


def silent(path: Path, reason: str) -> None:
    """A report for values that were checked before: state and old inputs."""


def coerce_object(
    fields: dict[str, Property], value: Properties, report: Report = silent, path: Path = ()
) -> Properties:
    """An object with its fields in their types; fields of no value are left out."""
    result: Properties = {}
    for name, item in value.items():
        if name == DEFAULTS_KEY or item is None:
            continue
        prop = fields.get(name)
        if prop is None:
            report((*path, name), "invalid or unknown key")
            continue
        result[name] = coerce(prop, item, report, (*path, name))
    return result


def coerce(prop: Property, value: Value, report: Report = silent, path: Path = ()) -> Value:
    """One property's value in its type; an unknown stays what it is."""
    if value is UNKNOWN or value is None:
        return value
    if prop.container in ("list", "set"):
        if not isinstance(value, list):
            return _misfit(value, "list", report, path)
        return [coerce(prop.item(), item, report, (*path, i)) for i, item in enumerate(value)]
    if prop.container == "map":
        if not isinstance(value, dict):
            return _misfit(value, "map", report, path)
        return {
            key: coerce(prop.item(), item, report, (*path, key))
            for key, item in value.items()
            if item is not None and key != DEFAULTS_KEY
        }
    if prop.element == "object":
        if not isinstance(value, dict):
            return _misfit(value, "object", report, path)
        return coerce_object(prop.fields, value, report, path)
    return _scalar(prop, value, report, path)


def _scalar(prop: Property, value: Value, report: Report, path: Path) -> Value:
    match prop.element:
        case "string":
            return _string(prop, value, report, path)
        case "boolean":
            if isinstance(value, str) and value in ("true", "false"):
                return value == "true"
            return value if isinstance(value, bool) else _misfit(value, "boolean", report, path)
        case "asset" | "archive":
            return _asset(prop.element, value, report, path)
        case _:
            return _number(prop.element, value, report, path)


def _asset(kind: str, value: Value, report: Report, path: Path) -> Value:
    if not isinstance(value, Asset):
        return _misfit(value, kind, report, path)
    if kind == "asset" and value.is_archive:
        report(path, "archives are not supported by the local cloud; give an asset")
    elif kind == "archive" and not value.is_archive:
        report(path, "an archive is expected: a FileArchive or an AssetArchive")
    return value


def _string(prop: Property, value: Value, report: Report, path: Path) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}"
    if isinstance(value, dict | list) and prop.rules.get("check") in _JSON_CHECKS:
        return UNKNOWN if has_unknown(value) else json.dumps(value)
    return _misfit(value, "string", report, path)


def _number(kind: str, value: Value, report: Report, path: Path) -> Value:
    number: Any = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return _misfit(value, kind, report, path)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return _misfit(value, kind, report, path)
    if float(number).is_integer():
        return int(number)
    if kind == "integer":
        return _misfit(value, kind, report, path)
    return number


def _misfit(value: Value, wanted: str, report: Report, path: Path) -> Value:
    shown = repr(value) if isinstance(value, str | int | float | bool) else type(value).__name__
    report(path, f"expected {'an' if wanted[0] in 'aeiou' else 'a'} {wanted}, got {shown}")
    return value

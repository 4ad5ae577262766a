"""Inputs recovered from what the cloud says: they follow drift, as the bridge's do."""

from __future__ import annotations

from localcloud.provider.diff import is_empty, value_changes
from localcloud.provider.schema import Property, ResourceType
from localcloud.provider.values import DEFAULTS_KEY, Properties, Value


def followed(resource: ResourceType, inputs: Properties, state: Properties) -> Properties:
    """The inputs of the last operation, changed where the cloud changed.

    What means the same is left as the program wrote it, and what the provider only computes is not
    taken for an input.
    """
    return _follow_object(resource.inputs, inputs, state)


def imported(resource: ResourceType, state: Properties) -> Properties:
    """The inputs that describe something Pulumi did not know."""
    excluded: set[str] = set()
    for kind, first, *others in resource.rules:
        if kind == "ConflictsWith" and "." not in first and first in state:
            excluded |= {name for name in others if "." not in name}
    return {
        **_described(resource.inputs, {k: v for k, v in state.items() if k not in excluded}),
        DEFAULTS_KEY: [],
    }


def _follow_object(
    fields: dict[str, Property], inputs: Properties, state: Properties
) -> Properties:
    result: Properties = {}
    for name, value in inputs.items():
        prop = fields.get(name)
        if name == DEFAULTS_KEY or prop is None:
            continue
        if state.get(name) is not None:
            result[name] = _follow(prop, value, state[name])
        elif is_empty(value):
            result[name] = value
    for name, prop in fields.items():
        found = state.get(name)
        if name in inputs or prop.computed or is_empty(found) or found == prop.default:
            continue
        result[name] = _plain(prop, found)
    if DEFAULTS_KEY in inputs:
        kept = [n for n in inputs[DEFAULTS_KEY] if n in result and result[n] == inputs[n]]
        result[DEFAULTS_KEY] = kept
    return result


def _follow(prop: Property, value: Value, found: Value) -> Value:
    if not value_changes(prop, found, value, (prop.name,)) and not _lost(prop, value, found):
        return value
    if prop.element == "object" and isinstance(value, dict) and isinstance(found, dict):
        return _follow_object(prop.fields, value, found)
    if prop.container == "list" and isinstance(value, list) and isinstance(found, list):
        item = prop.item()
        paired = [_follow(item, old, new) for old, new in zip(value, found, strict=False)]
        return paired + [_plain(item, new) for new in found[len(value) :]]
    return _plain(prop, found)


def _lost(prop: Property, value: Value, found: Value) -> bool:
    """Whether the cloud has an element that the inputs lack."""
    return prop.container == "map" and isinstance(value, dict) and value.keys() != found.keys()


def _plain(prop: Property, found: Value) -> Value:
    if prop.container in ("list", "set") and isinstance(found, list):
        return [_plain(prop.item(), item) for item in found]
    if prop.container == "" and prop.element == "object" and isinstance(found, dict):
        return {**_described(prop.fields, found), DEFAULTS_KEY: []}
    return found


def _described(fields: dict[str, Property], state: Properties) -> Properties:
    return {
        name: _plain(prop, state[name])
        for name, prop in fields.items()
        if state.get(name) is not None
        and (prop.required or (not is_empty(state[name]) and state[name] != prop.default))
    }

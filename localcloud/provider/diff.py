"""Diff: which properties the wanted inputs change in the known state, and what that costs."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from localcloud.provider import paths
from localcloud.provider.coerce import coerce_object
from localcloud.provider.equivalence import COMPARISONS
from localcloud.provider.paths import Path
from localcloud.provider.schema import Property, ResourceType
from localcloud.provider.values import DEFAULTS_KEY, UNKNOWN, Properties, Value, has_unknown


class Kind(Enum):
    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class Change:
    """One path that differs; ``replaces`` when the resource cannot be changed there."""

    path: Path
    kind: Kind
    replaces: bool


@dataclass(frozen=True)
class Difference:
    """All changes of one resource."""

    changes: tuple[Change, ...]
    delete_before_replace: bool

    @property
    def properties(self) -> set[str]:
        """The top-level properties that change."""
        return {str(change.path[0]) for change in self.changes}

    @property
    def replaces(self) -> list[str]:
        return sorted({str(c.path[0]) for c in self.changes if c.replaces})


def diff(
    resource: ResourceType, state: Properties, news: Properties, ignored: Iterable[str] = ()
) -> Difference:
    """Compare as Terraform does: wanted inputs against the state, not against old inputs.

    A property that the program leaves out changes nothing where the provider keeps the cloud's
    value, and an absent value is the same as an empty one.
    """
    patterns = [paths.parse(path) for path in ignored]
    known = {name: value for name, value in state.items() if name in resource.inputs}
    changes = [
        change
        for change in object_changes(
            resource.inputs,
            coerce_object(resource.inputs, known),
            coerce_object(resource.inputs, news),
        )
        if not any(paths.covers(pattern, change.path) for pattern in patterns)
    ]
    before = any(change.replaces for change in changes) and (
        resource.delete_before_replace or _named_by_program(resource, news)
    )
    return Difference(tuple(changes), before)


def restore_ignored(news: Properties, state: Properties, ignored: Sequence[str]) -> Properties:
    """The wanted inputs with what is ignored taken from the state."""
    result = dict(news)
    for path in ignored:
        _restore(result, state, paths.parse(path))
    return result


def is_empty(value: Value) -> bool:
    """Whether Terraform takes the value for one that is not there."""
    if isinstance(value, dict):
        return all(is_empty(item) for key, item in value.items() if key != DEFAULTS_KEY)
    return value is None or value in ("", 0, False, [])


def object_changes(
    fields: dict[str, Property], old: Properties, new: Properties, path: Path = ()
) -> list[Change]:
    """The changes from one object to another; both in the types of the contract."""
    found: list[Change] = []
    for name, prop in fields.items():
        found += value_changes(prop, old.get(name), new.get(name), (*path, name))
    return found


def value_changes(prop: Property, old: Value, new: Value, path: Path) -> list[Change]:
    """The changes of one property."""
    if new is UNKNOWN:
        return [Change(path, Kind.ADD if old is None else Kind.UPDATE, _forces(prop, old, None))]
    if new is None:
        if prop.computed or is_empty(old):
            return []
        return [Change(path, Kind.DELETE, _forces(prop, old, None))]
    if is_empty(old) and is_empty(new):
        return []
    if old is None:
        return [Change(path, Kind.ADD, _forces(prop, None, new))]
    return _both(prop, old, new, path)


def _both(prop: Property, old: Value, new: Value, path: Path) -> list[Change]:
    if prop.container == "set" and isinstance(old, list) and isinstance(new, list):
        return _set_changes(prop, old, new, path)
    if prop.container == "list" and isinstance(old, list) and isinstance(new, list):
        return _list_changes(prop, old, new, path)
    if prop.container == "map" and isinstance(old, dict) and isinstance(new, dict):
        item = prop.item()
        found: list[Change] = []
        for key in sorted(old.keys() | new.keys()):
            if key in old and key in new:
                found += value_changes(item, old[key], new[key], (*path, key))
            else:
                kind = Kind.ADD if key in new else Kind.DELETE
                found.append(Change((*path, key), kind, prop.force_new))
        return found
    if prop.element == "object" and isinstance(old, dict) and isinstance(new, dict):
        return object_changes(prop.fields, old, new, path)
    if _same_scalar(prop, old, new):
        return []
    return [Change(path, Kind.UPDATE, prop.force_new)]


def _list_changes(prop: Property, old: list[Value], new: list[Value], path: Path) -> list[Change]:
    item = prop.item()
    found: list[Change] = []
    for i, (before, after) in enumerate(zip(old, new, strict=False)):
        found += value_changes(item, before, after, (*path, i))
    for i in range(len(old), len(new)):
        found.append(Change((*path, i), Kind.ADD, _forces(prop, None, new[i])))
    for i in range(len(new), len(old)):
        found.append(Change((*path, i), Kind.DELETE, _forces(prop, old[i], None)))
    return found


def _set_changes(prop: Property, old: list[Value], new: list[Value], path: Path) -> list[Change]:
    """Elements pair off wherever they stand; what is left on one side is added or gone."""
    item = prop.item()
    unmatched = dict(enumerate(old))
    added: list[int] = []
    for i, after in enumerate(new):
        match = next(
            (j for j, before in unmatched.items() if not value_changes(item, before, after, path)),
            None,
        )
        if match is None:
            added.append(i)
        else:
            del unmatched[match]
    found: list[Change] = []
    for i in added:
        before = unmatched.pop(i, None)
        kind = Kind.ADD if before is None else Kind.UPDATE
        found.append(Change((*path, i), kind, _forces(prop, before, new[i])))
    for j, before in unmatched.items():
        found.append(Change((*path, j), Kind.DELETE, _forces(prop, before, None)))
    return found


def _same_scalar(prop: Property, old: Value, new: Value) -> bool:
    if old == new:
        return True
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    if prop.rules.get("ignoreCase") and old.lower() == new.lower():
        return True
    return bool(prop.equal) and COMPARISONS[prop.equal](old, new)


def _forces(prop: Property, old: Value, new: Value) -> bool:
    """Whether a change of the whole value replaces: by itself, or by a leaf that it holds."""
    if prop.force_new:
        return True
    values = [v for v in (old, new) if v is not None]
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and any(
                _forces(inner, item[name], None)
                for name, inner in prop.fields.items()
                if name in item and (has_unknown(item[name]) or not is_empty(item[name]))
            ):
                return True
    return False


def _named_by_program(resource: ResourceType, news: Properties) -> bool:
    rule = resource.autoname
    if rule is None or not rule.suffix or rule.property not in news:
        return False
    return rule.property not in (news.get(DEFAULTS_KEY) or [])


def _restore(target: Any, state: Any, path: Path) -> None:
    """Put what the state has at the path into the target, in place, or take it away."""
    head, *rest = path
    if isinstance(target, dict) and isinstance(state, dict):
        for name in {**target, **state} if head == "*" else (head,):
            if rest and name in target and name in state:
                target[name] = copy.copy(target[name])
                _restore(target[name], state[name], tuple(rest))
            elif name in state:
                target[name] = state[name]
            else:
                target.pop(name, None)
    elif isinstance(target, list) and isinstance(state, list):
        for i in range(min(len(target), len(state))):
            if head not in ("*", i):
                continue
            if rest:
                target[i] = copy.copy(target[i])
                _restore(target[i], state[i], tuple(rest))
            else:
                target[i] = state[i]

"""Check: what the program gave becomes complete, typed inputs, or a list of what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from localcloud.provider import naming, paths, tags, type_rules
from localcloud.provider.api_model import enum_values
from localcloud.provider.coerce import coerce_object
from localcloud.provider.naming import NameRequest
from localcloud.provider.paths import Path
from localcloud.provider.schema import AutoName, Property, ResourceType
from localcloud.provider.tags import TagSettings
from localcloud.provider.validators import VALIDATORS
from localcloud.provider.values import DEFAULTS_KEY, UNKNOWN, Properties, Value, has_unknown

MANY = 12
NOT_EMULATED = (
    "is an input of the AWS provider that the local cloud does not emulate; leave it out, or use "
    "the resource of its own that AWS has for it"
)


@dataclass(frozen=True)
class Failure:
    """A refusal of Check; ``property`` is a path."""

    property: str
    reason: str


@dataclass
class _Failures:
    found: list[Failure] = field(default_factory=list[Failure])

    def __call__(self, path: Path, reason: str) -> None:
        self.found.append(Failure(paths.text(path), reason))


@dataclass(frozen=True)
class CheckContext:
    """What of the provider's configuration and of the engine's request Check depends on."""

    region: str
    tag_settings: TagSettings
    name: NameRequest


def check(
    resource: ResourceType, news: Properties, olds: Properties, context: CheckContext
) -> tuple[Properties, list[Failure]]:
    """The inputs with defaults filled, and every failure.

    ``olds`` are the inputs of the last operation: a name made then stays.
    """
    failures = _Failures()
    for name in resource.unsupported & {k for k, v in news.items() if v is not None}:
        failures((name,), NOT_EMULATED)
    given = {k: v for k, v in news.items() if k not in resource.unsupported and k != "tagsAll"}
    inputs = coerce_object(resource.inputs, given, failures)
    _check_together(resource, inputs, failures)
    if not failures.found:
        type_rules.check(resource.check, inputs, failures)
    _fill_surroundings(resource, inputs, context)
    made = _fill_name(resource, inputs, olds, context.name, failures)
    completed = _complete(resource.inputs, inputs, failures, ())
    completed[DEFAULTS_KEY] = sorted([*completed[DEFAULTS_KEY], *made])
    return completed, failures.found


def _fill_surroundings(resource: ResourceType, inputs: Properties, context: CheckContext) -> None:
    if resource.regional:
        inputs.setdefault("region", context.region)
    if resource.tagged:
        inputs["tagsAll"] = tags.merged(context.tag_settings, inputs.get("tags"))


def _fill_name(
    resource: ResourceType,
    inputs: Properties,
    olds: Properties,
    request: NameRequest,
    failures: _Failures,
) -> list[str]:
    rule = resource.autoname
    if rule is None or rule.property in inputs or _excluded(resource, rule, inputs):
        return []
    if rule.property in olds and rule.property in (olds.get(DEFAULTS_KEY) or []):
        inputs[rule.property] = olds[rule.property]
        return [rule.property]
    try:
        name = naming.auto_name(rule, request, inputs)
    except naming.NamingError as error:
        failures((rule.property,), str(error))
        return []
    if name is None:
        if not resource.inputs[rule.property].computed:
            failures((rule.property,), "is required, as automatic naming is disabled")
        return []
    inputs[rule.property] = name
    return [rule.property]


def _excluded(resource: ResourceType, rule: AutoName, inputs: Properties) -> bool:
    """Whether the program named it by another property, such as a prefix."""
    return any(
        kind == "ConflictsWith" and rule.property in names and any(n in inputs for n in names)
        for kind, *names in resource.rules
    )


def _complete(
    fields: dict[str, Property], inputs: Properties, failures: _Failures, path: Path
) -> Properties:
    """Defaults in, and everything validated, through all nested objects."""
    result = dict(inputs)
    defaulted: list[str] = []
    for name, prop in fields.items():
        here = (*path, name)
        if name not in result:
            if prop.default is not None:
                result[name] = prop.default
                defaulted.append(name)
            elif prop.required:
                failures(here, f"missing required property '{name}'")
            continue
        if prop.rules.get("unsupported"):
            failures(here, NOT_EMULATED)
        result[name] = _complete_value(prop, result[name], failures, here)
    result[DEFAULTS_KEY] = sorted(defaulted)
    return result


def _complete_value(prop: Property, value: Value, failures: _Failures, path: Path) -> Value:
    if value is UNKNOWN:
        return value
    if prop.container in ("list", "set") and isinstance(value, list):
        _check_items(prop, value, failures, path)
        if prop.element == "object":
            return [
                _complete(prop.fields, item, failures, (*path, i))
                if isinstance(item, dict)
                else item
                for i, item in enumerate(value)
            ]
        return value
    _check_value(prop.rules, value, failures, path)
    if prop.element == "object" and prop.container == "" and isinstance(value, dict):
        return _complete(prop.fields, value, failures, path)
    return value


def _check_items(prop: Property, value: list[Value], failures: _Failures, path: Path) -> None:
    if "items" in prop.rules:
        _check_span(prop.rules["items"], len(value), "number of items", failures, path)
    rules: dict[str, Any] = {}
    if "each" in prop.rules:
        rules["check"] = prop.rules["each"]
    if "eachEnum" in prop.rules:
        rules["enum"] = prop.rules["eachEnum"]
    for i, item in enumerate(value):
        if rules and item is not UNKNOWN:
            _check_value(rules, item, failures, (*path, i))


def _check_value(rules: dict[str, Any], value: Value, failures: _Failures, path: Path) -> None:
    if allowed := rules.get("enum") or enum_values(rules.get("apiEnum")):
        _check_enum(allowed, value, bool(rules.get("ignoreCase")), failures, path)
    if "range" in rules and isinstance(value, int | float):
        _check_span(rules["range"], value, "value", failures, path)
    if "length" in rules and isinstance(value, str):
        _check_span(rules["length"], len(value), "length", failures, path)
    if "pattern" in rules and isinstance(value, str) and not re.search(rules["pattern"], value):
        failures(path, f"{value!r} does not match {rules['pattern']}")
    if "check" in rules and (reason := _validated(rules["check"], value)):
        failures(path, reason)


def _validated(name: str, value: Value) -> str | None:
    if isinstance(value, dict) and has_unknown(value) and name != "oneUpdatePolicy":
        return None
    return VALIDATORS[name](value)


def _check_enum(
    allowed: list[Any], value: Value, ignore_case: bool, failures: _Failures, path: Path
) -> None:
    known = {str(a).lower() for a in allowed} if ignore_case else set(allowed)
    if (str(value).lower() if ignore_case else value) not in known:
        shown = ", ".join(str(a) for a in allowed[:MANY])
        more = f" and {len(allowed) - MANY} more" if len(allowed) > MANY else ""
        failures(path, f"expected one of [{shown}{more}], got {value}")


def _check_span(
    span: list[float | None], value: float, what: str, failures: _Failures, path: Path
) -> None:
    low, high = span
    if (low is not None and value < low) or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"in the range ({low} - {high})"
        failures(path, f"expected {what} to be {wanted}, got {value}")


def _check_together(resource: ResourceType, inputs: Properties, failures: _Failures) -> None:
    for kind, *names in resource.rules:
        given = [n for n in names if paths.get(inputs, tuple(n.split("."))) is not None]
        first, *others = names
        path = tuple(first.split("."))
        if kind == "ConflictsWith" and first in given and len(given) > 1:
            failures(path, f"conflicts with {', '.join(n for n in given if n != first)}")
        elif kind == "ExactlyOneOf" and len(given) != 1:
            failures(path, f"exactly one of {', '.join(names)} must be specified")
        elif kind == "RequiredWith" and first in given and len(given) < len(names):
            missing = ", ".join(n for n in others if n not in given)
            failures(path, f"needs {missing} as well")

"""Which way a Choice state goes. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud import jsonpath
from localcloud.stepfunctions.data import resolve
from localcloud.stepfunctions.errors import StateError

Rule = dict[str, Any]
Compare = Callable[[Any, Any], bool]
_ORDER: dict[str, Compare] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_KINDS = ("String", "Numeric", "Boolean", "Timestamp")


def comparisons() -> set[str]:
    """Every comparison that a rule may hold."""
    ordered = {f"{k}{o}{p}" for k in _KINDS for o in _ORDER for p in ("", "Path")}
    booleans = {f"Boolean{o}{p}" for o in _ORDER if o != "Equals" for p in ("", "Path")}
    tests = {f"Is{k}" for k in ("Null", "Present", "Numeric", "String", "Boolean", "Timestamp")}
    return (ordered - booleans) | tests | {"StringMatches"}


COMPARISONS = comparisons()


def next_state(state: dict[str, Any], value: Any, context: dict[str, Any]) -> str:
    """The name of the state to go to.

    Raises:
        StateError: ``States.NoChoiceMatched``, or a variable that is not there.
    """
    for rule in state["Choices"]:
        if is_met(rule, value, context):
            return str(rule["Next"])
    if "Default" in state:
        return str(state["Default"])
    raise StateError("States.NoChoiceMatched", "no choice rule matched, and there is no Default")


def is_met(rule: Rule, value: Any, context: dict[str, Any]) -> bool:
    """Whether the rule holds for the input."""
    if "And" in rule:
        return all(is_met(inner, value, context) for inner in rule["And"])
    if "Or" in rule:
        return any(is_met(inner, value, context) for inner in rule["Or"])
    if "Not" in rule:
        return not is_met(rule["Not"], value, context)
    return _compared(rule, value, context)


def _compared(rule: Rule, value: Any, context: dict[str, Any]) -> bool:
    name = next(key for key in rule if key in COMPARISONS)
    wanted = rule[name]
    if name == "IsPresent":
        return _is_present(rule["Variable"], value, context) == wanted
    found = resolve(rule["Variable"], value, context)
    if name.startswith("Is"):
        return _is_kind(name[2:], found) == wanted
    if name.endswith("Path"):
        name, wanted = name[: -len("Path")], resolve(wanted, value, context)
    if name == "StringMatches":
        return isinstance(found, str) and _matches(found, wanted)
    kind = next(k for k in _KINDS if name.startswith(k))
    if not _is_kind(kind, found) or not _is_kind(kind, wanted):
        return False
    compare = _ORDER[name[len(kind) :]]
    if kind == "Timestamp":
        return compare(datetime.fromisoformat(found), datetime.fromisoformat(wanted))
    return compare(found, wanted)


def _is_present(path: str, value: Any, context: dict[str, Any]) -> bool:
    try:
        found = resolve(path, value, context)
    except StateError:
        return False
    return jsonpath.is_definite(path.removeprefix("$") if path.startswith("$$") else path) or bool(
        found
    )


def _is_kind(kind: str, value: Any) -> bool:
    match kind:
        case "Null":
            return value is None
        case "Numeric":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "String":
            return isinstance(value, str)
        case "Boolean":
            return isinstance(value, bool)
        case _:
            return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _matches(text: str, pattern: str) -> bool:
    """``*`` stands for anything; a backslash takes its meaning away."""
    parts = re.split(r"(?<!\\)\*", pattern)
    plain = [re.escape(p.replace("\\*", "*").replace("\\\\", "\\")) for p in parts]
    return re.fullmatch(".*".join(plain), text, re.DOTALL) is not None

"""When two texts that differ mean the same to AWS, and so are no change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_ACCOUNT = re.compile(r"\d{12}")
_LISTS = ("Action", "NotAction", "Resource", "NotResource")
_PRINCIPALS = ("Principal", "NotPrincipal")


def same_json(old: str, new: str) -> bool:
    """Whether both are the same JSON value, whatever their layout; "" equals {}."""
    if old == new:
        return True
    try:
        return _parse(old) == _parse(new)
    except ValueError:
        return False


def same_policy(old: str, new: str) -> bool:
    """Whether two IAM policies grant the same.

    The order of statements, actions, resources and principals does not count, nor does a list of
    one element against the element itself, nor a field left empty.
    """
    if old == new:
        return True
    try:
        return _canonical_policy(_parse(old)) == _canonical_policy(_parse(new))
    except ValueError:
        return False


def same_kms_key(old: str, new: str) -> bool:
    """Whether a key id and a key ARN name the same key."""
    return old.rsplit("key/", 1)[-1] == new.rsplit("key/", 1)[-1]


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "json": same_json,
    "policy": same_policy,
    "kmsKey": same_kms_key,
}


def _parse(text: str) -> Any:
    return json.loads(text) if text.strip() else {}


def _canonical_policy(policy: Any) -> Any:
    if not isinstance(policy, dict):
        return policy
    statements = policy.get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    canonical = [_canonical_statement(statement) for statement in statements]
    return {
        "Version": policy.get("Version", "2008-10-17") if policy else "",
        "Id": policy.get("Id", ""),
        "Statement": sorted(canonical, key=_sort_key),
    }


def _canonical_statement(statement: Any) -> Any:
    if not isinstance(statement, dict):
        return statement
    fields = {name: _canonical_field(name, value) for name, value in statement.items()}
    return {name: value for name, value in fields.items() if value not in ("", [], {})}


def _canonical_field(name: str, value: Any) -> Any:
    if name in _LISTS:
        return _string_set(value)
    if name in _PRINCIPALS:
        return _canonical_principal(value)
    if name == "Condition":
        return {
            operator: {key.lower(): _string_set(texts) for key, texts in tests.items()}
            for operator, tests in value.items()
        }
    return value


def _canonical_principal(principal: Any) -> Any:
    if not isinstance(principal, dict):
        # "*" is the same as {"AWS": "*"} to every policy that takes a principal.
        return {"AWS": ["*"]} if principal == "*" else principal
    return {
        kind: _accounts(_string_set(names)) if kind == "AWS" else _string_set(names)
        for kind, names in principal.items()
    }


def _accounts(names: list[str]) -> list[str]:
    """AWS answers an account's id as the ARN of its root."""
    return sorted(f"arn:aws:iam::{n}:root" if _ACCOUNT.fullmatch(n) else n for n in names)


def _string_set(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return sorted({_text(item) for item in items})


def _text(item: Any) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)


def _sort_key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

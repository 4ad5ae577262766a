"""aws.iam.getPolicyDocument: a pure function from statements to JSON, as the real one writes it."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

from localcloud.provider.errors import ProviderError
from localcloud.provider.values import Properties

CURRENT_VERSION = "2012-10-17"
VERSIONS = ("2008-10-17", CURRENT_VERSION)
EFFECTS = ("Allow", "Deny")
_STATEMENT_KEYS = frozenset(
    [
        "sid",
        "effect",
        "actions",
        "notActions",
        "resources",
        "notResources",
        "principals",
        "notPrincipals",
        "conditions",
    ]
)


class ArgumentError(ProviderError):
    """An argument of a function is wrong; ``argument`` names it."""

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(reason)
        self.argument = argument


def policy_document(arguments: Properties) -> Properties:
    """The document of the statements, merged with source and override documents.

    Raises:
        ArgumentError: a value is out of range, or two statements have one sid.
    """
    for name in ("overrideJson", "sourceJson"):
        if arguments.get(name):
            raise ArgumentError(name, f"{name} is no longer supported; use the list arguments")
    version = arguments.get("version") or CURRENT_VERSION
    if version not in VERSIONS:
        raise ArgumentError("version", f"expected one of {VERSIONS}, got {version}")
    merged: dict[str, Any] = {"Version": version, "Statement": []}
    sources = _documents(arguments, "sourcePolicyDocuments")
    _reject_duplicates([s for d in sources for s in d["Statement"]], "sourcePolicyDocuments")
    for document in sources:
        _merge(merged, document)
    given = arguments.get("statements") or []
    own = [_statement(s, version, i) for i, s in enumerate(given)]
    _reject_duplicates(own, "statements")
    document: dict[str, Any] = {"Version": version, "Statement": own}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    _merge(merged, document)
    for override in _documents(arguments, "overridePolicyDocuments"):
        _merge(merged, override)
    ordered = {k: merged[k] for k in ("Version", "Id", "Statement") if merged.get(k)}
    text = _go_text(json.dumps(ordered, indent=2, ensure_ascii=False))
    return {
        **{k: v for k, v in arguments.items() if v is not None},
        "id": str(zlib.crc32(text.encode())),
        "json": text,
        "minifiedJson": _go_text(json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)),
        "version": merged["Version"],
    }


def _go_text(text: str) -> str:
    """Go's encoder writes these three as escapes."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _documents(arguments: Properties, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for text in arguments.get(name) or []:
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ArgumentError(name, f"contains an invalid JSON: {error}") from None
        statements = document.get("Statement", [])
        listed = statements if isinstance(statements, list) else [statements]
        found.append({**document, "Statement": listed})
    return found


def _reject_duplicates(statements: list[dict[str, Any]], argument: str) -> None:
    seen: set[str] = set()
    for sid in (s["Sid"] for s in statements if s.get("Sid")):
        if sid in seen:
            raise ArgumentError(argument, f"duplicate Sid ({sid})")
        seen.add(sid)


def _merge(target: dict[str, Any], document: dict[str, Any]) -> None:
    """A statement of a known sid replaces that one, others are added."""
    target["Version"] = max(target["Version"], document.get("Version") or "")
    target["Id"] = document.get("Id") or target.get("Id")
    statements: list[dict[str, Any]] = target["Statement"]
    for statement in document["Statement"]:
        sid = statement.get("Sid")
        place = next((i for i, s in enumerate(statements) if sid and s.get("Sid") == sid), None)
        if place is None:
            statements.append(statement)
        else:
            statements[place] = statement


def _statement(given: Properties, version: str, index: int) -> dict[str, Any]:
    where = f"statements[{index}]"
    unknown = given.keys() - _STATEMENT_KEYS - {"__defaults"}
    if unknown:
        raise ArgumentError(where, f"invalid or unknown key {sorted(unknown)[0]}")
    sid, effect = given.get("sid") or "", given.get("effect") or "Allow"
    if not re.fullmatch(r"[a-zA-Z0-9]*", sid):
        raise ArgumentError(f"{where}.sid", f"{sid!r} must match ^[a-zA-Z0-9]*$")
    if effect not in EFFECTS:
        raise ArgumentError(f"{where}.effect", f"expected one of {EFFECTS}, got {effect}")

    def text(value: str) -> str:
        if "&{" in value and version == VERSIONS[0]:
            raise ArgumentError(where, "policy variables (&{) need version 2012-10-17")
        return value.replace("&{", "${")

    fields: dict[str, Any] = {
        "Sid": sid,
        "Effect": effect,
        "Action": _few(given.get("actions")),
        "NotAction": _few(given.get("notActions")),
        "Resource": _few([text(r) for r in given.get("resources") or []]),
        "NotResource": _few([text(r) for r in given.get("notResources") or []]),
        "Principal": _principals(given.get("principals"), text),
        "NotPrincipal": _principals(given.get("notPrincipals"), text),
        "Condition": _conditions(given.get("conditions"), text),
    }
    return {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def _few(values: list[str] | None) -> Any:
    """A set: one element stands alone, several in reverse order."""
    unique = sorted(set(values or []), reverse=True)
    return unique[0] if len(unique) == 1 else unique


def _principals(given: list[Properties] | None, text: Any) -> Any:
    if not given:
        return None
    gathered: dict[str, set[str]] = {}
    for principal in given:
        names = {text(name) for name in principal.get("identifiers") or []}
        gathered.setdefault(principal["type"], set()).update(names)
    if gathered == {"*": {"*"}}:
        return "*"
    return {kind: _few(list(names)) for kind, names in sorted(gathered.items())}


def _conditions(given: list[Properties] | None, text: Any) -> Any:
    result: dict[str, dict[str, Any]] = {}
    for condition in given or []:
        values = [text(value) for value in condition.get("values") or []]
        tests = result.setdefault(condition["test"], {})
        before = tests.get(condition["variable"], [])
        together = [*(before if isinstance(before, list) else [before]), *values]
        tests[condition["variable"]] = together[0] if len(together) == 1 else together
    return {test: dict(sorted(tests.items())) for test, tests in sorted(result.items())}

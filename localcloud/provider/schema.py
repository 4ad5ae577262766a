"""The contract of the real provider for each resource type, read from `contracts/*.json`.

Those tables say which inputs a type has, their types, what is required, what forces a replacement,
defaults and validation, as the AWS provider 7.51.1 has them. Properties that the real provider has
and this one cannot honour stand under ``unsupported``, so that using one fails instead of nothing
happening.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).parent / "contracts"
_CONTAINER = re.compile(r"(list|set|map)<(.+)>")
SCALARS = ("string", "integer", "number", "boolean", "asset", "archive")


@dataclass(frozen=True)
class Property:
    """One input, or one field of a nested object.

    ``container`` is "", "list", "set" or "map" of ``element``: a scalar's name, or "object" with
    its ``fields``. ``computed`` means that the provider keeps the cloud's value when the program
    gives none. ``rules`` holds the validation and mapping attributes of the table.
    """

    name: str
    container: str
    element: str
    fields: dict[str, Property]
    required: bool
    force_new: bool
    computed: bool
    default: Any
    rules: dict[str, Any]

    @property
    def equal(self) -> str:
        """How two texts of it are compared: "", "json", "policy" or "kmsKey"."""
        return str(self.rules.get("equal", ""))

    @property
    def api(self) -> str:
        """The member's name in the AWS API."""
        return str(self.rules.get("api") or self.name[:1].upper() + self.name[1:])

    def item(self) -> Property:
        """The property that describes one element of this container."""
        return Property(
            self.name,
            "",
            self.element,
            self.fields,
            required=True,
            force_new=self.force_new,
            computed=False,
            default=None,
            rules={},
        )


@dataclass(frozen=True)
class AutoName:
    """How the provider makes the name that the program did not give."""

    property: str
    max: int
    lower: bool = False
    prefix: str = ""
    suffix: bool = True
    fifo: str = ""


@dataclass(frozen=True)
class ResourceType:
    """All that is known of one type: see the tables."""

    token: str
    title: str
    api: str
    inputs: dict[str, Property]
    outputs: tuple[str, ...]
    regional: bool
    tagged: bool
    autoname: AutoName | None
    delete_before_replace: bool
    keeps: tuple[str, ...]
    check: str
    rules: tuple[tuple[str, ...], ...]
    unsupported: frozenset[str] = field(default_factory=frozenset[str])


def resource_type(token: str) -> ResourceType | None:
    """The contract of a type such as ``aws:s3/bucket:Bucket``; None when it is not known."""
    return all_types().get(token)


@functools.cache
def all_types() -> dict[str, ResourceType]:
    types: dict[str, ResourceType] = {}
    for path in sorted(CONTRACTS.glob("*.json")):
        for token, table in json.loads(path.read_text()).items():
            types[token] = _resource_type(token, table)
    return types


def _resource_type(token: str, table: dict[str, Any]) -> ResourceType:
    nested = table.get("types", {})
    inputs = _properties(table["inputs"], nested)
    regional, tagged = table.get("regional", True), table.get("tagged", False)
    if regional:
        inputs["region"] = _property(
            "region", {"type": "string", "forceNew": True, "computed": True, "check": "region"}, {}
        )
    if tagged:
        inputs["tags"] = _property("tags", {"type": "map<string>"}, {})
        inputs["tagsAll"] = _property("tagsAll", {"type": "map<string>", "computed": True}, {})
    autoname = table.get("autoname")
    return ResourceType(
        token=token,
        title=table["title"],
        api=table["api"],
        inputs=inputs,
        outputs=tuple(table["outputs"]),
        regional=regional,
        tagged=tagged,
        autoname=None if autoname is None else AutoName(**autoname),
        delete_before_replace=table.get("deleteBeforeReplace", False),
        keeps=tuple(table.get("keeps", ())),
        check=table.get("check", ""),
        rules=tuple(tuple(rule) for rule in table.get("rules", ())),
        unsupported=frozenset(table.get("unsupported", ())),
    )


def _properties(table: dict[str, Any], nested: dict[str, Any]) -> dict[str, Property]:
    return {name: _property(name, entry, nested) for name, entry in table.items()}


def _property(name: str, entry: dict[str, Any], nested: dict[str, Any]) -> Property:
    kind = entry["type"]
    container, element = "", kind
    if found := _CONTAINER.fullmatch(kind):
        container, element = found.groups()
    fields: dict[str, Property] = {}
    if element not in SCALARS:
        fields = _properties(nested[element], nested)
        element = "object"
    known = ("type", "required", "forceNew", "computed", "default")
    return Property(
        name=name,
        container=container,
        element=element,
        fields=fields,
        required=entry.get("required", False),
        force_new=entry.get("forceNew", False),
        computed=entry.get("computed", False),
        default=entry.get("default"),
        rules={key: value for key, value in entry.items() if key not in known},
    )

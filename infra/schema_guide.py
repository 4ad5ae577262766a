"""The guide of the stack file's keys, made from its schema by ``python -m infra.schema``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

GUIDE_FILE = Path("docs/configuration.md")
Schema = dict[str, Any]
HEAD = """# The keys of a stack's file

`Pulumi.STACK.yaml` holds values only. This page and `stack-config.schema.json` are written by
`python -m infra.schema`. Editors take the schema: with the YAML extension of VS Code, a first line
`# yaml-language-server: $schema=docs/stack-config.schema.json` completes and checks while you type.
Durations and latencies carry their unit, an unknown key is an error, and all problems are told at
once. What belongs to a version takes effect by a release, the rest at `slipway up`; each says so.
"""


def guide(schema: Schema) -> str:
    """All keys as tables: those of a model, then those of the stack."""
    config: Schema = schema["properties"]["config"]["properties"]
    parts = [HEAD, "## A model: below `slipway:models.NAME`\n"]
    parts += _tables("", schema["definitions"]["model"])
    parts.append(
        "## All models: `slipway:defaults`\n\nThe same keys but `package`: values for every model "
        "that does not write its own.\n"
    )
    for key in ("slipway:controller", "slipway:imageBuild"):
        parts.append(f"## The stack: `{key}`\n")
        parts += _tables("", config[key])
    return "\n".join(parts)


def _tables(path: str, node: Schema) -> Iterator[str]:
    """The values of ``node`` as one table, then each group below it."""
    if path:
        yield f"### `{path}`\n"
    yield f"{node['description']}\n"
    if "default" in node:
        yield f"Default: `{node['default']}`\n"
    groups = dict(_groups(path, node))
    rows = [
        _row(key, value)
        for key, value in node["properties"].items()
        if not any(name.removesuffix("[]").endswith(_below(path, key)) for name in groups)
    ]
    if rows:
        head = "| key | what | allowed | default |\n|---|---|---|---|"
        yield "\n".join([head, *rows]) + "\n"
    for name, group in groups.items():
        yield from _tables(name, group)


def _groups(path: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    for key, value in node["properties"].items():
        below = _below(path, key)
        if "properties" in value:
            yield below, value
        elif isinstance(items := value.get("items"), dict):
            for kind in items.get("oneOf", [items]):
                if "properties" in kind:
                    yield f"{below}[]{_kind(kind)}", kind


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _kind(item: Schema) -> str:
    """What tells one kind of a list's items from another: `{metric: errors}`."""
    known: Schema = item["properties"]
    if "const" in known.get("metric", {}):
        return f" {{metric: {known['metric']['const']}}}"
    return next((f" {{{key}: …}}" for key in ("alarm", "hook") if key in known), "")


def _row(key: str, value: Schema) -> str:
    cells = (f"`{key}`", value["description"], _allowed(value), _default(value))
    shown = (cell.replace("|", r"\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _allowed(value: Schema) -> str:
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    bounds = [
        f"{word} {value[name]:g}"
        for name, word in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
        )
        if name in value
    ]
    return "; ".join(filter(None, (value.get("x-unit", ""), ", ".join(bounds))))


def _default(value: Schema) -> str:
    if "default" in value:
        default = value["default"]
        shown = str(default).lower() if isinstance(default, bool) else f"{default}"
        return f"`{shown.removesuffix('.0')}`"
    return str(value.get("x-default", "–"))

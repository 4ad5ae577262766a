"""Where a key stands in the stack's file: the line that a problem is told with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_INDEX = re.compile(r"\[(\d+)\]")


def line_of(file: Path, path: str) -> int | None:
    """The line of ``slipway:models.wine.package`` below ``config``, or of the last key before it.

    None where the file cannot be read, or has not even the first key.
    """
    try:
        root: Any = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    node, line = _below(root, "config")[0], None
    while node is not None and path:
        node, found, path = _step(node, path)
        line = found if found is not None else line
    return line


def _step(node: Any, path: str) -> tuple[Any, int | None, str]:
    """One key or index further: its value, its line, and the path that is left."""
    index = _INDEX.match(path)
    if index is not None and isinstance(node, yaml.SequenceNode):
        number = int(index.group(1))
        if number >= len(node.value):
            return None, None, ""
        item = node.value[number]
        return item, item.start_mark.line + 1, path[index.end() :].removeprefix(".")
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            name = str(key.value)
            rest = path.removeprefix(name)
            if path.startswith(name) and rest[:1] in ("", ".", "["):
                value, line = _below(node, name)
                return value, line, rest.removeprefix(".")
    return None, None, ""


def _below(node: Any, name: str) -> tuple[Any, int | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return value, key.start_mark.line + 1
    return None, None

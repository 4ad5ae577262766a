"""Property paths, as Pulumi writes them: ``rules[0].filter.prefix``, ``tags["a.b"]``."""

from __future__ import annotations

import re
from typing import Any

Path = tuple[str | int, ...]

_PART = re.compile(
    r"""\[(?P<index>\d+|\*)\]"""
    r"""|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]"""
    r"""|\.?(?P<name>[^.\[\]]+)"""
)
_SIMPLE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def text(path: Path) -> str:
    """The path as text."""
    result = ""
    for part in path:
        if isinstance(part, int):
            result += f"[{part}]"
        elif _SIMPLE.fullmatch(part):
            result += f".{part}" if result else part
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            result += f'["{escaped}"]'
    return result


def parse(source: str) -> tuple[str | int, ...]:
    """The parts of a path; ``*`` stands for any.

    Raises:
        ValueError: the text is no path.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(source):
        found = _PART.match(source, position)
        if found is None:
            raise ValueError(f"{source!r} is not a property path")
        index, quoted, name = found.group("index", "quoted", "name")
        if index is not None:
            parts.append("*" if index == "*" else int(index))
        elif quoted is not None:
            parts.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            parts.append(name)
        position = found.end()
    return tuple(parts)


def covers(pattern: Path, path: Path) -> bool:
    """Whether the pattern names the path or something that holds it."""
    return len(pattern) <= len(path) and all(
        want in ("*", have) for want, have in zip(pattern, path, strict=False)
    )


def get(properties: Any, path: Path) -> Any:
    """What stands at the path; None when nothing does."""
    value = properties
    for part in path:
        if isinstance(part, str) and isinstance(value, dict):
            value = value.get(part)
        elif isinstance(part, int) and isinstance(value, list) and part < len(value):
            value = value[part]
        else:
            return None
    return value

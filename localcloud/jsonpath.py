"""The JSONPath that Step Functions and EventBridge share: names, indexes, slices, wildcards.

Filters (``[?(...)]``), scripts and deep scans (``..``) are refused, not ignored.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]\s'"]+)"""
    r"""|\[(?P<quote>['"])(?P<quoted>(?:(?!(?P=quote)).)*)(?P=quote)\]"""
    r"""|\[(?P<index>-?\d+)\]"""
    r"""|\[(?P<start>-?\d*):(?P<stop>-?\d*)\]"""
    r"""|(?P<any>\[\*\]|\.\*)"""
)
Step = str | int | slice | None


class PathError(ValueError):
    """A text that is no path, or one that this cloud does not evaluate."""


class NotFoundError(LookupError):
    """Nothing stands at the path."""


@lru_cache(maxsize=4096)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path that begins with ``$``; None stands for every member.

    Raises:
        PathError: it is not a path.
    """
    if not path.startswith("$"):
        raise PathError(f"{path!r} is not a path: it must begin with '$'")
    steps: list[Step] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            raise PathError(f"the local cloud cannot evaluate the path {path!r} at {position}")
        if found["any"]:
            steps.append(None)
        elif found["name"] is not None:
            steps.append(found["name"])
        elif found["quoted"] is not None:
            steps.append(found["quoted"])
        elif found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            steps.append(slice(_whole(found["start"]), _whole(found["stop"])))
        position = found.end()
    return tuple(steps)


def is_definite(path: str) -> bool:
    """Whether the path names one place (a reference path)."""
    return all(isinstance(step, str | int) for step in parse(path))


def get(path: str, value: Any) -> Any:
    """What stands at the path; a list for a path with wildcards or slices.

    Raises:
        NotFoundError: nothing does.
    """
    found = [value]
    for step in parse(path):
        found = [inner for outer in found for inner in _inner(outer, step)]
    if is_definite(path):
        if not found:
            raise NotFoundError(path)
        return found[0]
    return found


def put(path: str, value: Any, new: Any) -> Any:
    """``value`` with ``new`` at a reference path; objects on the way are made.

    Raises:
        NotFoundError: the way leads through something that is no object.
    """
    steps = parse(path)
    if not steps:
        return new
    head, *rest = steps
    if isinstance(head, int):
        if not isinstance(value, list) or not -len(value) <= head < len(value):
            raise NotFoundError(path)
        copied = list(value)
        copied[head] = _put(rest, copied[head], new, path)
        return copied
    if not isinstance(value, dict) or not isinstance(head, str):
        raise NotFoundError(path)
    return {**value, head: _put(rest, value.get(head, {}), new, path)}


def _put(rest: list[Step], value: Any, new: Any, path: str) -> Any:
    if not rest:
        return new
    text = "$" + "".join(f"[{s}]" if isinstance(s, int) else f"['{s}']" for s in rest)
    try:
        return put(text, value, new)
    except NotFoundError:
        raise NotFoundError(path) from None


def _inner(value: Any, step: Step) -> list[Any]:
    match step:
        case str():
            return [value[step]] if isinstance(value, dict) and step in value else []
        case int():
            is_there = isinstance(value, list) and -len(value) <= step < len(value)
            return [value[step]] if is_there else []
        case slice():
            return value[step] if isinstance(value, list) else []
        case None:
            if isinstance(value, dict):
                return list(value.values())
            return value if isinstance(value, list) else []


def _whole(text: str) -> int | None:
    return int(text) if text else None

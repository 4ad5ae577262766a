"""Reading layered, untrusted configuration: every problem is noted, none stops the reading."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MICROSECONDS = {"us": 1.0, "ms": 1000.0, "s": 1_000_000.0}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


@dataclass
class Problems:
    """What is wrong, each once, in the order in which it was met."""

    found: list[str] = field(default_factory=list[str])

    def add(self, path: str, value: Any, allowed: str, remedy: str) -> None:
        text = f"{path} {_received(value)}; {allowed}; {remedy}"
        if text not in self.found:
            self.found.append(text)


@dataclass(frozen=True)
class Layer:
    """One map of the configuration and the key path under which it stands."""

    path: str
    values: Mapping[str, Any]


class Node:
    """A map seen through its layers: the first that has a key gives its value."""

    def __init__(self, layers: tuple[Layer, ...], problems: Problems) -> None:
        self.layers = layers
        self.problems = problems

    @property
    def path(self) -> str:
        return self.layers[0].path

    def find(self, key: str) -> tuple[str, Any]:
        """Where ``key`` stands and its value; None (also a written null) where it is not set."""
        for layer in self.layers:
            if layer.values.get(key) is not None:
                return f"{layer.path}.{key}", layer.values[key]
        return f"{self.path}.{key}", None

    def only(self, *allowed: str) -> None:
        """Note every key that is not among ``allowed``."""
        for layer in self.layers:
            for key in layer.values:
                if key not in allowed:
                    self.problems.add(
                        f"{layer.path}.{key}",
                        layer.values[key],
                        f"there is no such key, the keys are {', '.join(sorted(allowed))}",
                        "correct its spelling or remove it",
                    )

    def child(self, key: str) -> Node:
        """The map under ``key``, with all layers that have it; empty where none has."""
        layers: list[Layer] = []
        for layer in self.layers:
            value = layer.values.get(key)
            path = f"{layer.path}.{key}"
            if isinstance(value, Mapping):
                layers.append(Layer(path, cast("Mapping[str, Any]", value)))
            elif value is not None:
                self.problems.add(path, value, "a map is allowed", "write `key: value` under it")
        return Node(tuple(layers) or (Layer(f"{self.path}.{key}", {}),), self.problems)

    def items(self, key: str) -> list[Node] | None:
        """The maps of a list; None where the key is not set."""
        path, value = self.find(key)
        if value is None:
            return None
        if not isinstance(value, list):
            self.problems.add(path, value, "a list is allowed", "write its items with `-`")
            return []
        nodes: list[Node] = []
        for i, item in enumerate(cast("list[Any]", value)):
            where = f"{path}[{i}]"
            if isinstance(item, Mapping):
                layer = Layer(where, cast("Mapping[str, Any]", item))
                nodes.append(Node((layer,), self.problems))
            else:
                self.problems.add(where, item, "a map is allowed", "write `key: value` in it")
        return nodes

    def text(self, key: str, default: str, pattern: str, allowed: str, remedy: str) -> str:
        path, value = self.find(key)
        if value is None:
            return default
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            self.problems.add(path, value, allowed, remedy)
            return default
        return value

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        path, value = self.find(key)
        if value is None:
            return default
        if value not in choices:
            allowed = f"{' or '.join(choices)} is allowed"
            self.problems.add(path, value, allowed, f"write {choices[0]}, or leave it out")
            return default
        return str(value)

    def flag(self, key: str, *, default: bool) -> bool:
        path, value = self.find(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problems.add(path, value, "true or false is allowed", "write one of them")
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float = math.inf) -> float:
        """A number between ``low`` and ``high``, both included."""
        path, value = self.find(key)
        if value is None:
            return default
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            self.problems.add(path, value, _range("a number", low, high), "change it")
            return default
        return float(value)

    def integer(self, key: str, default: int, low: int, high: int | None = None) -> int:
        path, value = self.find(key)
        if value is None:
            return default
        top = math.inf if high is None else high
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= top:
            self.problems.add(path, value, _range("a whole number", low, top), "change it")
            return default
        return value

    def seconds(self, key: str, default: float) -> float:
        return self._quantity(key, default, SECONDS, "a duration such as 45s, 3m or 2h")

    def microseconds(self, key: str, default: float) -> float:
        return self._quantity(key, default, MICROSECONDS, "a latency such as 50ms or 1s")

    def _quantity(self, key: str, default: float, units: dict[str, float], what: str) -> float:
        path, value = self.find(key)
        if value is None:
            return default
        match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[2] not in units:
            remedy = f"write the number with its unit ({', '.join(units)})"
            self.problems.add(path, value, f"{what} is allowed", remedy)
            return default
        return float(match[1]) * units[match[2]]


def _range(what: str, low: float, high: float) -> str:
    if math.isinf(high):
        return f"{what} of at least {low:g} is allowed"
    return f"{what} from {low:g} to {high:g} is allowed"


def _received(value: Any) -> str:
    if value is None:
        return "is missing"
    text = repr(value)
    return f"is {text if len(text) <= 80 else text[:77] + '...'}"

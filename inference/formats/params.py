"""What may come beside the rows: the params of an MLflow signature. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from contracts.package import ArchiveIndex
from inference.errors import RequestError, shown


@dataclass(frozen=True)
class Params:
    """Schemas by name, and whether the values ``reach_model``; else they are checked only.

    MLflow gives them to a pyfunc alone: its own wrapper of scikit-learn leaves them out.
    """

    schemas: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    reach_model: bool = False

    @staticmethod
    def of(index: ArchiveIndex) -> Params:
        return Params(index.params.get("properties", {}), index.serving_engine == "pyfunc")

    def checked(self, given: Any) -> dict[str, Any] | None:
        """What the model is given; None where that is nothing but its defaults.

        Raises:
            RequestError: there is no such param, or its value has another type.
        """
        if given is None or given == {}:
            return None
        if not self.schemas:
            raise RequestError(
                400, "params came; the model's signature has none, so leave them out"
            )
        if not isinstance(given, dict):
            raise RequestError(400, f"params is {shown(given)}; an object is needed")
        values = cast("dict[str, Any]", given)
        for name, value in values.items():
            if name not in self.schemas:
                known = ", ".join(self.schemas)
                raise RequestError(400, f"param {shown(name)} came; the model takes {known}")
            wanted = _wanted(self.schemas[name], value)
            if wanted:
                came = "null" if value is None else shown(value)
                raise RequestError(400, f"param {name!r}: {came} came; {wanted} is needed")
        return values if self.reach_model else None


def _wanted(schema: dict[str, Any], value: Any) -> str:
    """What is needed in the value's place; nothing where it will do."""
    if schema["type"] != "array":
        name, fits = _kind(schema)
        return "" if fits(value) else name
    name, fits = _kind(schema["items"])
    is_good = isinstance(value, list) and all(map(fits, cast("list[Any]", value)))
    return "" if is_good else f"a list, each of it {name},"


def _kind(schema: dict[str, Any]) -> tuple[str, Callable[[Any], bool]]:
    return _KINDS[schema.get("format") if schema.get("format") == "date-time" else schema["type"]]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_whole(value: Any) -> bool:
    return value is None or type(value) is int


def _is_time(value: Any) -> bool:
    try:
        return value is None or bool(dt.datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return False


# MLflow takes null for any of them, but for an object.
_KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    "number": ("a number", _is_number),
    "integer": ("a whole number", _is_whole),
    "boolean": ("true or false", lambda value: value is None or isinstance(value, bool)),
    "string": ("text", lambda value: value is None or isinstance(value, str)),
    "date-time": ("a date and time in ISO 8601", _is_time),
    # What is in it is MLflow's to check.
    "object": ("an object", lambda value: isinstance(value, dict)),
}

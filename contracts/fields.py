"""Reading untrusted JSON objects field by field, with errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from contracts.errors import ContractError


class Fields:
    """A JSON object whose fields are taken by type; ``where`` names it in errors."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ContractError(f"{where} is {_show(value)}; an object is needed")
        self.raw = cast("Mapping[str, Any]", value)
        self.where = where

    def _take(self, key: str, kinds: tuple[type, ...], wanted: str) -> Any:
        value = self.raw.get(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ContractError(f"{self.where}: {key} is {_show(value)}; {wanted} is needed")
        return value

    def text(self, key: str) -> str:
        return self._take(key, (str,), "text")

    def optional_text(self, key: str) -> str | None:
        return None if self.raw.get(key) is None else self.text(key)

    def integer(self, key: str) -> int:
        return self._take(key, (int,), "a whole number")

    def number(self, key: str) -> float:
        return float(self._take(key, (int, float), "a number"))

    def flag(self, key: str) -> bool:
        return self._take(key, (bool,), "true or false")

    def map(self, key: str) -> dict[str, Any]:
        return dict(self._take(key, (Mapping,), "an object"))

    def items(self, key: str) -> list[Any]:
        return list(self._take(key, (list, tuple), "a list"))

    def child(self, key: str) -> Fields:
        return Fields(self.raw.get(key), f"{self.where}: {key}")

    def children(self, key: str) -> list[Fields]:
        return [Fields(v, f"{self.where}: {key}[{i}]") for i, v in enumerate(self.items(key))]

    def schema_version(self, supported: int) -> None:
        """Refuse a form that this version of Slipway does not know."""
        version = self.integer("schema_version")
        if version != supported:
            raise ContractError(
                f"{self.where}: schema_version is {version}; this Slipway reads {supported}; "
                "use the Slipway version that wrote it, or write it again with this one"
            )


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= 64 else text[:61] + "..."

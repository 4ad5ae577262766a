"""An error of a service with the names that its model gives it, before a protocol renders it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.service import ServiceError


@dataclass(frozen=True)
class WireError:
    """``shape_name`` is for JSON and CBOR, ``query_code`` for Query and its header elsewhere."""

    error: ServiceError
    shape_name: str
    query_code: str
    shape: Any | None
    is_query_compatible: bool

    @property
    def blame(self) -> str:
        return "Sender" if self.error.status < 500 else "Receiver"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """`x-amzn-query-error` keeps the old codes for clients of services that left Query."""
        if not self.is_query_compatible:
            return []
        return [("x-amzn-query-error", f"{self.query_code};{self.blame}")]

    def members(self) -> dict[str, Any]:
        """The error's own members, beside type and message."""
        return self.error.fields

    def message_key(self) -> str:
        """Models disagree on ``message`` and ``Message``."""
        if self.shape is not None and "Message" in self.shape.members:
            return "Message"
        return "message"

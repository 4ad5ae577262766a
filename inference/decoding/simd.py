"""simdjson as the quick decoders use it."""

from __future__ import annotations

from struct import error as StructError
from typing import Any

import simdjson

# A parser keeps the memory of its largest document.
KEPT_BYTES = 1 << 20
# What simdjson, orjson and struct say of what they do not take.
PROBLEMS = (ValueError, TypeError, KeyError, RuntimeError, StructError, AttributeError)

# A number of rows and a buffer of so many rows of float64.
Part = tuple[int, Any]


class Documents:
    """Parses one document after another; one that lives on stops the next from being parsed."""

    def __init__(self) -> None:
        self._parser: Any = simdjson.Parser()

    def parse(self, body: bytes) -> Any:
        parser = self._parser if len(body) <= KEPT_BYTES else simdjson.Parser()
        return parser.parse(body)

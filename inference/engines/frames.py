"""Engines that call the model itself, with a DataFrame or an array as it was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from inference.formats.codecs import Decoded
from inference.formats.frames import model_input, to_json_values
from inference.formats.signature import Signature


class FrameEngine:
    """A loaded model's own method."""

    is_quick = False
    takes_matrix = False

    def __init__(
        self,
        name: str,
        signature: Signature,
        call: Callable[[Any], Any],
        *,
        merges: bool,
        null: Any = math.nan,
    ) -> None:
        self.name = name
        self.merges = merges
        self._signature = signature
        self._call = call
        self._null = null

    def __call__(self, decoded: Decoded) -> list[Any]:
        """Raises whatever the model raises."""
        return to_json_values(self._call(model_input(self._signature, decoded, null=self._null)))

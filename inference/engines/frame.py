"""A model that takes a DataFrame or an array, as scikit-learn's and MLflow's do: any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inference.codecs import Decoded
from inference.signature import Signature


class FrameEngine:
    """Calls the model in its thread, each request by itself: nothing was proven of it."""

    is_quick = False
    merges = False
    takes_matrix = False

    def __init__(self, name: str, signature: Signature, call: Callable[[Any], Any]) -> None:
        self.name = name
        self._signature = signature
        self._call = call

    def __call__(self, decoded: Decoded) -> list[Any]:
        from inference.frames import model_input, to_json_values

        return to_json_values(self._call(model_input(self._signature, decoded)))

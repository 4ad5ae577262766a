"""Models that skl2onnx converted: our own features, then its graph on ONNX Runtime."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from contracts.engine import EngineFile
from inference.engines.answers import array_of_many
from inference.engines.features import Arrays
from inference.engines.graphs import OnGraph
from inference.formats.codecs import Decoded, Predictions
from inference.formats.frames import both
from inference.formats.signature import Signature


class Onnx(OnGraph):
    """The graph takes ``x`` and gives labels and probabilities, or numbers."""

    name = "onnx"

    def __init__(
        self,
        signature: Signature,
        file: EngineFile,
        arrays: Arrays,
        graph: bytes,
        *,
        merges: bool,
    ) -> None:
        super().__init__(signature, file, arrays, graph, merges=merges)
        self._order = arrays["order"]
        self._type: Any = np.float32 if file.is_float32 else np.float64
        self._output = file.answer.output
        self._labels = {
            label if isinstance(label, str) else int(label): label for label in file.answer.classes
        }

    def __call__(self, decoded: Decoded) -> Predictions:
        """Raises what ONNX Runtime raises, and ValueError for a null that the model refuses."""
        with np.errstate(over="ignore"):
            x = self._features.all(decoded).take(self._order, axis=1).astype(self._type)
        if not self._takes_null and not np.isfinite(x).all():
            raise ValueError("Input X contains NaN, infinity or a value too large")
        answers = self._run(None, {"x": x})
        if not self._labels:
            return _rows(answers[0].reshape(decoded.rows, -1).astype(np.float64))
        labels = [self._labels[label] for label in answers[0].reshape(-1).tolist()]
        if self._output == "predict":
            return labels
        shares = answers[1].astype(np.float64)
        if self._output == "predict_proba":
            return array_of_many(shares)
        return both(labels, shares.tolist())


def _rows(values: Any) -> list[Any]:
    if values.shape[1] > 1:
        return values.tolist()
    return [value if math.isfinite(value) else None for value in values[:, 0].tolist()]

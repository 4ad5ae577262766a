"""Models that skl2onnx converted: a whole graph on ONNX Runtime."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from contracts.engine import EngineFile
from inference.codecs import Decoded
from inference.engines.graphs import session
from inference.signature import Signature

TYPES: dict[str, Any] = {"float": np.float32, "double": np.float64, "long": np.int64}


class Onnx:
    """The graph's outputs are ``label`` and ``probabilities``, or ``variable`` for numbers."""

    name = "onnx"
    is_quick = True
    takes_matrix = False

    def __init__(
        self, signature: Signature, file: EngineFile, graph: bytes, *, merges: bool
    ) -> None:
        self.merges = merges
        self._tensors = [
            (name, kind, [signature.names[column] for column in columns])
            for name, kind, columns in file.tensors
        ]
        self._output = file.answer.output
        self._labels = {
            label if isinstance(label, str) else int(label): label for label in file.answer.classes
        }
        self._is_number = not file.answer.classes
        self.takes_matrix = all(column.kind != "string" for column in signature.columns)
        self._names = signature.names
        self._run = session(graph).run

    def __call__(self, decoded: Decoded) -> list[Any]:
        """Raises what ONNX Runtime raises, and ValueError for a null in a column of text."""
        feed = {name: self._tensor(decoded, kind, names) for name, kind, names in self._tensors}
        answers = self._run(None, feed)
        if self._is_number:
            return _rows(answers[0].reshape(decoded.rows, -1))
        labels = [self._labels[label] for label in answers[0].reshape(-1).tolist()]
        if self._output == "predict":
            return labels
        shares: list[Any] = answers[1].astype(np.float64).tolist()
        if self._output == "predict_proba":
            return shares
        return [
            {"prediction": label, "probabilities": share}
            for label, share in zip(labels, shares, strict=True)
        ]

    def _tensor(self, decoded: Decoded, kind: str, names: list[str]) -> Any:
        if kind == "string":
            if any(value is None for name in names for value in decoded.columns[name]):
                raise ValueError("a text is null, which the converted model cannot take")
            return np.array([decoded.columns[name] for name in names], dtype=object).T
        if decoded.matrix is not None:
            if names == self._names:
                return decoded.matrix.astype(TYPES[kind])
            places = [self._names.index(name) for name in names]
            return decoded.matrix[:, places].astype(TYPES[kind])
        values = np.array([decoded.columns[name] for name in names], dtype=np.float64)
        return np.ascontiguousarray(values.T).astype(TYPES[kind])


def _rows(values: Any) -> list[Any]:
    flat = values.astype(np.float64)
    if flat.shape[1] > 1:
        return flat.tolist()
    return [value if math.isfinite(value) else None for value in flat[:, 0].tolist()]

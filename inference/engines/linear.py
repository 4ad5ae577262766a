"""Linear models: one dot product, and one table row for each looked-up column."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from contracts.engine import EngineFile
from inference.engines.answers import answering
from inference.engines.features import Arrays, Features
from inference.formats.codecs import Decoded, Predictions
from inference.formats.signature import Signature


class Linear:
    """``weights`` (classes, features) and ``bias`` (classes); one class for two labels."""

    name = "linear"
    is_quick = True

    def __init__(
        self, signature: Signature, file: EngineFile, arrays: Arrays, *, merges: bool
    ) -> None:
        self.merges = merges
        self._features = Features(signature, file, arrays)
        self.takes_matrix = self._features.takes_matrix
        weights = np.ascontiguousarray(arrays["weights"], dtype=np.float64)
        self._is_single = weights.shape[0] == 1
        self._weights = weights[0] if self._is_single else weights
        self._bias: Any = float(arrays["bias"][0]) if self._is_single else arrays["bias"]
        self._has_lookups = bool(file.lookups)
        self._answer = answering(file.answer)

    def __call__(self, decoded: Decoded) -> Predictions:
        """Raises ValueError where a feature is missing or too large, as scikit-learn does."""
        x = self._features.numbers(decoded)
        # vecdot sums each row by itself, where a matrix product sums by the number of rows too.
        if self._is_single:
            scores = np.vecdot(x, self._weights) + self._bias
        else:
            scores = np.vecdot(x[:, None, :], self._weights) + self._bias
        if self._has_lookups:
            for part in self._features.looked_up(decoded):
                scores = scores + (part[:, 0] if self._is_single else part)
        is_good = isfinite(scores.item()) if scores.size == 1 else np.isfinite(scores).all()
        if not is_good:
            raise ValueError("Input contains NaN, or a value that is too large")
        return self._answer(scores)

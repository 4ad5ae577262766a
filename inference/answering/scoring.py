"""Calls of the model: merged where that is proven, and one by one where a merged call fails."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np

from inference.answering.blame import Blame
from inference.engines import Engine
from inference.errors import ModelFailedError, ModelGoneError
from inference.formats.codecs import Decoded, Predictions
from inference.formats.signature import Signature

Outcome = Predictions | Exception


class Scorer:
    """Scores decoded requests; may be called by the loop and by the model's thread at once."""

    def __init__(self, engine: Engine, signature: Signature, probes: list[Decoded]) -> None:
        self.engine = engine
        self._blame = Blame(self.call, signature, probes)

    def score(self, requests: list[Decoded]) -> list[Outcome]:
        """For each request its predictions, one a row, or the error that it gets."""
        has_params = any(request.params is not None for request in requests)
        if len(requests) > 1 and self.engine.merges and not has_params:
            try:
                return _split(self.call(merged(requests)), requests)
            except ModelGoneError as gone:
                # Each alone would wait as long again; one that crashed it may be told from others.
                if gone.is_hung:
                    return [gone for _ in requests]
            except Exception:  # noqa: BLE001 whose fault it is shows when each is alone
                pass
        return [self._alone(request) for request in requests]

    def _alone(self, request: Decoded) -> Outcome:
        if request.rows == 0:
            return []
        try:
            return self.call(request)
        except ModelGoneError as gone:
            return gone
        except Exception as problem:  # noqa: BLE001 a model may raise anything
            return self._blame.find(request, problem)

    def call(self, decoded: Decoded) -> Predictions:
        """The engine's own answers; raises what it raises."""
        predictions = self.engine(decoded)
        if len(predictions) != decoded.rows:
            raise ModelFailedError(f"{len(predictions)} predictions for {decoded.rows} rows")
        self._blame.note_good(decoded)
        return predictions


def merged(requests: list[Decoded]) -> Decoded:
    """The rows of all requests below one another."""
    rows = sum(request.rows for request in requests)
    if any(request.matrix is not None for request in requests):
        return Decoded({}, rows, np.concatenate([_matrix(request) for request in requests]))
    columns = {
        name: list(chain.from_iterable(request.columns[name] for request in requests))
        for name in requests[0].columns
    }
    return Decoded(columns, rows)


def _matrix(decoded: Decoded) -> Any:
    """Columns of numbers as one array of float64; null is NaN."""
    if decoded.matrix is not None:
        return decoded.matrix
    matrix = np.empty((decoded.rows, len(decoded.columns)))
    for position, values in enumerate(decoded.columns.values()):
        matrix[:, position] = [math.nan if value is None else value for value in values]
    return matrix


def _split(predictions: Predictions, requests: list[Decoded]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    at = 0
    for request in requests:
        outcomes.append(predictions[at : at + request.rows])
        at += request.rows
    return outcomes

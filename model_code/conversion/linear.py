"""Linear and logistic models with their preprocessing, folded into weights and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from contracts.engine import LINEAR, Answer, EngineFile
from model_code.conversion.candidate import Candidate
from model_code.conversion.plan import Feature, Frame, Layout, Number, Steps, lay_out


def linear(frame: Frame, coefficients: Any, intercept: Any, answer: Answer) -> Candidate:
    """``coefficients`` of shape (classes, features), ``intercept`` (classes,)."""
    weights = np.array(coefficients, dtype=np.float64, ndmin=2)
    bias = np.zeros(len(weights)) + np.asarray(intercept, dtype=np.float64)
    features: list[Feature] = []
    for place, feature in enumerate(frame.features):
        folded = _folded(feature.steps) if isinstance(feature, Number) else None
        if folded is None or not isinstance(feature, Number):
            features.append(feature)
            continue
        steps, scale, shift = folded
        features.append(replace(feature, steps=steps))
        bias += weights[:, place] * shift
        weights[:, place] *= scale
    layout = lay_out(Frame(tuple(features)))
    numbers = layout.order[: len(layout.order) - sum(map(len, layout.tables))]
    arrays = {
        **layout.arrays,
        **_weighed(layout, weights),
        "weights": weights[:, list(numbers)],
        "bias": bias,
    }
    file = EngineFile(LINEAR, answer, layout.blocks, layout.lookups)
    return Candidate(file, arrays)


def _weighed(layout: Layout, weights: Any) -> dict[str, Any]:
    """Tables of what each value adds to the scores, in place of what it is encoded as."""
    return {
        f"lookup{number}": layout.arrays[f"lookup{number}"] @ weights[:, list(places)].T
        for number, places in enumerate(layout.tables)
    }


def _folded(steps: Steps) -> tuple[Steps, float, float] | None:
    """The steps as (fill or nothing, then scale and shift); None where they are not affine."""
    scale, shift = 1.0, 0.0
    fill: Sequence[tuple[str, float]] = ()
    for name, value in steps:
        if name == "fill":
            if scale == 0 or not np.isfinite(scale):
                return None
            fill = fill or (("fill", (value - shift) / scale),)
        elif name in {"sub", "add"}:
            shift += -value if name == "sub" else value
        elif name in {"mul", "div"} and value != 0:
            factor = value if name == "mul" else 1 / value
            scale, shift = scale * factor, shift * factor
        else:
            return None
    return tuple(fill), scale, shift

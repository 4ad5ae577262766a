"""What a fitted scikit-learn model tells of its columns: means, ranges, medians, categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from model_code.conversion.plan import Frame
from model_code.conversion.rows import Hints


def hints_of(model: Any, frame: Frame) -> Hints:
    """Gathered from its transformers, as far as each stands directly on the columns."""
    hints = Hints()
    columns: list[int] = [getattr(feature, "column", 0) for feature in frame.features]
    _walk(model, columns, hints)
    return hints


def _walk(part: Any, columns: list[int], hints: Hints) -> None:
    for name in ("best_estimator_", "estimator_", "_preprocessor"):
        inner = getattr(part, name, None)
        if inner is not None and not isinstance(inner, str):
            _walk(inner, columns, hints)
    if hasattr(part, "steps"):
        for _, step in part.steps:
            _walk(step, columns, hints)
            if getattr(step, "n_features_in_", None) != len(columns) or _widens(step):
                return
    elif hasattr(part, "_transformer_to_input_indices"):
        places: dict[str, Any] = part._transformer_to_input_indices
        for name, inner, _ in part.transformers_:
            if not isinstance(inner, str):
                _walk(inner, [columns[place] for place in places[name]], hints)
    elif hasattr(part, "transformer_list"):
        for _, inner in part.transformer_list:
            _walk(inner, columns, hints)
    else:
        _own(part, columns, hints)


def _widens(step: Any) -> bool:
    """Whether what comes after it no longer stands on the columns themselves."""
    return hasattr(step, "categories_") or hasattr(step, "transformers_")


def _own(part: Any, columns: list[int], hints: Hints) -> None:
    categories: Any = getattr(part, "categories_", None)
    if categories is not None:
        for column, known in zip(columns, categories, strict=False):
            values = [v for v in np.asarray(known).tolist() if v is not None and v == v]  # noqa: PLR0124
            hints.categories.setdefault(column, []).extend(values)
        return
    middle = _numbers(part, "mean_", columns)
    middle = _numbers(part, "center_", columns) if middle is None else middle
    scale = _numbers(part, "scale_", columns)
    if middle is not None and scale is not None:
        for column, mean, deviation in zip(columns, middle, scale, strict=True):
            hints.add(column, [mean - 3 * deviation, mean, mean + 3 * deviation])
    for name in ("data_min_", "data_max_", "max_abs_", "statistics_"):
        values = _numbers(part, name, columns)
        if values is not None:
            for column, value in zip(columns, values, strict=True):
                hints.add(column, [value])


def _numbers(part: Any, name: str, columns: list[int]) -> Any | None:
    values: Any = getattr(part, name, None)
    if values is None:
        return None
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError):
        return None
    return numbers if numbers.shape == (len(columns),) else None

"""Encoders of categories as tables: each is asked what it makes of every value that it knows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from model_code.conversion.plan import Frame, Looked, NotConvertibleError, Number, Text

UNKNOWN_TEXT = "\x00 never seen"
UNKNOWN_NUMBER = -987_654_321.5
MAX_KEYS = 20_000


def encoded(encoder: Any, frame: Frame) -> list[Looked]:
    """The encoder's outputs, in order; nothing of its rules is repeated here."""
    keys = [_keys(values) for values in encoder.categories_]
    found: list[list[Looked]] = []
    for place, feature in enumerate(frame.features):
        found.append(_outputs(encoder, keys, place, feature))
    return [looked for outputs in found for looked in outputs]


def _keys(categories: Any) -> tuple[Any, ...]:
    """The known values without those that mean missing, as JSON carries them."""
    values = [value for value in categories.tolist() if value is not None and value == value]  # noqa: PLR0124
    if len(values) > MAX_KEYS:
        raise NotConvertibleError(f"{len(values)} categories in one column")
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise NotConvertibleError("categories that are neither text nor numbers")
    return tuple(values)


def _outputs(encoder: Any, keys: list[tuple[Any, ...]], place: int, feature: Any) -> list[Looked]:
    if not isinstance(feature, Text | Number):
        raise NotConvertibleError(f"{type(encoder).__name__} on values that were encoded before")
    if isinstance(feature, Number) and any(
        name not in {"fill", "float32"} for name, _ in feature.steps
    ):
        raise NotConvertibleError(f"{type(encoder).__name__} on scaled numbers")
    mine = keys[place]
    if not mine:
        raise NotConvertibleError("a column of categories that had none in training")
    span = _span(encoder, keys, place)
    known = _ask(encoder, keys, place, list(mine), span)
    if known is None:
        raise NotConvertibleError(f"{type(encoder).__name__} refuses what it was trained with")
    null = None if isinstance(feature, Text) else np.nan
    if isinstance(feature, Text) and feature.fill is not None:
        null = feature.fill
    if isinstance(feature, Number):
        null = next((value for name, value in feature.steps if name == "fill"), null)
    unknown_value = UNKNOWN_TEXT if isinstance(feature, Text) else UNKNOWN_NUMBER
    missing = _ask(encoder, keys, place, [null], span)
    unknown = _ask(encoder, keys, place, [unknown_value], span)
    rows = [part for part in (known, missing, unknown) if part is not None]
    table = np.concatenate(rows).astype(np.float64)
    return [
        Looked(feature.column, mine, table[:, i], missing is not None, unknown is not None)
        for i in range(table.shape[1])
    ]


def _span(encoder: Any, keys: list[tuple[Any, ...]], place: int) -> slice:
    """Which outputs belong to the input at ``place``."""
    widths = getattr(encoder, "_n_features_outs", None)
    if widths is None:
        is_wide = getattr(encoder, "target_type_", "") == "multiclass"
        widths = [len(encoder.classes_) if is_wide else 1] * len(keys)
    start = sum(widths[:place])
    return slice(start, start + widths[place])


def _ask(
    encoder: Any, keys: list[tuple[Any, ...]], place: int, values: list[Any], span: slice
) -> Any | None:
    """What the encoder makes of the values; None where it refuses them."""
    import pandas as pd

    columns = [[known[0] if known else None] * len(values) for known in keys]
    columns[place] = values
    names = getattr(encoder, "feature_names_in_", range(len(columns)))
    data = {
        name: pd.Series(column, dtype="object" if _is_text(keys[i]) else None)
        for i, (name, column) in enumerate(zip(names, columns, strict=True))
    }
    asked: Any = pd.DataFrame(data)
    if not hasattr(encoder, "feature_names_in_"):
        asked = asked.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = encoder.transform(asked)
        except (ValueError, TypeError):
            return None
    dense = answer.toarray() if hasattr(answer, "toarray") else np.asarray(answer)
    return dense[:, span]


def _is_text(known: tuple[Any, ...]) -> bool:
    return any(isinstance(value, str) for value in known)

"""Encoders of categories as tables: each is asked what it makes of every value that it knows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from model_code.conversion.plan import Feature, Frame, Looked, NotConvertibleError, Number, Text

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


def _outputs(
    encoder: Any, keys: list[tuple[Any, ...]], place: int, feature: Feature
) -> list[Looked]:
    mine = keys[place]
    if not mine:
        raise NotConvertibleError("a column of categories that had none in training")
    known, null, other = _inputs(encoder, mine, feature)
    span = _span(encoder, keys, place)
    rows = _ask(encoder, keys, place, list(known.values()), span)
    if rows is None:
        raise NotConvertibleError(f"{type(encoder).__name__} refuses what it was trained with")
    missing = None if null is _REFUSED else _ask(encoder, keys, place, [null], span)
    unknown = None if other is _REFUSED else _ask(encoder, keys, place, [other], span)
    parts = [part for part in (rows, missing, unknown) if part is not None]
    table = np.concatenate(parts).astype(np.float64)
    return [
        Looked(feature.column, tuple(known), column, missing is not None, unknown is not None)
        for column in table.T
    ]


_REFUSED = object()


def _inputs(
    encoder: Any, mine: tuple[Any, ...], feature: Feature
) -> tuple[dict[Any, Any], Any, Any]:
    """What reaches the encoder: for each value of the column, for a null, and for any other."""
    match feature:
        case Looked():
            values = feature.values.tolist()
            count = len(feature.keys)
            null = values[count] if feature.takes_missing else _REFUSED
            other = values[-1] if feature.takes_unknown else _REFUSED
            return dict(zip(feature.keys, values, strict=False)), null, other
        case Text():
            return {value: value for value in mine}, feature.null, UNKNOWN_TEXT
        case Number():
            if any(name not in {"fill", "float32"} for name, _ in feature.steps):
                raise NotConvertibleError(f"{type(encoder).__name__} on scaled numbers")
            fill = next((value for name, value in feature.steps if name == "fill"), np.nan)
            return {value: value for value in mine}, fill, UNKNOWN_NUMBER


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
        name: pd.Series(column, dtype=_dtype(encoder.categories_[i]))
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


def _dtype(categories: Any) -> str | None:
    """Text, and numbers that stood beside text, reach the encoder as objects."""
    return "object" if categories.dtype.kind in "OUT" else None

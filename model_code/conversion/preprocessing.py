"""scikit-learn's transformers as steps and tables on the columns that they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_code.conversion.encoders import encoded
from model_code.conversion.plan import Frame, Looked, NotConvertibleError, Number, Text

FUNCTIONS = ("log1p", "expm1", "log", "exp", "sqrt", "square", "abs")


def transformed(transformer: Any, frame: Frame) -> Frame:
    """What a fitted transformer makes of the frame.

    Raises:
        NotConvertibleError: it is none of those known here, or set in a way that is not.
    """
    if transformer is None or isinstance(transformer, str):
        if transformer in {None, "passthrough"}:
            return frame
        raise NotConvertibleError(f"a step {transformer!r}")
    for kind in type(transformer).__mro__:
        make = _KNOWN.get(kind.__name__)
        if make is not None and kind.__module__.startswith("sklearn."):
            return make(transformer, frame)
    if hasattr(transformer, "get_support") and _is_sklearn(transformer):
        return frame.pick(list(transformer.get_support(indices=True)))
    raise NotConvertibleError(f"{type(transformer).__name__} in its preprocessing")


def _is_sklearn(value: Any) -> bool:
    return type(value).__module__.startswith("sklearn.")


def joined(frames: Sequence[Frame]) -> Frame:
    """Several frames side by side; numpy keeps float32 only where all of them are."""
    features = tuple(feature for frame in frames for feature in frame.features)
    return Frame(features, bool(frames) and all(frame.is_float32 for frame in frames))


def _pipeline(pipeline: Any, frame: Frame) -> Frame:
    for _, step in pipeline.steps:
        frame = transformed(step, frame)
    return frame


def _columns(transformer: Any, frame: Frame) -> Frame:
    places: dict[str, Sequence[int]] = transformer._transformer_to_input_indices
    parts: list[Frame] = []
    for name, part, columns in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        if isinstance(columns, str):
            raise NotConvertibleError(f"{type(part).__name__} on one column as a list")
        picked = frame.pick(list(places[name]))
        if picked.features:
            parts.append(transformed(part, _own_type(picked, frame)))
    weights = transformer.transformer_weights
    if weights:
        raise NotConvertibleError("transformer_weights")
    return joined(parts)


def _own_type(picked: Frame, frame: Frame) -> Frame:
    """Columns straight from the request are float32 by themselves, not by what stands beside."""
    if all(_is_raw(feature) for feature in frame.features):
        return replace(picked, is_float32=all(_is_raw_float32(f) for f in picked.features))
    return picked


def _is_raw(feature: Any) -> bool:
    return isinstance(feature, Text) or (
        isinstance(feature, Number) and feature.steps in {(), (("float32", 0.0),)}
    )


def _is_raw_float32(feature: Any) -> bool:
    return isinstance(feature, Number) and feature.steps == (("float32", 0.0),)


def _union(transformer: Any, frame: Frame) -> Frame:
    if transformer.transformer_weights:
        raise NotConvertibleError("transformer_weights")
    kept = [part for _, part in transformer.transformer_list if part != "drop"]
    return joined([transformed(part, frame) for part in kept])


def _standard(scaler: Any, frame: Frame) -> Frame:
    # Of all scalers it alone brings its own numbers to the type of the data first.
    own = np.float32 if frame.is_float32 else np.float64
    if scaler.with_mean:
        frame = frame.then("sub", scaler.mean_.astype(own))
    return frame.then("div", scaler.scale_.astype(own)) if scaler.with_std else frame


def _robust(scaler: Any, frame: Frame) -> Frame:
    if scaler.with_centering:
        frame = frame.then("sub", scaler.center_)
    return frame.then("div", scaler.scale_) if scaler.with_scaling else frame


def _min_max(scaler: Any, frame: Frame) -> Frame:
    frame = frame.then("mul", scaler.scale_).then("add", scaler.min_)
    if not scaler.clip:
        return frame
    width = len(frame.features)
    low, high = scaler.feature_range
    return frame.then("least", [low] * width).then("most", [high] * width)


def _imputer(imputer: Any, frame: Frame) -> Frame:
    is_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    if not is_nan and imputer.missing_values is not None:
        raise NotConvertibleError(f"SimpleImputer(missing_values={imputer.missing_values!r})")
    filled: list[Any] = []
    for feature, value in zip(frame.features, imputer.statistics_, strict=True):
        if isinstance(feature, Text):
            is_null = feature.null is None if not is_nan else isinstance(feature.null, float)
            filled.append(replace(feature, null=str(value)) if is_null else feature)
        elif isinstance(value, float | int | np.number) and not np.isnan(value):
            one = replace(frame, features=(feature,))
            filled.extend(one.then("fill", [float(value)]).features)
        elif imputer.keep_empty_features:
            raise NotConvertibleError("SimpleImputer(keep_empty_features=True)")
        # A column without any value in training is left out.
    result = replace(frame, features=tuple(filled))
    if imputer.indicator_ is None:
        return result
    marked = frame.pick(list(imputer.indicator_.features_)).then("is_missing")
    return joined([result, marked])


def _function(transformer: Any, frame: Frame) -> Frame:
    from sklearn.utils.validation import check_array

    function = transformer.func
    if function is None or getattr(function, "func", None) is check_array:
        return frame  # a check only, as HistGradientBoosting puts it before its trees
    name: str = getattr(function, "__name__", "")
    if name not in FUNCTIONS or function is not getattr(np, name) or transformer.kw_args:
        raise NotConvertibleError(f"FunctionTransformer({name or function!r})")
    return frame.then(name)


def _encoder(encoder: Any, frame: Frame) -> Frame:
    return Frame(tuple[Looked, ...](encoded(encoder, frame)), is_float32=False)


_KNOWN: dict[str, Callable[[Any, Frame], Frame]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": lambda scaler, frame: frame.then("div", scaler.scale_),
    "SimpleImputer": _imputer,
    "FunctionTransformer": _function,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
}

"""Models that skl2onnx turns into an ONNX graph: tried where none of our own engines fits."""

from __future__ import annotations

import warnings
from typing import Any

from contracts.engine import ONNX, Answer, EngineFile
from model_code.conversion.candidate import Candidate
from model_code.conversion.plan import Frame, NotConvertibleError, Number, Text

OPSETS = {"": 17, "ai.onnx.ml": 3}


def export(model: Any, frame: Frame, names: list[str], output: str, kind: str) -> Candidate:
    """The whole model with numbers as ``kind`` (double or float).

    Raises:
        NotConvertibleError: skl2onnx cannot, or the model has no single answer.
    """
    from skl2onnx import to_onnx

    if not type(model).__module__.startswith("sklearn."):
        raise NotConvertibleError(f"skl2onnx does not know {type(model).__name__}")
    classes: tuple[Any, ...] = ()
    if hasattr(model, "classes_"):
        found: Any = model.classes_
        if isinstance(found, list):
            raise NotConvertibleError("several outputs")
        classes = tuple(found.tolist())
    tensors = _tensors(frame, names, kind)
    has_shares = hasattr(model, "predict_proba")
    if output != "predict" and not has_shares:
        raise NotConvertibleError("it has no probabilities")
    options = {id(model): {"zipmap": False}} if has_shares else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made: Any = to_onnx(
                model, initial_types=_types(tensors), target_opset=OPSETS, options=options
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise NotConvertibleError(f"skl2onnx says {type(error).__name__}: {reason}") from error
    file = EngineFile(ONNX, Answer(output, "graph", classes), tensors=tensors)
    return Candidate(file, graph=made.SerializeToString(deterministic=True))


def _tensors(
    frame: Frame, names: list[str], kind: str
) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """One matrix of numbers, or a tensor a column, named as the model knows it."""
    columns = [f.column for f in frame.features if isinstance(f, Number | Text)]
    if all(isinstance(feature, Number) for feature in frame.features):
        return (("x", kind, tuple(columns)),)
    return tuple(
        (names[f.column], "string" if isinstance(f, Text) else kind, (f.column,))
        for f in frame.features
        if isinstance(f, Number | Text)
    )


def _types(tensors: tuple[tuple[str, str, tuple[int, ...]], ...]) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    kinds = {"string": StringTensorType, "float": FloatTensorType, "double": DoubleTensorType}
    return [(name, kinds[kind]([None, len(columns)])) for name, kind, columns in tensors]

"""Models that skl2onnx turns into an ONNX graph: tried where none of our own engines fits."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from contracts.engine import ONNX, Answer, EngineFile
from model_code.conversion.candidate import Candidate
from model_code.conversion.plan import Frame, NotConvertibleError, lay_out
from model_code.conversion.preprocessing import transformed

OPSETS = {"": 17, "ai.onnx.ml": 3}


KINDS = ("double", "float")
TREES = ("Tree", "Forest", "Boosting", "Bagging", "Isolation")


def exports(model: Any, frame: Frame, output: str) -> list[Candidate]:
    """The model with its preprocessing on our own engine as far as that goes, the rest exported.

    In float64 first, then in float32; each refusing nulls first, then taking them.

    Raises:
        NotConvertibleError: skl2onnx cannot, or the model has no such answer.
    """
    if not type(model).__module__.startswith("sklearn."):
        raise NotConvertibleError(f"skl2onnx does not know {type(model).__name__}")
    rest, frame = _split(model, frame)
    answer = Answer(output, "graph", _classes(rest, output))
    layout = lay_out(frame)
    # The graph counts features as the model does, the server blocks first.
    arrays = {**layout.arrays, "order": np.argsort(layout.order)}
    made: list[Candidate] = []
    problem: NotConvertibleError | None = None
    for kind in _kinds(rest):
        try:
            graph = _graph(rest, len(layout.order), kind)
        except NotConvertibleError as error:
            problem = error
            continue
        file = EngineFile(ONNX, answer, layout.blocks, layout.lookups, is_float32=kind == "float")
        made.append(Candidate(file, arrays, graph))
        made.append(Candidate(replace(file, takes_null=True), arrays, graph))
    if problem is not None and not made:
        raise problem
    return made


def _kinds(model: Any) -> tuple[str, ...]:
    """Trees in float32 only: some never return from skl2onnx as float64, none could be loaded."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    is_tree = any(word in type(last).__name__ for word in TREES)
    return KINDS[1:] if is_tree else KINDS


def _split(model: Any, frame: Frame) -> tuple[Any, Frame]:
    """What is left of a pipeline after the steps that our own engine takes."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    if type(model).__name__ != "Pipeline":
        return model, frame
    steps: list[Any] = list(model.steps)
    while len(steps) > 1:
        try:
            frame = transformed(steps[0][1], frame)
        except NotConvertibleError:
            break
        steps.pop(0)
    return (type(model)(steps) if len(steps) > 1 else steps[0][1]), frame


def _classes(model: Any, output: str) -> tuple[Any, ...]:
    if output != "predict" and not hasattr(model, "predict_proba"):
        raise NotConvertibleError("it has no probabilities")
    found: Any = getattr(model, "classes_", None)
    if found is None:
        return ()
    if isinstance(found, list):
        raise NotConvertibleError("several outputs")
    return tuple(found.tolist())


def _graph(model: Any, width: int, kind: str) -> bytes:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    numbers: Any = DoubleTensorType if kind == "double" else FloatTensorType
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made: Any = to_onnx(
                model,
                initial_types=[("x", numbers([None, width]))],
                target_opset=OPSETS,
                options=options,
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise NotConvertibleError(f"skl2onnx says {type(error).__name__}: {reason}") from error
    return made.SerializeToString(deterministic=True)

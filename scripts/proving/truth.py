"""The model itself, as the server would ask it were it not converted."""

from __future__ import annotations

import os
from typing import Any

from inference.formats.frames import method, null_of
from inference.formats.signature import Signature
from model_code.conversion.child import LackingOutputError, Task
from model_code.conversion.loading import Opened
from scripts.proving.answers import Native
from scripts.proving.proof import Truth


def truth_of(opened: Opened, task: Task, signature: Signature) -> Truth:
    """Its own method where the server loads it without MLflow, else what MLflow's pyfunc answers.

    Raises:
        LackingOutputError: it cannot answer ``output`` at all.
    """
    shares, null = None, null_of(opened.model)
    if hasattr(opened.model, "predict_proba"):
        shares = Native(signature, method(opened.model, "predict_proba"), null)
    if task.engine == "sklearn":
        try:
            call = method(opened.model, task.output)
        except AttributeError:
            raise LackingOutputError(task.output) from None
        return Truth(Native(signature, call, null), shares)
    # What it is made of was looked at when it was opened; a pickle only opens where allowed.
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    import mlflow.pyfunc

    model: Any = mlflow.pyfunc.load_model(task.model_dir)
    return Truth(Native(signature, model.predict, null), shares)

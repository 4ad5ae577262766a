"""One MLflow store for all tests of a worker, since making its tables takes seconds."""

from __future__ import annotations

from typing import Any

import pytest

from model_code import registry


def store_uri(factory: pytest.TempPathFactory) -> str:
    """The worker's store; every test registers models under names of its own."""
    folder = factory.getbasetemp() / "model-store"
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder}/mlflow.db"


def register(
    store: str, name: str, estimator: Any, example: Any, predict_fn: str = "predict"
) -> registry.Logged:
    """The next version of ``name``, as a training of any model would register it."""
    return registry.log_sklearn(
        store,
        name,
        estimator,
        example=example,
        params={"made": "for a test"},
        metrics={"score": 0.5},
        predict_fn=predict_fn,
    )

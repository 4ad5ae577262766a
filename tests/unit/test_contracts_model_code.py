"""What of a logged model runs code: told by its files, whatever it says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.model_code import code_in_model


def mlmodel(loader: str, pyfunc: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    flavors = {"python_function": {"loader_module": loader, **(pyfunc or {})}}
    if own:
        flavors[loader.removeprefix("mlflow.")] = own
    return {"flavors": flavors}


LIGHTGBM_TYPES = ["lightgbm.basic.Booster", "collections.OrderedDict"]


@pytest.mark.parametrize(
    ("described", "names"),
    [
        (mlmodel("mlflow.sklearn", {"model_path": "model.skops"}), ["model.skops"]),
        (
            mlmodel("mlflow.xgboost", {"data": "m.ubj"}, model_class="xgboost.core.Booster"),
            ["m.ubj"],
        ),
        (mlmodel("mlflow.lightgbm", {"data": "model.lgb"}, data="model.lgb"), ["model.lgb"]),
        (
            mlmodel("mlflow.lightgbm", {"data": "m.skops"}, skops_trusted_types=LIGHTGBM_TYPES),
            ["m.skops"],
        ),
    ],
)
def test_models_that_are_data_run_nothing(described: dict[str, Any], names: list[str]) -> None:
    assert code_in_model(described, [*names, "MLmodel", "requirements.txt"]) == []


@pytest.mark.parametrize(
    ("described", "names", "reasons"),
    [
        (
            mlmodel(
                "mlflow.pyfunc.loaders.code_model", {"model_code_path": "/project/doubling.py"}
            ),
            ["doubling.py"],
            ["doubling.py (a model from code)"],
        ),
        (
            mlmodel("mlflow.pyfunc.model", {"code": "code", "python_model": "python_model.pkl"}),
            ["python_model.pkl", "code/mine.py"],
            ["code/ (code_paths)", "python_model.pkl (a pickle)"],
        ),
        (
            mlmodel("mlflow.sklearn", {"model_path": "model.pkl"}, pickled_model="model.pkl"),
            ["model.pkl"],
            ["model.pkl (a pickle)"],
        ),
        (
            mlmodel("mlflow.sklearn", {"model_path": "model.skops"}, pickled_model="model.JOBLIB"),
            ["model.JOBLIB", "model.skops"],
            ["model.JOBLIB (a pickle)"],
        ),
        (
            mlmodel("mlflow.sklearn", {"model_path": "model.skops"}, pickled_model="model.bin"),
            ["model.bin", "model.skops"],
            ["MLmodel (whatever mlflow.sklearn loads)"],
        ),
        (
            mlmodel("mlflow.lightgbm", {"data": "model.lgb"}, data="model.lgb", code="src"),
            ["model.lgb"],
            ["src/ (code_paths)"],
        ),
        (
            mlmodel("mlflow.xgboost", {"data": "model.ubj"}, model_class="os.system"),
            ["model.ubj"],
            ["MLmodel (the class os.system)"],
        ),
        (
            mlmodel("mlflow.lightgbm", {"data": "model.skops"}, skops_trusted_types=["mine.Run"]),
            ["model.skops"],
            ["model.skops (the types mine.Run)"],
        ),
        (
            mlmodel("mlflow.pytorch"),
            ["data/model.pth"],
            ["MLmodel (whatever mlflow.pytorch loads)"],
        ),
        (mlmodel("mine"), [], ["MLmodel (whatever mine loads)"]),
        (mlmodel("mlflow.sklearn"), [], ["MLmodel (whatever mlflow.sklearn loads)"]),
        ({}, [], ["MLmodel (whatever its loader loads)"]),
    ],
)
def test_what_runs_code_is_named(
    described: dict[str, Any], names: list[str], reasons: list[str]
) -> None:
    assert code_in_model(described, names) == reasons

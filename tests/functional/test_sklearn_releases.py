"""scikit-learn models that ours must not read, or that were logged by another method."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts.package import ARCHIVE_FILE
from inference.errors import PackageRefusedError
from inference.formats.codecs import Decoded
from inference.predictor import load
from inference.pyfunc.child import RefusedError, sklearn_model
from inference.pyfunc.model import NativeEngine
from inference.unpacking import unpack
from model_code import registry
from model_code.conversion.child import Task
from model_code.errors import PackagingError
from model_code.mlmodel import inputs_of
from model_code.package import Converting, package
from scripts.models.commands import PROVER
from scripts.proving.judge import judge
from tests.functional.model_store import store_uri
from tests.functional.native_models import Offset


def logged_with(
    store: str,
    name: str,
    requirements: list[str] | None,
    model: Any,
    rows: Any,
    by: str = "predict",
    kept_as: str = "skops",
) -> str:
    """The reference of a model with these requirements, answering ``by`` a method."""
    import mlflow.sklearn
    from mlflow.models import infer_signature

    with registry.connected(store) as client:
        experiment = client.create_experiment(name, artifact_location=f"file://{store[10:]}-{name}")
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(rows, model.predict(rows)),
                skops_trusted_types=registry.trusted_types(model) if kept_as == "skops" else None,
                pip_requirements=requirements,
                pyfunc_predict_fn=by,
                serialization_format=kept_as,
                registered_model_name=name,
            )
    return f"{name}/1"


def test_a_model_of_another_scikit_learn_is_not_read_by_ours(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from sklearn.linear_model import LinearRegression

    store = store_uri(tmp_path_factory)
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    model = LinearRegression().fit(rows, rows["a"])
    reference = logged_with(store, "older", ["scikit-learn==1.0.2"], model, rows)
    made = package(store, reference, tmp_path / "dist", converting=Converting(PROVER))
    assert (made.manifest.is_native, made.manifest.runs_code) == (True, ())
    conversion = made.manifest.conversion
    assert conversion is not None
    assert "it was made with scikit-learn==1.0.2 (installed is " in conversion.reason
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "model")
    with pytest.raises(PackageRefusedError, match=r"needs scikit-learn==1.0.2 .*--package DIST_DI"):
        load(tmp_path / "model", {})
    (tmp_path / "env" / "bin").mkdir(parents=True)
    python = tmp_path / "env" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    predictor = load(tmp_path / "model", {"SLIPWAY_NATIVE_ENV": str(tmp_path / "env")})
    assert isinstance(predictor.engine, NativeEngine)
    try:
        assert predictor.predict(Decoded({"a": [2.5]}, 1)) == [pytest.approx(2.5)]
    finally:
        predictor.engine.close()


def test_foreign_types_of_a_native_model_are_refused_whatever_it_says_itself(
    tmp_path: Path,
) -> None:
    import skops.io

    rows = pd.DataFrame({"a": [0.0, 1.0]})
    skops.io.dump(Offset().fit(rows, rows["a"]), tmp_path / "model.skops")
    with pytest.raises(RefusedError, match=r"the types tests\.functional\.native_models\.Offset, "):
        sklearn_model(tmp_path, allows_code=False)
    assert sklearn_model(tmp_path, allows_code=True).offset_ == 0.5


@pytest.mark.parametrize("output", ["predict_log_proba", "score"])
def test_any_method_that_a_model_was_logged_by_is_served_or_told(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, output: str
) -> None:
    from sklearn.linear_model import LogisticRegression

    store = store_uri(tmp_path_factory)
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(rows, [0, 0, 1, 1])
    name = output.replace("_", "-")
    reference = logged_with(store, name, None, model, rows, by=output)
    if output == "score":
        with pytest.raises(PackagingError, match=r"to answer by 'score' .*one of predict, "):
            package(store, reference, tmp_path / "dist")
        return
    made = package(store, reference, tmp_path / "dist", converting=Converting(PROVER))
    assert made.manifest.conversion is not None
    assert made.manifest.conversion.reason == "it answers by predict_log_proba"
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "model")
    want = model.predict_log_proba(rows).tolist()
    assert load(tmp_path / "model", {}).predict(Decoded({"a": [0.0, 1.0, 2.0, 3.0]}, 4)) == want


@pytest.mark.parametrize("output", ["predict_proba", "both"])
def test_an_answer_that_the_model_has_not_is_told_while_packaging(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, output: str
) -> None:
    from sklearn.linear_model import Ridge

    store, name = store_uri(tmp_path_factory), f"no-{output.replace('_', '-')}"
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    reference = logged_with(store, name, None, Ridge().fit(rows, rows["a"]), rows)
    with pytest.raises(
        PackagingError, match=f"output is '{output}', but the model has no predict_proba; give an"
    ):
        package(store, reference, tmp_path / "dist", output, Converting(PROVER))
    assert not (tmp_path / "dist" / name / "1").exists()


def test_another_output_of_a_pickle_is_refused_where_it_may_not_be_loaded(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from sklearn.linear_model import LogisticRegression

    store = store_uri(tmp_path_factory)
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(rows, [0, 0, 1, 1])
    reference = logged_with(store, "pickled-both", None, model, rows, kept_as="cloudpickle")
    with pytest.raises(
        PackagingError, match=r"output is 'both', .* its pickle is loaded, .*allow-"
    ):
        package(store, reference, tmp_path / "dist", "both", Converting(PROVER))
    made = package(store, reference, tmp_path / "dist", "both", Converting(PROVER, True))
    assert made.manifest.output == "both"


def test_a_model_that_fails_on_every_row_is_told_and_proves_nothing(tmp_path: Path) -> None:
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from sklearn.neighbors import KNeighborsRegressor

    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    model = KNeighborsRegressor(1).fit(rows, rows["a"])
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        signature=ModelSignature(Schema([ColSpec("string", "a")]), Schema([ColSpec("double")])),
        skops_trusted_types=registry.trusted_types(model),
        pip_requirements=[],
    )
    inputs = inputs_of(tmp_path / "model")
    verdict, candidate = judge(Task(str(tmp_path / "model"), inputs, "predict", "sklearn"))
    assert (verdict.merges, candidate) == (False, None)
    assert "the model itself fails on rows like its signature's: ValueError: " in verdict.reason

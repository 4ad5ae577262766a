"""What a native model may run is the operator's to say; its interpreter must be the right one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.canonical import sha256_text
from contracts.package import ARCHIVE_FILE, LOCK_FILE, PackageManifest
from inference.errors import PackageRefusedError, ServerError
from inference.formats.codecs import Decoded
from inference.predictor import ALLOW_CODE, Predictor, load
from inference.pyfunc.model import NativeEngine
from inference.unpacking import unpack
from model_code import registry
from model_code.package import package
from tests.functional.model_store import store_uri
from tests.functional.native_models import Offset, package_of, save_trouble

REMEDY = "`slipway image build`: they make the model an environment of its own"


@pytest.fixture
def trouble(tmp_path: Path) -> Path:
    """A saved model from code."""
    return save_trouble(tmp_path)


def predictions(predictor: Predictor, **columns: list[Any]) -> list[Any]:
    """The engine's answers; its process is ended."""
    engine = predictor.engine
    assert isinstance(engine, NativeEngine)
    try:
        return predictor.predict(Decoded(columns, len(next(iter(columns.values())))))
    finally:
        engine.close()


def test_code_is_refused_with_its_reasons_and_allowed_by_hash(
    trouble: Path, tmp_path: Path
) -> None:
    digest = package_of(trouble, tmp_path / "package")
    for given in ("", "0" * 64, digest[:-1]):
        with pytest.raises(PackageRefusedError) as refused:
            load(tmp_path / "package", {ALLOW_CODE: given})
        assert str(refused.value) == (
            f"{tmp_path / 'package' / 'model'} runs code or pickles of its own when it is loaded "
            "(trouble.py (a model from code)), which nobody allowed; if you trust this very "
            f"package, set SLIPWAY_ALLOW_CODE={digest}"
        )
    predictor = load(tmp_path / "package", {ALLOW_CODE: f"{'0' * 64}, {digest}"})
    assert predictions(predictor, what=[""], x=[2.0]) == [5.0]


def test_a_package_of_an_earlier_version_is_taken_to_run_code(
    trouble: Path, tmp_path: Path
) -> None:
    package_of(trouble, tmp_path / "package", runs_code=None)
    with pytest.raises(PackageRefusedError, match=r"as any model that MLflow loads may"):
        load(tmp_path / "package", {})


def test_an_index_that_hides_code_is_not_believed(trouble: Path, tmp_path: Path) -> None:
    package_of(trouble, tmp_path / "package", runs_code=())
    with pytest.raises(
        PackageRefusedError, match=r"it runs code of its own: trouble\.py \(a model from code\)"
    ):
        load(tmp_path / "package", {})


def test_a_model_that_is_data_needs_no_permission(tmp_path: Path) -> None:
    import lightgbm
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    rows = pd.DataFrame(
        {"a": [float(i % 7) for i in range(60)], "b": [float(i) for i in range(60)]}
    )
    model = lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1).fit(rows, rows["b"])
    want = model.predict(rows).tolist()
    signature = infer_signature(rows, model.predict(rows))
    mlflow.lightgbm.save_model(model.booster_, tmp_path / "saved", signature=signature)
    package_of(tmp_path / "saved", tmp_path / "package")
    predictor = load(tmp_path / "package", {})
    assert predictor.index.runs_code == ()
    assert predictions(predictor, a=rows["a"].tolist(), b=rows["b"].tolist()) == want


@pytest.mark.parametrize("output", ["predict", "predict_proba", "both"])
def test_a_pickled_scikit_learn_model_answers_by_its_own_methods(
    tmp_path: Path, output: str
) -> None:
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(rows, ["no", "no", "yes", "yes"])
    mlflow.sklearn.save_model(
        model,
        tmp_path / "saved",
        signature=infer_signature(rows, model.predict(rows)),
        serialization_format="pickle",
    )
    digest = package_of(tmp_path / "saved", tmp_path / "package", engine="sklearn", output=output)
    labels, shares = model.predict(rows).tolist(), model.predict_proba(rows).tolist()
    both = [
        {"predicted_label": label, "probabilities": share}
        for label, share in zip(labels, shares, strict=True)
    ]
    want = {"predict": labels, "predict_proba": shares, "both": both}[output]
    predictor = load(tmp_path / "package", {ALLOW_CODE: digest})
    assert predictions(predictor, a=rows["a"].tolist()) == want


def no_such_pin(saved: Path) -> dict[str, str]:
    (saved / "requirements.txt").write_text("mlflow\nnumpy==1.0\n")
    return {}


def another_python(saved: Path) -> dict[str, str]:
    path = saved / "MLmodel"
    lines = path.read_text().splitlines()
    found = ["    python_version: 3.8.1" if "python_version" in line else line for line in lines]
    path.write_text("\n".join(found))
    return {}


def no_interpreter(saved: Path) -> dict[str, str]:
    return {"SLIPWAY_NATIVE_ENV": str(saved.parent / "absent")}


def one_that_cannot_run(saved: Path) -> dict[str, str]:
    python = saved.parent / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/absent\n")
    python.chmod(0o755)
    return {"SLIPWAY_NATIVE_ENV": str(saved.parent / "env")}


def one_without_mlflow(saved: Path) -> dict[str, str]:
    env = saved.parent / "env"
    subprocess.run([sys.executable, "-m", "uv", "venv", "-q", "--offline", env], check=True)
    return {"SLIPWAY_NATIVE_ENV": str(env)}


def one_of_another_lock(saved: Path) -> dict[str, str]:
    found = one_that_cannot_run(saved)
    (saved.parent / "env" / LOCK_FILE).write_text("another")
    return {**found, "SLIPWAY_LOCK_SHA256": sha256_text("a lock")}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            no_such_pin,
            r"not the model's, it needs mlflow \(no exact pin\), numpy==1\.0 \(installed",
        ),
        (another_python, r"it needs Python 3\.8 \(here is 3\.11\)"),
        (no_interpreter, r"SLIPWAY_NATIVE_ENV is .*absent, which has no bin/python"),
        (one_that_cannot_run, r"env/bin/python cannot be run: No such file or directory"),
        (one_without_mlflow, r"ModuleNotFoundError: No module named 'yaml'"),
        (
            one_of_another_lock,
            r"not built from the requirements\.lock that was released \(SLIPWAY_L",
        ),
    ],
)
def test_an_interpreter_that_is_not_the_model_s_is_refused_with_the_remedy(
    trouble: Path, tmp_path: Path, spoil: Callable[[Path], dict[str, str]], message: str
) -> None:
    environment = spoil(trouble)
    digest = package_of(trouble, tmp_path / "package")
    with pytest.raises(PackageRefusedError, match=message) as refused:
        load(tmp_path / "package", {ALLOW_CODE: digest, **environment})
    assert str(refused.value).endswith(REMEDY)


def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    saved = save_trouble(tmp_path)
    (saved / "trouble.py").write_text("raise OSError('no weights')\n")
    digest = package_of(saved, tmp_path / "package")
    with pytest.raises(PackageRefusedError, match=r"no weights"):
        load(tmp_path / "package", {ALLOW_CODE: digest})


@pytest.mark.parametrize("value", ["x", "0", "-1", "nan"])
def test_a_setting_that_is_no_number_is_refused(trouble: Path, tmp_path: Path, value: str) -> None:
    digest = package_of(trouble, tmp_path / "package")
    with pytest.raises(
        ServerError, match=rf"SLIPWAY_MODEL_SECONDS is '{value}'; a number above 0 is needed"
    ):
        load(tmp_path / "package", {ALLOW_CODE: digest, "SLIPWAY_MODEL_SECONDS": value})


def test_types_of_a_user_s_own_are_told_by_the_package_and_trusted_by_the_operator(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature

    store = store_uri(tmp_path_factory)
    rows = pd.DataFrame({"a": [0.0, 1.0]})
    model = Offset().fit(rows, rows["a"])
    kind = "tests.functional.native_models.Offset"
    with registry.connected(store) as client:
        artifacts = (tmp_path / "artifacts").as_uri()
        experiment = client.create_experiment("offset", artifact_location=artifacts)
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(rows, model.predict(rows)),
                skops_trusted_types=[kind],
                registered_model_name="offset",
            )
    made = package(store, "offset/1", tmp_path / "dist")
    assert (made.manifest.is_native, made.manifest.runs_code) == (False, ())
    assert made.manifest.needs_types == (kind,)
    assert PackageManifest.from_json(made.manifest.to_json()) == made.manifest
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "model")
    with pytest.raises(
        PackageRefusedError,
        match=rf"needs the types {kind}, which nobody allowed; .*SLIPWAY_TRUSTED_TYPES",
    ):
        load(tmp_path / "model", {})
    predictor = load(tmp_path / "model", {"SLIPWAY_TRUSTED_TYPES": f"x.Y, {kind}"})
    assert predictor.predict(Decoded({"a": [2.0]}, 1)) == [2.5]

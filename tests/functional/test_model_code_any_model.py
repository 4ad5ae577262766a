"""Models that know nothing of flights: registered, packaged, unpacked, served, compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.package import ARCHIVE_FILE, load_package
from inference.errors import PackageRefusedError
from inference.formats.codecs import JSON, decode, encode
from inference.predictor import ALLOW_CODE, load
from inference.unpacking import unpack
from model_code import registry
from model_code.errors import PackagingError
from model_code.package import Converting, package
from scripts.models.aws_code import code_for_aws
from scripts.models.commands import PROVER
from tests.functional.inference_server import running
from tests.functional.model_store import register, store_uri


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_uri(tmp_path_factory)


@dataclass(frozen=True)
class Case:
    model: Any
    rows: Any
    output: str


def iris_with_text_labels() -> Case:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data: Any = load_iris(as_frame=True)
    labels = data.target.map(dict(enumerate(data.target_names))).astype("object")
    return Case(LogisticRegression(max_iter=500).fit(data.data, labels), data.data, "predict")


def diabetes_forest() -> Case:
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import RandomForestRegressor

    data: Any = load_diabetes(as_frame=True)
    model = RandomForestRegressor(10, random_state=0).fit(data.data, data.target)
    return Case(model, data.data.head(50), "predict")


def boosted_trees() -> Case:
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    data: Any = load_breast_cancer(as_frame=True)
    with threadpool_limits(1):  # its threads spin where other tests use the cores
        model = HistGradientBoostingClassifier(max_iter=10, random_state=0)
        model.fit(data.data, data.target)
    return Case(model, data.data.head(50), "predict_proba")


def text_truth_and_whole_numbers() -> Case:
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier

    rows = pd.DataFrame(
        {
            "review, in words": ["good", "very good", 'bad "really"', "grässlich"] * 10,
            "is_member": [True, False, True, True] * 10,
            "visits": list(range(40)),
            "grade": ["a", "b", "b", None] * 10,
            "spent": [1.5, None, 3.25, 4.0] * 10,
        }
    ).astype({"review, in words": "object", "grade": "object"})
    columns = make_column_transformer(
        (TfidfVectorizer(), "review, in words"),
        (OneHotEncoder(handle_unknown="ignore"), ["grade"]),
        (SimpleImputer(), ["spent"]),
        remainder="passthrough",
    )
    labels = [0, 1, 2, 2] * 10
    model = make_pipeline(columns, DecisionTreeClassifier(random_state=0)).fit(rows, labels)
    return Case(model, rows, "predict_proba")


def several_outputs_of_an_array() -> Case:
    import numpy as np
    from sklearn.ensemble import ExtraTreesClassifier

    rows = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    targets = np.column_stack([rows[:, 0] > 0, (rows[:, 1:] > 0).sum(axis=1)]).astype("int64")
    return Case(ExtraTreesClassifier(5, random_state=0).fit(rows, targets), rows, "predict")


def _town_and_size(town: Any, encoder: Any, last: Any) -> Case:
    """Prices where a town is not known are others; ``town`` is a column of pandas."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    rows = pd.DataFrame({"town": town, "size": [float(i % 7) for i in range(len(town))]})
    price = rows["size"] + rows["town"].isna() * 50.0
    columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
    return Case(make_pipeline(columns, last).fit(rows, price), rows, "predict")


def text_with_gaps_as_pandas_has_them(encoder: Any = None, last: Any = None) -> Case:
    import pandas as pd
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import OneHotEncoder

    town = pd.Series(["Bonn", None, "Ulm"] * 10)
    assert town.dtype == "str"
    assert town.isna().sum() == 10
    encoder = OneHotEncoder(handle_unknown="ignore") if encoder is None else encoder
    return _town_and_size(town, encoder, LinearRegression() if last is None else last)


def text_with_gaps_filled_in() -> Case:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeRegressor

    fill = SimpleImputer(strategy="constant", fill_value="nowhere")
    encoder = make_pipeline(fill, OneHotEncoder(handle_unknown="ignore"))
    return text_with_gaps_as_pandas_has_them(encoder, DecisionTreeRegressor(random_state=0))


def text_with_gaps_of_a_model_that_is_not_converted() -> Case:
    from sklearn.neighbors import KNeighborsRegressor

    return text_with_gaps_as_pandas_has_them(None, KNeighborsRegressor(1))


def text_with_none_in_objects() -> Case:
    import pandas as pd
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import OneHotEncoder

    town = pd.Series(["Bonn", None, "Ulm"] * 10, dtype="object")
    return _town_and_size(town, OneHotEncoder(handle_unknown="ignore"), LinearRegression())


CASES = [
    iris_with_text_labels,
    diabetes_forest,
    boosted_trees,
    text_truth_and_whole_numbers,
    several_outputs_of_an_array,
    text_with_gaps_as_pandas_has_them,
    text_with_gaps_filled_in,
    text_with_gaps_of_a_model_that_is_not_converted,
    text_with_none_in_objects,
]


def body_of(rows: Any) -> bytes:
    if not hasattr(rows, "to_dict"):
        return json.dumps({"instances": rows.tolist()}).encode()
    split = rows.to_dict(orient="split")
    return json.dumps({"dataframe_split": {k: split[k] for k in ("columns", "data")}}).encode()


def unpacked(store: str, reference: str, folder: Path, output: str | None = None) -> Path:
    made = package(store, reference, folder / "dist", output)
    load_package(made.folder)
    unpack(made.folder / ARCHIVE_FILE, folder / "model")
    return folder / "model"


GAPS = [
    (text_with_gaps_as_pandas_has_them, "linear"),
    (text_with_gaps_filled_in, "forest"),
    (text_with_none_in_objects, "linear"),
]


@pytest.mark.parametrize(("make", "engine"), GAPS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_null_in_text_is_to_a_converted_model_what_it_was_in_training(
    store: str, tmp_path: Path, make: Callable[[], Case], engine: str
) -> None:
    case = make()
    name = f"converted-{make.__name__.replace('_', '-')}"
    logged = register(store, name, case.model, case.rows)
    made = package(
        store, f"{name}/{logged.version}", tmp_path / "dist", converting=Converting(PROVER)
    )
    assert made.manifest.conversion is not None
    assert made.manifest.conversion.engine == engine, made.manifest.conversion.reason
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "model")
    predictor = load(tmp_path / "model", {})
    for rows in (case.rows, case.rows[1:2]):
        want = case.model.predict(rows).tolist()
        got = predictor.predict(decode(predictor.signature, JSON, body_of(rows)))
        assert got == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_packaged_model_answers_as_the_model_itself(
    store: str,
    tmp_path: Path,
    make: Callable[[], Case],
) -> None:
    case = make()
    name = make.__name__.replace("_", "-")
    logged = register(store, name, case.model, case.rows, case.output)
    predictor = load(unpacked(store, f"{name}/{logged.version}", tmp_path), {})
    for rows in (case.rows, case.rows[:1]):
        want = getattr(case.model, case.output)(rows).tolist()
        body = body_of(rows)
        assert predictor.predict(decode(predictor.signature, JSON, body)) == want
    assert json.loads(encode(JSON, want))["predictions"] == want


def test_probabilities_of_several_outputs_stand_by_row(
    store: str,
    tmp_path: Path,
) -> None:
    case = several_outputs_of_an_array()
    logged = register(store, "several-proba", case.model, case.rows)
    folder = unpacked(store, f"several-proba/{logged.version}", tmp_path, "predict_proba")
    predictor = load(folder, {})
    got = predictor.predict(decode(predictor.signature, JSON, body_of(case.rows)))
    by_output = case.model.predict_proba(case.rows)
    assert got == [[part[row].tolist() for part in by_output] for row in range(len(case.rows))]


def test_a_model_with_text_in_it_is_served_over_http(
    store: str,
    tmp_path: Path,
) -> None:
    case = text_truth_and_whole_numbers()
    logged = register(store, "reviews", case.model, case.rows, case.output)
    made = package(store, f"reviews/{logged.version}", tmp_path / "dist")
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "model")
    want = case.model.predict_proba(case.rows).tolist()
    with running(tmp_path / "model", made.manifest.index_sha256) as server:
        for kind, body in (
            ("application/json", body_of(case.rows)),
            ("text/csv", case.rows.to_csv(index=False).encode()),
        ):
            reply = server.request("POST", "/invocations", body, content_type=kind)
            assert reply.status == 200, reply.body
            assert reply.json["predictions"] == want, kind
        bad = case.rows.head(1).assign(visits="many")
        reply = server.request("POST", "/invocations", body_of(bad))
        assert reply.status == 400
        assert "row 0, column 'visits': 'many' came; a whole number" in reply.error


def test_a_model_with_code_of_its_own_runs_only_when_its_hash_is_allowed(
    store: str,
    tmp_path: Path,
) -> None:
    import pandas as pd

    source = tmp_path / "doubling.py"
    source.write_text(
        "import mlflow\n\n\n"
        "class Doubling(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input['x'] * params['times']\n\n\n"
        "mlflow.models.set_model(Doubling())\n"
    )
    example = pd.DataFrame({"x": [1.5, 2.0]})
    with registry.connected(store) as client:
        import mlflow
        from mlflow.models import infer_signature

        location = (tmp_path / "artifacts").as_uri()
        experiment = client.create_experiment("doubling", artifact_location=location)
        with mlflow.start_run(experiment_id=experiment):
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(source),
                signature=infer_signature(example, example["x"], params={"times": 2}),
                registered_model_name="doubling",
                pip_requirements=[],
            )
    made = package(store, "doubling/1", tmp_path / "dist")
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "model")
    digest = made.manifest.index_sha256
    with pytest.raises(PackageRefusedError, match=rf"set {ALLOW_CODE}={digest}"):
        load(tmp_path / "model", {})
    predictor = load(tmp_path / "model", {ALLOW_CODE: digest})
    assert predictor.predict(decode(predictor.signature, JSON, body_of(example))) == [3.0, 4.0]
    three = body_of(example)[:-1] + b', "params": {"times": 3}}'
    assert predictor.predict(decode(predictor.signature, JSON, three)) == [4.5, 6.0]
    assert made.manifest.signature["params"]["properties"]["times"]["default"] == 2
    with pytest.raises(PackagingError, match="only scikit-learn models can be asked otherwise"):
        package(store, "doubling/1", tmp_path / "dist", output="predict_proba")
    refusal = r"doubling/1 was not converted, .*AWS's own .* leave --aws-code out, and build"
    with code_for_aws(wanted=True) as beside, pytest.raises(PackagingError, match=refusal):
        package(store, "doubling/1", tmp_path / "for-aws", beside=beside)

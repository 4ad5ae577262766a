"""Trains, packages and writes the bodies of what is served; runs in a process of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.serving_models import FEATURES, MANY, TRAINED_ON, Served
from contracts.errors import SlipwayError
from contracts.model_code import code_in_model
from contracts.package import ARCHIVE_FILE, load_package
from inference.unpacking import unpack
from model_code import flights, locking, registry
from model_code.package import Converting, package
from model_code.train import TrainingOptions
from model_code.train import train as train_flights
from scripts.models.commands import PROVER


class RowsRefusedError(SlipwayError):
    """The model takes no rows that could be made up for it."""


def train(name: str, folder: Path) -> Served:
    uri = f"sqlite:///{folder}/mlflow.db"
    if name == "flights":
        trained = train_flights(TrainingOptions(), uri)
        reference = f"{trained.model}/{trained.version}"
        frame = flights.held_out(5, MANY)[list(flights.FEATURES)]
    else:
        frame, estimator = _numbers(name)
        logged = registry.log_sklearn(
            uri, name, estimator, example=frame, params={}, metrics={}, predict_fn="predict_proba"
        )
        reference = f"{name}/{logged.version}"
    lock = partial(locking.lock, allows_code=False)
    made = package(uri, reference, folder / "dist", None, Converting(PROVER), lock)
    source = registry.download(uri, registry.resolve(uri, reference), folder / "source")
    return _served(name, folder, made.folder, source, frame)


def of_dist(dist: Path, folder: Path, allow_code: bool) -> Served:
    """Any package: its rows are drawn by its signature."""
    manifest = load_package(dist)
    unpack(dist / ARCHIVE_FILE, folder / "archive")
    source = folder / "archive" / "model"
    frame = drawn(manifest.signature["inputs"], MANY)
    reason = "" if allow_code else code_reason(source)
    served = _served(manifest.model, folder, dist, None if reason else source, frame)
    return replace(served, source_reason=reason, allows_code=allow_code)


def code_reason(source: Path) -> str:
    """Why the MLflow model may not be loaded without more ado."""
    described = yaml.safe_load((source / "MLmodel").read_text())
    names = [str(path.relative_to(source)) for path in source.rglob("*")]
    found = ", ".join(code_in_model(described, names))
    return f"the MLflow model runs what it brings, {found}; --allow-code lets it" if found else ""


def drawn(inputs: dict[str, Any], rows: int) -> pd.DataFrame:
    """Rows of a signature (a JSON schema of one row): numbers vary, texts are all the same."""
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for name in inputs["x-columns"]:
        column = inputs["properties"][name]
        match column["type"]:
            case "number":
                columns[name] = draw.normal(size=rows).round(6)
            case "integer":
                columns[name] = draw.integers(0, 100, size=rows)
            case "boolean":
                columns[name] = draw.integers(0, 2, size=rows).astype(bool)
            case _ if column.get("format") == "date-time":
                columns[name] = ["2026-01-01T00:00:00"] * rows
            case _:
                columns[name] = ["a"] * rows
    return pd.DataFrame(columns)


def _numbers(name: str) -> tuple[pd.DataFrame, Any]:
    """Thirty numbers of six decimals; two classes, of which five of the thirty decide."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(0)
    values = draw.normal(size=(TRAINED_ON, FEATURES)).round(6)
    frame = pd.DataFrame(values, columns=[f"f{i}" for i in range(FEATURES)])
    truth = (values[:, :5].sum(axis=1) + draw.normal(size=TRAINED_ON) > 0).astype(int)
    estimator: Any = (
        make_pipeline(StandardScaler(), LogisticRegression())
        if name == "logreg"
        else RandomForestClassifier(200, max_depth=10, random_state=0, n_jobs=1)
    )
    return frame, estimator.fit(frame, truth)


def _served(
    name: str, folder: Path, dist: Path, source: Path | None, frame: pd.DataFrame
) -> Served:
    import mlflow.pyfunc

    manifest = load_package(dist)
    has_names = "x-tensor" not in manifest.signature["inputs"]
    for rows in (1, MANY):
        _write(frame.iloc[:rows], folder, rows, names=has_names)
    if source is None:
        unknown = "the MLflow model is not at hand"
        return Served(name, folder, dist, manifest.engine, None, None, onnx_reason=unknown)
    model: Any = mlflow.pyfunc.load_model(str(source))
    own_output = model.metadata.flavors["python_function"].get("predict_fn", "predict")
    if manifest.output in ("", own_output):  # --output of `slipway package` may differ
        _write_expected(model, frame, folder)
    onnx, reason = None, ""
    try:
        onnx = _onnx(source, frame, manifest.output, folder / "model.onnx")
    except Exception as error:  # noqa: BLE001 whatever skl2onnx does not know
        reason = f"skl2onnx cannot convert the model: {str(error).splitlines()[0][:200]}"
    return Served(name, folder, dist, manifest.engine, source, onnx, onnx_reason=reason)


def _write_expected(model: Any, frame: pd.DataFrame, folder: Path) -> None:
    typed = _typed(model, frame)
    for rows in (1, MANY):
        try:
            answer = np.asarray(model.predict(typed[:rows])).tolist()
        except Exception as error:  # noqa: BLE001 whatever a model raises
            raise RowsRefusedError(
                f"the model refuses rows that were drawn by its signature: {error}"
            ) from None
        (folder / f"{rows}.expected").write_text(json.dumps(answer))


def _typed(model: Any, frame: pd.DataFrame) -> Any:
    """The rows in the types that the signature asks for, as a scoring server parses them."""
    schema: Any = model.metadata.get_input_schema()
    if schema is None:
        return frame
    if schema.is_tensor_spec():
        return frame.to_numpy(dtype=schema.numpy_types()[0])
    kinds = {spec.name: spec.type.to_pandas() for spec in schema.inputs}
    return frame.astype(kinds)


def _write(frame: pd.DataFrame, folder: Path, rows: int, *, names: bool) -> None:
    """The same rows in each shape that a server takes; ``names``: its columns have some."""
    (folder / f"{rows}.csv").write_text(frame.to_csv(index=False, header=names))
    split = json.loads(frame.to_json(orient="split", index=False))
    document = {"instances": split["data"]}
    (folder / f"{rows}.instances.json").write_text(json.dumps(document))
    (folder / f"{rows}.split.json").write_text(json.dumps({"dataframe_split": split}))
    data = [value for row in split["data"] for value in row]
    tensor = {"name": "rows", "shape": list(frame.shape), "datatype": "FP64", "data": data}
    (folder / f"{rows}.v2.json").write_text(json.dumps({"inputs": [tensor]}))


def _onnx(source: Path, frame: pd.DataFrame, output: str, path: Path) -> Path:
    """For numbers alone one input, a matrix; else an input for each column."""
    import mlflow.sklearn
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.base import is_classifier

    model: Any = mlflow.sklearn.load_model(str(source))
    kinds = {str(name): pd.api.types.is_numeric_dtype(frame[name]) for name in frame}
    if all(kinds.values()):
        inputs = [("rows", FloatTensorType([None, len(kinds)]))]
    else:
        inputs = [
            (name, (FloatTensorType if is_number else StringTensorType)([None, 1]))
            for name, is_number in kinds.items()
        ]
    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    made: Any = to_onnx(model, initial_types=inputs, options=options)
    # Labels come first, probabilities last; whoever computes both pays for both.
    wanted = made.graph.output[-1 if output == "predict_proba" else 0]
    for other in [o for o in made.graph.output if o.name != wanted.name]:
        made.graph.output.remove(other)
    path.write_bytes(made.SerializeToString())
    return path

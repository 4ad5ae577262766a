"""What is served: a logistic regression, a forest, and the flights model, each packaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from model_code import flights, registry
from model_code.package import Converting, package
from model_code.train import TrainingOptions, train
from scripts.models import PROVER

FEATURES, ROWS = 30, 2000


@dataclass(frozen=True)
class Served:
    """A packaged model: its folder, the MLflow model it was made from, and rows to send."""

    name: str
    dist: Path
    source: Path
    frame: Any
    onnx: Path | None

    def body(self, form: str, rows: int, *, by_name: bool = False) -> bytes:
        """``rows`` rows as CSV with a header, or as JSON.

        JSON is ``instances`` of lists, or ``dataframe_split`` where columns need their names.
        """
        part = self.frame.iloc[:rows]
        if form == "csv":
            return cast("str", part.to_csv(index=False)).encode()
        records = json.loads(part.to_json(orient="split", index=False))
        if by_name:
            return json.dumps({"dataframe_split": records}).encode()
        return json.dumps({"instances": records["data"]}).encode()

    def expected(self, rows: int) -> list[Any]:
        """What the MLflow model itself answers."""
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(str(self.source))
        return cast("list[Any]", np.asarray(model.predict(self.frame.iloc[:rows])).tolist())


def make(name: str, folder: Path) -> Served:
    """Train and package one of ``logreg``, ``forest`` and ``flights``."""
    makers: dict[str, Callable[[Path], Served]] = {
        "logreg": lambda f: _numbers("logreg", f),
        "forest": lambda f: _numbers("forest", f),
        "flights": _flights,
    }
    return makers[name](folder)


def of_dist(dist: Path) -> Served:
    """Any package: its rows are made up by its signature, and nothing is there to compare with."""
    import pandas as pd

    from contracts.package import load_package

    manifest = load_package(dist)
    fill: dict[str, Any] = {"number": 0.5, "integer": 1, "boolean": False}
    properties = manifest.signature["inputs"]["properties"]
    row = {
        name: "2000-01-01T00:00:00" if p.get("format") == "date-time" else fill.get(p["type"], "a")
        for name, p in properties.items()
    }
    return Served(manifest.model, dist, Path(), pd.DataFrame([row] * 1000), None)


def _numbers(name: str, folder: Path) -> Served:
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        draw.normal(size=(ROWS, FEATURES)), columns=[f"f{i}" for i in range(FEATURES)]
    )
    truth: Any = (frame.to_numpy()[:, :5].sum(axis=1) + draw.normal(size=ROWS) > 0).astype(int)
    model: Any = (
        make_pipeline(StandardScaler(), LogisticRegression())
        if name == "logreg"
        else RandomForestClassifier(200, max_depth=10, random_state=0, n_jobs=1)
    )
    model.fit(frame, truth)
    dist, source = _packaged(name, model, frame, folder)
    return Served(name, dist, source, frame, _onnx(model, folder / f"{name}.onnx"))


def _onnx(model: Any, path: Path) -> Path:
    from skl2onnx import to_onnx

    options = {id(model): {"zipmap": False}}
    made: Any = to_onnx(model, np.zeros((1, FEATURES), dtype=np.float32), options=options)
    path.write_bytes(made.SerializeToString())
    return path


def _packaged(name: str, model: Any, frame: Any, folder: Path) -> tuple[Path, Path]:
    uri = f"sqlite:///{folder}/mlflow.db"
    logged = registry.log_sklearn(
        uri, name, model, example=frame, params={}, metrics={}, predict_fn="predict_proba"
    )
    return _package(uri, f"{name}/{logged.version}", folder)


def _package(uri: str, reference: str, folder: Path) -> tuple[Path, Path]:
    made = package(uri, reference, folder / "dist", None, Converting(PROVER))
    version = registry.resolve(uri, reference)
    return made.folder, registry.download(uri, version, folder / f"{version.model}-source")


def _flights(folder: Path) -> Served:
    uri = f"sqlite:///{folder}/mlflow.db"
    trained = train(TrainingOptions(), uri)
    dist, source = _package(uri, f"{trained.model}/{trained.version}", folder)
    frame = flights.held_out(5, ROWS)[list(flights.FEATURES)]
    return Served("flights", dist, source, frame, None)

"""One model behind every front end: loads an unpacked package, answers checked columns."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.package import ArchiveIndex
from inference.codecs import Decoded
from inference.errors import ModelFailedError, PackageRefusedError
from inference.integrity import read_index
from inference.signature import Signature

# Libraries that the server itself carries: their types are trusted, never by the artifact's word.
TRUSTED_ROOTS = ("sklearn.", "numpy.", "scipy.", "pandas.")
DIGEST = "SLIPWAY_MANIFEST_SHA256"
ALLOW_CODE = "SLIPWAY_ALLOW_CODE"
TRUSTED_TYPES = "SLIPWAY_TRUSTED_TYPES"


@dataclass(frozen=True)
class Predictor:
    """A loaded model: checked columns in, JSON-ready predictions out, one a row."""

    index: ArchiveIndex
    signature: Signature
    _call: Callable[[Any], Any]

    def predict(self, decoded: Decoded) -> list[Any]:
        """Answers in the order of the rows; zero rows give none, without asking the model."""
        if decoded.rows == 0:
            return []
        frame = _model_input(self.signature, decoded)
        try:
            answer = self._call(frame)
            predictions = to_json_values(answer)
        except Exception as error:  # a model may raise anything
            text = " ".join(str(error).split())
            raise ModelFailedError(f"the model failed: {type(error).__name__}: {text}") from error
        if len(predictions) != decoded.rows:
            raise ModelFailedError(
                f"the model failed: {len(predictions)} predictions for {decoded.rows} rows"
            )
        return predictions

    def probe(self) -> None:
        """Score a made-up row, so that what loads lazily has loaded; failing is no verdict."""
        fill = {"number": 0.0, "integer": 0, "boolean": False}
        columns = {
            c.name: ["2000-01-01T00:00:00" if c.form == "date-time" else fill.get(c.kind, "")]
            for c in self.signature.columns
        }
        try:
            self.predict(Decoded(columns, 1))
        except ModelFailedError:
            # A model with strict categories may refuse a made-up row and answer every real one.
            return


def load(model_dir: Path, environment: dict[str, str] | None = None) -> Predictor:
    """Check and load the package unpacked in ``model_dir``."""
    env = dict(os.environ) if environment is None else environment
    index, digest = read_index(model_dir, env.get(DIGEST))
    signature = Signature.from_schema(index.inputs)
    folder = model_dir / "model"
    call = _load_sklearn(index, folder, env, digest)
    if call is None:
        call = _load_pyfunc(folder, env, digest)
    return Predictor(index, signature, call)


def _load_sklearn(
    index: ArchiveIndex, folder: Path, env: dict[str, str], digest: str
) -> Callable[[Any], Any] | None:
    """The scikit-learn model's own method, by skops without MLflow; None for other engines."""
    path = folder / "model.skops"
    if index.engine != "sklearn" or not path.is_file():
        return None
    import skops.io

    operator = {name for name in env.get(TRUSTED_TYPES, "").split(",") if name}
    needed = skops.io.get_untrusted_types(file=path)
    foreign = [n for n in needed if not n.startswith(TRUSTED_ROOTS) and n not in operator]
    if foreign and not _code_allowed(env, digest):
        raise PackageRefusedError(
            f"{path} needs the types {', '.join(foreign)}, which nobody allowed; if you trust "
            f"them, set {TRUSTED_TYPES} to their names, separated by commas"
        )
    model = skops.io.load(path, trusted=needed)
    return getattr(model, index.output)


def _load_pyfunc(folder: Path, env: dict[str, str], digest: str) -> Callable[[Any], Any]:
    """Any MLflow model, by MLflow; it may run code of its own, so its very hash must be allowed."""
    if not _code_allowed(env, digest):
        raise PackageRefusedError(
            f"{folder} runs code or pickles of its own when it is loaded, which nobody allowed; if "
            f"you trust this very package, set {ALLOW_CODE}={digest}"
        )
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder)).predict


def _code_allowed(env: dict[str, str], digest: str) -> bool:
    return digest in re.split(r"[\s,]+", env.get(ALLOW_CODE, ""))


def _model_input(signature: Signature, decoded: Decoded) -> Any:
    """A numpy array for a tensor signature, else a DataFrame with the signature's types."""
    if signature.tensor is not None:
        import numpy as np

        return np.array(list(decoded.columns.values()), dtype=signature.tensor).T
    import pandas as pd

    series: dict[str, Any] = {}
    for column in signature.columns:
        values = decoded.columns[column.name]
        dtype = _dtype(column.kind, column.form, values)
        series[column.name] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(series)


def _dtype(kind: str, form: str, values: list[Any]) -> str:
    match kind:
        case "number":
            return "float32" if form == "float" else "float64"
        case "integer":
            has_null = any(isinstance(v, float) for v in values)
            return "float64" if has_null else form or "int64"
        case "boolean":
            return "object" if any(v is None for v in values) else "bool"
        case _:
            return "datetime64[ns]" if form == "date-time" else "object"


def to_json_values(answer: Any) -> list[Any]:
    """A model's answer (array, list, Series, DataFrame) as a list with one JSON value a row."""
    if hasattr(answer, "to_dict") and hasattr(answer, "columns"):
        records: list[dict[str, Any]] = answer.to_dict(orient="records")
        return [{str(k): _plain(v) for k, v in record.items()} for record in records]
    values = answer.tolist() if hasattr(answer, "tolist") else list(answer)
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)

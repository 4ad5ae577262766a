"""One model behind every front end: loads an unpacked package, answers checked columns."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.package import INDEX_FILE, ArchiveIndex
from inference.codecs import Decoded
from inference.errors import ModelFailedError, PackageRefusedError, RequestError
from inference.frames import model_input, outputs_as_rows, to_json_values
from inference.integrity import read_index
from inference.signature import Signature, is_null

# Libraries that the server itself carries: their types are trusted, never by the artifact's word.
TRUSTED_ROOTS = ("sklearn.", "numpy.", "scipy.", "pandas.")
DIGEST = "SLIPWAY_MANIFEST_SHA256"
ALLOW_CODE = "SLIPWAY_ALLOW_CODE"
TRUSTED_TYPES = "SLIPWAY_TRUSTED_TYPES"
OUTPUTS = ("predict", "predict_proba")
ENGINES = ("sklearn", "pyfunc")
MAX_REASON = 500


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
        frame = model_input(self.signature, decoded)
        try:
            answer = self._call(frame)
            predictions = to_json_values(answer)
        except Exception as error:  # a model may raise anything
            text = f"{type(error).__name__}: {' '.join(str(error).split())[:MAX_REASON]}"
            if null := _first_null(self.signature, decoded):
                raise RequestError(400, f"{null}, and the model says {text}") from error
            raise ModelFailedError(f"the model failed: {text}") from error
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
        except (ModelFailedError, RequestError):
            # A model with strict categories may refuse a made-up row and answer every real one.
            return


def load(model_dir: Path, environment: dict[str, str] | None = None) -> Predictor:
    """Check and load the package unpacked in ``model_dir``."""
    env = dict(os.environ) if environment is None else environment
    index, digest = read_index(model_dir, env.get(DIGEST))
    for name, value, allowed in (
        ("engine", index.engine, ENGINES),
        ("output", index.output, OUTPUTS),
    ):
        if value not in allowed:
            raise PackageRefusedError(
                f"{model_dir / INDEX_FILE}: {name} is {value!r}; this server knows "
                f"{', '.join(allowed)}; package the model again with this version of Slipway"
            )
    signature = Signature.from_schema(index.inputs)
    folder = model_dir / "model"
    call = _load_sklearn(index, folder, env, digest)
    if call is None:
        call = _load_with_mlflow(index, folder, env, digest)
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
    return _method(skops.io.load(path, trusted=needed), index.output)


def _method(model: Any, output: str) -> Callable[[Any], Any]:
    if not hasattr(model, output):
        raise PackageRefusedError(
            f"the model ({type(model).__name__}) has no {output}; package it with another --output"
        )
    call: Callable[[Any], Any] = getattr(model, output)
    return call if output == "predict" else lambda rows: outputs_as_rows(call(rows))


def _load_with_mlflow(
    index: ArchiveIndex, folder: Path, env: dict[str, str], digest: str
) -> Callable[[Any], Any]:
    """Any MLflow model, by MLflow; it may run code of its own, so its very hash must be allowed."""
    if not _code_allowed(env, digest):
        raise PackageRefusedError(
            f"{folder} runs code or pickles of its own when it is loaded, which nobody allowed; if "
            f"you trust this very package, set {ALLOW_CODE}={digest}"
        )
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    try:
        import mlflow.pyfunc
        from mlflow.sklearn import (
            load_model,  # pyright: ignore[reportPrivateImportUsage, reportUnknownVariableType]
        )
    except ImportError as error:
        raise PackageRefusedError(
            f"{folder} can only be loaded by MLflow, which this image lacks ({error}); build an "
            "image with the model's own requirements.txt"
        ) from None
    if index.engine == "sklearn":
        return _method(load_model(str(folder)), index.output)
    return mlflow.pyfunc.load_model(str(folder)).predict


def _code_allowed(env: dict[str, str], digest: str) -> bool:
    return digest in re.split(r"[\s,]+", env.get(ALLOW_CODE, ""))


def _first_null(signature: Signature, decoded: Decoded) -> str | None:
    """Where a null stands in a number column that the signature says has none, in words.

    Such a null is passed on, since many models fill it in themselves; one that cannot raises.
    """
    for column in signature.columns:
        if column.kind == "number" and not column.nullable:
            for row, value in enumerate(decoded.columns[column.name]):
                if is_null(value):
                    return (
                        f"row {row}, column {column.name!r}: null came; {column.wanted} is needed"
                    )
    return None

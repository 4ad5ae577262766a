"""MLflow models for tests of native serving, packaged by hand, without a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from sklearn.base import BaseEstimator, RegressorMixin

from contracts.canonical import sha256_file, sha256_text
from contracts.model_code import code_in_model
from contracts.package import INDEX_FILE, ArchiveIndex, FileEntry
from model_code.signature import params_schema, row_schema


class Offset(RegressorMixin, BaseEstimator):
    """An estimator of a user's own, which skops takes only where its type is trusted."""

    def fit(self, rows: Any, target: Any) -> Offset:
        self.offset_ = float(target.mean())
        return self

    def predict(self, rows: Any) -> Any:
        return rows.to_numpy()[:, 0] + self.offset_


# A model whose answers and misdeeds its input chooses; all else stands still until told.
TROUBLE = """
import ctypes, os, re, sys
import mlflow


class Trouble(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        print("this is no answer")

    def predict(self, context, model_input, params=None):
        for what in model_input["what"]:
            if what == "exit":
                os._exit(9)
            if what == "crash":
                ctypes.string_at(0)
            if what == "leave":
                sys.exit(3)
            if what == "hang":
                re.match(r"(a+)+$", "a" * 60 + "b")  # keeps Python's lock for years
            if what == "memory":
                return bytearray(3 << 30)
            if what == "refuse":
                raise ValueError("I do not like this")
            if what == "read":
                sys.stdin.read()
        return model_input["x"] * params["times"] + len(model_input)


mlflow.models.set_model(Trouble())
"""


def save_trouble(folder: Path, script: str = TROUBLE) -> Path:
    """The model from code, saved as MLflow does."""
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    source = folder / "trouble.py"
    source.write_text(script)
    example = pd.DataFrame({"what": ["", "nothing"], "x": [1.5, 2.0]}).astype({"what": "object"})
    saved = folder / "saved"
    signature = infer_signature(example, example["x"], params={"times": 2.0})
    mlflow.pyfunc.save_model(saved, python_model=str(source), signature=signature)
    return saved


def package_of(
    saved: Path, folder: Path, *, engine: str = "pyfunc", output: str = "predict", **changes: Any
) -> str:
    """An unpacked package in ``folder`` of a saved model; returns the index's sha256."""
    described = yaml.safe_load((saved / "MLmodel").read_text())
    (folder).mkdir(parents=True)
    saved.rename(folder / "model")
    files = sorted(p for p in (folder / "model").rglob("*") if p.is_file())
    names = [p.relative_to(folder / "model").as_posix() for p in files]
    given: dict[str, Any] = {
        "runs_code": tuple(code_in_model(described, names)),
        "inputs": row_schema(described["signature"]["inputs"], "the test's model"),
        "params": params_schema(described["signature"].get("params"), "the test's model"),
        **changes,
    }
    index = ArchiveIndex(
        model="by-hand",
        version="1",
        engine=engine,
        output=output,
        outputs={},
        files=tuple(
            FileEntry(f"model/{name}", path.stat().st_size, sha256_file(path))
            for name, path in zip(names, files, strict=True)
        ),
        **given,
    )
    (folder / INDEX_FILE).write_text(index.to_json())
    return sha256_text(index.to_json())


def body(**columns: list[Any]) -> bytes:
    return json.dumps({"inputs": columns}).encode()

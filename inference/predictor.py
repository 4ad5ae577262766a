"""One model behind every front end: loads an unpacked package, answers checked columns."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contracts.engine import ENGINE_FOLDER, LOGGED_OUTPUTS, OUTPUTS
from contracts.package import INDEX_FILE, ArchiveIndex, Conversion
from contracts.pins import other_release
from contracts.variables import ALLOW_CODE, NATIVE_ENVIRONMENT, TRUSTED_TYPES
from inference.answering.scoring import Scorer
from inference.engines import Engine
from inference.engines.sklearn import SKOPS_FILE, load_skops
from inference.errors import ModelFailedError, PackageRefusedError, RequestError
from inference.formats.codecs import Decoded
from inference.formats.encoding import listed
from inference.formats.params import Params
from inference.formats.signature import Signature
from inference.integrity import expected_digest, read_index

ENGINES = ("sklearn", "pyfunc")


@dataclass(frozen=True)
class Predictor:
    """A loaded model: checked columns in, JSON-ready predictions out, one a row."""

    index: ArchiveIndex
    signature: Signature
    engine: Engine

    def predict(self, decoded: Decoded) -> list[Any]:
        """Answers in the order of the rows; zero rows give none, without asking the model.

        Raises:
            RequestError: the model refuses the input; says which row, column and value.
            ModelFailedError: the model fails on rows that it should score.
        """
        outcome = self.scorer().score([decoded])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return listed(outcome)

    def scorer(self) -> Scorer:
        """What calls the engine, and finds out whose fault it is where that fails."""
        return Scorer(self.engine, self.signature, [self.made_up()])

    def made_up(self) -> Decoded:
        """A row that fits the signature and says nothing."""
        fill = {"number": 0.0, "integer": 0, "boolean": False}
        columns = {
            c.name: ["2000-01-01T00:00:00" if c.form == "date-time" else fill.get(c.kind, "")]
            for c in self.signature.columns
        }
        return Decoded(columns, 1)

    def probe(self) -> None:
        """Score a made-up row, so that what loads lazily has loaded; failing is no verdict."""
        try:
            self.predict(self.made_up())
        except (ModelFailedError, RequestError):
            # A model with strict categories may refuse a made-up row and answer every real one.
            return


def load(model_dir: Path, environment: dict[str, str] | None = None) -> Predictor:
    """Check and load the package unpacked in ``model_dir``, or its proven conversion."""
    env = dict(os.environ) if environment is None else environment
    index, digest = read_index(model_dir, expected_digest(model_dir, env))
    for name, value, allowed in (
        ("engine", index.engine, ENGINES),
        ("output", index.output, (*OUTPUTS, *LOGGED_OUTPUTS)),
    ):
        if value not in allowed:
            raise PackageRefusedError(
                f"{model_dir / INDEX_FILE}: {name} is {value!r}; this server knows "
                f"{', '.join(allowed)}; package the model again with this version of Slipway"
            )
    signature = Signature.from_schema(index.inputs, Params.of(index))
    conversion = index.conversion or Conversion()
    if conversion.engine:
        from inference.engines.loading import load_engine

        engine = load_engine(model_dir / ENGINE_FOLDER, signature, merges=conversion.merges)
    else:
        engine = load_native(index, model_dir / "model", signature, env, digest)
    return Predictor(index, signature, engine)


def load_native(
    index: ArchiveIndex, folder: Path, signature: Signature, env: dict[str, str], digest: str
) -> Engine:
    """The model itself, as it was logged."""
    merges = index.conversion is not None and index.conversion.merges
    is_allowed = _code_allowed(env, digest)
    path = folder / SKOPS_FILE
    if index.engine == "sklearn" and path.is_file() and not _made_with_another(folder, env):
        trusted = None if is_allowed else _listed(env.get(TRUSTED_TYPES, ""))
        return load_skops(path, signature, index.output, trusted, merges=merges)
    if index.runs_code != () and not is_allowed:
        why = ", ".join(index.runs_code or ()) or "as any model that MLflow loads may"
        raise PackageRefusedError(
            f"{folder} runs code or pickles of its own when it is loaded ({why}), which nobody "
            f"allowed; if you trust this very package, set {ALLOW_CODE}={digest}"
        )
    from inference.pyfunc import model as native

    return native.start(index, folder.parent, env, allows_code=is_allowed)


def _made_with_another(folder: Path, env: dict[str, str]) -> bool:
    """Whether it needs another scikit-learn than this server's: an environment of its own.

    Raises:
        PackageRefusedError: there is neither.
    """
    requirements = folder / "requirements.txt"
    lines = requirements.read_text().splitlines() if requirements.is_file() else []
    other = other_release(lines, "scikit-learn")
    if not other and find_spec("skops") is None:
        other = "scikit-learn and skops, which are not installed"
    if other and not (Path(env.get(NATIVE_ENVIRONMENT, "")) / "bin" / "python").exists():
        raise PackageRefusedError(
            f"{folder} was not converted and needs {other}; build the image with `slipway image "
            "build --package DIST_DIR`, or --with-sklearn where it has the release that the "
            "model was made with"
        )
    return bool(other)


def _code_allowed(env: dict[str, str], digest: str) -> bool:
    return digest in _listed(env.get(ALLOW_CODE, ""))


def _listed(text: str) -> set[str]:
    return {entry for entry in re.split(r"[\s,]+", text) if entry}

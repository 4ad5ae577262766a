"""What a logged model says of itself: its folder, and ``MLmodel`` in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.model_code import code_in_model
from contracts.package import Runtime
from contracts.pins import other_release
from model_code import registry
from model_code.errors import PackagingError
from model_code.signature import row_schema

# Written by MLflow at each download, and no part of the model.
LEFT_OUT = frozenset({"registered_model_meta"})
SKOPS_FILE = "model.skops"


@dataclass(frozen=True)
class LoggedModel:
    """What ``MLmodel`` says, and the folder in which it lies."""

    folder: Path
    engine: str
    predict_fn: str
    inputs: str | None
    outputs: str | None
    params: str | None
    trusted_types: tuple[str, ...]
    runs_code: tuple[str, ...]
    runtime: Runtime

    @property
    def has_skops(self) -> bool:
        return (self.folder / SKOPS_FILE).is_file()

    @property
    def is_pickle(self) -> bool:
        """Whether only unpickling loads it, a scikit-learn model, which runs what it holds."""
        return self.engine == "sklearn" and not self.has_skops

    @property
    def is_skops(self) -> bool:
        """Whether the server loads it itself, as the types that it knows."""
        is_skops = self.engine == "sklearn" and self.has_skops
        return is_skops and not other_release(self.runtime.requirements, "scikit-learn")

    def foreign_types(self) -> tuple[str, ...]:
        """Types that the model is made of and that no server trusts by itself."""
        import skops.io

        needed = skops.io.get_untrusted_types(file=self.folder / SKOPS_FILE)
        return tuple(sorted(name for name in needed if not name.startswith(registry.TRUSTED_ROOTS)))


def read_mlmodel(model_dir: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((model_dir / "MLmodel").read_text())


def logged_model(model_dir: Path, where: str) -> LoggedModel:
    """Raises PackagingError where nothing can serve it; ``where`` names it."""
    raw = read_mlmodel(model_dir)
    flavors: dict[str, Any] = raw.get("flavors", {})
    pyfunc: dict[str, Any] | None = flavors.get("python_function")
    if pyfunc is None:
        raise PackagingError(
            f"{where} has no python_function flavor (it has {', '.join(flavors) or 'none'}), so no "
            "server can load it; log it with one of MLflow's own log_model functions"
        )
    sklearn: dict[str, Any] | None = flavors.get("sklearn")
    is_plain = sklearn is not None and not sklearn.get("code") and not pyfunc.get("code")
    signature: dict[str, Any] = raw.get("signature") or {}
    requirements = model_dir / "requirements.txt"
    lines = requirements.read_text().splitlines() if requirements.is_file() else []
    return LoggedModel(
        folder=model_dir,
        engine="sklearn" if is_plain else "pyfunc",
        predict_fn=str(pyfunc.get("predict_fn") or "predict"),
        inputs=signature.get("inputs"),
        outputs=signature.get("outputs"),
        params=signature.get("params"),
        trusted_types=tuple((sklearn or {}).get("skops_trusted_types") or ()),
        runs_code=tuple(code_in_model(raw, [name for name, _ in files_of(model_dir)])),
        runtime=Runtime(
            python=str(pyfunc.get("python_version", "")),
            framework=str(pyfunc.get("loader_module", "")).removeprefix("mlflow."),
            requirements=tuple(line.strip() for line in lines if line.strip()),
        ),
    )


def inputs_of(model_dir: Path) -> dict[str, Any]:
    """JSON schema of one row, from a model's folder."""
    return row_schema(logged_model(model_dir, str(model_dir)).inputs, str(model_dir))


def files_of(model_dir: Path) -> list[tuple[str, Path]]:
    """Every file by its name below the model directory, in a fixed order."""
    found: list[tuple[str, Path]] = []
    for path in sorted(model_dir.rglob("*")):
        name = path.relative_to(model_dir).as_posix()
        if path.is_symlink():
            raise PackagingError(
                f"the model holds a symbolic link ({name}), which SageMaker refuses in an archive; "
                "log the model with the file itself"
            )
        if path.is_file() and name not in LEFT_OUT and "__pycache__" not in path.parts:
            found.append((name, path))
    return found

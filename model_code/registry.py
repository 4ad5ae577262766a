"""The MLflow registry: the only place that talks to it.

As in MLflow, ``name/3`` is a version and ``name@champion`` an alias, everywhere.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_code.errors import RegistryError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

CHALLENGER = "challenger"
CHAMPION = "champion"
MLFLOW_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
# Types whose code comes with the libraries that every server carries; nothing of a user's own.
# What a partial calls is a type of its own to skops, and looked at by itself.
TRUSTED_ROOTS = ("sklearn.", "numpy.", "scipy.", "pandas.", "functools.partial")


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, with its aliases, tags and the metrics of its run."""

    model: str
    version: str
    run_id: str
    aliases: tuple[str, ...]
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.version}"


@dataclass(frozen=True)
class Logged:
    version: str
    run_id: str


def tracking_uri(root: Path) -> str:
    """``MLFLOW_TRACKING_URI``, else a sqlite store under ``root/.slipway``."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{(root / '.slipway').resolve()}/mlflow.db"


def stands(uri: str) -> bool:
    """Whether there is a store to ask: a file is made by the first training."""
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).is_file()


@contextmanager
def connected(uri: str) -> Generator[MlflowClient]:
    """A client for the store at ``uri``; connection problems become one readable error."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    import mlflow
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)

    given = {name: os.environ.get(name) for name in MLFLOW_VARIABLES}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    # MLflow writes both into the environment, where they would pass for the user's own choice.
    for name, value in given.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    try:
        yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        first = str(error).splitlines()[0]
        raise RegistryError(f"the MLflow store at {_without_secret(uri)} says: {first}") from error


def _without_secret(uri: str) -> str:
    return re.sub(r"//[^@/]+@", "//…@", uri)


def _experiment(client: MlflowClient, uri: str, model: str) -> str:
    existing = client.get_experiment_by_name(model)
    if existing is not None:
        return existing.experiment_id
    location = None
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" / model
        location = folder.resolve().as_uri()
    return client.create_experiment(model, artifact_location=location)


def log_sklearn(
    uri: str,
    model: str,
    estimator: Any,
    *,
    example: pd.DataFrame,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    predict_fn: str = "predict",
) -> Logged:
    """Log a run with a scikit-learn model and register it as the next version of ``model``.

    The signature is inferred from ``example`` and the model's answer to it.
    """
    with connected(uri) as client:
        import mlflow
        from mlflow.models import infer_signature

        answer = getattr(estimator, predict_fn)(example)
        with warnings.catch_warnings():
            # Whole numbers that may be missing are the caller's to declare as float.
            warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer")
            signature = infer_signature(example, answer)
        with mlflow.start_run(experiment_id=_experiment(client, uri, model)) as run:
            mlflow.log_params(dict(params))
            mlflow.log_metrics(dict(metrics))
            info = mlflow.sklearn.log_model(  # pyright: ignore[reportPrivateImportUsage]
                estimator,
                name="model",
                signature=signature,
                pyfunc_predict_fn=predict_fn,
                skops_trusted_types=trusted_types(estimator),
                pip_requirements=_requirements(),
            )
        version = _register(client, model, info, run.info.run_id)
        client.set_registered_model_alias(model, CHALLENGER, version)
        return Logged(version, run.info.run_id)


def _register(client: MlflowClient, model: str, info: Any, run_id: str) -> str:
    """The next version of ``model``, which is made if it is new."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        model, source=info.model_uri, run_id=run_id, model_id=info.model_id
    )
    return str(made.version)


def _requirements() -> list[str]:
    from importlib.metadata import version

    names = ("scikit-learn", "skops", "pandas", "numpy", "mlflow-skinny")
    return [f"{name}=={version(name)}" for name in names]


def trusted_types(estimator: Any) -> list[str]:
    """The types skops has to be told to trust; refuses any that no library of the server brings."""
    import skops.io

    untrusted = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    foreign = [name for name in untrusted if not name.startswith(TRUSTED_ROOTS)]
    if foreign:
        raise RegistryError(
            f"the model needs the types {', '.join(foreign)}, which are not scikit-learn's; "
            "log it with MLflow's pyfunc flavor, or build it from scikit-learn's own types"
        )
    return untrusted


def resolve(uri: str, reference: str) -> ModelVersion:
    """``NAME/VERSION`` or ``NAME@ALIAS`` as a version that exists; the error lists what does."""
    match = re.fullmatch(r"([^/@]+)(?:/(\d+)|@([^/@]+))", reference)
    if match is None:
        raise RegistryError(
            f"{reference!r} names no model version; write MODEL/VERSION (flight-delay/3) "
            "or MODEL@ALIAS (flight-delay@champion)"
        )
    name, version, alias = match.groups()
    known = versions(uri, name)
    if not known:
        others = ", ".join(names(uri)) or "none; register one with `slipway train`"
        raise RegistryError(f"no model {name!r} in the registry; it has: {others}")
    for candidate in known:
        if candidate.version == version or (alias is not None and alias in candidate.aliases):
            return candidate
    wanted = f"version {version}" if alias is None else f"alias {alias!r}"
    listed = ", ".join(
        v.version + (f" ({', '.join(v.aliases)})" if v.aliases else "") for v in known
    )
    raise RegistryError(f"model {name!r} has no {wanted}; it has the versions {listed}")


def names(uri: str) -> list[str]:
    with connected(uri) as client:
        return sorted(model.name for model in client.search_registered_models(max_results=1000))


def versions(uri: str, model: str) -> list[ModelVersion]:
    """All versions of ``model``, the oldest first; empty if there is no such model."""
    from mlflow.exceptions import MlflowException

    with connected(uri) as client:
        try:
            registered = client.get_registered_model(model)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        aliases: dict[str, list[str]] = {}
        for alias, version in registered.aliases.items():
            aliases.setdefault(str(version), []).append(alias)
        quoted = model.replace("'", "''")
        found = [
            ModelVersion(
                model=model,
                version=str(item.version),
                run_id=item.run_id or "",
                aliases=tuple(sorted(aliases.get(str(item.version), []))),
                metrics=_metrics(client, item.run_id),
                tags=dict(item.tags),
            )
            for item in client.search_model_versions(f"name='{quoted}'", max_results=1000)
        ]
    return sorted(found, key=lambda v: int(v.version))


def _metrics(client: MlflowClient, run_id: str | None) -> dict[str, float]:
    if not run_id:
        return {}
    return {name: float(value) for name, value in client.get_run(run_id).data.metrics.items()}


def set_alias(uri: str, model: str, version: str, alias: str) -> None:
    """Point ``alias`` at the version; where it pointed before, it points no more."""
    with connected(uri) as client:
        client.set_registered_model_alias(model, alias, version)


def set_version_tags(uri: str, model: str, version: str, tags: Mapping[str, str]) -> None:
    with connected(uri) as client:
        for key, value in tags.items():
            client.set_model_version_tag(model, version, key, value)


def version_tags(uri: str, model: str, version: str) -> dict[str, str] | None:
    """The tags of a version; None where this store does not know it."""
    from mlflow.exceptions import MlflowException

    with connected(uri) as client:
        try:
            return dict(client.get_model_version(model, version).tags)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def download(uri: str, version: ModelVersion, folder: Path) -> Path:
    """The version's MLflow model directory, downloaded below ``folder``."""
    with connected(uri):
        from mlflow.artifacts import download_artifacts

        return Path(download_artifacts(version.uri, dst_path=str(folder)))

"""A Slipway project of a test's own: a tiny real model, packaged, and a stack file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from contracts.canonical import sha256_file
from contracts.package import (
    ARCHIVE_FILE,
    INDEX_FILE,
    MANIFEST_FILE,
    ArchiveIndex,
    FileEntry,
    PackageManifest,
    Runtime,
)
from localcloud import connect
from scripts.engine import Engine
from tests.functional.conftest import Cloud
from tests.functional.sagemaker_bench import archive

MODEL = "echo"


def write_package(root: Path, version: str, model: str = MODEL) -> Path:
    """A linear model that multiplies by its version, as ``slipway package`` would write it."""
    import numpy as np
    import skops.io
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, float(version)]))
    content = skops.io.dumps(fitted)
    files = (FileEntry("model/model.skops", len(content), hashlib.sha256(content).hexdigest()),)
    schema = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
    outputs = {"type": "number"}
    index = ArchiveIndex(model, version, "sklearn", "predict", schema, outputs, files).to_json()
    folder = root / "dist" / model / version
    folder.mkdir(parents=True)
    packed = archive({INDEX_FILE: index.encode(), "model/model.skops": content})
    (folder / ARCHIVE_FILE).write_bytes(packed)
    manifest = PackageManifest(
        model=model,
        version=version,
        registry_uri=f"models:/{model}/{version}",
        run_id=f"run-{version}",
        sha256=sha256_file(folder / ARCHIVE_FILE),
        size=len(packed),
        index_sha256=hashlib.sha256(index.encode()).hexdigest(),
        signature={"inputs": schema, "outputs": outputs},
        metrics={"auc": 0.7},
        runtime=Runtime("3.11", "scikit-learn", ()),
    )
    (folder / MANIFEST_FILE).write_text(manifest.to_json())
    return folder


@dataclass
class Project:
    """Its folder, and the cloud that its stack ``local`` lives in."""

    root: Path
    cloud: Cloud

    def configure(self, region: str = connect.DEFAULT_REGION, **model: Any) -> None:
        """Write the stack file; ``model`` are the values of the one model."""
        config = {"aws:region": region, "slipway:models": {MODEL: model}}
        settings = {"encryptionsalt": self._salt(), "config": config}
        written = {key: value for key, value in settings.items() if value is not None}
        (self.root / "Pulumi.local.yaml").write_text(yaml.safe_dump(written))

    def engine(self) -> Engine:
        return Engine(self.root, "local", home=self.cloud.home)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def _salt(self) -> str | None:
        path = self.root / "Pulumi.local.yaml"
        if not path.is_file():
            return None
        return yaml.safe_load(path.read_text()).get("encryptionsalt")


def make_project(root: Path, cloud: Cloud, versions: tuple[str, ...] = ("1", "2")) -> Project:
    root.mkdir(parents=True, exist_ok=True)
    (root / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    for version in versions:
        write_package(root, version)
    project = Project(root, cloud)
    project.configure(package=f"dist/{MODEL}/{versions[0]}")
    return project

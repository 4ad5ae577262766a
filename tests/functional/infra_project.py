"""A Slipway project of a test's own: a tiny real model, packaged, and a stack file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
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
from model_code.signature import row_schema
from scripts.infrastructure.engine import Engine
from tests.functional.conftest import Cloud
from tests.functional.sagemaker_bench import archive

MODEL = "echo"
REPOSITORY = Path(__file__).resolve().parents[2]
# The local stack's, for its passphrase; without one Pulumi writes one into the file.
SALT = "v1:QzgB7pqbq90=:v1:vRcPY5gpWmr8U3M0:/9YxvZwPjCEzA45Kcj5981kv3tijSA=="
SLIPWAY = [sys.executable, "-c", "from scripts.cli import main; main()"]


def write_package(
    root: Path, version: str, model: str = MODEL, content: bytes | None = None
) -> Path:
    """A linear model that multiplies by its version, as ``slipway package`` would write it.

    ``content`` takes the place of its file: a model that cannot be loaded.
    """
    import numpy as np
    import pandas as pd
    import skops.io
    from sklearn.linear_model import LinearRegression

    inputs = pd.DataFrame({"x": [0.0, 1.0]})
    fitted = LinearRegression().fit(inputs, np.array([0.0, float(version)]))
    content = skops.io.dumps(fitted) if content is None else content
    files = (FileEntry("model/model.skops", len(content), hashlib.sha256(content).hexdigest()),)
    specification = '[{"name": "x", "type": "double", "required": true}]'
    schema = row_schema(specification, "the test's model")
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


def refusing_model(known: int) -> bytes:
    """A model that raises on every x that is not one of 0, 1 … ``known``."""
    import numpy as np
    import pandas as pd
    import skops.io
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    inputs = pd.DataFrame({"x": [float(x) for x in range(known + 1)]})
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="error"), LinearRegression())
    return skops.io.dumps(pipeline.fit(inputs, np.arange(known + 1.0)))


@dataclass
class Project:
    """Its folder, and the cloud that its stack ``local`` lives in."""

    root: Path
    cloud: Cloud

    def configure(
        self,
        region: str = connect.DEFAULT_REGION,
        driver: str | None = None,
        builds_images: bool = False,
        **model: Any,
    ) -> None:
        """Write the stack file; ``model`` are the values of the one model."""
        config: dict[str, Any] = {"aws:region": region, "slipway:models": {MODEL: model}}
        if driver is not None:
            config["slipway:controller"] = {"driver": driver}
        if builds_images:
            config["slipway:imageBuild"] = {"codebuild": True}
        settings = {"encryptionsalt": SALT, "config": config}
        (self.root / "Pulumi.local.yaml").write_text(yaml.safe_dump(settings))

    def engine(self) -> Engine:
        return Engine(self.root, "local", home=self.cloud.home)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def slipway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the project's folder."""
        return subprocess.run(
            [*SLIPWAY, *arguments],
            cwd=self.root,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def clean_environment() -> dict[str, str]:
    """This process's variables without what points at any cloud."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY)}


def make_project(root: Path, cloud: Cloud, versions: tuple[str, ...] = ("1", "2")) -> Project:
    root.mkdir(parents=True, exist_ok=True)
    project = {
        "name": "slipway",
        "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}},
    }
    (root / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    # The very program that a person's `pulumi up` runs.
    shutil.copy(REPOSITORY / "__main__.py", root)
    for version in versions:
        write_package(root, version)
    project = Project(root, cloud)
    project.configure(package=f"dist/{MODEL}/{versions[0]}")
    return project

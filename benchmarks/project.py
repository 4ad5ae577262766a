"""A project in a temporary folder with a trained model and a running local cloud."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from localcloud import connect
from scripts.rehearsal import place
from scripts.rehearsal.story import SPEED

REPOSITORY = Path(__file__).resolve().parents[1]


def train_and_package(folder: Path) -> Path:
    """Version 1 of the flight model, packaged; returns the package's folder."""
    from model_code.package import package
    from model_code.train import TrainingOptions, train

    uri = f"sqlite:///{folder}/mlflow.db"
    trained = train(TrainingOptions(model=place.MODEL), uri)
    return package(uri, f"{place.MODEL}/{trained.version}", folder / "dist").folder


def configure(home: Path, package: Path, **model: Any) -> None:
    content = {
        "encryptionsalt": place.SALT,
        "config": {
            "aws:region": place.REGION,
            "slipway:models": {place.MODEL: {"package": str(package), **model}},
        },
    }
    (home / f"Pulumi.{place.STACK}.yaml").write_text(yaml.safe_dump(content))


@contextmanager
def running(package: Path) -> Generator[Path]:
    """The project's folder, with its cloud."""
    with tempfile.TemporaryDirectory(
        prefix="slipway-bench-", ignore_cleanup_errors=True
    ) as scratch:
        home = Path(scratch)
        (home / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
        shutil.copy(REPOSITORY / "__main__.py", home)
        configure(home, package)
        connect.start(home, 0, SPEED)
        try:
            yield home
        finally:
            connect.stop(home)

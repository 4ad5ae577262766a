"""Locks the requirements of a native model: each distribution by version and sha256.

They are resolved as of the day when the model was logged, so that the same version gives the same
lock on any later day.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.pins import minor

SECONDS = 300.0
MAX_REASON = 300
# For every platform and later Python if that can be, else for that of SageMaker's instances alone:
# pins that stand together there may contradict each other for others. Hashes are those of all
# platforms' files either way.
PLATFORMS = (("--universal",), ("--python-platform", "x86_64-manylinux_2_28"))
# Wheels alone: what is built from sources runs their code.
WHEELS_ONLY = ("--only-binary", ":all:", "--emit-build-options")


@dataclass(frozen=True)
class Locked:
    """``text`` is the lock; where it is empty, ``reason`` says why."""

    text: str
    reason: str = ""


def lock(model_dir: Path, mlmodel: dict[str, Any], *, allows_code: bool) -> Locked:
    """Resolve ``requirements.txt`` of ``model_dir``; ``allows_code``: sources may be built, too."""
    python = str(mlmodel["flavors"]["python_function"].get("python_version", ""))
    wanted = _requirements(model_dir, str(mlmodel.get("mlflow_version", "")))
    logged = str(mlmodel.get("utc_time_created", "")).partition(".")[0].replace(" ", "T")
    options: list[str] = [] if allows_code else [*WHEELS_ONLY]
    if python:
        options += ["--python-version", minor(python)]
    # Indexes that do not say when a file was uploaded offer none for a date.
    dated = ["--exclude-newer", f"{logged}Z"] if logged else []
    reason = ""
    attempts = [
        [*options, *platform, *date]
        for date in ([dated, []] if dated else [[]])
        for platform in PLATFORMS
    ]
    for chosen in attempts:
        try:
            done = _compile(model_dir, wanted, chosen)
        except subprocess.TimeoutExpired:
            return Locked("", f"it took more than {SECONDS:g} s")
        if done.returncode == 0:
            return Locked(done.stdout)
        reason = reason or " ".join(done.stderr.split()).removeprefix("error: ")[:MAX_REASON]
    return Locked("", reason)


def _requirements(model_dir: Path, mlflow: str) -> str:
    """As they were logged, with MLflow itself, without which nothing loads the model."""
    path = model_dir / "requirements.txt"
    text = path.read_text() if path.is_file() else ""
    if any(line.strip().startswith("mlflow") for line in text.splitlines()) or not mlflow:
        return text
    return f"{text}\nmlflow=={mlflow}\n"


def _compile(model_dir: Path, wanted: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uv", "pip", "compile", "-"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-progress", *options]
    return subprocess.run(
        command,
        input=wanted,
        cwd=model_dir,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

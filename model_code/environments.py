"""Environments of native models: each is built once, from a lock, and never changed.

They lie side by side under ``.slipway/envs``, each named by the sha256 of its lock, which it holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from contracts.package import LOCK_FILE, PackageManifest, lock_of
from contracts.pins import minor, unmet
from model_code.errors import EnvironmentBuildError

ENVIRONMENTS = Path(".slipway") / "envs"
NAME_LENGTH = 16
MAX_REASON = 600


def environment_of(lock_sha256: str, folder: Path) -> Path:
    """Where the environment of a lock lies below ``folder``, built or not."""
    return folder / lock_sha256[:NAME_LENGTH]


def is_at_hand(manifest: PackageManifest) -> bool:
    """Whether this very interpreter has exactly what a native model was logged with."""
    return not unmet(manifest.runtime.requirements, manifest.runtime.python)


def prepared(
    package: Path, manifest: PackageManifest, folder: Path, tell: Callable[[str], None]
) -> Path | None:
    """The environment that serves the package, built if it is not there.

    None where the model is not native, or this interpreter can stand in for its own.

    Raises:
        PackageError: there is no lock to build it from.
        EnvironmentBuildError: it could not be built.
    """
    if not manifest.is_native or is_at_hand(manifest):
        return None
    lock = lock_of(package, manifest)
    place = environment_of(manifest.lock_sha256, folder)
    with _alone(place):
        if not place.is_dir():
            wanted = ", ".join(unmet(manifest.runtime.requirements, manifest.runtime.python)[:3])
            tell(
                f"building the environment of {manifest.model}/{manifest.version}, once, for "
                f"{wanted}: {place}"
            )
            _build(lock, minor(manifest.runtime.python), place)
    return place


@contextmanager
def _alone(place: Path) -> Generator[None]:
    """One builder of a place at a time; the lock is the system's, and ends with its holder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".{place.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(lock: Path, python: str, place: Path) -> None:
    """Beside its place, then moved there: it is complete when it appears."""
    scratch = place.parent / f".{place.name}.building"
    shutil.rmtree(scratch, ignore_errors=True)
    here = "{}.{}".format(*sys.version_info[:2])
    wanted = ["--python", sys.executable if python in {"", here} else python]
    try:
        _uv("venv", "--quiet", "--relocatable", "--no-project", *wanted, str(scratch))
        _uv(
            *("pip", "install", "--quiet", "--require-hashes", "--no-deps", "--compile-bytecode"),
            *("--python", str(scratch / "bin" / "python"), "--requirements", str(lock)),
        )
        shutil.copyfile(lock, scratch / LOCK_FILE)
        os.rename(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", *arguments, "--no-progress"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()).removeprefix("error: ")[:MAX_REASON]
        raise EnvironmentBuildError(
            f"the model's environment cannot be built: uv {arguments[0]} says: {reason}; "
            "see that its package index can be reached and that this Python is installed, "
            "then try again"
        )

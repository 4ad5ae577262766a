"""Model artifacts: from S3 into folders that model servers only read."""

from __future__ import annotations

import logging
import shutil
import stat
import tempfile
import threading
from pathlib import Path

from contracts.canonical import sha256_file
from inference.errors import PackageRefusedError
from inference.unpacking import unpack
from localcloud.service import S3Access, ServiceError

CONTAINER = "container_1"
# The disk of a transform job (fact 1.3); endpoints have no less.
MAX_BYTES = 30 * 1024**3
log = logging.getLogger(__name__)


class ArtifactError(Exception):
    """Why model data cannot be used, in SageMaker's words for ``FailureReason``."""


class Artifacts:
    """Unpacked archives, one folder for each content, shared by the instances that serve it."""

    def __init__(self, folder: Path, s3: S3Access) -> None:
        self._folder = folder
        self._s3 = s3
        self._lock = threading.Lock()

    def fetch(self, url: str | None) -> Path:
        """The folder with the archive's content; S3 is asked every time, as each instance does.

        Raises:
            ArtifactError: there is no such object, or it is not a usable archive.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if url is None:
            empty = self._folder / "none"
            empty.mkdir(exist_ok=True)
            return empty
        with self._lock, tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-") as scratch:
            archive = Path(scratch) / "model.tar.gz"
            self._download(url, archive)
            target = self._folder / sha256_file(archive)
            if not target.exists():
                content = Path(scratch) / "content"
                content.mkdir()
                try:
                    unpack(archive, content, MAX_BYTES)
                except PackageRefusedError as error:
                    log.warning("model data of %s: %s", url, error)
                    raise ArtifactError(_not_extracted(url)) from error
                content.rename(target)
                _make_read_only(target)
            return target

    def clear(self) -> None:
        with self._lock:
            for path in self._folder.glob("*"):
                remove(path)

    def _download(self, url: str, target: Path) -> None:
        try:
            self._s3.download(url, target)
        except ServiceError as error:
            raise ArtifactError(
                f'Failed to download model data for container "{CONTAINER}" from URL: "{url}". '
                "Please ensure that there is an object located at the URL and that the role passed "
                "to CreateModel has permissions to download the object."
            ) from error


def remove(path: Path) -> None:
    """Remove a folder whose parts may be read-only."""
    if path.is_dir():
        for folder in [path, *(p for p in path.rglob("*") if p.is_dir())]:
            folder.chmod(folder.stat().st_mode | stat.S_IWUSR)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_read_only(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _not_extracted(url: str) -> str:
    return (
        f'Failed to extract model data archive for container "{CONTAINER}" from URL "{url}". '
        "Please ensure that the object located at the URL is a valid tar.gz archive."
    )

"""What an image is made of: the folder that an engine builds, and the hash that names it."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts.canonical import content_hash, sha256_file
from contracts.errors import SlipwayError
from contracts.package import LOCK_FILE, load_package, lock_of

SOURCE = Path(__file__).resolve().parents[2]
FOLDERS = ("contracts", "inference")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
PYTHON = "3.11"
REPOSITORY = "slipway-inference"
HASH_CHARACTERS = 12
# Of SageMaker's instances all but those on Graviton, whatever the machine here is.
PLATFORM = "linux/amd64"
PLATFORMS = (PLATFORM, "linux/arm64")
# The first that a zip file can hold; any constant would do.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
UNIX, PLAIN_FILE = 3, 0o100644


class ImageError(SlipwayError):
    """An image cannot be made of what was named."""


@dataclass(frozen=True)
class Recipe:
    """How an image is built. ``extras`` name files ``inference/requirements-*.txt``.

    ``lock``: pinned requirements of a model that was not converted, for an environment of its own.
    """

    base: str = f"python:{PYTHON}-slim"
    extras: tuple[str, ...] = ()
    lock: Path | None = None
    platform: str = PLATFORM

    @property
    def arguments(self) -> dict[str, str]:
        return {"BASE": self.base, "EXTRAS": " ".join(self.extras)}


def native_of(package: Path) -> tuple[Path, str]:
    """The locked requirements beside the package in ``package``, and the Python they are for.

    Raises:
        ImageError: it needs none, since the server runs that model by itself.
        PackageError: the lock is missing or was changed.
    """
    manifest = load_package(package)
    if not manifest.is_native:
        raise ImageError(
            f"{package} is not native: {manifest.model}/{manifest.version} needs no environment of "
            "its own; leave --package out"
        )
    return lock_of(package, manifest), ".".join(manifest.runtime.python.split(".")[:2]) or PYTHON


@contextmanager
def staged(recipe: Recipe) -> Generator[tuple[Path, str]]:
    """A folder to build from, and the image's tag: it names content, so it never moves."""
    with TemporaryDirectory(prefix="slipway-image-") as scratch:
        context = Path(scratch)
        for name in FOLDERS:
            shutil.copytree(SOURCE / name, context / name, ignore=NOT_COPIED)
        if recipe.lock is not None:
            native = context / "inference" / "native"
            native.mkdir(exist_ok=True)
            shutil.copy(recipe.lock, native / LOCK_FILE)
        parts = [[name, sha256_file(path)] for name, path in _files(context)]
        content = content_hash([parts, recipe.arguments, recipe.platform])
        yield context, f"{REPOSITORY}:{content[:HASH_CHARACTERS]}"


def zipped(context: Path) -> bytes:
    """The folder as a zip file: the same files give the same bytes, on any machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in _files(context):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.create_system, entry.external_attr = UNIX, PLAIN_FILE << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _files(context: Path) -> list[tuple[str, Path]]:
    files = sorted(path for path in context.rglob("*") if path.is_file())
    return [(path.relative_to(context).as_posix(), path) for path in files]

"""The code of functions on disk: zip archives by hash, unpacked when first run."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from localcloud.blobs import BlobStore
from localcloud.service import ServiceError

MAX_UNPACKED_BYTES = 262_144_000
# What AWS's Python runtimes carry beside the standard library: boto3 and what it needs.
RUNTIME_MODULES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")


class Packages:
    """Archives under ``<folder>/zips``, unpacked under ``<folder>/code``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zips = BlobStore(folder / "zips")
        self._runtime: Path | None = None

    def put(self, content: bytes) -> tuple[str, str]:
        """Keep an archive; gives its name here and AWS's CodeSha256.

        Raises:
            ServiceError: it is no zip, too large when unpacked, or reaches out of its folder.
        """
        _check(content)
        digest = hashlib.sha256(content).digest()
        return self._zips.put(content), base64.b64encode(digest).decode()

    def get(self, name: str) -> bytes:
        return self._zips.get(name)

    def unpacked(self, name: str) -> Path:
        """The folder with the archive's files."""
        target = self._folder / "code" / name
        if target.is_dir():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpack-"))
        temporary.chmod(0o755)
        with zipfile.ZipFile(io.BytesIO(self._zips.get(name))) as archive:
            archive.extractall(temporary)
        try:
            temporary.rename(target)
        except OSError:
            # Another invocation was faster; its copy is the same.
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def runtime(self) -> Path:
        """A folder with exactly the packages that Lambda's own runtime has."""
        if self._runtime is None:
            folder = self._folder / "runtime"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name in RUNTIME_MODULES:
                found = importlib.util.find_spec(name)
                if found is None or found.origin is None:
                    continue
                origin = Path(found.origin)
                source = origin.parent if origin.name == "__init__.py" else origin
                os.symlink(source, folder / source.name)
            self._runtime = folder
        return self._runtime

    def keep_only(self, names: set[str]) -> None:
        """Remove the archives and folders of all others."""
        self._zips.keep_only(names)
        code = self._folder / "code"
        for folder in code.iterdir() if code.is_dir() else ():
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)


def _check(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise _refused("Could not unzip uploaded file. Please check your file, then try to upload "
                       "again.") from None  # fmt: skip
    if not members:
        raise _refused("Uploaded file must be a non-empty zip")
    if sum(m.file_size for m in members) >= MAX_UNPACKED_BYTES:
        raise _refused(f"Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes")
    for member in members:
        path = Path(member.filename)
        if path.is_absolute() or ".." in path.parts:
            raise _refused(f"the zip's member {member.filename!r} lies outside of its folder")


def _refused(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message)

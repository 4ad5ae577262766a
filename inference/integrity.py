"""Model directories and archives: nothing is opened by a parser before it is what it should be."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from pathlib import Path

from contracts.canonical import sha256_file
from contracts.errors import ContractError
from contracts.package import INDEX_FILE, ArchiveIndex
from inference.errors import PackageRefusedError


def read_index(model_dir: Path, expected_sha256: str | None) -> tuple[ArchiveIndex, str]:
    """``slipway.json`` and its sha256, after checking it and every file that it names."""
    path = model_dir / INDEX_FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise PackageRefusedError(
            f"{model_dir} holds no {INDEX_FILE}: it is no unpacked Slipway package; "
            "name the folder that model.tar.gz was unpacked into"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and digest != expected_sha256:
        raise PackageRefusedError(
            f"{path} has sha256 {digest[:12]}…, SLIPWAY_MANIFEST_SHA256 says "
            f"{expected_sha256[:12]}…: this is not the package that was released; "
            "release the package again"
        )
    try:
        index = ArchiveIndex.from_json(data.decode(), str(path))
    except (ContractError, UnicodeDecodeError) as error:
        raise PackageRefusedError(f"{path} cannot be read: {error}") from None
    for entry in index.files:
        _check_file(model_dir, entry.path, entry.size, entry.sha256)
    _refuse_unlisted(model_dir, {entry.path for entry in index.files})
    return index, digest


def _check_file(root: Path, name: str, size: int, sha256: str) -> None:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()) or path.is_symlink():
        raise PackageRefusedError(f"{INDEX_FILE} names {name!r}, which lies outside the package")
    if not path.is_file():
        raise PackageRefusedError(f"{path} is missing; package the model again")
    if path.stat().st_size != size or sha256_file(path) != sha256:
        raise PackageRefusedError(f"{path} is not what {INDEX_FILE} says; package the model again")


def _refuse_unlisted(root: Path, listed: set[str]) -> None:
    """A file beside the listed ones could be loaded in place of one of them, or run."""
    for path in sorted(p for top in ("model", "engine") for p in (root / top).rglob("*")):
        name = path.relative_to(root).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in listed:
            raise PackageRefusedError(
                f"{path} is not listed in {INDEX_FILE}: it was added later; package the model again"
            )


def unpack(archive: Path, folder: Path, max_bytes: int = 10 * 1024**3) -> None:
    """Unpack a ``model.tar.gz`` of plain files, as SageMaker does; no links, no way out."""
    try:
        with gzip.open(archive) as zipped, tarfile.open(fileobj=zipped, mode="r:") as tar:
            total = 0
            for member in tar:
                if not (member.isfile() or member.isdir()):
                    raise PackageRefusedError(
                        f"{archive} holds {member.name!r}, no plain file; links are refused"
                    )
                total += member.size
                if total > max_bytes:
                    raise PackageRefusedError(f"{archive} unpacks to more than {max_bytes} bytes")
                tar.extract(member, folder, filter="data")
            while zipped.read(1 << 20):  # gzip's checksum stands behind the archive's end
                pass
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise PackageRefusedError(
            f"{archive} cannot be unpacked ({error}): it is cut short or was changed; "
            "package the model again"
        ) from error

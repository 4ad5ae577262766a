"""Model directories and archives: nothing is opened by a parser before it is what it should be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from contracts.canonical import sha256_file
from contracts.errors import ContractError
from contracts.package import INDEX_FILE, ArchiveIndex
from contracts.variables import MANIFEST_SHA256, REQUIRE_MANIFEST_SHA256
from inference.errors import PackageRefusedError

SAGEMAKER_MODEL = Path("/opt/ml/model")
MAX_INDEX_BYTES = 64 << 20


def is_sagemakers(model_dir: Path) -> bool:
    """Whether it is the folder that SageMaker unpacks a model into, however it is spelled."""
    return model_dir.resolve() == SAGEMAKER_MODEL.resolve()


def expected_digest(model_dir: Path, environment: Mapping[str, str]) -> str | None:
    """The sha256 that ``slipway.json`` must have, from outside; None where nobody need say it.

    Raises:
        PackageRefusedError: it must be said, as on SageMaker, and was not.
    """
    digest = environment.get(MANIFEST_SHA256) or None
    must = is_sagemakers(model_dir) or environment.get(REQUIRE_MANIFEST_SHA256) == "1"
    if digest is None and must:
        raise PackageRefusedError(
            f"{MANIFEST_SHA256} is not set, so nobody says which package {model_dir} should hold; "
            f"set it to the sha256 of its {INDEX_FILE} (`slipway up` does, on the Model; it stands "
            "in manifest.json as index_sha256)"
        )
    return digest


def read_index(model_dir: Path, expected_sha256: str | None) -> tuple[ArchiveIndex, str]:
    """``slipway.json`` and its sha256, after checking it and every file that it names."""
    path = model_dir / INDEX_FILE
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise PackageRefusedError(f"{path} has more than {MAX_INDEX_BYTES} bytes")
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
    except (ContractError, UnicodeDecodeError, RecursionError) as error:
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

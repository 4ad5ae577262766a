"""Bytes of S3 objects as files, each under the hash of its content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeGuard

from contracts import atomic


class BlobStore:
    """Files named by sha256; what is there never changes, so writing twice is writing once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Keep ``content`` and return its name."""
        name = hashlib.sha256(content).hexdigest()
        path = self._path(name)
        if not path.exists():
            atomic.write_bytes(path, content)
        return name

    def has(self, name: str | None) -> TypeGuard[str]:
        return name is not None and self._path(name).exists()

    def get(self, name: str) -> bytes:
        """Raises ``ValueError`` when the file is not what its name says, or ``OSError``."""
        content = self._path(name).read_bytes()
        if hashlib.sha256(content).hexdigest() != name:
            raise ValueError(f"the file {self._path(name)} is damaged")
        return content

    def keep_only(self, names: set[str]) -> None:
        """Remove every file whose name is not among ``names``."""
        for path in self._folder.glob("*/*"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

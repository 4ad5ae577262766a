"""The one container image that the local cloud can run: our own model server, by its sources."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("inference", "contracts")


def local_image(root: Path = ROOT) -> str:
    """``slipway-local@sha256:…`` over the sources under ``root`` that the image would carry."""
    digest = hashlib.sha256()
    for folder in SHIPPED:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"slipway-local@sha256:{digest.hexdigest()}"

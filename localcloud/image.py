"""The one container image that the local cloud can run: our own model server, by its sources."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("inference", "contracts")


NAME = "slipway-local"


def only_ours(image: str) -> str:
    """Why another image is not run here."""
    text = f"The local cloud runs {local_image()} only"
    if image.startswith(f"{NAME}@"):
        return (
            f"{text}; inference/ or contracts/ changed since this version was staged, and "
            "`slipway up` stages it with what they are now."
        )
    return f"{text}."


def local_image(root: Path = ROOT) -> str:
    """``slipway-local@sha256:…`` over the sources under ``root`` that the image would carry."""
    digest = hashlib.sha256()
    for folder in SHIPPED:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{NAME}@sha256:{digest.hexdigest()}"

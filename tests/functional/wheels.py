"""A package index for tests: a folder with wheels made here, and nothing else to be reached."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest


def write_wheel(folder: Path, name: str, version: str, needs: str = "", **files: str) -> Path:
    """A wheel with ``files`` (``_`` for a ``.`` in their names), else with the module ``name``."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    module = {f"{stem}.py": f"VERSION = {version!r}\n"}
    content = {
        **({key.replace("_", "."): text for key, text in files.items()} or module),
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{key},{_hash(text)},{len(text)}\n" for key, text in content.items())
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for key, text in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(zipfile.ZipInfo(key), text)
    return path


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def only_wheels_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on uv finds these wheels, and no network."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "cache"))

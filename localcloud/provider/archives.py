"""Archives of a program as the zip that Lambda takes: the same bytes for the same content."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.provider.errors import ProviderError
from localcloud.provider.values import Asset

# The earliest moment that a zip can hold.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o644 << 16
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")


def zipped(archive: Asset) -> bytes:
    """The archive's files as a zip; a file that is a zip already goes as it is.

    Raises:
        ProviderError: a file is missing, a path is relative, or the archive is a remote one.
    """
    path = archive.fields.get("path")
    if path and str(path).endswith(".zip"):
        return _file(str(path)).read_bytes()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in sorted(_members(archive)):
            info = zipfile.ZipInfo(name, _MOMENT)
            info.external_attr = _FILE_MODE
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, content)
    return stream.getvalue()


def _members(source: Any, name: str = "") -> Iterator[tuple[str, bytes]]:
    """Names and contents of an asset, or of an archive below ``name``."""
    fields = source.fields
    if fields.get("uri"):
        raise ProviderError("code: the local cloud reads no remote archives; give a file")
    if not source.is_archive:
        text = fields.get("text")
        path = fields.get("path")
        yield name, _file(str(path)).read_bytes() if path else str(text or "").encode()
        return
    if fields.get("path"):
        yield from _from_path(_file(str(fields["path"])), name)
        return
    for inner, asset in (fields.get("assets") or {}).items():
        yield from _members(asset, f"{name}/{inner}".lstrip("/"))


def _from_path(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    prefix = f"{name}/" if name else ""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield f"{prefix}{file.relative_to(path).as_posix()}", file.read_bytes()
    elif path.name.endswith(_TAR_ENDINGS):
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield f"{prefix}{member.name.removeprefix('./')}", stream.read()
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield f"{prefix}{info.filename}", archive.read(info)
    else:
        raise ProviderError(f"code: {str(path)!r} is no folder and no .zip, .tar or .tar.gz")


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ProviderError(
            f"code: the archive's path {text!r} is relative, and the local cloud does not run in "
            "the program's folder; give an absolute path"
        )
    if not path.exists():
        raise ProviderError(f"code: there is no file or folder {text!r}")
    return path

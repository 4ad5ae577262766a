"""Archives of packages: unpacked with limits, and with nothing in them but plain files."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, cast

from inference.errors import PackageRefusedError

MAX_ARCHIVE_BYTES = 10 * 1024**3
MAX_MEMBERS = 100_000
# tarfile reads a file in small pieces, but a header's text (a long name, PAX fields) in one.
MAX_PIECE = 1 << 20


class _Counted:
    """A gzip stream that is only read on, up to a limit: what headers say of sizes is not trusted.

    It is what ``tarfile`` needs of a file: positions never go back, however a header lies.
    """

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream = stream
        self._most = most
        self._at = 0

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_PIECE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        data = self._stream.read(size)
        self._at += len(data)
        if self._at > self._most:
            raise PackageRefusedError(f"it unpacks to more than {self._most} bytes")
        return data

    def seek(self, position: int) -> int:
        if position < self._at:
            raise tarfile.ReadError("a header that leads back")
        while self._at < position and self.read(min(MAX_PIECE, position - self._at)):
            pass
        return self._at


def unpack(archive: Path, folder: Path, max_bytes: int = MAX_ARCHIVE_BYTES) -> None:
    """Unpack a ``model.tar.gz`` of plain files, each once; no links, no way out of ``folder``.

    Raises:
        PackageRefusedError: the archive is anything else, or more than ``max_bytes`` (headers
            counted) or ``MAX_MEMBERS`` files.
    """
    try:
        with gzip.open(archive) as zipped:
            counted = _Counted(zipped, max_bytes)
            with tarfile.open(fileobj=cast("IO[bytes]", counted), mode="r:") as tar:
                seen: set[PurePosixPath] = set()
                for number, member in enumerate(tar):
                    if number >= MAX_MEMBERS:
                        raise PackageRefusedError(f"it holds more than {MAX_MEMBERS} files")
                    _check_member(member, seen)
                    tar.extract(member, folder, filter="data")
            while counted.read(MAX_PIECE):  # gzip's checksum stands behind the archive's end
                pass
    except PackageRefusedError as error:
        raise PackageRefusedError(f"{archive} is refused: {error}") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise PackageRefusedError(
            f"{archive} cannot be unpacked ({error}): it is cut short or was changed; "
            "package the model again"
        ) from error


def _check_member(member: tarfile.TarInfo, seen: set[PurePosixPath]) -> None:
    name = member.name
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise PackageRefusedError(f"it holds {name[:200]!r}, no plain file; links are refused")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise PackageRefusedError(f"it holds {name[:200]!r}, which lies outside the package")
    if member.isdir():
        return
    if path in seen:
        raise PackageRefusedError(f"it holds {name[:200]!r} twice")
    seen.add(path)

"""The archive of a package, and its folder put in place."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path


def write_archive(path: Path, entries: list[tuple[str, bytes]]) -> None:
    """A gzipped tar whose bytes depend on names and contents alone."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(data))


def put_in_place(built: Path, folder: Path) -> None:
    """Move the finished folder to its place; what stood there is gone only after that."""
    if folder.exists():
        aside = built.parent / "replaced"
        os.rename(folder, aside)
        try:
            os.rename(built, folder)
        except OSError:
            os.rename(aside, folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.rename(built, folder)

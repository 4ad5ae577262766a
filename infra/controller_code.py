"""What is shipped into the controller's Lambda: the packages it runs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import contracts
import release

SHIPPED = (contracts, release)
HANDLER = "release.handler.handler"
ASSETS = frozenset({".py", ".html", ".css"})


def code_files() -> dict[str, Path]:
    """Path in the archive → file. No caches: they would change the archive at every run."""
    files: dict[str, Path] = {}
    for package in SHIPPED:
        folder = Path(str(package.__file__)).resolve().parent
        for path in sorted(folder.rglob("*")):
            if path.suffix in ASSETS and path.is_file():
                files[path.relative_to(folder.parent).as_posix()] = path
    return files

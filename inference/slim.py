"""Takes out of installed packages what serving never opens: ``python slim.py FOLDER``.

The image's build runs it, so it needs nothing but the standard library. Licences stay.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# Folders of these names, wherever they lie inside a package.
TESTS = frozenset({"tests", "test"})
# Parts that compile, convert or optimise, and the library for programs in other languages.
UNUSED = (
    "bin",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/distutils",
    "numpy/random/lib",
    "onnxruntime/backend",
    "onnxruntime/capi/libonnxruntime.so.*",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "pyarrow/include",
    "pyarrow/src",
)
# What compilers and type checkers read.
SOURCES = frozenset({".a", ".c", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"})


def slim(folder: Path) -> int:
    """Empty ``folder``, a site-packages, of what is not needed; the bytes that this freed."""
    before = size(folder)
    for path in [found for name in UNUSED for found in folder.glob(name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if path.name in TESTS and path.parent != folder:
                shutil.rmtree(path)
        elif path.suffix in SOURCES:
            path.unlink()
    return before - size(folder)


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``; a file with several names counts once."""
    files = [path.lstat() for path in folder.rglob("*") if path.is_file()]
    return sum({(file.st_dev, file.st_ino): file.st_size for file in files}.values())


if __name__ == "__main__":
    site = Path(sys.argv[1])
    print(f"{slim(site) / 1e6:.1f} MB are not needed, {size(site) / 1e6:.1f} MB stay")

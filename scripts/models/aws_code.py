"""``slipway package --aws-code``: what AWS's own serving containers need inside the archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCE = Path(__file__).resolve().parents[2]
# What only our own server, a desk or a Bento needs.
NOT_CARRIED = shutil.ignore_patterns(
    *("__pycache__", "*.pyc", ".*", "__main__.py", "aws_code.py", "slim.py"),
    *("bento*", "desk*", "Dockerfile", "requirements*"),
)
# The containers have numpy, and an HTTP server of their own.
THEIRS = ("numpy", "httptools", "uvloop")
SKLEARN = ("requirements.txt", "requirements-sklearn.txt")

Beside = Callable[[str], Path]


@contextmanager
def code_for_aws(*, wanted: bool) -> Generator[Beside | None]:
    """Makes, for an engine, a folder of what goes into the archive beside the model."""
    if not wanted:
        yield None
        return
    with TemporaryDirectory(prefix="slipway-aws-code-") as scratch:

        def beside(engine: str) -> Path:
            folder = Path(scratch)
            write_code(folder / "code", engine)
            return folder

        yield beside


def write_code(code: Path, engine: str) -> None:
    """``inference.py``, our modules, and ``requirements.txt``, which the container installs."""
    for name in ("contracts", "inference"):
        shutil.copytree(SOURCE / name, code / "slipway" / name, ignore=NOT_CARRIED)
    shutil.copy(SOURCE / "inference" / "aws_code.py", code / "inference.py")
    files = SKLEARN if engine == "sklearn" else SKLEARN[:1]
    lines = [
        line
        for file in files
        for line in (SOURCE / "inference" / file).read_text().splitlines()
        if line and not line.startswith(("#", *(f"{name}==" for name in THEIRS)))
    ]
    if engine not in ("onnx", "forest"):
        lines = [line for line in lines if not line.startswith("onnxruntime==")]
    (code / "requirements.txt").write_text("\n".join(lines) + "\n")

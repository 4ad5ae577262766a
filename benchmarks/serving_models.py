"""What is served: a logistic regression, a forest, and the flights model, each packaged.

Made by a process of its own (``python -m benchmarks.serving_models``), so that the benchmark's
process shares no library with the servers whose memory it measures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.errors import SlipwayError

FEATURES, TRAINED_ON = 30, 2000
MODELS = ("logreg", "forest", "flights")
MANY = 1000
SHAPES = ("instances.json", "split.json", "v2.json", "csv")


@dataclass(frozen=True)
class Served:
    """A packaged model; its bodies and what it answers to them are files in ``folder``.

    ``source``: the MLflow model that it was made from, else ``source_reason``. ``onnx``: what the
    hand-written peers serve, else ``onnx_reason``. ``allows_code``: the package may run its own.
    """

    name: str
    folder: Path
    dist: Path
    engine: str
    source: Path | None
    onnx: Path | None
    source_reason: str = ""
    onnx_reason: str = ""
    allows_code: bool = False

    def body(self, shape: str, rows: int) -> bytes:
        """One of ``SHAPES``; 1 or ``MANY`` rows."""
        return (self.folder / f"{rows}.{shape}").read_bytes()

    def expected(self, rows: int) -> list[Any] | None:
        """What the MLflow model itself answers to these rows; None where it is not known."""
        path = self.folder / f"{rows}.expected"
        return json.loads(path.read_text()) if path.exists() else None


class NotMadeError(Exception):
    """A model could not be trained or packaged; the text is the child's last words."""


def make(name: str, dist: Path | None, folder: Path, *, allow_code: bool = False) -> Served:
    """One of ``MODELS``, trained and packaged; or, with ``dist``, what that package holds.

    Raises:
        NotMadeError: it could not be made; says why.
    """
    folder.mkdir(parents=True)
    words = [sys.executable, "-m", "benchmarks.serving_models", name, str(folder)]
    words += ["--dist", str(dist.resolve())] if dist else []
    words += ["--allow-code"] if allow_code else []
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=root)
    if done.returncode:
        raise NotMadeError(f"{name} could not be made: {done.stderr.strip()[-2000:]}")
    return read(folder)


def read(folder: Path) -> Served:
    raw = json.loads((folder / "served.json").read_text())
    for key in ("folder", "dist", "source", "onnx"):
        raw[key] = None if raw[key] is None else Path(raw[key])
    return Served(**raw)


def main() -> None:
    from benchmarks import serving_training

    parser = argparse.ArgumentParser(prog="serving_models")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dist", type=Path)
    parser.add_argument("--allow-code", action="store_true")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    try:
        if options.dist:
            served = serving_training.of_dist(options.dist, folder, options.allow_code)
        else:
            served = serving_training.train(options.name, folder)
    except SlipwayError as error:
        sys.exit(str(error))
    (folder / "served.json").write_text(json.dumps(asdict(served), default=str))


if __name__ == "__main__":
    main()

"""The image's packages, installed and slimmed as its Dockerfile does: their size, and an answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference.slim import size, slim

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 160_000_000
# What serving does with the packages: a session of ONNX Runtime, a parser each, a loop.
USED = """
import sys
sys.path[:0] = [{site!r}, {root!r}]
import httptools, numpy, onnxruntime, orjson, simdjson, uvloop
assert onnxruntime.__file__.startswith({site!r})
session = onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
[labels, scores] = session.run(None, {{"X": numpy.array([[5.0], [-5.0]], numpy.float32)}})
assert labels.tolist() == [1, 0], labels
assert simdjson.Parser().parse(b"[1, 2]").as_buffer(of_type="d") is not None
async def nothing(): return orjson.dumps([1])
assert uvloop.run(nothing()) == b"[1]"
from inference.http import connection as http
from inference.http import limits
from inference.formats import codecs
from inference.openapi import document as openapi
from inference.processes import telemetry
from inference.processes import board
from inference.formats import v2
print("answered")
"""


def converted(path: Path) -> Path:
    """A small model in ONNX's format."""
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    rows = np.linspace(-3, 3, 40, dtype=np.float32).reshape(-1, 1)
    model = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
    options = {id(model): {"zipmap": False}}
    path.write_bytes(to_onnx(model, rows[:1], options=options).SerializeToString())
    return path


def install(site: Path, *names: str) -> None:
    """By uv, as pip does it in the Dockerfile; skips where neither cache nor index has them."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "uv is pinned in requirements.txt"
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--python", sys.executable, "--link-mode", "copy", "--target", str(site)]
    for name in names:
        command += ["--requirement", str(ROOT / "inference" / name)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"the packages cannot be installed here: {ran.stderr.strip()[-300:]}")


def test_what_is_installed_is_small_and_answers(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "requirements.txt")
    freed = slim(site)
    quiet = ["-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", *quiet, str(site)], check=True)
    own = tmp_path / "own"
    for name in ("contracts", "inference"):
        shutil.copytree(
            ROOT / name, own / name, ignore=shutil.ignore_patterns("__pycache__", "bento*", "desk*")
        )
    subprocess.run([sys.executable, "-m", "compileall", *quiet, str(own)], check=True)

    assert size(site) + size(own) <= MOST_BYTES
    assert freed > 40_000_000
    assert list(site.glob("*.dist-info/licenses/*")), "licences have to stay"

    text = USED.format(site=str(site), root=str(own), model=str(converted(tmp_path / "model.onnx")))
    # -S: the packages of this environment are out of reach.
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", text], capture_output=True, text=True, check=False
    )
    assert ran.stdout == "answered\n", ran.stderr


# What the extras are for, on what slimming leaves of them.
EXTRAS_USED = """
import sys
sys.path[:0] = [{site!r}]
import pyarrow, pyarrow.parquet, skops.io
assert pyarrow.__file__.startswith({site!r})
model = skops.io.load({model!r}, trusted=skops.io.get_untrusted_types(file={model!r}))
import pandas
print(model.predict(pandas.DataFrame({{"x": [5.0, -5.0]}})).tolist())
"""


def test_the_extras_work_slimmed_too(tmp_path: Path) -> None:
    import pandas as pd
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    site, path = tmp_path / "site", tmp_path / "model.skops"
    install(site, "requirements.txt", "requirements-parquet.txt", "requirements-sklearn.txt")
    slim(site)
    rows = pd.DataFrame({"x": [float(x) for x in range(-30, 30)]})
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(rows, rows["x"] > 0)
    skops.io.dump(boosted, tmp_path / "boosted.skops")
    skops.io.dump(make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, rows.x > 0), path)

    for model in (path, tmp_path / "boosted.skops"):
        text = EXTRAS_USED.format(site=str(site), model=str(model))
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", text], capture_output=True, text=True, check=False
        )
        assert ran.stdout == "[True, False]\n", ran.stderr

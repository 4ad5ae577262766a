"""Whether an interpreter stands in for a model's own: exact pins alone tell."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from contracts.pins import other_release, unmet

ROOT = Path(__file__).resolve().parents[2]
HERE = sys.version.split()[0]
NUMPY = version("numpy")


@pytest.mark.parametrize(
    "line",
    [
        f"numpy=={NUMPY}",
        f"NumPy == {NUMPY}  # as it was",
        f"numpy=={NUMPY}.0",
        "",
        "# nothing",
        "-c constraints.txt",
        "--extra-index-url https://example.com",
    ],
)
def test_what_is_installed_as_pinned_is_met(line: str) -> None:
    assert unmet([line], HERE) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("numpy==1.0", f"numpy==1.0 (installed is {NUMPY})"),
        (f"numpy=={NUMPY}+cpu", f"numpy=={NUMPY}+cpu (installed is {NUMPY})"),
        ("slipway-absent==1.0", "slipway-absent==1.0 (not installed)"),
        ("numpy", "numpy (no exact pin)"),
        ("numpy>=1", "numpy>=1 (no exact pin)"),
        ("numpy @ https://example.com/n.whl", "numpy @ https://example.com/n.whl (no exact pin)"),
        ("-r others.txt", "-r others.txt (no exact pin)"),
    ],
)
def test_what_is_not_met_is_told(line: str, said: str) -> None:
    assert unmet([line], HERE) == [said]


def test_a_python_of_another_minor_version_is_another_one() -> None:
    assert unmet([], "3.8.1") == ["Python 3.8 (here is {}.{})".format(*sys.version_info[:2])]
    assert unmet([], HERE.rpartition(".")[0] + ".99") == []
    assert unmet([], "") == []


@pytest.mark.parametrize(
    "path",
    [
        "inference/pyfunc/child.py",
        "inference/formats/frames.py",
        "contracts/pins.py",
        "contracts/model_code.py",
    ],
)
def test_what_a_model_s_own_interpreter_reads_is_python_3_9(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        # Unions in calls of isinstance and keywords that came later are no syntax.
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name != "isinstance" or "|" not in ast.unparse(node.args[1]), ast.unparse(node)
            assert name != "zip" or not node.keywords, ast.unparse(node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            in_types_only = path == "inference/formats/frames.py"
            ours = [n for n in names if n.startswith(("inference", "contracts"))]
            assert not ours or in_types_only


def test_another_release_is_told_and_another_patch_is_the_same() -> None:
    release = ".".join(NUMPY.split(".")[:2])
    for same in (f"numpy=={release}.99", f"NumPy == {NUMPY} # here", "numpy>=1", "six==1.0", ""):
        assert other_release([same], "numpy") == ""
    assert other_release(["six==1", "numpy==1.0.3"], "numpy") == (
        f"numpy==1.0.3 (installed is {NUMPY})"
    )
    assert other_release(["slipway_absent==1"], "slipway-absent") == (
        "slipway-absent==1 (not installed)"
    )

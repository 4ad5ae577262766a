"""The image: what its Dockerfile copies exists, and it installs what the tests run with."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from inference.slim import size, slim

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "inference" / "Dockerfile").read_text()
# What the server imports by itself; the model's own libraries are an extra, or its environment's.
DIRECT = {"httptools", "uvloop", "orjson", "numpy", "onnxruntime", "pysimdjson"}
EXTRAS = {"parquet": {"pyarrow"}, "sklearn": {"scikit-learn", "skops", "pandas"}}
# Named by onnxruntime for its tools alone: it answers without them (test_inference_image_size).
NOT_NEEDED = {"flatbuffers", "protobuf"}
MODULES = {"httptools", "uvloop", "orjson", "numpy", "onnxruntime", "simdjson"}
EXTRA_MODULES = {"pyarrow", "sklearn", "skops", "pandas"}
# mlflow is imported for engines that this image refuses with a reason; the rest stays out of it.
NOT_IN_THE_IMAGE = {"mlflow", "yaml"}
LEFT_OUT = ("bento*", "desk*", "slim.py", "aws_code.py")


def instructions(word: str) -> list[str]:
    joined = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    joined = joined.replace("\\\n", " ")
    return re.findall(rf"^{word}\s+(.+)$", joined, flags=re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


def requirements(extra: str = "") -> dict[str, str]:
    return pins(ROOT / "inference" / f"requirements{extra and '-' + extra}.txt")


def test_everything_that_is_copied_exists() -> None:
    lines = [line for line in instructions("COPY") if not line.startswith("--from")]
    sources = [source for line in lines for source in line.split()[:-1]]
    assert {"contracts", "inference"} <= set(sources)
    for source in sources:
        assert list(ROOT.glob(source)), f"COPY {source}: no such file"


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_the_pins_are_those_that_the_tests_run_with(extra: str) -> None:
    everything = pins(ROOT / "requirements.txt")
    for name, version in requirements(extra).items():
        assert everything[name] == version, f"{name} is pinned otherwise in requirements.txt"


def needed(direct: set[str]) -> set[str]:
    """``direct`` and all that they require, as their metadata says."""
    found: set[str] = set()
    waiting = set(direct)
    while waiting:
        name = waiting.pop()
        found.add(name)
        for line in requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {requirement.name.lower()} - found
    return found


def test_the_image_installs_what_serving_needs_and_nothing_else() -> None:
    assert set(requirements()) == needed(DIRECT) - NOT_NEEDED - {"packaging"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_installs_what_it_needs_beside_that(extra: str) -> None:
    assert set(requirements(extra)) == needed(EXTRAS[extra]) - set(requirements())


def test_the_server_imports_nothing_that_the_image_lacks() -> None:
    allowed = {*MODULES, *EXTRA_MODULES, "inference", "contracts", *sys.stdlib_module_names}
    # The child of a native model runs in that model's own environment.
    names = (*LEFT_OUT, "pyfunc/child.py")
    left_out = {path for name in names for path in (ROOT / "inference").glob(name)}
    for folder in ("inference", "contracts"):
        for path in set((ROOT / folder).glob("**/*.py")) - left_out:
            foreign = {name for name in imported(path) if name not in allowed}
            assert foreign <= NOT_IN_THE_IMAGE, f"{path} imports {sorted(foreign)}"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_what_is_for_a_desk_never_gets_into_the_image() -> None:
    for name in LEFT_OUT:
        assert f"inference/{name} " in DOCKERFILE, f"the Dockerfile leaves inference/{name} in"


def test_the_base_is_the_python_that_the_tests_run_with() -> None:
    base = f"BASE=python:3.{sys.version_info.minor}-slim"
    assert instructions("ARG")[0] == base
    assert instructions("FROM") == ["${BASE} AS build", "${BASE}"]


def test_sagemakers_serve_reaches_the_server_as_process_one() -> None:
    entry = [json.loads(line) for line in instructions("ENTRYPOINT")]
    assert entry == [["python3", "-m", "inference"]]
    assert [json.loads(line) for line in instructions("CMD")] == [["serve"]]
    assert any("SLIPWAY_HOST=0.0.0.0" in line for line in instructions("ENV"))
    assert instructions("EXPOSE") == ["8080"]
    assert instructions("USER") == ["10001:10001"], "the server runs as root"


def test_slimming_takes_tests_and_sources_and_leaves_licences(tmp_path: Path) -> None:
    stay = ("numpy/__init__.py", "numpy-1.dist-info/licenses/LICENSE", "tests/kept.py")
    go = ("numpy/tests/test_x.py", "uvloop/loop.pyx", "bin/f2py")
    go = (*go, "onnxruntime/capi/libonnxruntime.so.1.32.0")
    for name in (*stay, *go):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")

    freed = slim(tmp_path)

    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(stay)
    assert freed == 5 * len(go)
    assert size(tmp_path) == 5 * len(stay)

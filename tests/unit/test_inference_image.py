"""The image: what its Dockerfile copies exists, and it installs what the tests run with."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "inference" / "Dockerfile").read_text()
# What the server imports by itself; a package whose engine is pyfunc brings an image of its own.
DIRECT = {"httptools", "uvloop", "orjson", "numpy", "pandas", "scikit-learn", "skops"}
MODULES = {name.replace("scikit-learn", "sklearn") for name in DIRECT}


def instructions(word: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{word}\s+(.+)$", joined, flags=re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


def test_everything_that_is_copied_exists() -> None:
    sources = [source for line in instructions("COPY") for source in line.split()[:-1]]
    assert {"contracts", "inference"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), f"COPY {source}: no such file"


def test_the_pins_are_those_that_the_tests_run_with() -> None:
    everything = pins(ROOT / "requirements.txt")
    for name, version in pins(ROOT / "inference" / "requirements.txt").items():
        assert everything[name] == version, f"{name} is pinned otherwise in requirements.txt"


def test_the_image_installs_what_serving_needs_and_nothing_else() -> None:
    needed: set[str] = set()
    waiting = set(DIRECT)
    while waiting:
        name = waiting.pop()
        needed.add(name)
        for line in requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {requirement.name.lower()} - needed
    assert set(pins(ROOT / "inference" / "requirements.txt")) == needed


def test_the_server_imports_nothing_that_the_image_lacks() -> None:
    allowed = {*MODULES, "inference", "contracts", *sys.stdlib_module_names}
    for folder in ("inference", "contracts"):
        for path in (ROOT / folder).glob("**/*.py"):
            foreign = {name for name in imported(path) if name not in allowed}
            # Native models have an environment of their own with these; pyarrow is an extra.
            allowed_so = {"mlflow", "yaml", "pyarrow", "onnxruntime"}
            assert foreign <= allowed_so, f"{path} imports {sorted(foreign)}"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_the_base_is_the_python_that_the_tests_run_with() -> None:
    assert instructions("FROM") == [f"python:3.{sys.version_info.minor}-slim"]


def test_sagemakers_serve_reaches_the_server_as_process_one() -> None:
    entry = [json.loads(line) for line in instructions("ENTRYPOINT")]
    assert entry == [["python", "-m", "inference"]]
    assert [json.loads(line) for line in instructions("CMD")] == [["serve"]]
    assert any("SLIPWAY_HOST=0.0.0.0" in line for line in instructions("ENV"))
    assert instructions("EXPOSE") == ["8080"]
    assert instructions("USER") == ["slipway"], "the server runs as root"

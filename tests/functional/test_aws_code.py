"""The code that a package carries for AWS's containers, called as their toolkit calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.canonical import sha256_file
from contracts.package import ARCHIVE_FILE, load_package
from inference.integrity import read_index
from inference.unpacking import unpack
from model_code.package import package
from scripts.models.aws_code import code_for_aws, write_code
from tests.functional.inference_server import running
from tests.functional.model_store import register, store_uri
from tests.functional.test_model_code_any_model import iris_with_text_labels

# Finds, imports and calls the module in the order of sagemaker-inference-toolkit's Transformer.
TOOLKIT = """
import importlib, importlib.util, json, sys, types
class BaseInferenceToolkitError(Exception):
    def __init__(self, status_code, message, phrase):
        self.status_code, self.message, self.phrase = status_code, message, phrase
if "toolkit" in sys.argv:
    sys.modules["sagemaker_inference"] = types.ModuleType("sagemaker_inference")
    errors = types.ModuleType("sagemaker_inference.errors")
    errors.BaseInferenceToolkitError = BaseInferenceToolkitError
    sys.modules["sagemaker_inference.errors"] = errors
told = json.load(sys.stdin)
assert importlib.util.find_spec("inference") is not None
module = importlib.import_module("inference")
model = module.model_fn(told["model_dir"])
answers = []
for body, content_type, accept in told["requests"]:
    try:
        data = module.input_fn(body, content_type)
        result = module.output_fn(module.predict_fn(data, model), accept)
        answers.append([200, result[0].decode(), result[1]])
    except BaseInferenceToolkitError as error:
        answers.append([error.status_code, error.message, error.phrase])
    except Exception as error:
        answers.append([type(error).__name__, str(error), ""])
own = {"inference", "contracts"}
files = [m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] in own]
print(json.dumps({"answers": answers, "files": files}))
"""


@dataclass(frozen=True)
class Packaged:
    dist: Path
    unpacked: Path
    rows: Any


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    store, case = store_uri(tmp_path_factory), iris_with_text_labels()
    register(store, "iris-aws", case.model, case.rows)
    folder = tmp_path_factory.mktemp("aws-code")
    with code_for_aws(wanted=True) as beside:
        made = package(store, "iris-aws/1", folder / "dist", beside=beside)
    unpack(made.folder / ARCHIVE_FILE, folder / "unpacked")
    return Packaged(made.folder, folder / "unpacked", case.rows)


def as_the_toolkit(
    packaged: Packaged, requests: list[Any], *arguments: str, digest: str | None = ""
) -> subprocess.CompletedProcess[str]:
    """AWS's containers put ``code/`` on the path of their Python."""
    environment = {**os.environ, "PYTHONPATH": str(packaged.unpacked / "code")}
    environment.pop("SLIPWAY_MANIFEST_SHA256", None)
    if digest is not None:
        right = load_package(packaged.dist).index_sha256
        environment["SLIPWAY_MANIFEST_SHA256"] = digest or right
    return subprocess.run(
        [sys.executable, "-c", TOOLKIT, *arguments],
        cwd=packaged.unpacked.parent,
        env=environment,
        input=json.dumps({"model_dir": str(packaged.unpacked), "requests": requests}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_four_functions_answer_what_our_own_server_answers(packaged: Packaged) -> None:
    rows = packaged.rows.head(3)
    split = {k: v for k, v in rows.to_dict(orient="split").items() if k != "index"}
    document = json.dumps({"dataframe_split": split})
    requests = [
        [document, "application/json", "application/json"],
        [document, None, None],
        [document, "application/json", "*/*"],
        [rows.to_csv(index=False), "text/csv", "text/csv"],
        ["{", "application/json", "application/json"],
        [document, "image/png", "application/json"],
        [document, "application/json", "image/png"],
    ]
    ran = as_the_toolkit(packaged, requests, "toolkit")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)

    digest = load_package(packaged.dist).index_sha256
    with running(packaged.unpacked, digest) as server:
        for (body, kind, accept), answer in zip(requests, told["answers"], strict=True):
            headers = {"content_type": kind, "accept": accept}
            given = {name: value for name, value in headers.items() if value is not None}
            reply = server.request("POST", "/invocations", body.encode(), **given)
            if reply.status == 200:
                assert answer == [200, reply.body.decode(), reply.headers["content-type"]]
            else:
                assert answer == [reply.status, reply.error, reply.error]
    ours = [file for file in told["files"] if not file.startswith(str(packaged.unpacked))]
    assert ours == [], "the container has no other Slipway than the package's"


def test_without_the_toolkits_errors_the_status_stands_in_the_text(packaged: Packaged) -> None:
    ran = as_the_toolkit(packaged, [["{", "application/json", None]])
    [answer] = json.loads(ran.stdout)["answers"]
    assert answer[0] == "ValueError"
    assert answer[1].startswith("400: the body is not JSON")


def test_nothing_loads_unless_somebody_says_which_package(packaged: Packaged) -> None:
    ran = as_the_toolkit(packaged, [], digest=None)
    assert ran.returncode != 0
    assert "SLIPWAY_MANIFEST_SHA256 is not set, so nobody says which package was released" in (
        ran.stderr
    )
    ran = as_the_toolkit(packaged, [], digest="0" * 64)
    assert "this is not the package that was released" in ran.stderr


def test_the_hash_covers_the_code_and_our_server_takes_the_same_archive(
    packaged: Packaged,
) -> None:
    index, _ = read_index(packaged.unpacked, load_package(packaged.dist).index_sha256)
    names = {entry.path for entry in index.files}
    inside = {
        path.relative_to(packaged.unpacked).as_posix()
        for path in (packaged.unpacked / "code").rglob("*")
        if path.is_file()
    }
    assert {"code/inference.py", "code/requirements.txt"} <= inside <= names
    assert not any("bento" in name or "desk" in name for name in inside)


@pytest.mark.parametrize(
    ("engine", "has", "lacks"),
    [
        ("linear", {"orjson"}, {"onnxruntime", "scikit-learn", "numpy", "uvloop"}),
        ("onnx", {"orjson", "onnxruntime"}, {"scikit-learn"}),
        ("sklearn", {"orjson", "scikit-learn", "skops", "pandas"}, {"onnxruntime"}),
    ],
)
def test_the_container_installs_what_the_engine_needs(
    tmp_path: Path, engine: str, has: set[str], lacks: set[str]
) -> None:
    write_code(tmp_path / "code", engine)
    lines = (tmp_path / "code" / "requirements.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert len(pinned) == len(lines)
    assert has <= pinned
    assert not lacks & pinned


def test_the_same_version_gives_the_same_bytes_with_code_too(
    packaged: Packaged, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with code_for_aws(wanted=True) as beside:
        again = package(store_uri(tmp_path_factory), "iris-aws/1", tmp_path, beside=beside)
    assert sha256_file(again.folder / ARCHIVE_FILE) == sha256_file(packaged.dist / ARCHIVE_FILE)

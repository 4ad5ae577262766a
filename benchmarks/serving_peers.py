"""The servers that are measured: how each is started, and what it takes.

The ones of ``PEERS=all`` that are no requirement of Slipway's are installed into environments of
their own below ``.slipway/peers``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving_models import Served
from contracts.package import ARCHIVE_FILE, load_package
from contracts.variables import ALLOW_CODE, MANIFEST_SHA256
from inference.unpacking import unpack
from scripts.models import environments as model_environments

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = ROOT / ".slipway" / "peers"
OURS, NOOP, FLOOR, MLFLOW, FASTAPI = "slipway", "noop", "floor", "mlflow", "fastapi+onnxruntime"
FASTAPI_LEAN = "fastapi-lean+onnxruntime"
DEFAULT_PEERS = (FLOOR, NOOP, FASTAPI, MLFLOW)
MODEL_VARIABLE = "BENCHMARK_MODEL"


class CannotRunError(Exception):
    """A peer that this machine, or this model, leaves out; the text says why."""


@dataclass(frozen=True)
class Start:
    """The command of a server, and what it needs beside the environment."""

    command: list[str]
    variables: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Peer:
    """``start`` is given the model, a free port and a folder of the server's own."""

    name: str
    engine: str
    start: Callable[[Served, int, Path], Start]
    json_shape: str = "instances.json"
    takes_csv: bool = False
    path: str = "/invocations"
    answers: bool = True

    def shape(self, form: str) -> str:
        """The shape of a body in this format.

        Raises:
            CannotRunError: the server does not take it.
        """
        if form == "csv":
            if not self.takes_csv:
                raise CannotRunError("takes no CSV")
            return form
        return self.json_shape


def compiled_floor(folder: Path) -> Path:
    """The C floor, compiled by the system's compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotRunError("no C compiler (cc); on Debian: apt-get install gcc libc6-dev")
    program = folder / "floor"
    words = [compiler, "-O2", "-o", str(program), str(HERE / "serving_floor.c")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotRunError(f"the C compiler failed: {done.stderr.strip()[-200:]}")
    return program


def environment(name: str, *requirements: str) -> Path:
    """The interpreter of an environment with these installed; made once.

    Raises:
        CannotRunError: they cannot be installed here.
    """
    folder = ENVIRONMENTS / name
    interpreter, ready = folder / "bin" / "python", folder / "ready"
    wanted = "\n".join(requirements)
    if ready.exists() and ready.read_text() == wanted:
        return interpreter
    uv = str(Path(sys.executable).parent / "uv")
    for words in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(interpreter), *requirements],
    ):
        try:
            done = subprocess.run(words, check=False, capture_output=True, text=True)
        except OSError as error:
            raise CannotRunError(f"cannot be installed: {error}") from None
        if done.returncode:
            told = " ".join(done.stderr.split())[-200:]
            raise CannotRunError(f"cannot be installed: {told}")
    ready.write_text(wanted)
    return interpreter


def _slipway(served: Served, port: int, folder: Path) -> Start:
    model = folder / "model"
    unpack(served.dist / ARCHIVE_FILE, model)
    manifest = load_package(served.dist)
    variables = {MANIFEST_SHA256: manifest.index_sha256}
    if served.allows_code:
        variables[ALLOW_CODE] = manifest.index_sha256
    if manifest.is_native:
        variables |= model_environments.variables(served.dist, manifest, ROOT)
    words = ["-m", "inference", "serve", "--port", str(port), "--model-dir", str(model)]
    return Start([sys.executable, *words], variables)


def _noop(_served: Served, port: int, _folder: Path) -> Start:
    return Start([sys.executable, "-m", "benchmarks.serving_noop", "--port", str(port)])


def _floor(_served: Served, port: int, folder: Path) -> Start:
    return Start([str(compiled_floor(folder)), str(port)])


def _mlflow(served: Served, port: int, _folder: Path) -> Start:
    if served.source is None:
        raise CannotRunError(served.source_reason)
    words = ["models", "serve", "--env-manager", "local", "--workers", "1"]
    where = ["--model-uri", str(served.source), "--port", str(port)]
    # It looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    return Start([sys.executable, "-m", "mlflow", *words, *where], {"PATH": path})


def _fastapi(served: Served, port: int, _folder: Path) -> Start:
    words = ["-m", "benchmarks.peers.fastapi_app", str(port), _onnx(served)]
    return Start([sys.executable, *words])


def _fastapi_lean(served: Served, port: int, folder: Path) -> Start:
    start = _fastapi(served, port, folder)
    return Start([*start.command, "lean"])


def _bentoml(served: Served, port: int, folder: Path) -> Start:
    words = ["-m", "bentoml", "serve", "benchmarks.peers.bentoml_app:Service"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(ROOT)]
    quiet = {"BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    return Start([sys.executable, *words, *where], {MODEL_VARIABLE: _onnx(served), **quiet})


def _litserve(served: Served, port: int, _folder: Path) -> Start:
    python = environment("litserve", "litserve==0.2.19", "onnxruntime==1.32.0")
    return Start([str(python), "-m", "benchmarks.peers.litserve_app", str(port), _onnx(served)])


def _mlserver(served: Served, port: int, folder: Path) -> Start:
    python = environment("mlserver", "mlserver==1.7.1", "onnxruntime==1.32.0")
    if served.name == "flights":
        raise CannotRunError("V2 has a tensor of one type; this model mixes numbers and text")
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "parallel_workers": 0,
    }
    model = {
        "name": "model",
        "implementation": "benchmarks.peers.mlserver_app.Runtime",
        "parameters": {"uri": _onnx(served)},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return Start([str(python), "-m", "mlserver.cli.main", "start", str(folder)])


def _mms(served: Served, port: int, folder: Path) -> Start:
    if shutil.which("java") is None:
        raise CannotRunError("needs Java; on Debian: apt-get install default-jre-headless")
    python = environment("mms", "multi-model-server==1.1.11", "onnxruntime==1.32.0")
    model = folder / "models" / "model"
    (model / "MAR-INF").mkdir(parents=True)
    shutil.copy(HERE / "peers" / "mms_app.py", model)
    what = {"modelName": "model", "handler": "mms_app:handle", "modelVersion": "1"}
    manifest = {"specificationVersion": "1.0", "implementationVersion": "1.0"}
    manifest |= {"engine": {"engineName": "NONE"}, "model": what, "modelServerVersion": "1.0"}
    (model / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    (folder / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{port}\n"
        f"management_address=http://127.0.0.1:{port + 1}\n"
        f"default_workers_per_model=1\nmodel_store={folder / 'models'}\nload_models=ALL\n"
        "preload_model=false\n"
    )
    words = ["--start", "--foreground", "--mms-config", str(folder / "config.properties")]
    path = f"{python.parent}:{os.environ.get('PATH', '')}"
    variables = {MODEL_VARIABLE: _onnx(served), "PATH": path, "LOG_LOCATION": str(folder)}
    return Start([str(python), str(python.parent / "multi-model-server"), *words], variables)


def _triton(_served: Served, _port: int, _folder: Path) -> Start:
    raise CannotRunError("comes as a container image only, from no package registry")


def _onnx(served: Served) -> str:
    if served.onnx is None:
        raise CannotRunError(served.onnx_reason)
    return str(served.onnx)


ORT = "onnxruntime"
PEERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, "", _slipway, takes_csv=True),
        Peer(FLOOR, "none", _floor, takes_csv=True, answers=False),
        Peer(NOOP, "none", _noop, takes_csv=True, answers=False),
        Peer(FASTAPI, ORT, _fastapi),
        Peer(MLFLOW, "pyfunc", _mlflow, json_shape="split.json", takes_csv=True),
        Peer(FASTAPI_LEAN, ORT, _fastapi_lean),
        Peer("bentoml", ORT, _bentoml),
        Peer("litserve", ORT, _litserve),
        Peer("mlserver", ORT, _mlserver, json_shape="v2.json", path="/v2/models/model/infer"),
        Peer("mms", ORT, _mms),
        Peer("triton", ORT, _triton),
    )
}

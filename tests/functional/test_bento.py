"""A Bento of a package, served by ``bentoml serve``: it answers what our own server answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.canonical import sha256_file
from contracts.package import ARCHIVE_FILE, MANIFEST_FILE, PackageManifest, Runtime
from model_code.archive import write_archive
from model_code.registry import tracking_uri
from scripts.models.bento import Bento, BentoError, make_bento
from tests.functional.inference_server import START_SECONDS, running, write_package
from tests.functional.model_store import register
from tests.functional.test_inference_server import COLUMNS, fitted, flats, split
from tests.functional.test_model_code_any_model import iris_with_text_labels

# What a server says of itself and not of the request; names are in lower case.
OF_THE_SERVER = {"date", "server", "x-request-id"}
OFFLINE = "http://127.0.0.1:9"  # nothing listens there: whoever asks the network fails


@dataclass(frozen=True)
class Front:
    """A listening server, whoever serves behind it."""

    port: int

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()


@dataclass(frozen=True)
class Both:
    ours: Front
    bento: Front
    rows: Any


def write_dist(folder: Path, version: str = "1", engine: str = "sklearn") -> tuple[Path, Path]:
    """A package as ``slipway package`` leaves it, and the same unpacked."""
    unpacked, dist = folder / "unpacked", folder / "dist"
    digest = write_package(unpacked, fitted(flats()), COLUMNS, output="predict_proba")
    index = unpacked / "slipway.json"
    told = json.loads(index.read_text()) | {"version": version, "engine": engine}
    index.write_text(json.dumps(told))
    digest = sha256_file(index)
    dist.mkdir()
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    archive = dist / ARCHIVE_FILE
    entries = [(path.relative_to(unpacked).as_posix(), path.read_bytes()) for path in files]
    write_archive(archive, entries)
    manifest = PackageManifest(
        model="by-hand",
        version=version,
        registry_uri="models:/by-hand/1",
        run_id="0",
        sha256=sha256_file(archive),
        size=archive.stat().st_size,
        index_sha256=digest,
        signature={},
        metrics={},
        runtime=Runtime("3.11", "sklearn", ()),
    )
    (dist / MANIFEST_FILE).write_text(manifest.to_json())
    return dist, unpacked


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def started(made: Bento, scratch: Path) -> Generator[tuple[subprocess.Popen[bytes], Front]]:
    """``bentoml serve``, as a person types it; it ends with the block."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", made.tag, "--host", "127.0.0.1"]
    environment = {
        **os.environ,
        "BENTOML_HOME": made.home,
        "BENTOML_DO_NOT_TRACK": "True",
        "HTTP_PROXY": OFFLINE,
        "HTTPS_PROXY": OFFLINE,
        "NO_PROXY": "127.0.0.1,localhost",
        "PROMETHEUS_MULTIPROC_DIR": str(scratch / "prometheus"),
    }
    for name in ("SLIPWAY_MANIFEST_SHA256", "PYTHONPATH"):
        environment.pop(name, None)
    log = (scratch / "bentoml.log").open("wb")
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=scratch,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process, Front(port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def until_it_serves(process: subprocess.Popen[bytes], front: Front, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            if front.ask("GET", "/ping")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentos")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_dist(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def both(
    package: tuple[Path, Path], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    dist, unpacked = package
    made = make_bento(dist, home)
    scratch = tmp_path_factory.mktemp("serve")
    with (
        running(unpacked, made.manifest_sha256) as ours,
        started(made, scratch) as (process, front),
    ):
        until_it_serves(process, front, scratch / "bentoml.log")
        yield Both(Front(ours.port), front, flats())


def comparable(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    status, headers, body = answer
    return status, {k: v for k, v in headers.items() if k not in OF_THE_SERVER}, body


def requests(rows: Any) -> dict[str, tuple[str, str, bytes, dict[str, str]]]:
    few = rows.head(3)
    records = few.to_dict(orient="records")
    document = json.dumps({"dataframe_split": split(few)}).encode()
    csv = few.to_csv(index=False).encode()
    tensor = [
        {"name": n, "shape": [1], "datatype": d, "data": [records[0][n]]}
        for n, d in zip(few.columns, ("BYTES", "FP64", "INT64", "BOOL"), strict=True)
    ]
    infer = json.dumps({"id": "seven", "inputs": tensor}).encode()
    kind = {"content-type": "text/csv"}
    return {
        "json": ("POST", "/invocations", document, {}),
        "predict": ("POST", "/predict?x=1", document, {"x-request-id": "mine"}),
        "records": ("POST", "/predict", json.dumps({"instances": records}).encode(), {}),
        "csv": ("POST", "/invocations", csv, kind),
        "csv out": ("POST", "/invocations", csv, kind | {"accept": "text/csv"}),
        "v2": ("POST", "/v2/models/by-hand/infer", infer, {}),
        "v2 metadata": ("GET", "/v2/models/by-hand", b"", {}),
        "v2 ready": ("GET", "/v2/health/ready", b"", {}),
        "ping": ("GET", "/ping", b"", {}),
        "parameters": ("GET", "/execution-parameters", b"", {}),
        "openapi": ("GET", "/openapi.json", b"", {}),
        "no json": ("POST", "/invocations", b"{", {}),
        "a wrong value": ("POST", "/predict", b'{"instances": [["a", "b", 1, true]]}', {}),
        "no such type": ("POST", "/predict", document, {"content-type": "image/png"}),
        "no such accept": ("POST", "/predict", document, {"accept": "image/png"}),
        "encoded": ("POST", "/predict", document, {"content-encoding": "gzip"}),
        "a wrong method": ("DELETE", "/predict", b"", {}),
        "no such path": ("GET", "/nothing%20here", b"", {}),
        "the root": ("GET", "/", b"", {}),
        "too many fields": ("GET", "/ping", b"", {f"x-{i}": "1" for i in range(120)}),
        "a long target": ("GET", "/" + "a" * 9000, b"", {}),
    }


def test_every_answer_is_the_same_byte_for_byte(both: Both) -> None:
    for name, (method, path, body, headers) in requests(both.rows).items():
        mine = comparable(both.ours.ask(method, path, body, headers))
        assert comparable(both.bento.ask(method, path, body, headers)) == mine, name


def test_a_body_beyond_the_limit_is_refused_alike(both: Both) -> None:
    body = b"[" + b" " * (6 * 1024 * 1024)
    answers = [comparable(front.ask("POST", "/predict", body)) for front in (both.ours, both.bento)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 413
    assert b"the body has more than 6291456 bytes" in answers[0][2]


def test_a_chunked_body_is_answered_alike(both: Both) -> None:
    document = json.dumps({"dataframe_split": split(both.rows.head(2))}).encode()
    bodies: list[bytes] = []
    for front in (both.ours, both.bento):
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
        parts = iter([document[:10], document[10:]])
        connection.request("POST", "/predict", parts, encode_chunked=True)
        bodies.append(connection.getresponse().read())
        connection.close()
    assert bodies[0] == bodies[1]
    assert b"predictions" in bodies[0]


def test_metrics_are_ours_and_count(both: Both) -> None:
    document = json.dumps({"dataframe_split": split(both.rows.head(1))}).encode()
    both.bento.ask("POST", "/predict", document)
    for front in (both.ours, both.bento):
        status, headers, body = front.ask("GET", "/metrics")
        assert (status, headers["content-type"][:10]) == (200, "text/plain")
        text = body.decode()
        assert 'slipway_model_info{model="by-hand",version="1",engine="sklearn"} 1' in text
        found = re.search(r'slipway_requests_total\{route="predict",code="2xx"\} (\d+)', text)
        assert found
        assert int(found[1]) >= 1


def test_bentoml_has_its_own_probes_beside_ours(both: Both) -> None:
    for path in ("/livez", "/healthz", "/readyz"):
        assert both.bento.ask("GET", path)[0] == 200


def test_a_bento_pins_the_packages_hash_and_holds_its_content(
    package: tuple[Path, Path], home: Path
) -> None:
    dist, unpacked = package
    made = make_bento(dist, home)
    name, _, version = made.tag.partition(":")
    assert re.fullmatch(r"1-[0-9a-f]{12}", version)
    folder = home / "bentos" / name / version
    told = yaml.safe_load((folder / "bento.yaml").read_text())
    digest = sha256_file(unpacked / "slipway.json")
    assert made.manifest_sha256 == digest
    assert told["labels"] == {
        "slipway.model": "by-hand",
        "slipway.version": "1",
        "slipway.manifest_sha256": digest,
    }
    assert {"name": "SLIPWAY_MANIFEST_SHA256", "value": digest, "stage": "all"} in told["envs"]
    for path in (path for path in unpacked.rglob("*") if path.is_file()):
        inside = folder / "src" / "package" / path.relative_to(unpacked)
        assert inside.read_bytes() == path.read_bytes()
    assert not list((folder / "src").rglob("desk*")), "the desk page got into a Bento"
    before = (folder / "bento.yaml").stat().st_mtime_ns
    assert make_bento(dist, home) == made
    assert (folder / "bento.yaml").stat().st_mtime_ns == before, "it was built again"


def test_a_bento_that_was_changed_does_not_serve(
    package: tuple[Path, Path], tmp_path: Path
) -> None:
    made = make_bento(package[0], tmp_path / "home")
    name, _, version = made.tag.partition(":")
    source = tmp_path / "home" / "bentos" / name / version / "src"
    (source / "package" / "model" / "model.skops").write_bytes(b"another model")
    log = tmp_path / "bentoml.log"
    with started(made, tmp_path) as (process, front):
        deadline = time.monotonic() + START_SECONDS
        while "is not what slipway.json says" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=1)
        connection.request("GET", "/ping")
        with pytest.raises((OSError, http.client.HTTPException)):
            connection.getresponse()
        connection.close()


def test_a_model_that_needs_an_environment_of_its_own_is_refused(tmp_path: Path) -> None:
    dist, _ = write_dist(tmp_path, engine="pyfunc")
    with pytest.raises(BentoError) as refused:
        make_bento(dist, tmp_path / "home")
    assert "by-hand/1 is served by 'pyfunc' and needs an environment of its own" in str(
        refused.value
    )
    assert "slipway image build --package" in str(refused.value)


def test_a_native_model_of_scikit_learn_is_refused(tmp_path: Path) -> None:
    dist, _ = write_dist(tmp_path)
    manifest = json.loads((dist / "manifest.json").read_text())
    (dist / "manifest.json").write_text(json.dumps(manifest | {"is_native": True}))
    with pytest.raises(BentoError, match="is served by 'sklearn' and needs an environment of its"):
        make_bento(dist, tmp_path / "home")


def test_version_2_takes_over_from_version_1_as_the_guide_says(
    package: tuple[Path, Path], tmp_path: Path
) -> None:
    """docs/bentoml.md: both serve side by side, traffic moves, the first one is stopped."""
    home = tmp_path / "home"
    first = make_bento(package[0], home)
    (tmp_path / "v2").mkdir()
    second = make_bento(write_dist(tmp_path / "v2", version="2")[0], home)
    assert (home / "bentos" / "by-hand" / "latest").read_text() == second.tag.partition(":")[2]
    folders = [tmp_path / "serve-1", tmp_path / "serve-2"]
    for folder in folders:
        folder.mkdir()
    document = json.dumps({"dataframe_split": split(flats().head(1))}).encode()
    with (
        started(first, folders[0]) as (old, live),
        started(second, folders[1]) as (new, candidate),
    ):
        for process, front, folder in ((old, live, folders[0]), (new, candidate, folders[1])):
            until_it_serves(process, front, folder / "bentoml.log")
        assert candidate.ask("GET", "/readyz")[0] == 200
        answers = [front.ask("POST", "/predict", document) for front in (live, candidate)]
        assert [headers["x-model-version"] for _, headers, _ in answers] == ["1", "2"]
        old.terminate()
        assert old.wait(30) == 0
        status, headers, body = candidate.ask("POST", "/predict", document)
        assert (status, headers["x-model-version"], body) == (200, "2", answers[1][2])


def test_the_command_packages_and_builds_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\n")
    case = iris_with_text_labels()
    register(tracking_uri(tmp_path), "Iris", case.model, case.rows)
    command = [sys.executable, "-c", "from scripts.cli import main; main()", "package", "Iris/1"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    ran = run("--bento", "--aws-code", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["bento"]["manifest_sha256"] == told["index_sha256"]
    name, _, version = told["bento"]["tag"].partition(":")
    assert name == "iris"
    place = tmp_path / ".slipway" / "bentoml" / "bentos" / name / version
    assert (place / "bento.yaml").is_file()
    assert (place / "src" / "package" / "code" / "inference.py").is_file()

    ran = run("--bento-home", str(tmp_path / "elsewhere"))
    assert ran.returncode == 0, ran.stderr
    assert re.search(
        r"next: BENTOML_HOME=\S+elsewhere bentoml serve iris:1-[0-9a-f]{12}", ran.stdout
    )
    assert list((tmp_path / "elsewhere" / "bentos" / "iris").glob("1-*"))


def test_a_name_that_bentoml_does_not_take_is_told(tmp_path: Path) -> None:
    dist, _ = write_dist(tmp_path)
    told = json.loads((dist / MANIFEST_FILE).read_text()) | {"model": "wine & beer"}
    (dist / MANIFEST_FILE).write_text(json.dumps(told))
    with pytest.raises(
        BentoError, match=r"the model is named 'wine & beer'; BentoML takes up to 63"
    ):
        make_bento(dist, tmp_path / "home")


def test_a_store_that_cannot_be_written_is_told(package: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    with pytest.raises(BentoError, match=r"--bento-home is .*home, which cannot be written to"):
        make_bento(package[0], home)


def test_a_build_that_fails_is_quoted(
    package: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no disk left >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(BentoError, match="bentoml build ended with 3, it said last: no disk left"):
        make_bento(package[0], tmp_path / "home")

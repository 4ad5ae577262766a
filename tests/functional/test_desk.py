"""``slipway serve`` with its page, over real connections; and who is refused it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.inference_server import ROOT, ModelServer, listening, write_package
from tests.functional.test_bento import free_port, write_dist
from tests.functional.test_inference_server import COLUMNS, GOOD, fitted, flats


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dist(tmp_path_factory.mktemp("package"))[0]


def start(dist: Path, **variables: str) -> subprocess.Popen[bytes]:
    """As a person starts it, but for the port."""
    # What was started in the background ignores Ctrl-C from the first: a person's shell does not.
    command = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from scripts.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", command, "serve", str(dist), "--port", str(free_port())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def desk(dist: Path) -> Iterator[ModelServer]:
    process = start(dist)
    try:
        server = listening(process)
        server.wait_until_ready()
        yield server
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        assert f"a page to try it: http://127.0.0.1:{server.port}/" in told
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)


def test_one_that_is_terminated_ends_as_by_ctrl_c_and_leaves_nothing(
    dist: Path, tmp_path: Path
) -> None:
    process = start(dist, TMPDIR=str(tmp_path))
    try:
        listening(process).wait_until_ready()
        assert list(tmp_path.iterdir()) != []
        process.terminate()
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_slipway_serve_has_the_page_and_everything_else(desk: ModelServer) -> None:
    page = desk.request("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>by-hand 1</title>" in page.body
    assert page.headers["cache-control"] == "no-store"
    assert len(desk.predictions({"instances": [GOOD]})) == 1
    assert desk.request("POST", "/").status == 404


@pytest.mark.parametrize("path", ["/", "/ping", "/metrics", "/predict"])
def test_another_name_that_points_here_gets_nothing(desk: ModelServer, path: str) -> None:
    method = "POST" if path == "/predict" else "GET"
    body = json.dumps({"instances": [GOOD]}).encode() if method == "POST" else b""
    reply = desk.request(method, path, body, host=f"evil.example:{desk.port}")
    assert reply.status == 421
    assert reply.error.startswith("host is 'evil.example:")


def test_probes_and_scrapes_do_not_count_as_latency(desk: ModelServer) -> None:
    def counted() -> float:
        lines = desk.request("GET", "/metrics").body.decode().splitlines()
        found = [line for line in lines if line.startswith("slipway_request_seconds_count")]
        return float(found[0].split()[1])

    before = counted()
    for _ in range(3):
        desk.request("GET", "/ping")
    assert counted() == before
    desk.predictions({"instances": [GOOD]})
    assert counted() == before + 1


def test_the_page_is_for_this_machine_alone(tmp_path: Path) -> None:
    digest = write_package(tmp_path, fitted(flats()), COLUMNS)
    command = [sys.executable, "-m", "inference", "serve", "--host", "0.0.0.0", "--port", "0"]
    ran = subprocess.run(
        [*command, "--model-dir", str(tmp_path)],
        env={**os.environ, "SLIPWAY_DESK": "1", "SLIPWAY_MANIFEST_SHA256": digest},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "SLIPWAY_DESK is set and the server listens on 0.0.0.0; the page is for" in ran.stderr
    assert "unset SLIPWAY_DESK, or listen there" in ran.stderr


def test_an_image_has_no_page(tmp_path: Path) -> None:
    """There the module is missing: see test_inference_image."""
    digest = write_package(tmp_path / "model", fitted(flats()), COLUMNS)
    for name in ("contracts", "inference"):
        (tmp_path / "code" / name).mkdir(parents=True)
        for path in (ROOT / name).rglob("*.py"):
            if not path.name.startswith("desk"):
                place = tmp_path / "code" / path.relative_to(ROOT)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    # -S: what is installed to be edited would stand in for the file that is missing.
    command = [sys.executable, "-S", "-m", "inference", "serve", "--port", "0"]
    packages = sysconfig.get_path("purelib")
    told = {"SLIPWAY_DESK": "1", "SLIPWAY_MANIFEST_SHA256": digest, "PYTHONPATH": packages}
    ran = subprocess.run(
        [*command, "--model-dir", str(tmp_path / "model")],
        env={**os.environ, **told},
        cwd=tmp_path / "code",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "SLIPWAY_DESK is set, and an image has no page; unset it" in ran.stderr

"""The image, built for real by buildah on a Debian of its own, and its server started in it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.image.context import PLATFORM, Recipe, staged
from scripts.image.engine import ContainerEngine
from tests.functional.inference_server import START_SECONDS, write_package
from tests.functional.test_bento import free_port
from tests.functional.test_inference_server import COLUMNS, fitted, flats, split

REQUIRED = "buildah"
BASE = "localhost/slipway-test-base:bookworm"
PACKAGES = "python3-minimal,libpython3-stdlib,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """buildah with a storage of its own, in which the base stands."""
    if REQUIRED not in os.environ.get("SLIPWAY_REQUIRE", "").split(","):
        pytest.skip("it takes minutes and a Debian mirror; SLIPWAY_REQUIRE=buildah asks for it")
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    assert not missing, f"apt-get install {' '.join(missing)}"
    folder = tmp_path_factory.mktemp("buildah")
    settings = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
    settings["STORAGE_OPTS"] = ""
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
    )
    settings["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")
    os.environ.update(settings)

    def run(*arguments: str) -> str:
        ran = subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-3000:]
        return ran.stdout.strip()

    root = folder / "root"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-3000:]
    shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))  # as this machine trusts
    container = run("from", "scratch")
    run("add", "--quiet", container, str(root), "/")
    run("commit", "--quiet", container, BASE)
    run("rm", container)
    shutil.rmtree(root)
    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")
    for name in settings:
        os.environ.pop(name)


def test_the_image_builds_and_serves_without_root_on_a_read_only_root(
    buildah: Callable[..., str], tmp_path: Path
) -> None:
    engine = ContainerEngine("buildah", str(shutil.which("buildah")))
    recipe = Recipe(base=BASE, extras=("sklearn",))
    with staged(recipe) as (context, tag):
        image = engine.build(context, tag, PLATFORM, recipe.arguments, {})
    assert image.startswith("sha256:")
    inspected = json.loads(buildah("inspect", "--type", "image", tag))
    # SageMaker takes no OCI manifest.
    form = json.loads(inspected["Manifest"])["mediaType"]
    assert form == "application/vnd.docker.distribution.manifest.v2+json"
    assert inspected["OCIv1"]["architecture"] == "amd64"
    told = inspected["OCIv1"]["config"]
    assert told["User"] == "10001:10001"
    assert told["Entrypoint"] == ["python3", "-m", "inference"]
    assert told["Cmd"] == ["serve"]
    labels = told["Labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"

    container = buildah("from", tag)
    root = Path(buildah("mount", container))
    try:
        assert not list((root / "opt/slipway/inference").glob("desk*"))
        assert not list((root / "opt/slipway/inference").glob("bento*"))
        model = root / "opt/ml/model"
        model.parent.mkdir(parents=True)
        digest = write_package(model, fitted(flats()), COLUMNS, output="predict_proba")
        served(root, told, digest)
    finally:
        buildah("umount", container)
        buildah("rm", container)


def served(root: Path, told: dict[str, object], digest: str) -> None:
    """Start what the image starts, as its user, its root mounted read-only; ask it."""
    port = free_port()
    environment = [str(line) for line in told["Env"]]  # pyright: ignore
    environment += [f"SLIPWAY_MANIFEST_SHA256={digest}", f"SAGEMAKER_BIND_TO_PORT={port}"]
    environment += ["SLIPWAY_HOST=127.0.0.1", "SLIPWAY_WORKERS=2"]
    command = (
        f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && exec chroot "
        f"--userspec=10001:10001 {root} env -i {' '.join(environment)} "
        "sh -c 'cd /opt/slipway && ! touch x 2>/dev/null && exec python3 -m inference serve'"
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        ask_until_it_answers(process, port)
        rows = flats().head(2)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/predict", json.dumps({"dataframe_split": split(rows)}))
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        connection.close()
        assert reply.status == 200, answer
        assert len(answer["predictions"]) == 2
        owner = Path(f"/proc/{process.pid}/status").read_text()
        assert "\nUid:\t10001\t" in owner
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=40)
        sys.stderr.write(out.decode()[-2000:])
    assert process.returncode == 0, "SIGTERM is to end it in good order"


def ask_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, process.communicate()[0].decode()[-3000:]
        assert time.monotonic() < deadline, "the server in the image never got ready"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)

"""A native model from the registry to an answer: locked, its environment built once, served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.package import ARCHIVE_FILE, LOCK_FILE, MANIFEST_FILE, PackageManifest
from localcloud.image import local_image
from model_code import registry
from model_code.environments import environment_of
from tests.functional.conftest import Cloud, running_cloud
from tests.functional.inference_server import ModelServer
from tests.functional.sagemaker_bench import ROLE, wait_for
from tests.functional.wheels import only_wheels_of, write_wheel

SLIPWAY = str(Path(sys.executable).parent / "slipway")
SCRIPT = """
import sys
import mlflow
import slipway_test_one


class Telling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [f"{slipway_test_one.VERSION} {x * 2} {sys.prefix}" for x in model_input["x"]]


mlflow.models.set_model(Telling())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose registry has the model, and a package index with what the model needs."""
    root = tmp_path_factory.mktemp("project")
    wheels = root / "wheels"
    # In place of MLflow, a wheel that borrows it from here: what it needs would be a download.
    here = "\n".join(p for p in sys.path if p.endswith("site-packages"))
    write_wheel(wheels, "mlflow", version("mlflow"), borrowed_pth=here + "\n")
    write_wheel(wheels, "slipway-test-one", "1.5")
    (root / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    with pytest.MonkeyPatch.context() as patch:
        only_wheels_of(wheels, patch)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        _register(root)
        yield root


def _register(root: Path) -> None:
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    (root / "telling.py").write_text(SCRIPT)
    (root / "modules").mkdir()
    (root / "modules" / "slipway_test_one.py").write_text("VERSION = 'of the training'\n")
    example = pd.DataFrame({"x": [1.5]})
    sys.path.append(str(root / "modules"))
    try:
        with registry.connected(registry.tracking_uri(root)) as client:
            experiment = client.create_experiment(
                "telling", artifact_location=(root / "artifacts").as_uri()
            )
            with mlflow.start_run(experiment_id=experiment):
                mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(root / "telling.py"),
                    signature=infer_signature(example, ["text"]),
                    registered_model_name="telling",
                    pip_requirements=["slipway-test-one==1.5"],
                )
    finally:
        sys.path.remove(str(root / "modules"))
        sys.modules.pop("slipway_test_one", None)


def slipway(project: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SLIPWAY, *words],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def packaged(project: Path) -> tuple[Path, PackageManifest]:
    done = slipway(project, "package", "telling/1")
    assert done.returncode == 0, done.stderr
    folder = project / "dist" / "telling" / "1"
    manifest = PackageManifest.from_json((folder / MANIFEST_FILE).read_text())
    assert "warning" not in done.stderr
    assert (
        f"it runs what it brings: telling.py (a model from code); a stack serves it where its "
        f"`environment` has SLIPWAY_ALLOW_CODE: '{manifest.index_sha256}'"
    ) in done.stdout
    return folder, manifest


def test_a_package_is_locked_beside_an_archive_that_is_the_same_without_a_network(
    project: Path, packaged: tuple[Path, PackageManifest]
) -> None:
    folder, manifest = packaged
    lock = (folder / LOCK_FILE).read_text()
    assert "slipway-test-one==1.5" in lock
    assert f"mlflow=={version('mlflow')}" in lock
    assert manifest.is_native
    assert manifest.runs_code == ("telling.py (a model from code)",)
    done = slipway(
        project, "package", "telling/1", "--output-dir", "offline", UV_FIND_LINKS=str(project)
    )
    assert done.returncode == 0
    assert "warning: requirements.lock is missing (" in done.stderr
    assert (
        "without it no image and no environment of this model can be built: run `slipway package "
        "telling/1` again where the package index can be reached"
    ) in done.stderr
    again = project / "offline" / "telling" / "1"
    assert not (again / LOCK_FILE).exists()
    assert (again / ARCHIVE_FILE).read_bytes() == (folder / ARCHIVE_FILE).read_bytes()
    refused = slipway(project, "serve", str(again), "--allow-code", "--port", "0")
    assert refused.returncode == 1
    assert "requirements.lock is missing, which says what the model's" in refused.stderr


def test_serve_refuses_code_before_it_builds_anything(
    project: Path, packaged: tuple[Path, PackageManifest]
) -> None:
    done = slipway(project, "serve", "telling/1", "--port", "0")
    assert done.returncode == 1
    assert (
        "dist/telling/1 runs what it brings when it is loaded, telling.py (a model from code); if "
        "you trust this package, add --allow-code"
    ) in done.stderr
    assert not (project / ".slipway" / "envs").exists()


def test_serve_builds_the_environment_once_and_answers_by_it(
    project: Path, packaged: tuple[Path, PackageManifest]
) -> None:
    _, manifest = packaged
    place = environment_of(manifest.lock_sha256, project / ".slipway" / "envs")
    line = (
        "building the environment of telling/1, once, for slipway-test-one==1.5 (not installed): "
        f"{place}"
    )
    for said in (True, False):
        answer, stderr = _served(project)
        assert answer == [f"1.5 5.0 {place}"]
        assert (line in stderr) is said


def _served(project: Path) -> tuple[list[Any], str]:
    """What `slipway serve` answers once, and what it said."""
    process = subprocess.Popen(
        [SLIPWAY, "serve", "telling/1", "--allow-code", "--port", "0"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        server = ModelServer(process, event["port"])
        server.wait_until_ready()
        answer = server.predictions({"inputs": {"x": [2.5]}})
    finally:
        process.terminate()
        _, stderr = process.communicate()
    return answer, stderr.decode()


@pytest.fixture(scope="module")
def cloud_of_project(project: Path) -> Iterator[Cloud]:
    with running_cloud(project) as found:
        yield found


def test_the_local_cloud_serves_it_from_the_same_environment(
    project: Path, packaged: tuple[Path, PackageManifest], cloud_of_project: Cloud
) -> None:
    folder, manifest = packaged
    place = environment_of(manifest.lock_sha256, project / ".slipway" / "envs")
    assert place.is_dir()
    variables = {
        "SLIPWAY_MANIFEST_SHA256": manifest.index_sha256,
        "SLIPWAY_LOCK_SHA256": manifest.lock_sha256,
        "SLIPWAY_ALLOW_CODE": manifest.index_sha256,
    }
    _endpoint(cloud_of_project, "telling", folder / ARCHIVE_FILE, variables)
    answer = cloud_of_project.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="telling", Body="2.5\n", ContentType="text/csv", Accept="application/json"
    )
    assert json.loads(answer["Body"].read()) == {"predictions": [f"1.5 5.0 {place}"]}


@pytest.mark.parametrize("absent", ["SLIPWAY_MANIFEST_SHA256", "SLIPWAY_ALLOW_CODE"])
def test_without_hash_or_permission_no_instance_comes_up(
    packaged: tuple[Path, PackageManifest], cloud_of_project: Cloud, absent: str
) -> None:
    folder, manifest = packaged
    names = ("SLIPWAY_MANIFEST_SHA256", "SLIPWAY_ALLOW_CODE")
    variables = {name: manifest.index_sha256 for name in names if name != absent}
    name = absent.lower().replace("_", "-")
    _endpoint(cloud_of_project, name, folder / ARCHIVE_FILE, variables, "Failed")


def _endpoint(
    cloud: Cloud, name: str, archive: Path, variables: dict[str, str], status: str = "InService"
) -> None:
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="model.tar.gz", Body=archive.read_bytes())
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": local_image(),
            "ModelDataUrl": f"s3://{name}/model.tar.gz",
            "Environment": variables,
        },
    )
    variant = {"VariantName": "live", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def ended() -> str | None:
        found = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        return None if found == "Creating" else found

    assert wait_for(ended, f"endpoint {name}", 240.0) == status


def test_no_process_of_the_model_is_left(cloud_of_project: Cloud, project: Path) -> None:
    """Deleting the endpoint ends server and child."""
    cloud_of_project.client("sagemaker").delete_endpoint(EndpointName="telling")
    envs = str(project / ".slipway" / "envs")

    def left() -> list[int]:
        return [
            process.pid
            for process in psutil.process_iter(["pid", "cmdline"])
            if any(word.startswith(envs) for word in process.info["cmdline"] or ())
        ]

    wait_for(lambda: not left(), "the end of the model's processes", 60.0)

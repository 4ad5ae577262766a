"""``slipway image``: engines that record what they are told, and the registry of a fake AWS."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from contracts.canonical import sha256_file
from tests.functional.test_bento import write_dist

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = "sha256:" + "d" * 64
COMMAND = "from scripts.cli import main; main()"
STACK_FILE = """\
config:
  aws:region: eu-west-1
  slipway:defaults:
    instanceType: ml.m5.large  # enough
    # image: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/slipway@sha256:…
"""
# Keeps its arguments and stdin, and looks into the folder it is to build from.
ENGINE = """\
#!{python}
import json, os, sys, pathlib
name, args = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
told = {{"engine": name, "args": args, "stdin": sys.stdin.read()}}
told["attests"] = os.environ.get("BUILDX_NO_DEFAULT_ATTESTATIONS") != "1"
if args[0] == "build":
    context = pathlib.Path(args[-1])
    told["files"] = [p.relative_to(context).as_posix() for p in context.rglob("*") if p.is_file()]
    pathlib.Path(args[args.index("--iidfile") + 1]).write_text("sha256:" + "1" * 64)
    print("STEP 1: FROM base")
if "--digestfile" in args:
    pathlib.Path(args[args.index("--digestfile") + 1]).write_text("{digest}")
with open({record!r}, "a") as record:
    record.write(json.dumps(told) + "\\n")
if name == "docker" and args[0] == "push":
    print("0123: digest: {digest} size: 1234")
if args[0] == "push" and "ENGINE_PUTS" in os.environ:
    import boto3
    target = args[-1].removeprefix("docker://").partition("/")[2]
    manifest = {{"schemaVersion": 2, "mediaType": os.environ["ENGINE_PUTS"], "layers": []}}
    boto3.client("ecr", region_name="eu-west-1").put_image(
        repositoryName=target.partition(":")[0], imageTag=target.partition(":")[2],
        imageManifest=json.dumps(manifest | {{"config": {{"digest": "{digest}"}}}}),
    )
fails = os.environ.get("ENGINE_FAILS", "")
if fails == args[0]:
    print("no space left on device", file=sys.stderr)
    sys.exit(125)
"""


class Bench:
    """A project, a PATH of engines, and the registry."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.project = folder / "project"
        self.bin = folder / "bin"
        self.record = folder / "record.jsonl"
        self.project.mkdir()
        self.bin.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: slipway\n")
        self.stack_file = self.project / "Pulumi.dev.yaml"
        self.stack_file.write_text(STACK_FILE)
        self.environment = {
            **os.environ,
            "PATH": str(self.bin),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.ecr: Any = boto3.client(
            "ecr",
            region_name="eu-west-1",
            endpoint_url=endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def install(self, name: str, text: str = ENGINE) -> None:
        path = self.bin / name
        path.write_text(text.format(python=sys.executable, digest=DIGEST, record=str(self.record)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, "image", *arguments],
            cwd=self.project,
            env={**self.environment, "PYTHONPATH": str(Path.cwd()), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def told(self) -> list[dict[str, Any]]:
        """What the engines were told, their probes left out."""
        if not self.record.exists():
            return []
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [line for line in lines if line["args"][0] not in ("version", "--version")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bench(tmp_path: Path, endpoint: str) -> Bench:
    return Bench(tmp_path, endpoint)


def after(arguments: list[str], option: str) -> list[str]:
    return [arguments[i + 1] for i, text in enumerate(arguments) if text == option]


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_build_tells_the_engine_what_to_build_and_answers_as_json(
    bench: Bench, engine: str
) -> None:
    bench.install(engine)
    pip = bench.project / "pip.conf"
    pip.write_text("[global]\n")

    ran = bench.run(
        "build", "--with-parquet", "--base", "b:1", "--pip-config", "pip.conf", "--json"
    )

    assert ran.returncode == 0, ran.stderr
    built = json.loads(ran.stdout)
    assert re.fullmatch(r"slipway-inference:[0-9a-f]{12}", built["tag"])
    assert (built["engine"], built["id"]) == (engine, "sha256:" + "1" * 64)
    [told] = bench.told()
    arguments = told["args"]
    assert after(arguments, "--tag") == [built["tag"]]
    assert after(arguments, "--build-arg") == ["BASE=b:1", "EXTRAS=parquet"]
    assert after(arguments, "--secret") == [f"id=pip.conf,src={pip}"]
    assert after(arguments, "--file") == [f"{arguments[-1]}/inference/Dockerfile"]
    assert {"inference/__main__.py", "contracts/package.py"} <= set(told["files"])
    assert not any("__pycache__" in name for name in told["files"])
    assert "STEP 1: FROM base" in ran.stderr


@pytest.mark.parametrize(
    ("engine", "format"),
    [
        ("docker", ["--output", "type=docker,oci-mediatypes=false"]),
        ("podman", ["--format", "docker"]),
        ("buildah", ["--format", "docker"]),
    ],
)
def test_the_image_is_one_that_sagemaker_takes_whatever_machine_builds_it(
    bench: Bench, engine: str, format: list[str]
) -> None:
    bench.install(engine)

    assert bench.run("build").returncode == 0
    assert bench.run("build", "--platform", "linux/arm64").returncode == 0

    [told, arm] = bench.told()
    assert after(told["args"], format[0]) == [format[1]]
    assert after(told["args"], "--platform") == ["linux/amd64"]
    assert after(arm["args"], "--platform") == ["linux/arm64"]
    assert after(told["args"], "--tag") != after(arm["args"], "--tag")
    assert not told["attests"]


def test_a_pushed_image_that_sagemaker_refuses_is_told_and_not_named(bench: Bench) -> None:
    bench.install("docker")
    bench.ecr.create_repository(repositoryName="slipway-oci")
    arguments = ("push", f"{REGISTRY}/slipway-oci", "--stack", "dev")

    for ran in (bench.run(*arguments, ENGINE_PUTS=OCI), bench.run(*arguments)):
        assert ran.returncode == 1
        assert f"has a manifest of type {OCI}, and SageMaker takes {DOCKER} alone" in ran.stderr
        assert "delete it (aws ecr batch-delete-image --region eu-west-1 --repo" in ran.stderr
        assert bench.stack_file.read_text() == STACK_FILE


def test_a_pushed_image_that_sagemaker_takes_is_named(bench: Bench) -> None:
    bench.install("docker")
    bench.ecr.create_repository(repositoryName="slipway-v2s2")

    ran = bench.run("push", f"{REGISTRY}/slipway-v2s2", "--stack", "dev", ENGINE_PUTS=DOCKER)

    assert ran.returncode == 0, ran.stderr
    assert f"image: {REGISTRY}/slipway-v2s2@{DIGEST}" in bench.stack_file.read_text()


def test_a_model_that_the_stack_has_not_is_told_before_anything_is_built(bench: Bench) -> None:
    bench.install("docker")
    bench.ecr.create_repository(repositoryName="slipway-model")

    ran = bench.run("push", f"{REGISTRY}/slipway-model", "--stack", "dev", "--model", "wine")

    assert ran.returncode == 1
    assert "Pulumi.dev.yaml has no model 'wine'; it has none; name one of them" in ran.stderr
    assert bench.told() == []


def test_the_tag_names_the_content(bench: Bench) -> None:
    bench.install("buildah")

    tags = [
        json.loads(bench.run("build", "--json", *more).stdout)["tag"]
        for more in ([], [], ["--base", "other:1"], ["--with-sklearn"])
    ]

    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_push_logs_in_pushes_and_names_the_digest_in_the_stacks_file(
    bench: Bench, engine: str
) -> None:
    bench.install(engine)
    name = f"slipway-{engine}"
    bench.ecr.create_repository(repositoryName=name)

    ran = bench.run("push", f"{REGISTRY}/{name}", "--stack", "dev", "--json")

    assert ran.returncode == 0, ran.stderr
    pushed = json.loads(ran.stdout)
    image = f"{REGISTRY}/{name}@{DIGEST}"
    assert (pushed["image"], pushed["built"], pushed["changed"]) == (image, True, True)
    assert bench.stack_file.read_text() == STACK_FILE.replace(
        "    # image: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/slipway@sha256:…",
        f"    image: {image}",
    )
    build, login, *rest = bench.told()
    assert build["args"][0] == "build"
    assert login["args"] == ["login", "--username", "AWS", "--password-stdin", REGISTRY]
    assert login["stdin"] == "123456789012-auth-token", "the password must go over stdin"
    target = f"{REGISTRY}/{name}:{pushed['tag']}"
    local = f"slipway-inference:{pushed['tag']}"
    if engine == "docker":
        assert [told["args"] for told in rest] == [["tag", local, target], ["push", target]]
    else:
        [only] = rest
        assert only["args"][0] == "push"
        assert after(only["args"], "--format") == ["v2s2"]
        assert only["args"][-2:] == [local, f"docker://{target}"]


def test_what_the_registry_has_is_not_pushed_again(bench: Bench) -> None:
    bench.install("docker")
    bench.ecr.create_repository(repositoryName="slipway-there")
    tag = json.loads(bench.run("build", "--json").stdout)["tag"].partition(":")[2]
    manifest = {"schemaVersion": 2, "mediaType": DOCKER, "config": {"digest": DIGEST}, "layers": []}
    there = bench.ecr.put_image(
        repositoryName="slipway-there", imageManifest=json.dumps(manifest), imageTag=tag
    )
    digest = there["image"]["imageId"]["imageDigest"]
    bench.record.unlink()

    ran = bench.run("push", f"{REGISTRY}/slipway-there", "--stack", "dev")

    assert ran.returncode == 0, ran.stderr
    assert f"already there: {REGISTRY}/slipway-there@{digest}" in ran.stdout
    assert "written to Pulumi.dev.yaml; next: slipway up --stack dev" in ran.stdout
    assert bench.told() == []
    again = bench.run("push", "--stack", "dev")
    assert "stands in Pulumi.dev.yaml" in again.stdout, "its repository is the file's own"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build"], "an image cannot be built here: docker is not installed, podman is not "),
        (["build"], "install one of docker, podman or buildah (apt-get install buildah)"),
        (["build"], "or build in AWS with --builder codebuild"),
        (
            ["build", "--builder", "kaniko"],
            "the builder is 'kaniko'; one of docker, podman, buildah, codebuild is needed",
        ),
        (["build", "--builder", "codebuild", "--stack", "dev"], "stack dev has no CodeBuild"),
        (
            ["build", "--builder", "codebuild", "--stack", "dev", "--platform", "linux/arm64"],
            "the platform is linux/arm64, and the stack's CodeBuild project builds linux/amd64",
        ),
        (
            ["build", "--platform", "windows"],
            "the platform is 'windows'; one of linux/amd64, linux/arm64 is needed",
        ),
        (["build", "--pip-config", "no.conf"], "--pip-config is no.conf, which is no file"),
        (["build", "--package", "nowhere"], "no package at nowhere"),
        (["push", "x", "--stack", "local"], "stack is 'local', which runs its own model server"),
        (["push", "x", "--stack", "dev"], "the repository is 'x'; SageMaker takes images from"),
        (["push", "--stack", "dev"], "no repository was named, and Pulumi.dev.yaml names no image"),
        (
            ["push", f"{REGISTRY}/nobody", "--stack", "dev"],
            "make it: aws ecr create-repository --region eu-west-1 --repository-name nobody",
        ),
    ],
)
def test_what_cannot_be_done_is_told_with_its_remedy(
    bench: Bench, arguments: list[str], told: str
) -> None:
    ran = bench.run(*arguments)

    assert ran.returncode == 1, ran.stderr
    assert told in ran.stderr
    assert bench.stack_file.read_text() == STACK_FILE


def test_a_client_without_its_daemon_is_passed_over(bench: Bench) -> None:
    bench.install(
        "docker", "#!{python}\nimport sys\nprint('no daemon', file=sys.stderr)\nsys.exit(1)\n"
    )

    alone = bench.run("build")
    assert "docker does not work (no daemon), podman is not installed" in alone.stderr

    bench.install("buildah")
    assert json.loads(bench.run("build", "--json").stdout)["engine"] == "buildah"


def test_an_engine_that_fails_is_quoted(bench: Bench) -> None:
    bench.install("podman")

    ran = bench.run("build", ENGINE_FAILS="build")

    assert ran.returncode == 1
    assert "podman build ended with 125, it said last: no space left on device;" in ran.stderr


def test_a_push_without_a_digest_leaves_the_file(bench: Bench) -> None:
    bench.install("docker", ENGINE.replace("digest: {digest} size", "pushed"))
    bench.ecr.create_repository(repositoryName="slipway-mute")

    ran = bench.run("push", f"{REGISTRY}/slipway-mute", "--stack", "dev")

    assert ran.returncode == 1
    assert "docker pushed the image and told no digest" in ran.stderr
    assert bench.stack_file.read_text() == STACK_FILE


def test_a_models_own_environment_is_built_from_the_lock_beside_it(
    bench: Bench, tmp_path: Path
) -> None:
    bench.install("buildah")
    dist, _ = write_dist(tmp_path)

    ran = bench.run("build", "--package", str(dist))
    assert ran.returncode == 1
    assert (
        "is not native: by-hand/1 needs no environment of its own; leave --package out"
        in ran.stderr
    )

    (dist / "requirements.lock").write_text("six==1.17.0 --hash=sha256:0\n")
    manifest = json.loads((dist / "manifest.json").read_text())
    manifest["runtime"]["python"] = "3.12.4"
    manifest |= {"is_native": True, "lock_sha256": sha256_file(dist / "requirements.lock")}
    (dist / "manifest.json").write_text(json.dumps(manifest))
    ran = bench.run("build", "--package", str(dist))
    assert ran.returncode == 0, ran.stderr
    [told] = bench.told()
    assert "inference/native/requirements.lock" in told["files"]
    assert after(told["args"], "--build-arg")[0] == "BASE=python:3.12-slim"

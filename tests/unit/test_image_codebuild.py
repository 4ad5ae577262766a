"""`slipway image --builder codebuild`, against what CodeBuild, S3, ECR and the logs answer."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import ANY, Stubber

from contracts.errors import SlipwayError
from contracts.image_build import ImageBuild
from release.aws.cloud import AwsCloud
from scripts.image import commands as image
from scripts.image.codebuild import SILENT_LOOKS, CodeBuild, CodeBuildError
from scripts.image.context import Recipe, zipped
from scripts.image.registry import Repository
from scripts.infrastructure import commands as infrastructure
from scripts.release.stack import ReleaseStack

REGION = "eu-west-1"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
RECORD = ImageBuild("slipway-prod-image-1234567", "bucket", f"{REGISTRY}/slipway-prod")
ID = f"{RECORD.project}:6e9c2f2c-0a35-4b25-8c6f-8d4f0c5c0a11"
DIGEST = "sha256:" + "d" * 64
LINK = f"https://console.aws.amazon.com/cloudwatch/home?region={REGION}#logsV2"
LOGS = {"groupName": "/aws/codebuild/g", "streamName": "6e9c2f2c", "deepLink": LINK}
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SERVICES = ("s3", "sts", "codebuild", "logs", "ecr")
RAN = ("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD")


def phase(kind: str, status: str, reason: tuple[str, str] | None = None) -> dict[str, Any]:
    code, message = reason or ("", "")
    return {
        "phaseType": kind,
        "phaseStatus": status,
        "startTime": BEGAN,
        "endTime": BEGAN + timedelta(seconds=7),
        "durationInSeconds": 7,
        "contexts": [{"statusCode": code, "message": message}],
    }


def build(status: str, *phases: dict[str, Any]) -> dict[str, Any]:
    """As BatchGetBuilds tells it; a phase that runs has a beginning alone."""
    running = {"phaseType": "COMPLETED" if status != "IN_PROGRESS" else "BUILD", "startTime": BEGAN}
    return {
        "id": ID,
        "buildStatus": status,
        "currentPhase": running["phaseType"],
        "phases": [*phases, running],
        "logs": LOGS,
    }


def ended(status: str, last: str = "BUILD", why: tuple[str, str] | None = None) -> dict[str, Any]:
    passed = [phase(kind, "SUCCEEDED") for kind in RAN[: RAN.index(last)]]
    return build(status, *passed, phase(last, status, why))


class Aws:
    """A stack whose services answer what a test lines up, and check what they are asked."""

    def __init__(self, tmp_path: Path) -> None:
        self.stubs = {name: Stubber(client(name)) for name in SERVICES}
        for stub in self.stubs.values():
            stub.activate()
        cloud = AwsCloud(REGION, lambda service, _region: client(service))
        self.stack = ReleaseStack("prod", tmp_path, REGION, cloud)
        self.waited: list[float] = []
        self.context = tmp_path / "context"
        (self.context / "inference").mkdir(parents=True)
        (self.context / "inference" / "Dockerfile").write_text("FROM scratch\n")

    def run(self, wait: Callable[[float], None] | None = None, extras: tuple[str, ...] = ()) -> str:
        project = CodeBuild(self.stack, RECORD, wait or self.waited.append)
        target = Repository.parse(RECORD.repository)
        return project.run(self.context, "abc", Recipe("b:1", extras), target)

    def uploads(self) -> str:
        """S3 takes the context; returns where it then lies."""
        key = f"image-builds/{hashlib.sha256(zipped(self.context)).hexdigest()}.zip"
        wanted = {"Bucket": "bucket", "Key": key, "Body": ANY, "ContentType": "application/zip"}
        self.stubs["s3"].add_response("put_object", {"VersionId": "v7"}, wanted)
        return f"bucket/{key}"

    def starts(self, extras: str = "") -> None:
        values = {"IMAGE_TAG": "abc", "IMAGE_BASE": "b:1", "IMAGE_EXTRAS": extras}
        wanted = {
            "projectName": RECORD.project,
            "sourceTypeOverride": "S3",
            "sourceLocationOverride": self.uploads(),
            "sourceVersion": "v7",
            "environmentVariablesOverride": [
                {"name": name, "value": value, "type": "PLAINTEXT"}
                for name, value in values.items()
                if value
            ],
            "idempotencyToken": ANY,
        }
        begun = {"build": build("IN_PROGRESS", phase("SUBMITTED", "SUCCEEDED"))}
        self.stubs["codebuild"].add_response("start_build", begun, wanted)

    def looks(self, *builds: dict[str, Any]) -> None:
        for found in builds:
            self.stubs["codebuild"].add_response(
                "batch_get_builds", {"builds": [found]}, {"ids": [ID]}
            )

    def logs(self, *lines: str) -> None:
        wanted = {
            "logGroupName": "/aws/codebuild/g",
            "logStreamName": "6e9c2f2c",
            "limit": 15,
            "startFromHead": False,
        }
        events = [{"timestamp": 1, "message": f"{line}\n"} for line in lines]
        self.stubs["logs"].add_response("get_log_events", {"events": events}, wanted)

    def has(self, digest: str | None) -> None:
        if digest is None:
            self.stubs["ecr"].add_client_error("describe_images", "ImageNotFoundException")
            return
        details = {"imageDetails": [{"imageDigest": digest}]}
        self.stubs["ecr"].add_response("describe_images", details)

    def fails(self) -> str:
        """What a run that must fail tells."""
        with pytest.raises(CodeBuildError) as told:
            self.run()
        self.is_done()
        return str(told.value)

    def is_done(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@cache
def client(name: str) -> Any:
    return boto3.client(  # pyright: ignore[reportCallIssue]
        name,  # pyright: ignore[reportArgumentType]
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    def ecr(_repository: Repository) -> Any:
        return client("ecr")

    monkeypatch.setattr(Repository, "client", ecr)
    made = Aws(tmp_path)
    yield made
    for stub in made.stubs.values():
        stub.deactivate()


# --- the context


def test_the_same_files_give_the_same_bytes(aws: Aws, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "inference").mkdir(parents=True)
    (other / "inference" / "Dockerfile").write_text("FROM scratch\n")
    (other / "inference" / "Dockerfile").chmod(0o600)
    first = zipped(aws.context)

    assert zipped(other) == first
    (other / "inference" / "a.py").write_text("")
    assert zipped(other) != first
    with zipfile.ZipFile(io.BytesIO(zipped(other))) as archive:
        assert archive.namelist() == ["inference/Dockerfile", "inference/a.py"]
        assert archive.read("inference/Dockerfile") == b"FROM scratch\n"
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


# --- the four ends


def test_a_build_that_succeeds_gives_the_digest_of_the_repository(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.starts(extras="parquet sklearn")
    aws.looks(
        build("IN_PROGRESS", *(phase(kind, "SUCCEEDED") for kind in RAN[:4])),
        build("IN_PROGRESS", *(phase(kind, "SUCCEEDED") for kind in RAN[:6])),
        ended("SUCCEEDED"),
    )
    aws.has(DIGEST)

    assert aws.run(extras=("parquet", "sklearn")) == DIGEST

    aws.is_done()
    assert len(aws.waited) == 2
    told = capsys.readouterr().err
    assert f"build {ID}" in told
    assert told.count("provisioning     succeeded 7 s") == 1
    assert "build            succeeded 7 s" in told


def test_a_build_that_failed_tells_phase_reason_last_lines_and_where_all_of_it_is(
    aws: Aws,
) -> None:
    aws.starts()
    why = ("COMMAND_EXECUTION_ERROR", "Error while executing command: docker build. exit status 1")
    aws.looks(ended("FAILED", "BUILD", why))
    aws.logs("Step 3", "", "E: no such package", "x" * 1000)

    assert aws.fails() == (
        f"build {ID} failed (phase BUILD)\n"
        "  COMMAND_EXECUTION_ERROR: Error while executing command: docker build. exit status 1\n"
        "its last lines:\n"
        "  Step 3\n"
        "  E: no such package\n"
        f"  {'x' * 240}\n"
        f"all of its log: {LINK}"
    )


def test_a_base_that_docker_hub_does_not_give_has_its_remedy(aws: Aws) -> None:
    aws.starts()
    aws.looks(ended("FAILED"))
    aws.logs("toomanyrequests: You have reached your unauthenticated pull rate limit.")

    assert aws.fails().endswith(
        "Docker Hub limits pulls without login: try --base "
        "public.ecr.aws/docker/library/python:3.11-slim"
    )


@pytest.mark.parametrize(
    ("status", "last", "what"),
    [
        ("STOPPED", "INSTALL", "was stopped by somebody (phase INSTALL)"),
        (
            "TIMED_OUT",
            "BUILD",
            (
                "ran out of time; slipway:imageBuild.timeout in Pulumi.prod.yaml gives it more "
                "(phase BUILD)"
            ),
        ),
        ("FAULT", "PROVISIONING", "met a fault of CodeBuild's own; try again (phase PROVISIONING)"),
    ],
)
def test_other_ends_are_told_by_their_name(aws: Aws, status: str, last: str, what: str) -> None:
    aws.starts()
    aws.looks(ended(status, last))
    aws.logs("the last line")

    told = aws.fails()

    assert told.startswith(f"build {ID} {what}")
    assert "the last line" in told


def test_a_build_that_pushed_nothing_is_no_success(aws: Aws) -> None:
    aws.starts()
    aws.looks(ended("SUCCEEDED"))
    aws.has(None)

    assert aws.fails() == (
        f"build {ID} succeeded, but {RECORD.repository} has no abc; look whether a lifecycle "
        "policy took it, and build again"
    )


@pytest.mark.parametrize("logs", [{}, {"deepLink": LINK}, {"groupName": "g"}])
def test_a_build_without_a_log_is_told_as_well(aws: Aws, logs: dict[str, str]) -> None:
    aws.starts()
    aws.looks({**ended("FAILED", "PROVISIONING"), "logs": logs})

    assert aws.fails() == f"build {ID} failed (phase PROVISIONING)\nit wrote no log"


def test_a_log_that_cannot_be_read_hides_nothing(aws: Aws) -> None:
    aws.starts()
    aws.looks(ended("FAILED", "BUILD", ("CODE", "why")))
    aws.stubs["logs"].add_client_error(
        "get_log_events", "AccessDeniedException", "not you", http_status_code=400
    )

    assert aws.fails() == (
        f"build {ID} failed (phase BUILD)\n  CODE: why\n"
        f"its log could not be read (AccessDeniedException: not you): {LINK}"
    )


# --- what AWS refuses


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (
            "AccessDeniedException",
            (
                "your identity needs codebuild:StartBuild, BatchGetBuilds and StopBuild on the "
                f"project {RECORD.project}, s3:PutObject on bucket/image-builds/* and "
                "logs:GetLogEvents on the project's log group"
            ),
        ),
        (
            "ResourceNotFoundException",
            "`slipway refresh --stack prod` and `slipway up` make anew what is gone",
        ),
        (
            "AccountLimitExceededException",
            "wait until another build ends, or ask for a higher quota of builds at once",
        ),
        ("InvalidInputException", "look at your credentials and permissions"),
    ],
)
def test_a_start_that_is_refused_has_its_remedy(aws: Aws, code: str, remedy: str) -> None:
    aws.uploads()
    aws.stubs["codebuild"].add_client_error("start_build", code, "no", http_status_code=400)

    told = f"starting a build of {RECORD.project} was refused ({code}: no); {remedy}"
    assert aws.fails() == told


def test_an_upload_that_is_refused_names_its_place(aws: Aws) -> None:
    aws.stubs["s3"].add_client_error("put_object", "AccessDenied", "no", http_status_code=403)

    told = aws.fails()

    assert told.startswith("uploading to s3://bucket/image-builds/")
    assert "was refused (AccessDenied: no); your identity needs codebuild:StartBuild" in told


def test_throttling_that_lasts_is_told_and_starts_nothing_twice(aws: Aws) -> None:
    aws.uploads()
    aws.stubs["codebuild"].add_client_error(
        "start_build", "ThrottlingException", "Rate exceeded", http_status_code=400
    )

    assert aws.fails() == (
        "aws did not answer StartBuild: ThrottlingException: Rate exceeded; no build is followed; "
        "try again in a minute"
    )


def throttles(aws: Aws, times: int) -> None:
    for _ in range(times):
        aws.stubs["codebuild"].add_client_error(
            "batch_get_builds", "ThrottlingException", "Rate exceeded", http_status_code=400
        )


def test_looks_that_are_throttled_are_passed_over(aws: Aws) -> None:
    aws.starts()
    throttles(aws, SILENT_LOOKS - 1)
    aws.looks(build("IN_PROGRESS"))
    throttles(aws, SILENT_LOOKS - 1)
    aws.looks(ended("SUCCEEDED"))
    aws.has(DIGEST)

    assert aws.run() == DIGEST


def test_a_build_that_cannot_be_followed_goes_on(aws: Aws) -> None:
    aws.starts()
    throttles(aws, SILENT_LOOKS)

    assert aws.fails() == (
        f"build {ID} goes on, but it cannot be followed (aws did not answer BatchGetBuilds: "
        "ThrottlingException: Rate exceeded); run the same command later: what was pushed by then "
        "is not built again"
    )


def test_a_build_that_is_deleted_meanwhile_is_told(aws: Aws) -> None:
    aws.starts()
    aws.stubs["codebuild"].add_response("batch_get_builds", {"builds": []})

    assert aws.fails() == f"build {ID} is not there any more; start it again"


# --- Ctrl-C


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_stops_the_build(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.starts()
    aws.looks(build("IN_PROGRESS"))
    stopped = {"build": ended("STOPPED")}
    aws.stubs["codebuild"].add_response("stop_build", stopped, {"id": ID})

    with pytest.raises(KeyboardInterrupt):
        aws.run(interrupt)

    aws.is_done()
    assert f"stopping build {ID}" in capsys.readouterr().err


def test_a_build_that_cannot_be_stopped_is_told(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.starts()
    aws.looks(build("IN_PROGRESS"))
    aws.stubs["codebuild"].add_client_error(
        "stop_build", "AccessDeniedException", "no", http_status_code=400
    )

    with pytest.raises(KeyboardInterrupt):
        aws.run(interrupt)

    assert "it runs on until its timeout" in capsys.readouterr().err


# --- the stack's project


def history(aws: Aws, body: bytes | None, code: str = "NoSuchKey") -> None:
    aws.stubs["sts"].add_response("get_caller_identity", {"Account": "123456789012"})
    bucket = f"slipway-history-prod-123456789012-{REGION}"
    wanted = {"Bucket": bucket, "Key": "image-build.json"}
    if body is None:
        aws.stubs["s3"].add_client_error(
            "get_object", code, "no", http_status_code=404, expected_params=wanted
        )
    else:
        aws.stubs["s3"].add_response("get_object", {"Body": io.BytesIO(body), "ETag": "e"}, wanted)


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket"])
def test_a_stack_without_a_project_has_its_remedy(aws: Aws, code: str) -> None:
    history(aws, None, code)

    with pytest.raises(CodeBuildError) as told:
        CodeBuild.of(aws.stack)

    assert str(told.value) == (
        "stack prod has no CodeBuild project; write `slipway:imageBuild: {codebuild: true}` into "
        "Pulumi.prod.yaml and run `slipway up --stack prod`"
    )


def test_aws_that_is_not_reached_is_told(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(**_arguments: Any) -> None:
        raise ConnectTimeoutError(endpoint_url="https://s3")

    monkeypatch.setattr(client("s3"), "put_object", lost)

    assert "aws could not be reached" in aws.fails()


# --- the command


@pytest.fixture
def command(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands in a project whose stack ``prod`` is the test's; returns its file."""
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("config:\n  aws:region: eu-west-1\n  slipway:models:\n    wine: {package: d}\n")
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\n")
    monkeypatch.chdir(tmp_path)

    def opened(_stack: str | None) -> ReleaseStack:
        return aws.stack

    monkeypatch.setattr("scripts.release.stack.open_stack", opened)
    monkeypatch.setattr("scripts.image.codebuild.POLL_SECONDS", 0.0)
    return file


def ends_well(aws: Aws) -> None:
    history(aws, RECORD.to_json().encode())
    aws.has(None)
    aws.stubs["s3"].add_response("put_object", {"VersionId": "v7"})
    begun = {"build": build("IN_PROGRESS")}
    aws.stubs["codebuild"].add_response("start_build", begun)
    aws.looks(build("IN_PROGRESS"), ended("SUCCEEDED"))
    aws.has(DIGEST)


def test_build_by_codebuild_ends_as_push_does(
    aws: Aws, command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_well(aws)

    image.build(builder="codebuild", stack="prod", model="wine", as_json=True)

    aws.is_done()
    told = json.loads(capsys.readouterr().out)
    pushed = f"{RECORD.repository}@{DIGEST}"
    assert (told["image"], told["built"], told["changed"]) == (pushed, True, True)
    assert told["config"] == str(command)
    assert f"wine: {{image: {pushed}, package: d}}" in command.read_text()


def test_push_builds_nothing_that_is_there(
    aws: Aws, command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history(aws, RECORD.to_json().encode())
    aws.has(DIGEST)

    image.push(RECORD.repository, stack="prod", builder="codebuild")

    aws.is_done()
    out = capsys.readouterr().out
    assert f"already there: {RECORD.repository}@{DIGEST}" in out
    assert "written to Pulumi.prod.yaml; next: slipway up --stack prod" in out
    assert f"image: {RECORD.repository}@{DIGEST}" in command.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"builder": "codebuild"}, "stack is 'local', which runs its own model server"),
        (
            {"builder": "codebuild", "stack": "prod", "pip_config": Path("pip.conf")},
            (
                "--pip-config may hold a password, which would lie in the stack's bucket; with it "
                "build by docker, podman or buildah"
            ),
        ),
        (
            {"stack": "prod"},
            "--stack and --model are for --builder codebuild; or use `image push`",
        ),
        ({"builder": "kaniko"}, "one of docker, podman, buildah, codebuild is needed"),
    ],
)
def test_what_does_not_go_together_is_told(
    command: Path, arguments: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    before = command.read_text()

    with pytest.raises(SlipwayError) as refused:
        image.build(**arguments)

    assert told in str(refused.value)
    assert command.read_text() == before


def test_the_project_pushes_to_its_own_repository_alone(aws: Aws, command: Path) -> None:
    history(aws, RECORD.to_json().encode())

    with pytest.raises(SlipwayError) as refused:
        image.push(f"{REGISTRY}/other", stack="prod", builder="codebuild")

    assert str(refused.value) == (
        f"the repository is {REGISTRY}/other, and the stack's CodeBuild project pushes to "
        f"{RECORD.repository} alone; leave it out, or change slipway:imageBuild.repository in "
        "Pulumi.prod.yaml"
    )
    assert "image" not in command.read_text()


def test_an_up_without_any_image_says_what_comes_next(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(_stack: ReleaseStack) -> list[Any]:
        return []

    monkeypatch.setattr(ReleaseStack, "manifests", nothing)

    infrastructure.show_next(aws.stack)

    assert capsys.readouterr().out == (
        "no model has an image yet; next: slipway image build --builder codebuild --stack prod, "
        "then slipway up --stack prod\n"
    )

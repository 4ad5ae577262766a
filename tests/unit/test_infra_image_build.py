"""The CodeBuild project of a stack: what is made for it, what it may do, and what it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contracts.errors import ContractError
from contracts.image_build import ImageBuild
from infra.controller_policies import Place
from infra.image_build import BUILDSPEC, build_policy, repository_uri
from infra.settings import LAMBDA_DRIVER, ImageBuildConfig, StackConfig
from infra.surroundings import ImageMissingError, Standing, Surroundings, look
from release.aws.cloud import AwsCloud, RefusedError
from tests.unit.infra_recording import ACCOUNT, REGION, Declared, declare, policy_statements
from tests.unit.infra_samples import model_config

TAGS = {"slipway:stack": "prod"}
CONFIG = ImageBuildConfig("slipway-prod", 45)
BUCKET = "slipway-prod-artifacts-bucket-1234567"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/slipway-prod"
COMPONENT = "slipway:image:ImageBuilder slipway-prod"


@cache
def declared(preview: bool = False, repository: Standing = Standing.NOT) -> Declared:
    around = Surroundings(ACCOUNT, REGION, repository=repository)
    return declare(StackConfig("prod", (model_config(),), image_build=CONFIG), around, preview)


both_modes = pytest.mark.parametrize("preview", [False, True], ids=["up", "preview"])


@both_modes
def test_a_stack_that_builds_images_has_these_children(preview: bool) -> None:
    assert declared(preview).tree()[COMPONENT] == {
        "iam:Role slipway-prod-image-role": {},
        "iam:RolePolicy slipway-prod-image-policy": {},
        "cloudwatch:LogGroup slipway-prod-image-logs": {},
        "ecr:Repository slipway-prod-images": {},
        "codebuild:Project slipway-prod-image": {},
        "s3:BucketObjectv2 slipway-prod-image-build": {},
    }


def test_a_stack_has_none_of_it_unless_it_asks() -> None:
    around = Surroundings(ACCOUNT, REGION)

    assert COMPONENT not in declare(StackConfig("prod", (model_config(),)), around).tree()


def test_the_project_runs_docker_on_a_context_out_of_the_stacks_bucket() -> None:
    project = declared().one("codebuild:Project")
    inputs = dict(project.inputs)

    assert json.loads(inputs["source"].pop("buildspec")) == BUILDSPEC
    logs = inputs.pop("logsConfig")
    assert logs["cloudwatchLogs"]["groupName"].startswith("slipway-prod-image-logs")
    assert inputs == {
        "description": "Builds the model server's image for the stack prod.",
        "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/slipway-prod-image-role-1234567",
        "source": {"type": "S3", "location": f"{BUCKET}/image-builds/none.zip"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
            "environmentVariables": [{"name": "REPOSITORY", "value": REPOSITORY}],
        },
        "buildTimeout": 45,
        "tags": TAGS,
    }
    policy = declared().one("iam:RolePolicy", "slipway-prod-image-policy")
    assert policy.urn in project.dependencies, "a build needs its permissions"


def test_its_repository_keeps_every_tag_and_outlives_the_stack() -> None:
    found = declared().one("ecr:Repository")

    assert found.inputs == {
        "name": "slipway-prod",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "tags": TAGS,
    }
    assert found.retain_on_delete
    assert found.import_id == ""
    assert declared(repository=Standing.OURS).one("ecr:Repository").import_id == "slipway-prod"


def test_a_repository_of_somebody_else_is_only_used() -> None:
    found = declared(repository=Standing.FOREIGN)

    assert found.of("ecr:Repository") == []
    project = found.one("codebuild:Project")
    variables = project.inputs["environment"]["environmentVariables"]
    assert variables == [{"name": "REPOSITORY", "value": REPOSITORY}]


def test_the_command_finds_the_project_in_the_history() -> None:
    record = declared().one("s3:BucketObjectv2", "slipway-prod-image-build")

    assert record.inputs["bucket"] == f"slipway-history-prod-{ACCOUNT}-{REGION}"
    assert record.inputs["key"] == "image-build.json"
    assert ImageBuild.from_json(record.inputs["content"]) == ImageBuild(
        "slipway-prod-image-1234567", BUCKET, REPOSITORY
    )


@pytest.mark.parametrize("text", ["nothing", "[]", '{"project": "p", "bucket": "b"}'])
def test_a_record_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ContractError, match=r"project, bucket, repository are needed; `slipway up"):
        ImageBuild.from_json(text)


def test_its_role_pushes_to_one_repository_and_reads_contexts_alone() -> None:
    role = declared().one("iam:Role", "slipway-prod-image-role")
    [trusted] = policy_statements(role.inputs["assumeRolePolicy"])
    assert trusted["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}

    policy = declared().one("iam:RolePolicy", "slipway-prod-image-policy").inputs["policy"]
    allowed = {s["Sid"]: (s["Action"], s["Resource"]) for s in policy_statements(policy)}
    actions = [action for listed, _ in allowed.values() for action in listed]
    assert not any("*" in action for action in actions)
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/slipway-prod"
    assert allowed["PushImage"][1] == [repository]
    assert "ecr:PutImage" in allowed["PushImage"][0]
    assert allowed["ReadContexts"][1] == [f"arn:aws:s3:::{BUCKET}/image-builds/*"]
    assert allowed["WriteLogs"][1][0].endswith(":*")
    everywhere = [listed for listed, resources in allowed.values() if resources == ["*"]]
    assert everywhere == [["ecr:GetAuthorizationToken"]]


@pytest.mark.parametrize(
    ("partition", "registry"),
    [("aws", "amazonaws.com"), ("aws-cn", "amazonaws.com.cn"), ("aws-us-gov", "amazonaws.com")],
)
def test_it_knows_the_partition(partition: str, registry: str) -> None:
    place = Place(partition, "r-1", ACCOUNT)

    assert repository_uri(place, "n") == f"{ACCOUNT}.dkr.ecr.r-1.{registry}/n"
    statements = policy_statements(build_policy("n", place, f"arn:{partition}:s3:::b", "arn:l"))
    assert f"arn:{partition}:ecr:r-1:{ACCOUNT}:repository/n" in statements[3]["Resource"]


# --- what the build runs

# One line a call, in one write: in a pipe both run at once.
FAKE = """#!/bin/sh
line="$(printf '%s|' "${0##*/}" "$@")"
echo "$line" >> "$TOLD"
case "$line" in docker\\|login*) cat >> "$TOLD";; aws*) echo secret;; esac
"""


@pytest.mark.parametrize("extras", ["", "parquet sklearn"])
def test_the_buildspec_says_to_docker_what_an_engine_here_is_told(
    tmp_path: Path, extras: str
) -> None:
    for name in ("aws", "docker"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    shell, told = shutil.which("sh"), tmp_path / "told"
    assert shell is not None
    variables = {"REPOSITORY": REPOSITORY, "IMAGE_TAG": "abc", "IMAGE_BASE": "b:1 $(reboot)"}
    if extras:
        variables["IMAGE_EXTRAS"] = extras
    phases: Any = BUILDSPEC["phases"]
    for command in (*phases["pre_build"]["commands"], *phases["build"]["commands"]):
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run(
            [shell, "-c", command], env={**variables, "PATH": path, "TOLD": str(told)}, check=True
        )

    lines = told.read_text().splitlines()
    registry, image = REPOSITORY.partition("/")[0], f"{REPOSITORY}:abc"
    assert sorted(lines[:3]) == sorted(
        [
            "aws|ecr|get-login-password|",
            f"docker|login|--username|AWS|--password-stdin|{registry}|",
            "secret",
        ]
    )
    arguments = f"--build-arg|BASE=b:1 $(reboot)|--build-arg|EXTRAS={extras}"
    assert lines[3:] == [
        f"docker|build|--file|inference/Dockerfile|--tag|{image}|{arguments}|.|",
        f"docker|push|{image}|",
    ]
    assert BUILDSPEC["env"]["variables"]["DOCKER_BUILDKIT"] == "1", "the Dockerfile mounts a secret"


# --- whose the repository is


class Registry:
    """ECR with one repository, or the error with this code; S3 with what is ``staged``."""

    def __init__(self, tags: dict[str, str], code: str = "") -> None:
        self._tags, self._code = tags, code
        self.staged: list[str] | None = None

    def describe_repositories(self, repositoryNames: list[str]) -> dict[str, Any]:
        if self._code:
            answer: Any = {
                "Error": {"Code": self._code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(answer, "DescribeRepositories")
        return {"repositories": [{"repositoryArn": f"arn:{repositoryNames[0]}"}]}

    def list_tags_for_resource(self, resourceArn: str) -> dict[str, Any]:
        assert resourceArn == "arn:slipway-prod"
        return {"tags": [{"Key": key, "Value": value} for key, value in self._tags.items()]}

    def head_bucket(self, **_bucket: str) -> None:
        if self.staged is not None:
            return
        answer: Any = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(answer, "HeadBucket")

    def get_paginator(self, _operation: str) -> Registry:
        return self

    def paginate(self, **_place: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": f"manifests/{name}.json"} for name in self.staged or []]}]


def standing(registry: Registry) -> Standing:
    cloud = AwsCloud(REGION, lambda _service, _region: registry)
    return look(StackConfig("prod", image_build=CONFIG), cloud, ACCOUNT, recreate=False).repository


def test_whose_a_repository_is_stands_in_its_tags() -> None:
    assert standing(Registry(TAGS)) is Standing.OURS
    assert standing(Registry({"slipway:stack": "dev"})) is Standing.FOREIGN
    assert standing(Registry({}, "RepositoryNotFoundException")) is Standing.NOT
    with pytest.raises(RefusedError, match="AccessDeniedException"):
        standing(Registry({}, "AccessDeniedException"))


# --- a stack whose first image is to be built


FIRST = StackConfig("prod", driver=LAMBDA_DRIVER, image_build=CONFIG, waits_for_image=True)


@both_modes
def test_before_the_first_image_all_but_the_models_is_made(preview: bool) -> None:
    tree = declare(FIRST, Surroundings(ACCOUNT, REGION), preview).tree()

    assert COMPONENT in tree
    assert "slipway:controller:ReleaseController slipway-prod" in tree
    assert not any("Model" in name or "Endpoint" in name for name in tree)


@pytest.mark.parametrize("staged", [None, []])
def test_a_stack_without_models_may_wait(staged: list[str] | None) -> None:
    registry = Registry(TAGS)
    registry.staged = staged

    look(FIRST, AwsCloud(REGION, lambda _service, _region: registry), ACCOUNT, recreate=False)


def test_a_stack_whose_models_lost_their_image_keeps_them() -> None:
    registry = Registry(TAGS)
    registry.staged = ["beer-prod", "wine-prod"]
    cloud = AwsCloud(REGION, lambda _service, _region: registry)

    with pytest.raises(ImageMissingError) as told:
        look(FIRST, cloud, ACCOUNT, recreate=False)

    assert str(told.value) == (
        "no model of Pulumi.prod.yaml has an image, and beer-prod, wine-prod would be deleted; "
        "write the image back, or end the stack with `slipway destroy`"
    )

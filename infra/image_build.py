"""Images built in AWS: a CodeBuild project, what it may do, and the repository it pushes to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from contracts.history import image_build_key
from contracts.image_build import CONTEXT_PREFIX, ImageBuild, context_key
from infra.controller_policies import Place, allow, trust
from infra.naming import partition_of
from infra.settings import ImageBuildConfig

LOG_DAYS = 90
BUILD_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
COMPUTE_TYPE = "BUILD_GENERAL1_SMALL"
# What each build names by its overrides; nothing lies there.
NO_CONTEXT = context_key("none")
LOGIN = (
    'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"'
)
BUILD = (
    'docker build --file inference/Dockerfile --tag "$REPOSITORY:$IMAGE_TAG"'
    ' --build-arg "BASE=$IMAGE_BASE" --build-arg "EXTRAS=$IMAGE_EXTRAS" .'
)
PUSH = 'docker push "$REPOSITORY:$IMAGE_TAG"'
# The Dockerfile mounts a secret. SageMaker takes an image, not an index with attestations.
DOCKER = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
BUILDSPEC: dict[str, Any] = {
    "version": 0.2,
    "env": {"variables": DOCKER},
    "phases": {"pre_build": {"commands": [LOGIN]}, "build": {"commands": [BUILD, PUSH]}},
}


@dataclass(frozen=True)
class ImageBuilderArgs:
    """``is_foreign``: the repository is somebody else's, and only used.

    ``adopted``: it is the stack's own and stands already; Pulumi takes it over if it does not know
    it.
    """

    stack: str
    account_id: str
    region: str
    config: ImageBuildConfig
    is_foreign: bool
    adopted: bool
    artifact_bucket: pulumi.Output[str]
    artifact_bucket_arn: pulumi.Output[str]
    history_bucket: pulumi.Output[str]
    tags: dict[str, str]


class ImageBuilder(pulumi.ComponentResource):
    """Its record in the history bucket is written last: what it names stands.

    The repository stays when the stack goes, or no longer wants it: its images may be serving.
    """

    def __init__(
        self, name: str, args: ImageBuilderArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:image:ImageBuilder", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-image-role",
            assume_role_policy=trust("codebuild.amazonaws.com", args.account_id),
            tags=args.tags,
            opts=self._child,
        )
        place = role.arn.apply(lambda arn: Place(partition_of(arn), args.region, args.account_id))
        repository = place.apply(lambda known: repository_uri(known, args.config.repository))
        after: list[pulumi.Resource] = [] if args.is_foreign else [self._repository()]
        logs = aws.cloudwatch.LogGroup(
            f"{name}-image-logs",
            name_prefix=f"/aws/codebuild/{name}-image-",
            retention_in_days=LOG_DAYS,
            tags=args.tags,
            opts=self._child,
        )
        policy = pulumi.Output.all(place, args.artifact_bucket_arn, logs.arn).apply(
            lambda known: build_policy(args.config.repository, *known)
        )
        after.append(
            aws.iam.RolePolicy(
                f"{name}-image-policy", role=role.name, policy=policy, opts=self._child
            )
        )
        project = self._project(role, logs, repository, after)
        content = pulumi.Output.all(project.name, args.artifact_bucket, repository).apply(
            lambda known: ImageBuild(*known).to_json()
        )
        record = aws.s3.BucketObjectv2(
            f"{name}-image-build",
            bucket=args.history_bucket,
            key=image_build_key(),
            content=content,
            content_type="application/json",
            tags=args.tags,
            opts=self._child,
        )
        self.register_outputs({"key": record.key})

    def _repository(self) -> aws.ecr.Repository:
        name = self._args.config.repository
        return aws.ecr.Repository(
            f"{self._name}-images",
            name=name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "AES256"}],
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                retain_on_delete=True,
                import_=name if self._args.adopted else None,
            ),
        )

    def _project(
        self,
        role: aws.iam.Role,
        logs: aws.cloudwatch.LogGroup,
        repository: pulumi.Output[str],
        after: list[pulumi.Resource],
    ) -> aws.codebuild.Project:
        args = self._args
        return aws.codebuild.Project(
            f"{self._name}-image",
            description=f"Builds the model server's image for the stack {args.stack}.",
            service_role=role.arn,
            source={
                "type": "S3",
                "location": pulumi.Output.concat(args.artifact_bucket, "/", NO_CONTEXT),
                "buildspec": json.dumps(BUILDSPEC, indent=2),
            },
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": BUILD_IMAGE,
                "compute_type": COMPUTE_TYPE,
                # docker's daemon runs within the build.
                "privileged_mode": True,
                "environment_variables": [{"name": "REPOSITORY", "value": repository}],
            },
            logs_config={"cloudwatch_logs": {"group_name": logs.name}},
            build_timeout=args.config.timeout_minutes,
            tags=args.tags,
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=after)
            ),
        )


def repository_uri(place: Place, name: str) -> str:
    suffix = ".cn" if place.partition == "aws-cn" else ""
    return f"{place.account_id}.dkr.ecr.{place.region}.amazonaws.com{suffix}/{name}"


def build_policy(repository: str, place: Place, bucket_arn: str, log_group_arn: str) -> str:
    """Read a context, push to one repository, write the log (CodeBuild guide, "service role")."""
    statements = [
        allow(
            "ReadContexts",
            ["s3:GetObject", "s3:GetObjectVersion"],
            [f"{bucket_arn}/{CONTEXT_PREFIX}/*"],
        ),
        allow("KnowTheBucket", ["s3:GetBucketAcl", "s3:GetBucketLocation"], [bucket_arn]),
        # This action knows no resources.
        allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            "PushImage",
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [place.arn("ecr", f"repository/{repository}")],
        ),
        allow(
            "WriteLogs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"{log_group_arn}:*"],
        ),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

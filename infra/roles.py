"""The role that SageMaker runs a model's containers with: only what serving needs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.naming import capture_prefix, partition_of

PRIVATE_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<name>[^@:]+)"
)


@dataclass(frozen=True)
class ExecutionRoleArgs:
    """``adopted``: the role stands already; Pulumi takes it over if it does not know it."""

    role_name: str
    endpoint_name: str
    account_id: str
    region: str
    image: str
    artifact_bucket_arn: pulumi.Output[str]
    captures: bool
    adopted: bool
    tags: dict[str, str]


class ExecutionRole(pulumi.ComponentResource):
    """``arn`` is known only once the policy stands: SageMaker checks both (fact 10.3)."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ExecutionRoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:roles:ExecutionRole", name, {}, opts)
        role = aws.iam.Role(
            f"{name}-execution",
            name=args.role_name,
            assume_role_policy=json.dumps(TRUST),
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self, import_=args.role_name if args.adopted else None
            ),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-serving",
            role=role.name,
            policy=args.artifact_bucket_arn.apply(lambda arn: serving_policy(args, arn)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = pulumi.Output.all(role.arn, policy.id).apply(lambda both: both[0])
        self.register_outputs({"arn": self.arn})


TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }
    ],
}


def serving_policy(args: ExecutionRoleArgs, bucket_arn: str) -> str:
    """All artifacts, not one: without an older version's the fleet can neither grow nor go back."""
    partition = partition_of(bucket_arn)
    place = f"{args.region}:{args.account_id}"
    log_group = f"arn:{partition}:logs:{place}:log-group:/aws/sagemaker/Endpoints"
    log_group = f"{log_group}/{args.endpoint_name}"
    statements: list[dict[str, Any]] = [
        _allow("ReadArtifacts", ["s3:GetObject"], [f"{bucket_arn}/artifacts/*"]),
        _allow(
            "WriteLogs",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [log_group, f"{log_group}:*"],
        ),
        {
            **_allow("WriteMetrics", ["cloudwatch:PutMetricData"], ["*"]),
            "Condition": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        },
        # SageMaker reads the alarms that guard a deployment as this role (fact 3.3).
        _allow(
            "WatchDeployments",
            ["cloudwatch:DescribeAlarms"],
            [f"arn:{partition}:cloudwatch:{place}:alarm:*"],
        ),
    ]
    image = PRIVATE_IMAGE.match(args.image)
    if image is not None:
        repository = f"arn:{partition}:ecr:{image['region']}:{image['account']}"
        actions = [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        ]
        statements += [
            _allow("PullImage", actions, [f"{repository}:repository/{image['name']}"]),
            # This action knows no resources.
            _allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        ]
    if args.captures:
        captured = f"{bucket_arn}/{capture_prefix(args.endpoint_name)}/*"
        statements.append(_allow("WriteCaptures", ["s3:PutObject"], [captured]))
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}

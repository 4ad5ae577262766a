"""What drives releases from within AWS: a Lambda in a Step Functions loop, one for the stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from contracts.functions import LAMBDA_RUNTIME
from infra import controller_policies as policies
from infra.controller_code import HANDLER, code_files
from infra.controller_policies import Place
from infra.naming import partition_of
from infra.settings import ModelConfig
from infra.state_machine import FUNCTION_TIMEOUT_SECONDS, definition
from release.handler import HISTORY_BUCKET_VARIABLE

LOG_DAYS = 90
MEMORY_MB = 512


@dataclass(frozen=True)
class ReleaseControllerArgs:
    stack: str
    account_id: str
    region: str
    models: tuple[ModelConfig, ...]
    history_bucket: pulumi.Output[str]
    artifact_bucket_arn: pulumi.Output[str]
    topic_arn: pulumi.Output[str]
    tags: dict[str, str]


class ReleaseController(pulumi.ComponentResource):
    """``state_machine_arn`` is known only once everything that the loop needs stands.

    All names are Pulumi's: what an interrupted ``up`` leaves behind is in the way of nothing.
    """

    state_machine_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ReleaseControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:controller:ReleaseController", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        function, ready = self._function()
        self.state_machine_arn = self._loop(function, ready)
        self.register_outputs({"state_machine_arn": self.state_machine_arn})

    def _function(self) -> tuple[aws.lambda_.Function, aws.iam.RolePolicy]:
        name, args = self._name, self._args
        role = self._role("turn", "lambda.amazonaws.com")
        function = aws.lambda_.Function(
            f"{name}-turn",
            description=f"Drives the releases of the stack {args.stack}, a slice at a time.",
            role=role.arn,
            runtime=LAMBDA_RUNTIME,
            architectures=["arm64"],
            handler=HANDLER,
            code=pulumi.AssetArchive(
                {path: pulumi.FileAsset(str(file)) for path, file in code_files().items()}
            ),
            timeout=FUNCTION_TIMEOUT_SECONDS,
            memory_size=MEMORY_MB,
            environment={"variables": {HISTORY_BUCKET_VARIABLE: args.history_bucket}},
            tags=args.tags,
            opts=self._child,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-turn-logs",
            name=pulumi.Output.concat("/aws/lambda/", function.name),
            retention_in_days=LOG_DAYS,
            tags=args.tags,
            opts=self._child,
        )
        policy = pulumi.Output.all(
            role.arn, args.history_bucket, args.artifact_bucket_arn, args.topic_arn, logs.arn
        ).apply(lambda known: self._function_policy(*known))
        ready = aws.iam.RolePolicy(
            f"{name}-turn-policy", role=role.name, policy=policy, opts=self._child
        )
        return function, ready

    def _function_policy(
        self, role_arn: str, history: str, artifact_arn: str, topic_arn: str, log_arn: str
    ) -> str:
        args = self._args
        partition = partition_of(role_arn)
        place = Place(partition, args.region, args.account_id)
        return policies.function_policy(
            args.models,
            place,
            args.stack,
            f"arn:{partition}:s3:::{history}",
            artifact_arn,
            topic_arn,
            log_arn,
        )

    def _loop(
        self, function: aws.lambda_.Function, ready: aws.iam.RolePolicy
    ) -> pulumi.Output[str]:
        name, args = self._name, self._args
        role = self._role("loop", "states.amazonaws.com")
        known = pulumi.Output.all(function.arn, args.topic_arn)
        policy = aws.iam.RolePolicy(
            f"{name}-loop-policy",
            role=role.name,
            policy=known.apply(lambda both: policies.loop_policy(*both)),
            opts=self._child,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-loop-logs",
            # Log groups of other names make a resource policy grow with every machine.
            name_prefix=f"/aws/vendedlogs/states/{name}-loop-",
            retention_in_days=LOG_DAYS,
            tags=args.tags,
            opts=self._child,
        )
        machine = aws.sfn.StateMachine(
            f"{name}-loop",
            role_arn=role.arn,
            definition=known.apply(lambda both: definition(*both)),
            logging_configuration={
                "level": "ERROR",
                "include_execution_data": False,
                "log_destination": pulumi.Output.concat(logs.arn, ":*"),
            },
            tags=args.tags,
            # The role is tried out when the machine is made.
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=[policy, ready])
            ),
        )
        succession = aws.iam.RolePolicy(
            f"{name}-loop-succession",
            role=role.name,
            policy=machine.arn.apply(policies.succession_policy),
            opts=self._child,
        )
        return pulumi.Output.all(machine.arn, succession.id).apply(lambda both: both[0])

    def _role(self, part: str, service: str) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-{part}-role",
            assume_role_policy=policies.trust(service, self._args.account_id),
            tags=self._args.tags,
            opts=self._child,
        )

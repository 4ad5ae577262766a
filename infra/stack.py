"""The architecture on one page: what exists for a stack and for each of its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pulumi

from contracts.history import history_bucket_name
from infra.alarms import StandingAlarms, StandingAlarmsArgs
from infra.controller import ReleaseController, ReleaseControllerArgs
from infra.endpoint import ServingEndpoint, ServingEndpointArgs
from infra.events import ReleaseEvents, ReleaseEventsArgs
from infra.history import History, HistoryArgs
from infra.image_build import ImageBuilder, ImageBuilderArgs
from infra.manifest import ReleaseManifestArgs, StagedManifest
from infra.model import TargetModel, TargetModelArgs
from infra.naming import model_tags, role_name, stack_tags, target_hash, version_tags
from infra.roles import ExecutionRole, ExecutionRoleArgs
from infra.scaling import Autoscaling, AutoscalingArgs
from infra.settings import LAMBDA_DRIVER, ImageBuildConfig, ModelConfig, StackConfig
from infra.storage import ArtifactStorage, ArtifactStorageArgs
from infra.surroundings import Standing, Surroundings


def build(config: StackConfig, around: Surroundings) -> dict[str, Any]:
    """Declare everything; returns what the stack exports."""
    tags = stack_tags(config.stack)
    prefix = f"slipway-{config.stack}"
    bucket = history_bucket_name(config.stack, around.account_id, around.region)
    storage = ArtifactStorage(prefix, ArtifactStorageArgs(tags))
    history = History(prefix, HistoryArgs(bucket, tags, around.history_stands))
    shared = _Shared(storage, history, ReleaseEvents(prefix, ReleaseEventsArgs(tags)))
    if config.driver == LAMBDA_DRIVER:
        shared = replace(shared, controller=_controller(config, around, shared))
    if config.image_build is not None:
        _image_builder(config.stack, config.image_build, around, shared)
    endpoints = {
        model.name: _ModelStack(config.stack, model, around, shared).build()
        for model in config.models
    }
    return {
        "artifactBucket": storage.bucket_name,
        "historyBucket": history.bucket_name,
        "models": endpoints,
    }


@dataclass(frozen=True)
class _Shared:
    """What a stack has once; ``controller`` None where the terminal drives its releases."""

    storage: ArtifactStorage
    history: History
    events: ReleaseEvents
    controller: ReleaseController | None = None


def _controller(config: StackConfig, around: Surroundings, shared: _Shared) -> ReleaseController:
    args = ReleaseControllerArgs(
        stack=config.stack,
        account_id=around.account_id,
        region=around.region,
        models=config.models,
        history_bucket=shared.history.bucket_name,
        artifact_bucket_arn=shared.storage.bucket_arn,
        topic_arn=shared.events.topic_arn,
        tags=stack_tags(config.stack),
    )
    return ReleaseController(f"slipway-{config.stack}", args)


def _image_builder(
    stack: str, config: ImageBuildConfig, around: Surroundings, shared: _Shared
) -> ImageBuilder:
    args = ImageBuilderArgs(
        stack=stack,
        account_id=around.account_id,
        region=around.region,
        config=config,
        is_foreign=around.repository is Standing.FOREIGN,
        adopted=around.repository is Standing.OURS,
        artifact_bucket=shared.storage.bucket_name,
        artifact_bucket_arn=shared.storage.bucket_arn,
        history_bucket=shared.history.bucket_name,
        tags=stack_tags(stack),
    )
    return ImageBuilder(f"slipway-{stack}", args)


class _ModelStack:
    """One model: role → target → endpoint → scaling and alarms → manifest."""

    def __init__(
        self,
        stack: str,
        model: ModelConfig,
        around: Surroundings,
        shared: _Shared,
    ) -> None:
        self.stack, self.model, self.around = stack, model, around
        self.shared, self.storage = shared, shared.storage
        self.name = model.name
        self.role_name = role_name(model.endpoint_name, around.region)
        self.content_hash = target_hash(model, self.role_name)
        self.tags = model_tags(stack, model)

    def build(self) -> dict[str, str]:
        role = self._role()
        target = TargetModel(
            self.name,
            TargetModelArgs(
                self.model,
                self.content_hash,
                self.storage.bucket_name,
                role.arn,
                version_tags(self.stack, self.model, self.content_hash),
            ),
        )
        endpoint = self._endpoint(target, role)
        scaling = self._scaling(endpoint)
        alarms = StandingAlarms(
            self.name,
            StandingAlarmsArgs(self.model.endpoint_name, self.model.alarms, self.tags),
        )
        shared: list[pulumi.Resource] = [
            self.storage,
            self.shared.history,
            self.shared.events,
        ]
        if self.shared.controller is not None:
            shared.append(self.shared.controller)
        after = [*shared, role, target, endpoint, alarms, *scaling]
        self._manifest(role, target, alarms, after)
        return {
            "endpoint": self.model.endpoint_name,
            "stagedVersion": self.model.package.manifest.version,
            "stagedHash": self.content_hash,
        }

    def _role(self) -> ExecutionRole:
        args = ExecutionRoleArgs(
            role_name=self.role_name,
            endpoint_name=self.model.endpoint_name,
            account_id=self.around.account_id,
            region=self.around.region,
            image=self.model.image,
            artifact_bucket_arn=self.storage.bucket_arn,
            captures=self.model.capture_percent is not None,
            adopted=self.role_name in self.around.roles,
            tags=self.tags,
        )
        return ExecutionRole(self.name, args)

    def _endpoint(self, target: TargetModel, role: ExecutionRole) -> ServingEndpoint:
        name = self.model.endpoint_name
        last_good = self.around.last_good_config(name) if self.around.recreate else None

        def guard(inputs: Mapping[str, Any]) -> None:
            self.around.check_creation(name, inputs)

        args = ServingEndpointArgs(
            endpoint_name=name,
            endpoint_config_name=last_good or target.endpoint_config_name,
            guard=guard,
            adopted=name in self.around.endpoints,
            tags=self.tags,
        )
        return ServingEndpoint(
            self.name,
            args,
            pulumi.ResourceOptions(depends_on=[role, target]),
        )

    def _scaling(self, endpoint: ServingEndpoint) -> list[pulumi.Resource]:
        if not self.model.scaling.is_enabled:
            return []
        args = AutoscalingArgs(self.model.endpoint_name, self.model.scaling, self.tags)
        return [Autoscaling(self.name, args, pulumi.ResourceOptions(depends_on=[endpoint]))]

    def _manifest(
        self,
        role: ExecutionRole,
        target: TargetModel,
        alarms: StandingAlarms,
        after: list[pulumi.Resource],
    ) -> None:
        controller = self.shared.controller
        args = ReleaseManifestArgs(
            stack=self.stack,
            account_id=self.around.account_id,
            region=self.around.region,
            model=self.model,
            content_hash=self.content_hash,
            serving=self.around.serving.get(self.model.endpoint_name),
            execution_role_arn=role.arn,
            endpoint_config_name=target.endpoint_config_name,
            model_name=target.model_name,
            artifact_uri=target.artifact_uri,
            artifact_bucket=self.storage.bucket_name,
            history_bucket=self.shared.history.bucket_name,
            standing_alarms=alarms.names,
            topic_arn=self.shared.events.topic_arn,
            state_machine_arn=controller.state_machine_arn if controller is not None else None,
            tags=self.tags,
            after=after,
        )
        StagedManifest(self.name, args)

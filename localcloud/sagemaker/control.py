"""SageMaker's control plane, and the one object that holds all of SageMaker together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from localcloud.clock import Clock
from localcloud.sagemaker import describe, quota, rules
from localcloud.sagemaker.artifacts import Artifacts
from localcloud.sagemaker.capacity import Capacity
from localcloud.sagemaker.capture import CaptureWriter
from localcloud.sagemaker.catalog import Catalog, in_region
from localcloud.sagemaker.deployer import Deployer
from localcloud.sagemaker.deployments import check_alarms, check_deployment, check_rollout
from localcloud.sagemaker.fleet import Launcher, LaunchSettings
from localcloud.sagemaker.metrics import MetricSink
from localcloud.sagemaker.neighbours import Neighbours
from localcloud.sagemaker.news import News
from localcloud.sagemaker.policies import NONE, Policy, Rolling, guardrails_of
from localcloud.sagemaker.records import (
    CREATING,
    DELETING,
    FAILED,
    SHADOW,
    SYSTEM_UPDATING,
    UPDATING,
    Endpoint,
    Pending,
    fresh_variants,
    stamp,
    updated_variants,
    variant_params,
)
from localcloud.sagemaker.rollout import Tools
from localcloud.sagemaker.routing import Router
from localcloud.sagemaker.runtime import TIMEOUT_SECONDS, Runtime
from localcloud.sagemaker.scaling import NoScaling, Scaling
from localcloud.sagemaker.standing import Standing
from localcloud.sagemaker.state import State, key_of
from localcloud.sagemaker.supervisor import Supervisor
from localcloud.service import RequestContext, S3Access, ServiceError

Params = dict[str, Any]
Handler = Callable[[Params, RequestContext], Params]

CLOSE_SECONDS = 3.0


@dataclass(frozen=True)
class ServerOptions:
    """What an instance runs, and how long it may take, in wall seconds.

    ``command`` takes ``--host``, ``--port`` and ``--model-dir``; None is our own model server.
    """

    command: tuple[str, ...] | None = None
    min_startup_seconds: float = 120.0
    timeout_seconds: float = TIMEOUT_SECONDS


class SageMaker:
    """:class:`localcloud.service.OwnService`; ``runtime`` is the data plane beside it.

    Args:
        home: where logs and unpacked models go.
        on_change: called when an endpoint has changed in the background.
        scaling: Application Auto Scaling; nothing is scaled where it is None.
        neighbours: alarms, events, quotas, and faults on order.
    """

    name = "sagemaker"

    def __init__(
        self,
        clock: Clock,
        metrics: MetricSink,
        home: Path,
        s3: S3Access,
        on_change: Callable[[], None],
        scaling: Scaling | None = None,
        options: ServerOptions | None = None,
        neighbours: Neighbours | None = None,
    ) -> None:
        neighbours = Neighbours() if neighbours is None else neighbours
        options = ServerOptions() if options is None else options
        self._scaling: Scaling = NoScaling() if scaling is None else scaling
        self._neighbours = neighbours
        self._state = State()
        self._catalog = Catalog(self._state)
        self._artifacts = Artifacts(home / "models", s3)
        self._capture = CaptureWriter(clock, s3)
        router = Router()
        self.runtime = Runtime(router, clock, metrics, self._capture, options.timeout_seconds)
        settings = LaunchSettings(options.command, home / "logs", options.min_startup_seconds)
        self._launcher = launcher = Launcher(settings, self._artifacts, clock, neighbours.faults)
        self._standing = Standing()
        self._news = News(neighbours.events, neighbours.faults, on_change)
        self._deployer = Deployer(
            Tools(
                self._state,
                self._standing,
                Capacity(launcher, router, clock),
                router,
                clock,
                neighbours,
                self._news,
            )
        )
        self._supervisor = Supervisor(self._deployer.fleets, launcher, router, clock, metrics, home)
        self._supervisor.start()
        self._handlers = self._operations()

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        handler = self._handlers.get(operation)
        if handler is None:
            raise ServiceError(
                "UnknownOperationException",
                f"The local cloud does not offer SageMaker's {operation} yet.",
            )
        if operation == "UpdateEndpoint":
            handler = partial(self._update_endpoint, scaled=self._scaled(params, context))
        with self._state.lock:
            answer = handler(copy.deepcopy(params), context)
        if operation == "DeleteEndpoint":
            self._scaling.deregister_endpoint(context.region, params["EndpointName"])
        return answer

    def _scaled(self, params: Params, context: RequestContext) -> Collection[str]:
        return self._scaling.scaled_variants(context.region, params["EndpointName"])

    def overview(self) -> list[Params]:
        """The endpoints of all regions: status, and how many instances each variant has."""
        with self._state.lock:
            for endpoint in self._state.endpoints.values():
                self._standing.refresh_counts(endpoint)
            return [describe.overview(endpoint) for endpoint in self._state.endpoints.values()]

    def snapshot(self) -> bytes:
        return self._state.dump()

    def restore(self, data: bytes) -> None:
        """Take the state over and start the fleets that served, and what was under way."""
        self._state.load(data)
        with self._state.lock:
            for endpoint in self._state.endpoints.values():
                if endpoint.status == FAILED:
                    continue
                if endpoint.status not in (CREATING, DELETING):
                    endpoint.status = SYSTEM_UPDATING
                self._deployer.begin(endpoint)

    def reset(self) -> None:
        self._deployer.halt(CLOSE_SECONDS)
        with self._state.lock:
            self._state.clear()
        self._capture.discard()
        self._artifacts.clear()

    def close(self) -> None:
        """Within five seconds no model server is left; what was captured is in S3."""
        self._supervisor.stop()
        self._deployer.halt(CLOSE_SECONDS)
        self._supervisor.close()
        self._launcher.close()
        self._capture.close()

    def _operations(self) -> dict[str, Handler]:
        catalog = self._catalog
        return {
            "CreateModel": catalog.create_model,
            "DescribeModel": catalog.describe_model,
            "DeleteModel": catalog.delete_model,
            "ListModels": catalog.list_models,
            "CreateEndpointConfig": catalog.create_config,
            "DescribeEndpointConfig": catalog.describe_config,
            "DeleteEndpointConfig": catalog.delete_config,
            "ListEndpointConfigs": catalog.list_configs,
            "CreateEndpoint": self._create_endpoint,
            "DescribeEndpoint": self._describe_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self._update_weights,
            "DeleteEndpoint": self._delete_endpoint,
            "ListEndpoints": self._list_endpoints,
            "AddTags": catalog.add_tags,
            "DeleteTags": catalog.delete_tags,
            "ListTags": catalog.list_tags,
        }

    def _create_endpoint(self, params: Params, context: RequestContext) -> Params:
        name, deployment = params["EndpointName"], params.get("DeploymentConfig")
        check_deployment(deployment)
        tags = rules.tags_of(params)
        arn = rules.arn("endpoint", context.region, context.account_id, name)
        key = key_of(context.region, name)
        if key in self._state.endpoints:
            raise rules.already_exists("endpoint", arn)
        config = self._catalog.config(params["EndpointConfigName"], context)
        now = stamp(context.now)
        endpoint = Endpoint(
            name=name,
            arn=arn,
            region=context.region,
            created=now,
            modified=now,
            config_name=config.name,
            config=config.params,
            status=CREATING,
            variants={},
            tags=tags,
            last_deployment=deployment,
        )
        self._state.endpoints[key] = endpoint
        pending = Pending(
            config.name,
            config.params,
            now,
            fresh_variants(config.params),
            shadows=fresh_variants(config.params, SHADOW),
        )
        try:
            self._deploy(endpoint, pending, context)
        except ServiceError:
            del self._state.endpoints[key]
            raise
        return {"EndpointArn": arn}

    def _describe_endpoint(self, params: Params, context: RequestContext) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        self._standing.refresh_counts(endpoint)
        return describe.endpoint(endpoint)

    def _update_endpoint(
        self, params: Params, context: RequestContext, scaled: Collection[str] = ()
    ) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        deployment = _deployment(params, endpoint)
        excluded = rules.excluded_properties(params)
        rules.check_updatable(endpoint, repairs=True)
        config = self._catalog.config(params["EndpointConfigName"], context)
        rules.check_scaled_variants(
            endpoint.config["ProductionVariants"],
            config.params["ProductionVariants"],
            scaled,
        )
        retain = bool(params.get("RetainAllVariantProperties", False))
        pending = Pending(
            config.name,
            config.params,
            stamp(context.now),
            updated_variants(endpoint.variants, config.params, retain, excluded),
            deployment,
            updated_variants(endpoint.shadows, config.params, retain, excluded, SHADOW),
        )
        rails = guardrails_of(deployment, config.params)
        check_rollout(endpoint, config.params, pending.variants, rails)
        if rails.alarms:
            check_alarms(rails.alarms, self._neighbours.alarms(context.region, rails.alarms))
        self._deploy(endpoint, pending, context, rails.policy)
        return {"EndpointArn": endpoint.arn}

    def _deploy(
        self,
        endpoint: Endpoint,
        pending: Pending,
        context: RequestContext,
        policy: Policy = NONE.policy,
    ) -> None:
        """Raises ``ServiceError`` where old and new instances together pass the account's quota."""
        coming = [*pending.variants.values(), *pending.shadows.values()]
        counts = {variant.name: variant.desired_count for variant in coming}
        if isinstance(policy, Rolling):
            counts = {name: policy.batch.of_fleet(count) for name, count in counts.items()}
        self._check_quota(pending.config, counts, context)
        for variant in coming:
            model_name = variant_params(pending.config, variant.name)["ModelName"]
            model = self._state.models.get(key_of(context.region, model_name))
            if model is not None:
                image = model.params["PrimaryContainer"]["Image"]
                variant.image, variant.resolved = image, pending.started
        if endpoint.status != CREATING:
            endpoint.status = UPDATING
        endpoint.pending = pending
        endpoint.modified = pending.started
        self._deployer.begin(endpoint)
        self._news.state(endpoint)

    def _check_quota(self, config: Params, added: dict[str, int], context: RequestContext) -> None:
        delta = quota.by_type(config, added)
        in_use = quota.in_use(in_region(self._state.endpoints, context))
        for instance_type, more in delta.items():
            limit = self._neighbours.faults.quota(instance_type)
            if limit is None and self._neighbours.quota is not None:
                limit = self._neighbours.quota(context.region, instance_type)
            quota.check(instance_type, limit, in_use.get(instance_type, 0), more)

    def _update_weights(self, params: Params, context: RequestContext) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        rules.check_updatable(endpoint)
        updates: list[Params] = params["DesiredWeightsAndCapacities"]
        rules.check_weights(updates, endpoint.variants, endpoint.config_name)
        self._check_quota(endpoint.config, quota.growth(updates, endpoint), context)
        for update in updates:
            variant = endpoint.variants[update["VariantName"]]
            variant.desired_weight = float(update.get("DesiredWeight", variant.desired_weight))
            variant.desired_count = int(update.get("DesiredInstanceCount", variant.desired_count))
        endpoint.status = UPDATING
        endpoint.modified = stamp(context.now)
        self._deployer.begin(endpoint)
        self._news.state(endpoint)
        return {"EndpointArn": endpoint.arn}

    def _delete_endpoint(self, params: Params, context: RequestContext) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        rules.check_not_in_progress(endpoint)
        endpoint.status = DELETING
        endpoint.modified = stamp(context.now)
        self._deployer.begin(endpoint)
        self._news.state(endpoint)
        return {}

    def _list_endpoints(self, params: Params, context: RequestContext) -> Params:
        found = in_region(self._state.endpoints, context)
        entries = [describe.endpoint_entry(endpoint) for endpoint in found]
        return describe.page(entries, params, "Endpoints", "EndpointName")


def _deployment(params: Params, endpoint: Endpoint) -> Params | None:
    """The DeploymentConfig of an update: its own, or the last one where it is to be retained."""
    deployment: Params | None = params.get("DeploymentConfig")
    check_deployment(deployment)
    if not params.get("RetainDeploymentConfig", False):
        return deployment
    if deployment is not None:
        raise rules.refuse("Specify either DeploymentConfig or RetainDeploymentConfig, not both.")
    return endpoint.last_deployment

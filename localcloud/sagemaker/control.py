"""SageMaker's control plane, and the one object that holds all of SageMaker together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from localcloud.clock import Clock
from localcloud.sagemaker import describe
from localcloud.sagemaker.artifacts import Artifacts
from localcloud.sagemaker.capacity import Capacity
from localcloud.sagemaker.capture import CaptureWriter
from localcloud.sagemaker.catalog import Catalog
from localcloud.sagemaker.deployer import Deployer
from localcloud.sagemaker.endpoints import Endpoints
from localcloud.sagemaker.fleet import Launcher, LaunchSettings
from localcloud.sagemaker.metrics import MetricSink
from localcloud.sagemaker.neighbours import Neighbours
from localcloud.sagemaker.news import News
from localcloud.sagemaker.records import (
    CREATING,
    DELETING,
    FAILED,
    SYSTEM_UPDATING,
)
from localcloud.sagemaker.rollout import Tools
from localcloud.sagemaker.routing import Router
from localcloud.sagemaker.runtime import TIMEOUT_SECONDS, Runtime
from localcloud.sagemaker.scaling import NoScaling, Scaling
from localcloud.sagemaker.standing import Standing
from localcloud.sagemaker.state import State
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
        self._state = State()
        self._catalog = Catalog(self._state)
        self._artifacts = Artifacts(home / "models", s3)
        self._capture = CaptureWriter(clock, s3)
        router = Router()
        self.runtime = Runtime(router, clock, metrics, self._capture, options.timeout_seconds)
        settings = LaunchSettings(
            options.command, home / "logs", options.min_startup_seconds, home.parent / "envs"
        )
        self._launcher = launcher = Launcher(settings, self._artifacts, clock, neighbours.faults)
        self._standing = Standing()
        tools = Tools(
            self._state,
            self._standing,
            Capacity(launcher, router, clock),
            router,
            clock,
            neighbours,
            News(neighbours.events, neighbours.faults, on_change),
        )
        self._deployer = Deployer(tools)
        self._endpoints = Endpoints(tools, self._catalog, self._deployer)
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
            handler = partial(self._endpoints.update, scaled=self._scaled(params, context))
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
        catalog, endpoints = self._catalog, self._endpoints
        return {
            "CreateModel": catalog.create_model,
            "DescribeModel": catalog.describe_model,
            "DeleteModel": catalog.delete_model,
            "ListModels": catalog.list_models,
            "CreateEndpointConfig": catalog.create_config,
            "DescribeEndpointConfig": catalog.describe_config,
            "DeleteEndpointConfig": catalog.delete_config,
            "ListEndpointConfigs": catalog.list_configs,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.update_weights,
            "DeleteEndpoint": endpoints.delete,
            "ListEndpoints": endpoints.list,
            "AddTags": catalog.add_tags,
            "DeleteTags": catalog.delete_tags,
            "ListTags": catalog.list_tags,
        }

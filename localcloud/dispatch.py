"""Which service a request is for: one of our own, or moto."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from localcloud import faults_api
from localcloud.clock import Clock
from localcloud.connect import FAULTS_PATH
from localcloud.faults import Faults
from localcloud.moto_app import MotoApp
from localcloud.moto_state import MotoState
from localcloud.own_state import OwnState
from localcloud.protocol.adapter import Adapter, adapter_of, is_read_only
from localcloud.service import ACCOUNT_ID, OwnService, RequestContext, ServiceError
from localcloud.wire import WireAnswer, WireRequest

log = logging.getLogger(__name__)


@runtime_checkable
class ShowsEndpoints(Protocol):
    """What SageMaker tells `slipway cloud status`."""

    def overview(self) -> list[dict[str, Any]]: ...


class CloudDispatcher:
    """Answers everything but invocations; called from many worker threads."""

    def __init__(
        self,
        services: Mapping[str, OwnService],
        own_state: OwnState,
        moto: MotoApp,
        moto_state: MotoState,
        clock: Clock,
        faults: Faults | None = None,
    ) -> None:
        self._faults = Faults() if faults is None else faults
        self._services = services
        self._adapters = [adapter_of(name) for name in services]
        self._own_state = own_state
        self._moto = moto
        self._moto_state = moto_state
        self._clock = clock

    def dispatch(self, request: WireRequest, request_id: str) -> WireAnswer:
        if request.raw_path == FAULTS_PATH:
            return faults_api.answer(self._faults, request)
        for adapter in self._adapters:
            if adapter.claims(request):
                return self._own(adapter, request, request_id)
        return self._moto.call(request)

    def status(self) -> dict[str, Any]:
        return {
            "now": self._clock.now().isoformat(),
            "endpoints": self._endpoints(),
            "restored": {**self._moto_state.restored, **self._own_state.restored},
        }

    def _endpoints(self) -> list[dict[str, Any]]:
        service = self._services.get("sagemaker")
        return service.overview() if isinstance(service, ShowsEndpoints) else []

    def reset(self) -> None:
        """Empty everything, and forget what stands on disk."""
        for service in self._services.values():
            service.reset()
        self._moto.reset()
        self._own_state.clear()
        self._faults.clear()

    def _own(self, adapter: Adapter, request: WireRequest, request_id: str) -> WireAnswer:
        service = self._services[adapter.service]
        protocol: Any = adapter.protocol(request)
        try:
            operation, params = adapter.parse(protocol, request)
            self._faults.raise_api_error(adapter.service, operation.name)
            context = RequestContext(ACCOUNT_ID, request.region, request_id, self._clock.now())
            answer = service.handle(operation.name, params, context)
            if not is_read_only(operation.name):
                self._keep(adapter.service, operation.name)
            return adapter.render(protocol, operation, answer, request_id)
        except ServiceError as error:
            return adapter.render_error(protocol, error, request_id)
        except Exception as error:
            log.exception("%s failed at %s", adapter.service, request.target)
            failure = ServiceError(
                "InternalFailure",
                f"the local cloud failed ({type(error).__name__}: {error}); "
                "see `slipway cloud logs`",
                500,
            )
            return adapter.render_error(protocol, failure, request_id)

    def _keep(self, service: str, operation: str) -> None:
        # Data points come many times a second; AWS too answers before they are queryable.
        if operation == "PutMetricData":
            self._own_state.changed(service)
        elif operation == "Invoke":
            return  # running a function changes nothing of Lambda itself
        else:
            self._own_state.keep(service)

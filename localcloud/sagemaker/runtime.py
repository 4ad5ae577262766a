"""InvokeEndpoint: on the event loop, from the front straight to an instance."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.clock import Clock
from localcloud.sagemaker import runtime_errors as answers
from localcloud.sagemaker.capture import Captured, CaptureWriter, is_sampled
from localcloud.sagemaker.connection import (
    BrokenResponseError,
    Connection,
    ContainerResponse,
    connect,
)
from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.metrics import Concurrency, Invocation, MetricSink, record_invocation
from localcloud.sagemaker.routing import EndpointRoute, Router, VariantRoute
from localcloud.sagemaker.runtime_errors import InvokeResult, Place
from localcloud.sagemaker.runtime_request import (
    CUSTOM_ATTRIBUTES,
    InvalidHeaderError,
    InvokeRequest,
    parse,
)
from localcloud.sagemaker.shadow import ShadowCopies

TIMEOUT_SECONDS = 60.0  # the model's time; wall seconds (fact sheet 1.2)
CONNECT_TIMEOUT_SECONDS = 2.0
INVOKED_VARIANT = "x-Amzn-Invoked-Production-Variant"


@dataclass
class _Exchange:
    """What came of one request to a variant; ``response`` None when there was no answer."""

    instance: Instance | None
    response: ContainerResponse | None = None
    status: int = 0
    original: bytes | None = None
    model_seconds: float = 0.0


class Runtime:
    """The data plane of every endpoint."""

    def __init__(
        self,
        router: Router,
        clock: Clock,
        metrics: MetricSink,
        capture: CaptureWriter,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._router = router
        self._clock = clock
        self._metrics = metrics
        self._concurrency = Concurrency(metrics)
        self._capture = capture
        self._timeout_seconds = timeout_seconds
        self._shadows = ShadowCopies(router)

    async def invoke(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> InvokeResult:
        """Never raises for what a client or a container does wrong."""
        began = time.perf_counter()
        if len(body) > answers.MAX_BODY_BYTES:
            return answers.body_too_large()
        try:
            request = parse(headers)
        except InvalidHeaderError as error:
            return answers.validation_error(str(error))
        taken = self._router.take(request.region, endpoint, request.target_variant)
        if taken is None:
            return answers.endpoint_not_found(endpoint)
        route, variant, instance = taken
        if variant is None:
            return answers.validation_error(_no_variant(endpoint, request.target_variant))
        if instance is not None:
            name, count = variant.name, instance.in_flight
            self._concurrency.add(route.region, route.endpoint, name, count, self._clock.now())
        message, event_id = _message(request, body), self._event_id(route)

        async def shadow(copy: VariantRoute) -> None:
            started, reserved = time.perf_counter(), self._router.take_other(copy, ())
            answered = await self._send(copy, reserved, message)
            self._record(route, copy, answered, self._answer(route, copy, answered), started)
            self._sample(route, copy, request, body, answered, event_id)

        self._shadows.offer(route, shadow)
        exchange = await self._send(variant, instance, message)
        result = self._answer(route, variant, exchange)
        self._record(route, variant, exchange, result, began)
        self._sample(route, variant, request, body, exchange, event_id)
        return result

    async def _send(
        self, variant: VariantRoute, instance: Instance | None, data: bytes
    ) -> _Exchange:
        """To ``instance``, or to another one as long as none took the connection."""
        tried: list[Instance] = []
        while instance is not None:
            tried.append(instance)
            try:
                connection = await self._connection(instance)
                if connection is not None:
                    return await self._exchange(instance, connection, data)
            finally:
                self._router.release(instance)
            instance = self._router.take_other(variant, tried)
        return _Exchange(None)

    async def _connection(self, instance: Instance) -> Connection | None:
        while instance.idle:
            connection = instance.idle.pop()
            if connection.is_open:
                return connection
        try:
            return await connect(instance.port, CONNECT_TIMEOUT_SECONDS)
        except OSError:
            return None

    async def _exchange(self, instance: Instance, connection: Connection, data: bytes) -> _Exchange:
        exchange = _Exchange(instance)
        began = time.perf_counter()
        try:
            exchange.response = await connection.request(data, self._timeout_seconds)
        except TimeoutError:
            exchange.original = answers.TIMED_OUT.encode()
        except BrokenResponseError as error:
            exchange.status = error.status
        else:
            exchange.status = exchange.response.status
            exchange.original = bytes(exchange.response.body)
            if connection.is_open:
                instance.idle.append(connection)
        exchange.model_seconds = time.perf_counter() - began
        return exchange

    def _answer(
        self, route: EndpointRoute, variant: VariantRoute, exchange: _Exchange
    ) -> InvokeResult:
        if exchange.instance is None:
            return answers.service_unavailable()
        response = exchange.response
        if response is None or not 200 <= response.status < 300:
            place = Place(route.region, route.endpoint, variant.name, exchange.instance.id)
            return answers.model_error(place, exchange.status, exchange.original)
        headers = {INVOKED_VARIANT: variant.name}
        if "content-type" in response.headers:
            headers["Content-Type"] = response.headers["content-type"]
        if CUSTOM_ATTRIBUTES in response.headers:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = response.headers[CUSTOM_ATTRIBUTES]
        return InvokeResult(200, headers, bytes(response.body))

    def _record(
        self,
        route: EndpointRoute,
        variant: VariantRoute,
        exchange: _Exchange,
        result: InvokeResult,
        began: float,
    ) -> None:
        total = time.perf_counter() - began
        invocation = Invocation(
            region=route.region,
            endpoint=route.endpoint,
            variant=variant.name,
            config_name=route.config_name,
            model_status=exchange.status,
            is_model_error=result.status != 200,
            model_latency_us=exchange.model_seconds * 1e6,
            overhead_latency_us=(total - exchange.model_seconds) * 1e6,
            instances=len(variant.fleet.instances),
        )
        record_invocation(self._metrics, invocation, self._clock.now())

    def _event_id(self, route: EndpointRoute) -> str | None:
        """The id of this request's records; None when it is not in the sample.

        It is drawn once, for the answer and for the shadow's.
        """
        settings = route.capture
        if settings is None or not is_sampled(settings, self._router.rng):
            return None
        return str(uuid.uuid4())

    def _sample(
        self,
        route: EndpointRoute,
        variant: VariantRoute,
        request: InvokeRequest,
        body: bytes,
        exchange: _Exchange,
        event_id: str | None,
    ) -> None:
        settings, response = route.capture, exchange.response
        if settings is None or event_id is None:
            return
        if response is None or not 200 <= response.status < 300:
            return
        captured = Captured(
            at=self._clock.now(),
            inference_id=request.inference_id,
            input_type=request.content_type,
            input_body=body,
            output_type=response.headers.get("content-type", ""),
            output_body=bytes(response.body),
            event_id=event_id,
        )
        self._capture.add(settings, route.endpoint, variant.name, captured)


def _message(request: InvokeRequest, body: bytes) -> bytes:
    return b"".join(
        (
            b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n",
            request.forwarded,
            b"Content-Length: %d\r\n\r\n" % len(body),
            body,
        )
    )


def _no_variant(endpoint: str, target: str | None) -> str:
    if target is None:
        return (
            f"Endpoint {endpoint} has no production variant with a weight above 0; name one with "
            "TargetVariant."
        )
    return f"Variant {target} of endpoint {endpoint} not found."

"""What SageMaker tells CloudWatch: about every invocation, and every minute about instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

NAMESPACE = "AWS/SageMaker"
INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"
CONCURRENCY_SECONDS = 10


class MetricSink(Protocol):
    """CloudWatch's store (``localcloud.cloudwatch.store.MetricStore``)."""

    def record(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        unit: str,
        at: datetime,
        region: str,
        fine: bool = False,
    ) -> None: ...


@dataclass(frozen=True)
class Invocation:
    """One routed request. ``model_status`` is the container's status; 0 when there was none."""

    region: str
    endpoint: str
    variant: str
    config_name: str
    model_status: int
    is_model_error: bool
    model_latency_us: float
    overhead_latency_us: float
    instances: int


def record_invocation(sink: MetricSink, invocation: Invocation, at: datetime) -> None:
    """Errors are 0/1, zeros included; latencies µs. Twice: once more by EndpointConfigName."""
    status = invocation.model_status
    samples = (
        ("Invocations", 1.0, "None"),
        ("Invocation4XXErrors", float(400 <= status < 500), "None"),
        ("Invocation5XXErrors", float(500 <= status < 600), "None"),
        ("InvocationModelErrors", float(invocation.is_model_error), "None"),
        ("ModelLatency", invocation.model_latency_us, "Microseconds"),
        ("OverheadLatency", invocation.overhead_latency_us, "Microseconds"),
        ("InvocationsPerInstance", 1.0 / max(1, invocation.instances), "None"),
    )
    variant = {"EndpointName": invocation.endpoint, "VariantName": invocation.variant}
    for dimensions in (variant, {**variant, "EndpointConfigName": invocation.config_name}):
        for metric, value, unit in samples:
            sink.record(NAMESPACE, metric, dimensions, value, unit, at, invocation.region)


class Concurrency:
    """``ConcurrentRequestsPerModel``: requests at once at one instance, high resolution.

    Its statistics are minimum and maximum of ten seconds (fact sheet 5), so a value is told when it
    is the window's first, its highest or its lowest. Used by the event loop alone.
    """

    def __init__(self, sink: MetricSink) -> None:
        self._sink = sink
        self._windows: dict[tuple[str, str, str], tuple[float, int, int]] = {}

    def add(self, region: str, endpoint: str, variant: str, count: int, at: datetime) -> None:
        """``count`` requests are in flight at the instance that has just got one more."""
        key, window = (region, endpoint, variant), at.timestamp() // CONCURRENCY_SECONDS
        known, lowest, highest = self._windows.get(key, (-1.0, count, count))
        if window == known and lowest <= count <= highest:
            return
        if window != known:
            lowest = highest = count
        self._windows[key] = (window, min(lowest, count), max(highest, count))
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        metric = "ConcurrentRequestsPerModel"
        self._sink.record(NAMESPACE, metric, dimensions, count, "None", at, region, fine=True)


@dataclass(frozen=True)
class Utilization:
    """What one instance uses, in percent; CPU counts 100 for each core."""

    cpu: float
    memory: float
    disk: float


def record_utilization(
    sink: MetricSink, region: str, endpoint: str, variant: str, used: Utilization, at: datetime
) -> None:
    dimensions = {"EndpointName": endpoint, "VariantName": variant}
    for metric, value in (
        ("CPUUtilization", used.cpu),
        ("MemoryUtilization", used.memory),
        ("DiskUtilization", used.disk),
    ):
        sink.record(INSTANCE_NAMESPACE, metric, dimensions, value, "Percent", at, region)

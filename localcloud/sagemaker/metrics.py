"""What SageMaker tells CloudWatch: about every invocation, and every minute about instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

NAMESPACE = "AWS/SageMaker"
INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"


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

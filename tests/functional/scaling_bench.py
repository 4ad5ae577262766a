"""SageMaker, CloudWatch and Application Auto Scaling together, with tiny model servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.actions import AUTOSCALING, ActionTable
from localcloud.autoscaling.service import AutoScaling
from localcloud.cloudwatch.service import CloudWatch
from localcloud.cloudwatch.store import MetricStore
from localcloud.in_process import InProcess
from localcloud.sagemaker.control import SageMaker
from localcloud.service import OwnService
from tests.functional.sagemaker_bench import OPTIONS, Bench, MemoryS3, wait_for

TRICKLE_SECONDS = 20
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


class ScalingBench(Bench):
    """Put together as the daemon does it."""

    def __init__(self, home: Path, s3: MemoryS3, speed: float) -> None:
        super().__init__(home, s3, {}, speed)
        self.autoscaling.start()
        self.scaling = self.client("application-autoscaling")
        self.cloudwatch = self.client("cloudwatch")
        self._trickled = 0.0

    def _assemble(self, scaled: dict[str, set[str]]) -> tuple[SageMaker, dict[str, OwnService]]:
        services: dict[str, OwnService] = {}
        call = InProcess(services, self.own_state.keep, self.clock)
        changed = self.own_state.notifier("application-autoscaling")
        self.autoscaling = AutoScaling(self.clock, call, changed)
        self.store = MetricStore()
        actions = ActionTable({AUTOSCALING: self.autoscaling.take})
        watch = self.own_state.notifier("cloudwatch")
        alarms = CloudWatch(self.clock, self.store, actions, watch)
        kept = self.own_state.notifier("sagemaker")

        def endpoint_changed() -> None:
            kept()
            self.autoscaling.wake()

        service = SageMaker(
            self.clock, self.store, self.home, self.s3, endpoint_changed, self.autoscaling, OPTIONS
        )
        self.others = (alarms, self.autoscaling)
        services.update({s.name: s for s in (alarms, service, self.autoscaling)})
        return service, services

    def stop(self) -> None:
        for service in self.others:
            service.close()
        super().stop()

    # what tests ask for

    def resource(self, endpoint: str, variant: str = "live") -> dict[str, str]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
            "ScalableDimension": DIMENSION,
        }

    def register(self, endpoint: str, minimum: int = 1, maximum: int = 4, **more: Any) -> str:
        answer = self.scaling.register_scalable_target(
            **self.resource(endpoint), MinCapacity=minimum, MaxCapacity=maximum, **more
        )
        return answer["ScalableTargetARN"]

    def track(self, endpoint: str, target: float, name: str = "load", **more: Any) -> Any:
        config = {
            "TargetValue": target,
            "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS},
            "ScaleInCooldown": 60,
            "ScaleOutCooldown": 60,
            **more,
        }
        return self.scaling.put_scaling_policy(
            **self.resource(endpoint),
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                k: v for k, v in config.items() if v is not None
            },
        )

    def count(self, endpoint: str) -> int:
        (variant,) = self.describe(endpoint)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    def scaled(self, endpoint: str, count: int, seconds: float = 60.0) -> None:
        wait_for(
            lambda: (
                self.count(endpoint) == count
                and self.describe(endpoint)["EndpointStatus"] == "InService"
            ),
            f"{endpoint} to have {count} instances",
            seconds,
        )

    def activities(self, endpoint: str, **more: Any) -> list[dict[str, Any]]:
        """Newest first."""
        return self.scaling.describe_scaling_activities(**self.resource(endpoint), **more)[
            "ScalingActivities"
        ]

    def alarm_names(self) -> list[str]:
        return [a["AlarmName"] for a in self.cloudwatch.describe_alarms()["MetricAlarms"]]

    def trickle(self, endpoint: str) -> bool:
        """A request now and then: without any there is no metric, and no scaling in."""
        now = self.clock.timestamp()
        if now - self._trickled >= TRICKLE_SECONDS:
            self._trickled = now
            self.invoke(endpoint)
        return True

    @contextmanager
    def traffic(self, endpoint: str, clients: int = 1, **request: Any) -> Iterator[None]:
        """Requests one after the other by each client, as long as the block lasts."""
        stopping = threading.Event()

        def client() -> None:
            while not stopping.is_set():
                self.invoke(endpoint, **request)
                stopping.wait(0.002)

        threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join(10)


@contextmanager
def running_scaling_bench(
    home: Path, s3: MemoryS3 | None = None, speed: float = 120.0
) -> Iterator[ScalingBench]:
    bench = ScalingBench(home, MemoryS3() if s3 is None else s3, speed)
    try:
        yield bench
    finally:
        bench.stop()

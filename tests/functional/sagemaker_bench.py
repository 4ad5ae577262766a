"""SageMaker behind the real front in this process, with tiny model servers and S3 in memory."""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import json
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import uvloop

from localcloud.clock import Clock
from localcloud.dispatch import CloudDispatcher
from localcloud.faults import Faults
from localcloud.front import Front
from localcloud.image import local_image
from localcloud.own_state import OwnState
from localcloud.sagemaker.control import SageMaker, ServerOptions
from localcloud.sagemaker.neighbours import Neighbours
from localcloud.service import OwnService, ServiceError
from tests.functional import boto3_clients

ROLE = "arn:aws:iam::123456789012:role/model"
SERVER = (sys.executable, str(Path(__file__).with_name("fake_model_server.py")))
OPTIONS = ServerOptions(SERVER, min_startup_seconds=2.0, timeout_seconds=1.5)
DEADLINE_SECONDS = 20.0


class MemoryS3:
    """:class:`localcloud.service.S3Access` as a dict of URI to bytes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.buckets = {"artifacts", "captures"}

    def get_object(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", 404)
        return self.objects[uri]

    def download(self, uri: str, target: Path) -> None:
        target.write_bytes(self.get_object(uri))

    def put_object(
        self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        if bucket not in self.buckets:
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist.", 404)
        self.objects[f"s3://{bucket}/{key}"] = body

    def exists(self, uri: str) -> bool:
        return uri in self.objects


class Recorded:
    """A metric sink that keeps everything."""

    def __init__(self) -> None:
        self.samples: list[tuple[str, str, dict[str, str], float, str, datetime, str]] = []

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
    ) -> None:
        self.samples.append((namespace, metric, dict(dimensions), value, unit, at, region))

    def values(self, metric: str, **dimensions: str) -> list[float]:
        wanted = dict(dimensions)
        return [s[3] for s in list(self.samples) if s[1] == metric and s[2] == wanted]


class Scaled:
    """Application Auto Scaling as a table of endpoints and their scaled variants."""

    def __init__(self, variants: dict[str, set[str]]) -> None:
        self.variants = variants

    def scaled_variants(self, region: str, endpoint: str) -> set[str]:
        return self.variants.get(endpoint, set())

    def deregister_endpoint(self, region: str, endpoint: str) -> None:
        self.variants.pop(endpoint, None)


class Bus:
    """An event sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[str], dict[str, Any]]] = []

    def put_event(
        self,
        region: str,
        source: str,
        detail_type: str,
        resources: list[str],
        detail: dict[str, Any],
    ) -> None:
        assert source == "aws.sagemaker"
        json.dumps(detail)
        self.events.append((detail_type, resources, detail))

    def of(self, detail_type: str, endpoint: str) -> list[dict[str, Any]]:
        return [
            detail
            for found, _, detail in list(self.events)
            if found == detail_type and detail["EndpointName"] == endpoint
        ]


def archive(files: dict[str, bytes] | None = None) -> bytes:
    """A model.tar.gz."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in (files or {"model.txt": b"a model"}).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(content.getvalue())


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        pause.wait(0.02)
    return found


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or only waits to be collected.

    While a thread of it still ends, its connections are still open.
    """
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


class Bench:
    """One running SageMaker and its boto3 clients."""

    def __init__(self, home: Path, s3: MemoryS3, scaled: dict[str, set[str]], speed: float) -> None:
        self.home = home
        self.s3 = s3
        self.metrics = Recorded()
        self.alarms: dict[str, str] = {}
        self.bus = Bus()
        self.faults = Faults()
        self.clock = Clock(speed)
        self.own_state = OwnState(home / "state")
        self.service, services = self._assemble(scaled)
        self.own_state.restore(services)
        moto: Any = None
        self.front = Front(
            CloudDispatcher(services, self.own_state, moto, moto, self.clock, self.faults),
            self.service.runtime,
            self.clock,
        )
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self.port = int(listener.getsockname()[1])
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.front.start(listener), self._loop).result(5)
        self.sagemaker = self.client("sagemaker")
        self.runtime = self.client("sagemaker-runtime")
        self._numbers = itertools.count(1)

    def _assemble(self, scaled: dict[str, set[str]]) -> tuple[SageMaker, dict[str, OwnService]]:
        """SageMaker, and all services by their names."""
        service = SageMaker(
            self.clock,
            self.metrics,
            self.home,
            self.s3,
            self.own_state.notifier("sagemaker"),
            Scaled(scaled),
            OPTIONS,
            self.neighbours(),
        )
        return service, {"sagemaker": service}

    def neighbours(self) -> Neighbours:
        """Alarms, a bus and faults that tests set and read."""
        return Neighbours(
            lambda _, names: {n: self.alarms[n] for n in names if n in self.alarms},
            self.bus,
            faults=self.faults,
        )

    def client(self, service: str, region: str = "us-east-1") -> Any:
        url = f"http://127.0.0.1:{self.port}"
        return boto3_clients.client(service, url, region, max_pool_connections=16)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.front.stop(), self._loop).result(10)
        self.service.close()
        self.own_state.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    # what tests make

    def model(self, version: str = "1", content: bytes | None = None, **environment: str) -> str:
        name = f"model-{version}-{next(self._numbers)}"
        url = f"s3://artifacts/{name}/model.tar.gz"
        self.s3.objects[url] = archive() if content is None else content
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": local_image(),
                "ModelDataUrl": url,
                "Environment": {"VERSION": version, **environment},
            },
        )
        return name

    def variant(self, name: str, model: str, count: int = 1, **more: Any) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": model,
            "InitialInstanceCount": count,
            "InstanceType": "ml.m5.large",
            **more,
        }

    def config(self, *variants: dict[str, Any], **more: Any) -> str:
        name = f"config-{next(self._numbers)}"
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants), **more
        )
        return name

    def endpoint(self, config: str, name: str | None = None, **more: Any) -> str:
        """Created and in service."""
        name = f"endpoint-{next(self._numbers)}" if name is None else name
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, **more)
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name

    def describe(self, name: str) -> dict[str, Any]:
        return self.sagemaker.describe_endpoint(EndpointName=name)

    def settled(self, name: str) -> dict[str, Any]:
        """What the endpoint is when nothing is under way any more."""
        passing = {"Creating", "Updating", "SystemUpdating", "Deleting"}

        def found() -> dict[str, Any] | None:
            answer = self.describe(name)
            return None if answer["EndpointStatus"] in passing else answer

        return wait_for(found, f"{name} to settle")

    def invoke(self, endpoint: str, body: bytes | str = b"1,2", **more: Any) -> dict[str, Any]:
        return self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)


@contextmanager
def running_bench(
    home: Path,
    s3: MemoryS3 | None = None,
    scaled: dict[str, set[str]] | None = None,
    speed: float = 600.0,
) -> Iterator[Bench]:
    bench = Bench(home, MemoryS3() if s3 is None else s3, {} if scaled is None else scaled, speed)
    try:
        yield bench
    finally:
        bench.stop()

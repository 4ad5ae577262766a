"""The local cloud for functional tests: a real daemon in a folder of its own, on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Before pulumi_aws: on import it asks every loaded module for some names, which makes pulumi_aws
# load all of its own, 10 s of CPU and 3,000 modules in each process of the tests.
import skops.io  # noqa: F401

from localcloud import connect
from tests.functional import boto3_clients

SPEED = 60.0


@dataclass(frozen=True)
class Cloud:
    """A running local cloud; ``home`` holds its `.slipway`."""

    home: Path
    endpoint_url: str
    speed: float

    def client(self, service: str, region: str = connect.DEFAULT_REGION, **config: Any) -> Any:
        """A boto3 client of this cloud that never retries."""
        return boto3_clients.client(service, self.endpoint_url, region, **config)

    def environment(self) -> dict[str, str]:
        return connect.environment(self.home)

    def status(self) -> connect.CloudStatus:
        return connect.status(self.home)


@contextmanager
def running_cloud(home: Path, speed: float = SPEED) -> Iterator[Cloud]:
    """A cloud that ends with the block, whatever happens in it."""
    found = connect.start(home, port=0, speed=speed)
    try:
        yield Cloud(home, str(found.endpoint_url), speed)
    finally:
        connect.stop(home)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One cloud for all tests of a worker: name what you make so that nobody else's is hit."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture
def fresh_cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud of the test's own: to stop, kill, reset or fill."""
    with running_cloud(tmp_path / "cloud") as found:
        yield found

"""A stack that serves version 1 under live traffic, and the commands that a person types on it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.infrastructure.pulumi_cli import PulumiNotFoundError, find_pulumi
from scripts.rehearsal.live import Traffic
from tests.functional.conftest import running_cloud
from tests.functional.infra_project import (
    MODEL,
    SLIPWAY,
    Project,
    clean_environment,
    make_project,
    refusing_model,
    write_package,
)

ENDPOINT = f"{MODEL}-local"
ROWS = [json.dumps({"instances": [{"x": float(x)}]}).encode() for x in range(10)]
TOLERANCE = {"ratio": 5, "points": 20}
STEP = {"tolerance": TOLERANCE, "bake": {"min": "1m", "max": "30m"}}
RELEASE = {
    "steps": [{"weight": 20, **STEP}, {"weight": 50, **STEP}],
    "gates": [{"metric": "errors"}, {"metric": "latency", "over": "5s", "allow": 1.25}],
    "settle": "1m",
    "warmUp": "1m",
    "postBake": "1m",
}
WAIT_SECONDS = 120.0


class Stage:
    """A stack that serves version 1 under traffic, and the commands on it."""

    def __init__(self, project: Project, traffic: Traffic, driver: str | None = None) -> None:
        self.project = project
        self.traffic = traffic
        self.driver = driver

    def up(self, version: str, **release: Any) -> None:
        package = f"dist/{MODEL}/{version}"
        self.project.configure(driver=self.driver, package=package, release={**RELEASE, **release})
        done = self.project.slipway("up", "--json")
        assert done.returncode == 0, done.stderr

    def told(self, *arguments: str, code: int = 0) -> Any:
        done = self.project.slipway(*arguments, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def refused(self, *arguments: str) -> str:
        done = self.project.slipway(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def serving(self) -> str:
        """The version that alone serves."""
        row = self.told("status")[0]
        assert [v["name"] for v in row["variants"]] == ["live"], row
        assert row["release"] is None, row
        return row["live"]["version"]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*SLIPWAY, *arguments],
            cwd=self.project.root,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def candidate_share(self) -> float:
        found = self.project.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        weights = {v["VariantName"]: v["CurrentWeight"] for v in found["ProductionVariants"]}
        total = sum(weights.values())
        return weights.get("candidate", 0.0) / total if total else 0.0


@contextmanager
def open_stage(
    folder: Path, versions: tuple[str, ...] = ("1", "2", "4"), driver: str | None = None
) -> Iterator[Stage]:
    """Version 1 serves under 40 requests/s; version 3 refuses a part of them."""
    try:
        find_pulumi()
    except PulumiNotFoundError as error:
        pytest.skip(str(error))
    with running_cloud(folder) as cloud:
        project = make_project(cloud.home, cloud, versions)
        write_package(project.root, "3", content=refusing_model(3))
        traffic = Traffic(project.root, cloud.endpoint_url, ENDPOINT, "us-east-1")
        made = Stage(project, traffic, driver)
        made.up("1")
        os.environ |= {"AWS_ACCESS_KEY_ID": "slipway", "AWS_SECRET_ACCESS_KEY": "local"}
        traffic.start(ROWS, 40.0)
        try:
            yield made
        finally:
            traffic.stop()


def wait_for(condition: Callable[[], bool], child: subprocess.Popen[str] | None = None) -> None:
    """Until ``condition`` holds; fails when ``child`` ends before it, or after two minutes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if child is not None:
            assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.05)

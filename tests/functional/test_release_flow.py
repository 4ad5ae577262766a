"""Releases on the local cloud under live traffic, by the commands that a person types."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.pulumi_cli import PulumiNotFoundError, find_pulumi
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

pytestmark = pytest.mark.timeout(300)
ENDPOINT = f"{MODEL}-local"
ROWS = [json.dumps({"instances": [{"x": float(x)}]}).encode() for x in range(10)]
STEP = {"tolerance": {"ratio": 5, "points": 20}, "bake": {"min": "1m", "max": "30m"}}
RELEASE = {
    "steps": [{"weight": 20, **STEP}, {"weight": 50, **STEP}],
    "gates": [{"metric": "errors"}, {"metric": "latency", "over": "5s", "allow": 1.25}],
    "postBake": "1m",
}
SLOW_STEP = {"tolerance": {"ratio": 2, "points": 1}, "bake": {"min": "10m", "max": "60m"}}


class Stage:
    """A stack that serves version 1 under traffic, and the commands on it."""

    def __init__(self, project: Project, traffic: Traffic) -> None:
        self.project = project
        self.traffic = traffic

    def up(self, version: str, **release: Any) -> None:
        package = f"dist/{MODEL}/{version}"
        self.project.configure(package=package, release={**RELEASE, **release})
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


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    try:
        find_pulumi()
    except PulumiNotFoundError as error:
        pytest.skip(str(error))
    with running_cloud(tmp_path_factory.mktemp("releases")) as cloud:
        project = make_project(cloud.home, cloud, ("1", "2", "4"))
        write_package(project.root, "3", content=refusing_model(3))
        traffic = Traffic(project.root, cloud.endpoint_url, ENDPOINT, "us-east-1")
        made = Stage(project, traffic)
        made.up("1")
        os.environ |= {"AWS_ACCESS_KEY_ID": "slipway", "AWS_SECRET_ACCESS_KEY": "local"}
        traffic.start(ROWS, 40.0)
        yield made
        traffic.stop()


def test_nothing_new_is_refused_and_a_plan_says_so(stage: Stage) -> None:
    text = stage.refused("release")
    assert "nothing new to release" in text, text
    assert stage.serving() == "1"


def test_a_stack_that_nothing_in_aws_drives_cannot_detach(stage: Stage) -> None:
    assert "stack local has nothing in AWS that drives releases" in stage.refused(
        "release", "--detach"
    )
    assert "no release runs on echo-local in stack local" in stage.refused("release", "--follow")


def test_unknown_model_stack_and_release_are_named(stage: Stage) -> None:
    assert "no model 'nosuch' in stack local; it has: echo" in stage.refused("release", "nosuch")
    text = stage.refused("release", "--stack", "nosuch")
    assert "no stack 'nosuch': Pulumi.nosuch.yaml is missing; the stacks are: local" in text
    assert "no evidence of a release 'nosuch' in stack local" in stage.refused("show", "nosuch")


def test_a_good_version_is_promoted_and_no_request_is_lost(stage: Stage) -> None:
    stage.up("2")
    plan = stage.told("plan")
    assert [s["weight"] for s in plan["stages"] if 0 < s["weight"] < 100] == [20, 50]
    assert not [f for f in plan["findings"] if f["severity"] == "error"], plan["findings"]
    before = len(stage.traffic.answers())
    told = stage.told("release")
    assert told["outcome"] == "promoted", told
    assert [(s["weight"], s["verdict"]) for s in told["steps"]] == [(20, "pass"), (50, "pass")]
    assert stage.serving() == "2"
    answers = stage.traffic.answers()[before:]
    assert len(answers) > 100, "no traffic"
    assert [a for a in answers if a.status != 200] == []
    assert {a.variant for a in answers} == {"live", "candidate"}
    evidence = stage.told("show", told["id"])
    assert evidence["outcome"] == "promoted"
    assert evidence["timeline"], "the minutes are evidence"
    assert evidence["config_before"] != evidence["config_after"]
    assert evidence["configuration"]["after"]["tags"]["slipway:version"] == "2"
    assert [w["weight"] for w in evidence["weights"]] == [0, 20, 50, 100]
    assert evidence["e_values"]["points"]
    written = stage.project.slipway("show", told["id"], "--html")
    assert written.returncode == 0, written.stderr
    page = Path(written.stdout.strip()).read_text(encoding="utf-8")
    row = stage.told("history")[0]
    bucket, _, key = row["page"].removeprefix("s3://").partition("/")
    kept = stage.project.client("s3").get_object(Bucket=bucket, Key=key)
    assert kept["ContentType"] == "text/html; charset=utf-8"
    assert kept["Body"].read().decode() == page
    assert "Promoted" in page


def test_a_version_that_fails_on_part_of_its_input_is_rolled_back(stage: Stage) -> None:
    stage.up("3")
    before = len(stage.traffic.answers())
    told = stage.told("release", code=2)
    assert told["outcome"] == "rolled_back", told
    assert told["candidate_errors"] > 0, told
    assert stage.serving() == "2"
    failed = [a for a in stage.traffic.answers()[before:] if a.status != 200]
    assert failed, "the bad version met no traffic"
    assert {a.variant for a in failed} == {"candidate"}, "live lost requests"
    text = stage.refused("release")
    assert "was rolled back" in text, text
    assert "--retry" in text, text


def test_a_release_that_is_killed_is_continued_and_nothing_comes_between(stage: Stage) -> None:
    stage.up("4", steps=[{"weight": 20, **SLOW_STEP, "tolerance": STEP["tolerance"]}])
    child = stage.start("release", "--json")
    _wait(lambda: stage.candidate_share() > 0.19, child)
    assert "is running, by arn:aws:" in stage.refused("release")
    assert "up is refused: release" in stage.refused("up")
    assert "destroy is refused: release" in stage.refused("destroy", "--yes")
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    running = stage.told("status")[0]["release"]
    assert running["held_by"] is None, running
    assert "was interrupted; end it with" in stage.refused("destroy", "--yes")
    told = stage.told("release")
    assert told["id"] == running["id"], "it must be the same release"
    assert told["outcome"] == "promoted", told
    assert stage.serving() == "4"


def test_a_person_stops_a_release_and_goes_back(stage: Stage) -> None:
    stage.up("1", steps=[{"weight": 20, **SLOW_STEP}])
    child = stage.start("release")
    _wait(lambda: stage.candidate_share() > 0.19, child)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode == 130, errors
    told = stage.told("rollback")
    assert told["outcome"] == "rolled_back", told
    assert stage.serving() == "4"


def test_rollback_goes_to_the_version_before(stage: Stage) -> None:
    told = stage.told("rollback")
    assert (told["purpose"], told["to_version"]) == ("rollback", "2"), told
    assert stage.serving() == "2"
    outcomes = [(r["purpose"], r["outcome"]) for r in stage.told("history")]
    assert outcomes[0] == ("rollback", "rolled_back"), outcomes
    assert ("release", "promoted") in outcomes, outcomes


def test_a_gate_that_cannot_decide_ends_inconclusive(stage: Stage) -> None:
    stage.traffic.stop()
    stage.up("4", steps=[{"weight": 20, **SLOW_STEP, "bake": {"min": "1m", "max": "6m"}}])
    told = stage.told("release", "--retry", code=3)
    assert told["outcome"] == "inconclusive", told
    assert "no verdict within the longest bake at 20 %" in told["reason"], told
    assert stage.serving() == "2"


def test_invoke_asks_the_endpoint_and_passes_on_what_the_model_says(stage: Stage) -> None:
    request = stage.project.root / "request.json"
    request.write_text('{"instances": [{"x": 3}]}')
    told = stage.told("invoke", "--data", str(request))
    assert told["variant"] == "live"
    assert json.loads(told["body"])["predictions"] == pytest.approx([6.0])
    request.write_text('{"instances": [{"y": 3}]}')
    text = stage.refused("invoke", "--data", str(request))
    assert "the model answered 400" in text, text
    assert "x" in text, "the column is named"


def _wait(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.1)

"""Releases that a Lambda drives in a Step Functions loop, provisioned by the Pulumi program."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.history import state_key
from tests.functional.release_stage import ENDPOINT, STEP, Stage, open_stage, wait_for

pytestmark = pytest.mark.timeout(300)
SLOW = {"tolerance": {"ratio": 5, "points": 20}, "bake": {"min": "15m", "max": "60m"}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("lambda"), driver="lambda") as made:
        yield made


def executions(stage: Stage, status: str) -> list[dict[str, Any]]:
    client = stage.project.client("stepfunctions")
    machine = client.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    return client.list_executions(stateMachineArn=machine, statusFilter=status)["executions"]


def expire_lease(stage: Stage) -> None:
    """As if the two minutes had passed for which a Lambda keeps its lock."""
    s3 = stage.project.client("s3")
    found = [b["Name"] for b in s3.list_buckets()["Buckets"] if "history" in b["Name"]]
    place = {"Bucket": found[0], "Key": state_key(ENDPOINT)}
    state = json.loads(s3.get_object(**place)["Body"].read())
    state["lock"]["expires_at"] = 0.0
    s3.put_object(**place, Body=json.dumps(state).encode())


def test_the_stack_provisions_the_loop(stage: Stage) -> None:
    row = stage.told("status")[0]
    assert row["driver"] == "lambda"
    functions = stage.project.client("lambda").list_functions()["Functions"]
    assert [f["Runtime"] for f in functions] == ["python3.11"]


def test_a_release_is_promoted_by_the_lambda_while_the_terminal_follows(stage: Stage) -> None:
    stage.up("2")
    before = len(stage.traffic.answers())
    told = stage.told("release")
    assert told["outcome"] == "promoted", told
    assert stage.serving() == "2"
    answers = stage.traffic.answers()[before:]
    assert [a for a in answers if a.status != 200] == []
    wait_for(lambda: len(executions(stage, "SUCCEEDED")) == 1)
    evidence = stage.told("show", told["id"])
    assert evidence["predicted"]["seconds"][2] > 0, "predicted beside the actual duration"
    assert evidence["seconds"] > 0


def test_a_bad_version_is_rolled_back_without_anybody_at_a_terminal(stage: Stage) -> None:
    stage.up("3", steps=[{"weight": 50, **STEP}])
    stage.told("release", "--detach")
    wait_for(lambda: len(executions(stage, "SUCCEEDED")) == 2)
    newest = stage.told("history")[0]
    assert (newest["to_version"], newest["outcome"]) == ("3", "rolled_back")
    assert stage.serving() == "2"


def test_the_terminal_takes_over_from_a_loop_that_was_stopped(stage: Stage) -> None:
    before = stage.serving()
    stage.up("4", steps=[{"weight": 20, **SLOW}])
    stage.told("release", "--detach")
    wait_for(lambda: stage.candidate_share() > 0.19)
    assert "is running" in stage.refused("release", "--driver", "terminal")
    running = executions(stage, "RUNNING")
    stage.project.client("stepfunctions").stop_execution(executionArn=running[0]["executionArn"])
    expire_lease(stage)
    assert stage.told("status")[0]["release"]["held_by"] is None
    stage.told("abort")
    told = stage.told("release", "--driver", "terminal", code=2)
    assert told["outcome"] == "rolled_back", told
    assert stage.serving() == before


def test_ctrl_c_leaves_the_release_running_and_says_so(stage: Stage) -> None:
    before = stage.serving()
    stage.up("4", steps=[{"weight": 20, **SLOW}])
    child = stage.start("release", "--retry")
    wait_for(lambda: stage.candidate_share() > 0.19, child)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert len(executions(stage, "RUNNING")) == 1
    stage.told("abort")
    wait_for(lambda: not executions(stage, "RUNNING"))
    assert stage.serving() == before
    assert json.loads(json.dumps(stage.told("history")[0]))["outcome"] == "rolled_back"

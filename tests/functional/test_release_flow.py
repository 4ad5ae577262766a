"""Releases on the local cloud under live traffic, by the commands that a person types."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.release_stage import STEP, Stage, open_stage, wait_for

pytestmark = pytest.mark.timeout(300)
SLOW_STEP = {"tolerance": {"ratio": 2, "points": 1}, "bake": {"min": "10m", "max": "60m"}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("releases")) as made:
        yield made


def test_where_nothing_is_new_release_and_plan_say_so_and_a_pipeline_goes_on(stage: Stage) -> None:
    told = stage.told("release")
    assert (told["outcome"], told["id"]) == ("nothing_new", None)
    assert told["reason"].startswith("nothing new to release: echo-local already serves version 1")
    assert stage.told("plan")["is_new"] is False
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
    steps = [s["weight"] for s in plan["stages"] if not s["is_turnover"] and s["weight"] < 100]
    assert steps == [20, 50]
    assert not [f for f in plan["findings"] if f["severity"] == "error"], plan["findings"]
    assert plan["traffic"]["source"].startswith("the last ")
    assert plan["traffic"]["requests_per_minute"] > 0
    assert "points" in plan["stages"][1]["gates"][0]["text"]
    assert plan["untold"] == []
    assert plan["instances"][0]["quota"]["allowed"] == 40
    assert plan["instances"][0]["quota"]["in_use"] >= 2
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
    wait_for(lambda: stage.candidate_share() > 0.19, child)
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
    wait_for(lambda: stage.candidate_share() > 0.19, child)
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

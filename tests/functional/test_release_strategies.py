"""Every strategy on the local cloud under live traffic: promoted, and back on its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.infra_project import MODEL
from tests.functional.release_stage import (
    ENDPOINT,
    RELEASE,
    STEP,
    TOLERANCE,
    Stage,
    open_stage,
    wait_for,
)

pytestmark = pytest.mark.timeout(300)
BLUE_GREEN = {
    "strategy": "blue_green",
    "blueGreen": {
        "traffic": "canary",
        "size": 50,
        "wait": "12m",
        "finalWait": "3m",
        "tolerance": TOLERANCE,
    },
}
ROLLING = {
    "strategy": "rolling",
    "rolling": {"batch": 50, "wait": "12m", "tolerance": TOLERANCE},
}
SHADOW: dict[str, Any] = {
    "sampling": 100,
    "bake": {"min": "1m", "max": "30m"},
    "tolerance": TOLERANCE,
    "maxDisagreement": 0.05,
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("strategies"), ("1", "2", "4", "5")) as made:
        yield made


def failures(stage: Stage, before: int) -> list[Any]:
    return [a for a in stage.traffic.answers()[before:] if a.status != 200]


def nothing_is_left(stage: Stage) -> None:
    """One variant, no alarm of a release, no configuration of its own, scaling as it was."""
    sagemaker = stage.project.client("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert described["EndpointStatus"] == "InService", described
    assert [v["VariantName"] for v in described["ProductionVariants"]] == ["live"]
    assert not described.get("ShadowProductionVariants")
    alarms = stage.project.client("cloudwatch").describe_alarms()["MetricAlarms"]
    names = [a["AlarmName"] for a in alarms if not a["AlarmName"].startswith("TargetTracking")]
    assert sorted(names) == [f"{ENDPOINT}-errors", f"{ENDPOINT}-latency"]
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert not [c for c in configs if "-t-" in c["EndpointConfigName"]], configs
    targets = stage.project.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )["ScalableTargets"]
    assert not any(t.get("SuspendedState", {}).get("DynamicScalingInSuspended") for t in targets)


def test_blue_green_promotes_a_good_version(stage: Stage) -> None:
    stage.up("2", **BLUE_GREEN)
    plan = stage.told("plan")
    assert plan["phases"] == ["blue_green"]
    assert not [f for f in plan["findings"] if f["severity"] == "error"], plan["findings"]
    before = len(stage.traffic.answers())
    told = stage.told("release")
    assert told["outcome"] == "promoted", told
    assert stage.serving() == "2"
    assert failures(stage, before) == []
    nothing_is_left(stage)


def test_blue_green_goes_back_when_the_gate_fails(stage: Stage) -> None:
    stage.up("3", **BLUE_GREEN)
    told = stage.told("release", code=2)
    assert told["outcome"] == "rolled_back", told
    assert stage.serving() == "2"
    nothing_is_left(stage)


def test_rolling_promotes_a_good_version(stage: Stage) -> None:
    stage.up("4", **ROLLING)
    before = len(stage.traffic.answers())
    told = stage.told("release")
    assert told["outcome"] == "promoted", told
    assert stage.serving() == "4"
    assert failures(stage, before) == []
    nothing_is_left(stage)


def test_rolling_goes_back_when_the_gate_fails(stage: Stage) -> None:
    stage.up("3", **ROLLING)
    told = stage.told("release", "--retry", code=2)
    assert told["outcome"] == "rolled_back", told
    assert stage.serving() == "4"
    nothing_is_left(stage)


def test_a_shadow_that_fails_costs_no_client_anything(stage: Stage) -> None:
    stage.up("3", strategy="shadow", shadow=SHADOW)
    before = len(stage.traffic.answers())
    told = stage.told("release", "--retry", code=2)
    assert told["outcome"] == "rolled_back", told
    assert told["candidate_requests"] == 0
    assert told["mirrored_errors"] > 0
    assert failures(stage, before) == []
    assert stage.serving() == "4"
    nothing_is_left(stage)


def test_a_shadow_that_passes_and_stops_promotes_nothing(stage: Stage) -> None:
    stage.up("5", strategy="shadow", shadow=SHADOW)
    before = len(stage.traffic.answers())
    told = stage.told("release")
    assert told["outcome"] == "compared", told
    assert failures(stage, before) == []
    assert {a.variant for a in stage.traffic.answers()[before:]} == {"live"}
    assert stage.serving() == "4"
    nothing_is_left(stage)


def test_a_shadow_hands_on_to_a_canary(stage: Stage) -> None:
    stage.up("5", strategy="shadow", shadow={**SHADOW, "then": "canary"})
    told = stage.told("release")
    assert told["outcome"] == "promoted", told
    assert stage.serving() == "5"
    nothing_is_left(stage)


def test_what_cannot_decide_is_held_until_a_person_does(stage: Stage) -> None:
    unsure = {"tolerance": {"ratio": 1.01, "points": 0.01}, "bake": {"min": "1m", "max": "5m"}}
    stage.up("2", steps=[{"weight": 20, **unsure}], onInconclusive="hold")
    told = stage.told("release", code=3)
    row = stage.told("status")[0]
    assert row["release"]["stage"] == "held", (told, row)
    assert stage.candidate_share() > 0, "it holds what it serves"
    stage.told("promote-now")
    told = stage.told("release")
    assert told["outcome"] == "promoted", told
    assert stage.serving() == "2"
    nothing_is_left(stage)


def test_pause_resume_and_abort(stage: Stage) -> None:
    slow = {"tolerance": {"ratio": 2, "points": 1}, "bake": {"min": "10m", "max": "60m"}}
    stage.up("4", steps=[{"weight": 20, **slow}])
    child = stage.start("release", "--json")
    wait_for(lambda: stage.candidate_share() > 0.19, child)
    stage.told("pause")
    wait_for(lambda: bool(stage.told("status")[0]["release"]["paused"]), child)
    stage.told("resume")
    wait_for(lambda: not stage.told("status")[0]["release"]["paused"], child)
    stage.told("abort")
    out, errors = child.communicate(timeout=120)
    assert child.returncode == 2, errors
    assert json.loads(out)["outcome"] == "rolled_back"
    assert stage.serving() == "2"
    nothing_is_left(stage)


def test_a_freeze_keeps_releases_from_beginning(stage: Stage) -> None:
    stage.told("freeze", "--reason", "the holidays")
    text = stage.refused("release")
    assert "the holidays" in text, text
    stage.told("unfreeze")


def test_events_of_releases_reach_a_queue(stage: Stage) -> None:
    topic = stage.told("status")[0]["topic"]
    sqs, sns = stage.project.client("sqs"), stage.project.client("sns")
    url = sqs.create_queue(QueueName="chat")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    stage.up("4", steps=[{"weight": 50, **STEP}])
    assert stage.told("release", "--retry")["outcome"] == "promoted"
    kinds: list[str] = []
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in batch:
            body = json.loads(json.loads(message["Body"])["Message"])
            kinds.append(body["event"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert kinds == ["started", "step", "promoted"]


def test_the_release_that_turns_capture_on_is_judged_by_its_predictions_too(stage: Stage) -> None:
    gates = [*RELEASE["gates"], {"metric": "predictions", "bins": [1000.0], "maxShift": 0.2}]
    release = {**RELEASE, "gates": gates, "steps": [{"weight": 50, **STEP}]}
    package = f"dist/{MODEL}/5"
    stage.project.configure(package=package, capture={"sampling": 100}, release=release)
    assert stage.project.slipway("up").returncode == 0

    told = stage.told("release", "--retry")

    assert told["outcome"] == "promoted", told
    assert "predictions" in json.dumps(stage.told("show", told["id"])["verdicts"])
    assert stage.serving() == "5"
    nothing_is_left(stage)

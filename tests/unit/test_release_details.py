"""The finer parts of the evidence: where each comes from in a release's log and minutes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from contracts.history import page_key
from contracts.release_manifest import AlarmGate, ErrorGate, HookGate, LatencyGate
from release.aws.store import S3History
from release.evidence.details import details, predicted, weights
from release.evidence.evalues import MAX_POINTS, MIN_POINTS, e_values
from release.gates import judge_step
from release.observation import Config
from tests.unit.evidence_samples import STEPS, Baked, Traffic, bake_steps, base, promoted
from tests.unit.test_release_announce import release


def test_what_the_plan_promised_is_read_from_the_log() -> None:
    told = release(("planned", "about 5 min", {"seconds": [1.0, None, 9.0]}))

    assert predicted(told) == {"seconds": [1.0, None, 9.0]}
    assert predicted(release()) is None


def test_weights_change_where_the_log_says_so() -> None:
    told = release(
        ("weight", "", {"weight": 10.0}),
        ("weight", "again after a repair", {"weight": 10.0}),
        ("mirror", "", {"weight": 50.0}),
        ("shift", "", {"weight": 30.0}),
        ("shift", "a text only", {}),
        ("landed", "", {}),
        ("back", "", {}),
    )

    assert [w["weight"] for w in weights(told)] == [0.0, 10.0, 50.0, 30.0, 100.0, 0.0]
    assert [w["at"] - told.started_at for w in weights(told)] == [0, 60, 180, 240, 360, 420]


def test_hooks_revisions_and_drivers_are_listed_by_themselves() -> None:
    told = release(
        ("hook", "41 orders", {"name": "orders", "answer": "pass"}),
        ("revised", "one more error", {"start": 60.0, "before": 1, "after": 2}),
        ("continued", "continued in stage bake", {"pending": []}),
    )

    found = details(told, None)

    at = told.started_at
    assert found["hooks"] == [
        {"at": at + 60, "text": "41 orders", "name": "orders", "answer": "pass"}
    ]
    assert found["revisions"] == [
        {"at": at + 120, "text": "one more error", "start": 60.0, "before": 1, "after": 2}
    ]
    assert [d["text"] for d in found["drivers"]] == ["1 → 2", "continued in stage bake"]


def test_the_configuration_is_there_before_and_after() -> None:
    after = Config("c2", {"ProductionVariants": []}, {"slipway:hash": "h"})

    found = details(release(), after)["configuration"]

    assert found["before"]["name"] == "wine-test-c1"
    assert found["after"] == {
        "name": "c2",
        "body": {"ProductionVariants": []},
        "tags": {"slipway:hash": "h"},
    }
    assert details(release(), None)["configuration"]["after"] is None


def test_a_step_has_counts_shares_and_bands_of_both_variants() -> None:
    rows = promoted()["steps_in_detail"]

    assert [row["weight"] for row in rows] == [1.0, 5.0, 25.0, 50.0]
    live = rows[0]["live"]
    assert live["error_share"]["share"] == pytest.approx(live["errors"] / live["requests"])
    assert live["error_share"]["low"] < live["error_share"]["share"] < live["error_share"]["high"]
    assert live["slow"] > 0


# --- e-values


def baked(minutes: int) -> Any:
    quiet = Traffic(requests=30)
    return bake_steps(base(), (Baked(50, minutes, "pass", ""),), lambda _: quiet, 1)[0]


def test_e_values_are_the_gates_own_at_each_minute() -> None:
    told = baked(10)

    found = e_values(told)

    assert len(found.points) == len(told.minutes) == 9
    settings = told.manifest.release
    verdict = judge_step(0, settings.steps[0], settings.gates, told.minutes, {}, math.inf)
    evidence = verdict.gates[0].evidence
    assert evidence is not None
    assert found.points[-1].fail == pytest.approx(evidence.log_e_fail / math.log(10))
    assert found.points[-1].passing == pytest.approx(evidence.log_e_pass / math.log(10))
    assert (found.fail_at, found.pass_at) == (
        pytest.approx(evidence.fail_at / math.log(10)),
        pytest.approx(evidence.pass_at / math.log(10)),
    )


def test_the_threshold_to_fail_is_the_gates_own_beside_gates_that_never_fail_by_chance() -> None:
    beside = (AlarmGate("orders"), HookGate("smoke", ("smoke",)), LatencyGate(1, dry_run=True))

    assert e_values(base(gates=(ErrorGate(), *beside))).fail_at == 2.0


@pytest.mark.parametrize(("minutes", "points"), [(200, MAX_POINTS), (2500, MIN_POINTS)])
def test_a_long_release_has_fewer_points_and_always_the_last(minutes: int, points: int) -> None:
    told = baked(minutes)

    found = e_values(told)

    assert len(found.points) == points
    assert found.points[-1].start == told.minutes[-1].start


def test_without_minutes_or_an_error_gate_there_are_only_thresholds() -> None:
    assert e_values(release()).points == ()
    assert e_values(base(gates=())).fail_at == 2.0
    assert len(STEPS) == 4


# --- where it is kept


class Bucket:
    def __init__(self) -> None:
        self.put: dict[str, tuple[str, bytes]] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, Any]:
        self.put[Key] = (ContentType, Body)
        return {"ETag": "1"}


def test_evidence_is_kept_as_data_and_as_a_page() -> None:
    bucket = Bucket()

    S3History(bucket, "history", "wine-test").write_evidence("wine-1", json.dumps(promoted()))

    assert list(bucket.put) == ["releases/wine-1.json", page_key("wine-1")]
    kind, page = bucket.put["releases/wine-1.html"]
    assert kind == "text/html; charset=utf-8"
    assert page.startswith(b"<!doctype html>")


def test_evidence_that_cannot_be_drawn_is_kept_as_data() -> None:
    bucket = Bucket()

    S3History(bucket, "history", "wine-test").write_evidence("wine-1", "{}")

    assert list(bucket.put) == ["releases/wine-1.json"]

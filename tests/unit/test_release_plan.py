"""A plan tells stages, times, exposure and instances before anything moves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from contracts.release_manifest import (
    AlarmGate,
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    LinearShift,
    PredictionGate,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)
from release.controller.start import Snapshot
from release.errors import PlanError
from release.observation import Endpoint, Variant
from release.planning.lint.capacity import Need
from release.planning.plan import Plan, make_plan, predicted_seconds, refuse_errors
from release.planning.survey import Quota, Survey, Traffic
from release.state import EndpointState
from scripts.release import plan as release_plan
from scripts.release.plan import show_plan
from tests.unit.fake_cloud import ENDPOINT, config_of, manifest, scaling_target

BUSY = Traffic(3000.0, 0.01, 0.02, "the same hours last week")
TOLERANCE = Tolerance(2, 1)
CANARY = Canary((Step(10, Tolerance(5, 5), 120, 3600), Step(50, Tolerance(2, 2), 120, 3600)))


def snapshot(count: int = 4) -> Snapshot:
    endpoint = Endpoint(
        1_000_000.0, "InService", "wine-test-c1", 0.0, (Variant("live", 1, 1, count, count),)
    )
    return Snapshot(endpoint, config_of("1", count), config_of("2", count), scaling_target())


def planned(
    strategy: Strategy = CANARY,
    count: int = 4,
    survey: Survey | None = None,
    turnover: float | None = 300.0,
    **settings: Any,
) -> Plan:
    state = EndpointState(ENDPOINT, turnover_seconds=turnover)
    made = manifest(strategy=strategy, **settings)
    return make_plan(made, state, snapshot(count), survey or Survey(traffic=BUSY), {})


def shape(plan: Plan) -> list[tuple[str, float, int, int, float]]:
    """Name, weight, new instances, extra instances and shortest time of each stage."""
    return [
        (s.name, s.weight, s.candidate_count, s.extra_instances, s.seconds[0]) for s in plan.stages
    ]


def test_a_canary_turns_the_fleet_over_twice_and_scales_the_candidate() -> None:
    plan = planned()
    assert shape(plan) == [
        ("candidate in", 0, 1, 5, 300),
        ("10 %", 10, 1, 1, 60 + 180),
        ("50 %", 50, 2, 2, 300 + 60 + 180),
        ("swap", 50, 2, 6, 300),
        ("post-bake", 100, 4, 0, 120),
    ]
    assert (plan.turnovers, plan.exposed, plan.extra_instances) == (2, 50, 6)
    assert plan.is_turnover_measured
    assert plan.seconds[0] == 300 + 240 + 540 + 300 + 120


def test_the_expected_time_follows_from_the_traffic_of_the_same_hours() -> None:
    slow = Survey(traffic=replace(BUSY, requests_per_minute=300.0))
    busy, quiet = planned(), planned(survey=slow)
    assert busy.seconds[1] is not None
    assert quiet.seconds[1] is not None
    assert busy.seconds[0] <= busy.seconds[1] < quiet.seconds[1] <= quiet.seconds[2]
    unknown = planned(survey=Survey())
    assert unknown.seconds[1] is None
    assert unknown.seconds[2] == busy.seconds[2]


def test_every_gate_says_what_it_will_have_excluded() -> None:
    gates = (
        ErrorGate(),
        LatencyGate(50_000.0),
        PredictionGate(0.1),
        LimitGate("p95", 90_000.0),
        AlarmGate("orders", dry_run=True),
    )
    step = planned(gates=gates).stages[1]
    told = {g.gate: g.text for g in step.gates}
    assert re.fullmatch(r"×1\.\d+ or 0\.\d+ points", told["errors"])
    assert re.fullmatch(r"×1\.\d+ or 0\.\d+ points", told["latency"])
    assert told["predictions"] == "a shift of at most 0.1"
    assert told["limit"] == "p95 at most 90 ms"
    assert told["alarm"] == "unless orders rings (dry run)"
    blind = planned(gates=gates, survey=Survey()).stages[1]
    assert blind.gates[0].text == "×5 or 5 points, when the traffic suffices"


def test_every_gate_says_when_it_passes_as_expected_and_when_nearly_always() -> None:
    slow = Survey(traffic=Traffic(300.0, 0.01, 0.02, "the same hours last week"))
    gates = (ErrorGate(), LatencyGate(50_000.0), PredictionGate(0.1))

    step = planned(survey=slow, gates=gates).stages[2]

    for gate in step.gates[:2]:
        assert gate.passes_after is not None
        assert gate.sure_after is not None
        assert 120 < gate.passes_after < gate.sure_after / 2
    assert (step.gates[2].passes_after, step.gates[2].sure_after) == (None, None)


def test_the_plan_shows_both_times(capsys: pytest.CaptureFixture[str]) -> None:
    tight = Canary((Step(50, Tolerance(1.5, 0.5), 180, 7200),))
    slow = Survey(traffic=Traffic(300.0, 0.01, None, "the same hours last week"))

    show_plan(planned(tight, survey=slow, gates=(ErrorGate(),)))

    shown = capsys.readouterr().out
    (header,) = [line for line in shown.splitlines() if "passes after" in line]
    assert header.split("passes after")[1].strip() == "99 of 100 within"
    (row,) = [line for line in shown.splitlines() if " errors " in line and line[:4] == "50 %"]
    assert re.search(r"\d+ min +\d\.\d h$", row.strip()), row
    assert "warning release.steps[0]: at 300 requests a minute and 1 % errors" in shown
    assert "; 2 fleet turnovers of " in shown


LITTLE = Survey(traffic=Traffic(6.0, 0.01, None, "the last hour"))


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (CANARY, "10 %"),
        (Shadow(50, TOLERANCE, 180, 7200, 0.05), "mirror 50 %"),
        (BlueGreen(CanaryShift(25, 600), 300, TOLERANCE), "25 %, bake"),
        (BlueGreen(LinearShift(25, 900), 300, TOLERANCE), "75 %, bake"),
        (Rolling(25, 600, TOLERANCE), "75 %, bake"),
    ],
)
def test_where_a_good_version_is_not_expected_to_pass_no_end_is_foretold(
    strategy: Strategy, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(strategy, survey=LITTLE, gates=(ErrorGate(),))

    assert [s.name for s in plan.stages if s.is_undecided][:1] == [name]
    assert plan.seconds[1] is None
    much = Survey(traffic=replace(BUSY, requests_per_minute=30_000.0))
    busy = planned(strategy, survey=much, gates=(ErrorGate(),))
    assert not [s for s in busy.stages if s.is_undecided]
    show_plan(plan)
    shown = capsys.readouterr().out
    assert f"a good version is not expected to pass `{name}`, and the release would end" in shown
    assert "at 6 requests a minute with 1 % errors (the last hour)" in shown


def test_without_traffic_the_plan_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    none = Survey(traffic=Traffic(0.0, 0.0, None, "the last hour"))
    show_plan(planned(survey=none, on_inconclusive="hold"))
    show_plan(planned(survey=Survey()))

    first, second = (
        line for line in capsys.readouterr().out.splitlines() if line.startswith("takes ")
    )
    assert first.startswith("takes 25 min at least, 2.5 h at most (longer where it is held for a")
    assert "; no request came in the last hour; 2 fleet turnovers of 5 min" in first
    assert second.startswith("takes 25 min at least, 2.5 h at most; the traffic is not known; 2 ")


def test_what_is_the_same_at_each_step_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    gates = (ErrorGate(), LimitGate("errors", 0.02), HookGate("smoke", ("./smoke",)))
    show_plan(planned(gates=gates))

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines if "smoke" in line] == [["each", "hook"]]
    assert [line[:7] for line in lines if "limit" in line] == [
        ["each", "limit", "errors", "at", "most", "2", "%"]
    ]
    assert len([line for line in lines if line[1:3] == ["%", "errors"]]) == 2


def test_blue_green_turns_over_once_and_counts_both_fleets_throughout() -> None:
    plan = planned(BlueGreen(CanaryShift(25, 600), 300, TOLERANCE))
    assert shape(plan) == [
        ("new fleet", 0, 4, 4, 300),
        ("25 %, bake", 25, 1, 4, 600),
        ("all traffic, bake", 100, 4, 4, 300),
        ("post-bake", 100, 4, 0, 120),
    ]
    assert (plan.turnovers, plan.exposed, plan.extra_instances) == (1, 25, 4)
    assert plan.extra_instance_hours == pytest.approx(4 * 1200 / 3600)
    assert plan.seconds == (1320, 1320, 1320 + 600)


def test_a_small_fleet_shifts_whole_instances() -> None:
    plan = planned(BlueGreen(CanaryShift(10, 600), 300, TOLERANCE), count=3)
    assert shape(plan)[1] == ("33.3 %, bake", 33.3, 1, 3, 600)
    assert plan.exposed == 33.3
    assert planned(BlueGreen(CanaryShift(10, 600), 300, TOLERANCE), count=2).exposed == 50


@pytest.mark.parametrize(
    "strategy",
    [BlueGreen(LinearShift(10, 600), 600, TOLERANCE), Rolling(10, 600, TOLERANCE)],
)
def test_a_small_fleet_has_no_more_bakes_than_instances(strategy: Strategy) -> None:
    plan = planned(strategy, count=3)
    bakes = [(s.name, s.seconds[0]) for s in plan.stages if s.name.endswith("bake")]
    last = "100 %, bake" if isinstance(strategy, Rolling) else "all traffic, bake"
    assert bakes[:3] == [("33.3 %, bake", 600), ("66.7 %, bake", 600), (last, 600)]
    assert plan.turnovers == (3 if isinstance(strategy, Rolling) else 1)


def test_shares_are_shown_without_a_tail(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(planned(BlueGreen(CanaryShift(10, 600), 300, TOLERANCE), count=3))

    shown = capsys.readouterr().out
    assert re.search(r"33\.3 %, bake +3 +1 +3 +33\.3 % ", shown)
    assert "at most 33.3 % of the requests meet" in shown
    assert "; 1 fleet turnover of " in shown


def test_linear_shifts_step_by_step() -> None:
    plan = planned(BlueGreen(LinearShift(25, 300), 60, TOLERANCE))
    assert [s.weight for s in plan.stages] == [0, 25, 50, 75, 100, 100]
    assert plan.exposed == 75


def test_all_at_once_exposes_everything_in_one_bake() -> None:
    plan = planned(BlueGreen(AllAtOnce(), 600, TOLERANCE))
    assert [s.name for s in plan.stages] == [
        "new fleet",
        "all traffic, bake",
        "post-bake",
    ]
    assert plan.stages[1].gates == ()
    assert plan.exposed == 100


def test_all_at_once_after_a_shadow_still_exposes_everything() -> None:
    at_once = BlueGreen(AllAtOnce(), 600, TOLERANCE)
    assert planned(Shadow(100, TOLERANCE, 180, 7200, 0.05, at_once)).exposed == 100


def test_rolling_provisions_batch_by_batch() -> None:
    plan = planned(Rolling(50, 300, TOLERANCE))
    assert shape(plan) == [
        ("batch 1 of 2", 0, 2, 2, 300),
        ("50 %, bake", 50, 2, 2, 300),
        ("batch 2 of 2", 50, 4, 2, 300),
        ("100 %, bake", 100, 4, 2, 300),
        ("post-bake", 100, 4, 0, 120),
    ]


def test_the_old_batches_leave_one_after_the_other() -> None:
    plan = planned(Rolling(25, 300, TOLERANCE))
    assert [(s.weight, s.live_count, s.candidate_count) for s in plan.stages] == [
        (0, 4, 1),
        (25, 4, 1),
        (25, 3, 2),
        (50, 3, 2),
        (50, 2, 3),
        (75, 2, 3),
        (75, 1, 4),
        (100, 1, 4),
        (100, 0, 4),
    ]
    assert plan.turnovers == 4


def test_until_the_swap_has_landed_the_candidate_has_its_last_share() -> None:
    (swap,) = [s for s in planned().stages if s.name == "swap"]
    assert (swap.weight, swap.is_turnover) == (50, True)


@pytest.mark.parametrize(
    ("gates", "alarms", "patience"),
    [
        ((ErrorGate(),), True, 600),
        ((ErrorGate(),), False, 0),
        ((ErrorGate(), HookGate("smoke", ("./smoke",))), True, 3600),
        ((ErrorGate(), HookGate("smoke", ("./smoke",))), False, 3600),
        ((ErrorGate(), HookGate("smoke", ("./smoke",), dry_run=True)), True, 600),
    ],
)
def test_at_most_counts_what_the_post_bake_waits_for(
    gates: tuple[Gate, ...], alarms: bool, patience: float
) -> None:
    made = manifest(strategy=CANARY, gates=gates)
    if not alarms:
        made = replace(made, rollback_alarms=())
    plan = make_plan(made, EndpointState(ENDPOINT), snapshot(), Survey(traffic=BUSY), {})
    assert plan.stages[-1].seconds == (120, 120, 120 + patience)


def test_the_post_bake_lasts_until_a_limit_can_answer() -> None:
    """A warm-up and a settle lag of a minute each, and a whole minute between them."""
    plan = planned(gates=(ErrorGate(), LimitGate("errors", 0.1)))
    assert plan.stages[-1].seconds == (180, 240, 120 + 3600)


def test_a_step_that_adds_instances_waits_until_they_are_warm() -> None:
    least = [s.seconds[0] for s in planned(count=2).stages if s.name.endswith(" %")]
    assert least == [60 + 180, 60 + 120]
    least = [s.seconds[0] for s in planned(count=10).stages if s.name.endswith(" %")]
    assert least == [60 + 180, 300 + 60 + 180]


def test_a_shadow_exposes_nobody_and_leaves_again() -> None:
    plan = planned(Shadow(50, TOLERANCE, 180, 7200, 0.05))
    assert [(s.name, s.weight, s.mirrored) for s in plan.stages] == [
        ("shadow in", 0, 0),
        ("mirror 50 %", 0, 50),
        ("shadow out", 0, 0),
    ]
    assert (plan.exposed, plan.turnovers, plan.phases) == (0, 2, ("shadow",))


def test_a_canary_after_a_shadow_takes_its_place_directly() -> None:
    plan = planned(Shadow(100, TOLERANCE, 180, 7200, 0.05, CANARY))
    assert "shadow out" not in [s.name for s in plan.stages]
    assert plan.phases == ("shadow", "canary")
    assert plan.exposed == 50


def test_while_a_canary_takes_its_place_the_mirrors_are_still_there() -> None:
    plan = planned(Shadow(100, TOLERANCE, 180, 7200, 0.05, CANARY), count=10)
    extra = {s.name: s.extra_instances for s in plan.stages}
    assert (extra["shadow in"], extra["mirror 100 %"]) == (20, 10)
    assert extra["candidate in"] == 10 + 10 + 1
    assert plan.extra_instances == 21
    assert [n.extra for n in plan.instances] == [21]


def test_a_shadow_leaves_once_live_stands_beside_it_anew() -> None:
    plan = planned(Shadow(50, TOLERANCE, 180, 7200, 0.05), count=10)
    assert [s.extra_instances for s in plan.stages] == [15, 5, 15]


def test_the_quota_stands_beside_what_is_needed() -> None:
    plan = planned(survey=Survey(traffic=BUSY, quotas={"ml.c7i.large": Quota(100, 12)}))
    assert (plan.instances, plan.extra_instances) == (
        (Need("ml.c7i.large", 6, Quota(100, 12)),),
        6,
    )


def test_a_new_instance_type_stands_beside_the_old_one(capsys: pytest.CaptureFixture[str]) -> None:
    seen = snapshot()
    live = config_of("1", 4).production()[0] | {"InstanceType": "ml.m5.large"}
    seen = replace(seen, live=replace(config_of("1"), body={"ProductionVariants": [live]}))
    survey = Survey(quotas={"ml.m5.large": Quota(5, 4)})
    plan = make_plan(manifest(strategy=CANARY), EndpointState(ENDPOINT), seen, survey, {})
    assert plan.instances == (
        Need("ml.m5.large", 4, Quota(5, 4)),
        Need("ml.c7i.large", 6, None),
    )
    show_plan(plan)
    shown = capsys.readouterr().out
    assert "(4 ml.m5.large: quota 5, 4 in use, 6 ml.c7i.large: quota not told by" in shown


def test_a_plan_is_plain_json() -> None:
    import json

    told = json.loads(json.dumps(planned().to_dict()))
    assert told["stages"][1]["gates"][0]["gate"] == "errors"
    assert told["traffic"]["source"] == "the same hours last week"


def test_without_a_measured_turnover_the_usual_one_counts() -> None:
    plan = planned(turnover=None)
    assert (plan.turnover_seconds, plan.is_turnover_measured) == (420, False)


def test_the_prediction_for_the_evidence_is_the_plans() -> None:
    state = EndpointState(ENDPOINT, turnover_seconds=300.0)
    made = manifest(strategy=CANARY)
    assert predicted_seconds(made, state, snapshot(), BUSY) == planned().seconds


def test_what_the_plan_calls_an_error_keeps_a_release_from_beginning() -> None:
    bad = manifest(strategy=BlueGreen(CanaryShift(60, 600), 300, TOLERANCE))
    with pytest.raises(PlanError, match=r"has 1 problem:\n  release\.blueGreen\.size: the size is"):
        refuse_errors(bad, EndpointState(ENDPOINT), snapshot(), Survey())


def test_a_target_that_was_rolled_back_is_a_finding() -> None:
    made = manifest(strategy=CANARY)
    state = EndpointState(ENDPOINT, rejected=(made.target.content_hash,))
    plan = make_plan(made, state, snapshot(), Survey(traffic=BUSY), {})
    assert not plan.errors
    told = plan.findings[-1]
    assert told.rule == "version 2 (hash-2…) was rolled back before"
    assert (
        told.remedy == "stage another version with `slipway up`, or write `slipway release --retry`"
    )


def test_on_a_narrow_terminal_no_column_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release_plan, "stdout", Console(width=60, color_system=None))
    show_plan(planned())
    shown = capsys.readouterr().out
    assert "…" not in shown.replace("hash-2…", "")
    assert "stage         old  new  exposed  at least  expected  at most" in shown

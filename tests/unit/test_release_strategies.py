"""Every strategy against a strict endpoint in memory: promoted, back, undecided, compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from contracts.release_manifest import (
    AlarmGate,
    BlueGreen,
    CanaryShift,
    ErrorGate,
    HookGate,
    LimitGate,
    PredictionGate,
    Rolling,
    Shadow,
    Strategy,
)
from release.actions import (
    CreateConfig,
    PublishVerdict,
    PutGateAlarm,
    SetWeights,
    UpdateEndpoint,
)
from release.controller.baking import GATE_PATIENCE_SECONDS
from release.controller.judging import judge_pairs
from release.driver.collaborators import destination
from release.driver.progress import Collaborators, Told
from release.gates import Answer
from release.observation import Captured, CaptureQuery, HookAnswer, Pairs
from release.state import PairMinute, Release
from tests.unit.fake_cloud import Behaviour, FakeCloud, FakeHistory, config_of, target
from tests.unit.release_strategies import (
    AT_ONCE,
    BLUE_GREEN,
    BROKEN,
    CANARY,
    LINEAR,
    LOOSE,
    ROLLING,
    SHADOW,
    STRATEGIES,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)

GUARDED = {k: v for k, v in STRATEGIES.items() if isinstance(v, BlueGreen | Rolling)}
COMPARING = {k: v for k, v in GUARDED.items() if k != "all at once"}


def updates(cloud: FakeCloud) -> list[UpdateEndpoint]:
    return [a for a in cloud.executed if isinstance(a, UpdateEndpoint)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_good_version_passes(name: str) -> None:
    cloud, history = cloud_of(), FakeHistory()
    result = release(cloud, staged(STRATEGIES[name]), history)
    if name == "shadow":
        assert (result.outcome, result.exit_code) == ("compared", 0)
        assert_ended_well(cloud, "wine-test-c1")
        assert history.load().rejected == ()
        assert [g.version for g in history.load().good] == ["1"]
    else:
        assert (result.outcome, result.exit_code) == ("promoted", 0), result.reason
        assert_ended_well(cloud, "wine-test-c2")
        assert [g.version for g in history.load().good] == ["2", "1"]


@pytest.mark.parametrize("has_metrics", [True, False])
@pytest.mark.parametrize("name", ["canary", "blue/green canary", "all at once", "rolling"])
def test_alarms_alone_promote_nothing_that_nobody_measured(name: str, *, has_metrics: bool) -> None:
    cloud = cloud_of(has_metrics=has_metrics)
    result = release(cloud, staged(STRATEGIES[name], gates=()))
    if has_metrics:
        assert result.outcome == "promoted", result.reason
        return
    assert result.outcome == "inconclusive"
    assert "no settled minute with requests to the new version" in result.reason
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "all at once"])
def test_a_broken_version_goes_back(name: str) -> None:
    cloud, history = cloud_of(behaviours=BROKEN), FakeHistory()
    result = release(cloud, staged(STRATEGIES[name]), history)
    assert (result.outcome, result.exit_code) == ("rolled_back", 2), result.reason
    assert "errors" in result.reason
    assert_ended_well(cloud, "wine-test-c1")
    assert history.load().rejected == ("hash-2",)
    is_shadow = name.startswith("shadow")
    assert (result.mirrored_errors if is_shadow else result.candidate_errors) > 0


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "all at once"])
def test_without_metrics_nothing_is_promoted(name: str) -> None:
    cloud, history = cloud_of(has_metrics=False), FakeHistory()
    result = release(cloud, staged(STRATEGIES[name]), history)
    assert (result.outcome, result.exit_code) == ("inconclusive", 3), result.reason
    assert "no verdict" in result.reason
    assert_ended_well(cloud, "wine-test-c1")
    assert history.load().rejected == ()


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_version_that_never_pings_goes_back(name: str, is_silent: bool) -> None:
    never = {"wine-test-m2": Behaviour(pings=False)}
    cloud = cloud_of(behaviours=never, silent_failures=is_silent)
    result = release(cloud, staged(STRATEGIES[name]))
    assert result.outcome == "rolled_back", result.reason
    wanted = "AWS gave no reason" if is_silent else "did not pass the ping check"
    assert wanted in result.reason
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize("name", GUARDED)
def test_an_alarm_of_the_new_fleet_goes_back(name: str) -> None:
    def rings(alarm: str, cloud: FakeCloud) -> bool:
        return alarm.endswith("-landed") and cloud.deployment is not None

    cloud = cloud_of(ringing=rings)
    result = release(cloud, staged(GUARDED[name]))
    assert result.outcome == "rolled_back", result.reason
    assert "errors-landed" in result.reason
    assert_ended_well(cloud, "wine-test-c1")


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "shadow"])
def test_an_alarm_after_the_swap_still_goes_back(name: str) -> None:
    cloud = cloud_of(ringing=lambda n, c: n.endswith("-landed") and c.serving == "wine-test-c2")
    result = release(cloud, staged(STRATEGIES[name]))
    assert result.outcome == "rolled_back", result.reason
    assert "failed after the swap: alarm" in result.reason
    assert_ended_well(cloud, "wine-test-c1")


# --- how guardrails are used


@pytest.mark.parametrize("name", GUARDED)
def test_one_update_keeps_counts_and_lists_the_gate_among_the_rollback_alarms(name: str) -> None:
    cloud = cloud_of()
    result = release(cloud, staged(GUARDED[name]))
    (update,) = updates(cloud)
    assert (update.config, update.exclude_weights) == ("wine-test-c2", True)
    assert update.deployment is not None
    alarms = [a["AlarmName"] for a in update.deployment["AutoRollbackConfiguration"]["Alarms"]]
    assert alarms == [f"{result.id}-errors-landed", f"{result.id}-gate"]
    made = [a for a in cloud.executed if isinstance(a, PutGateAlarm)]
    assert [(a.name, a.release_id) for a in made] == [(f"{result.id}-gate", result.id)]
    assert not [a for a in cloud.executed if isinstance(a, PublishVerdict | SetWeights)]


def test_the_gates_verdict_makes_sagemaker_go_back() -> None:
    cloud = cloud_of(behaviours=BROKEN)
    result = release(cloud, staged(BLUE_GREEN))
    assert "failed while traffic shifted: errors" in result.reason
    published = [a for a in cloud.executed if isinstance(a, PublishVerdict)]
    assert published[0] == PublishVerdict(result.id, 1)
    assert len(updates(cloud)) == 1, "SageMaker goes back by itself"


def test_owners_alarms_are_rollback_alarms_unless_they_are_dry_runs() -> None:
    cloud = cloud_of(other_alarms={"orders": "OK", "tried": "ALARM"})
    gates = (ErrorGate(), AlarmGate("orders"), AlarmGate("tried", dry_run=True))
    assert release(cloud, staged(BLUE_GREEN, gates=gates)).outcome == "promoted"
    deployment = updates(cloud)[0].deployment
    assert deployment is not None
    names = [a["AlarmName"] for a in deployment["AutoRollbackConfiguration"]["Alarms"]]
    assert "orders" in names
    assert "tried" not in names


@pytest.mark.parametrize(
    ("strategy", "turnover", "timeout"),
    [
        (BLUE_GREEN, 420.0, 900 + 300 + 840 + 600),
        (LINEAR, 420.0, 3 * 600 + 300 + 840 + 600),
        (AT_ONCE, 420.0, 600 + 840 + 600),
        (ROLLING, 420.0, 2 * 900 + 2 * 840 + 600),
        (replace(BLUE_GREEN, timeout_seconds=7200), 420.0, 7200),
        (BlueGreen(CanaryShift(10, 3600), 3600, LOOSE), 20_000.0, 28800),
    ],
)
def test_the_timeout_follows_from_the_waits_and_the_turnover(
    strategy: BlueGreen | Rolling, turnover: float, timeout: int
) -> None:
    from release.controller.guardrails import timeout_of

    assert timeout_of(strategy, 4, turnover) == timeout


def test_minutes_at_each_known_share_of_a_linear_shift_count() -> None:
    cloud, history = cloud_of(), FakeHistory()
    seen: list[float] = []
    release(
        cloud,
        staged(LINEAR),
        history,
        observer=lambda e: seen.append(e.data["weight"]) if e.kind == "minute" else None,
    )
    assert set(seen) == {25.0, 50.0, 75.0}


def test_a_comparison_without_an_answer_takes_the_same_road_and_is_inconclusive() -> None:
    cloud = cloud_of(rate=0.02)
    result = release(cloud, staged(BLUE_GREEN))
    assert result.outcome == "inconclusive"
    assert "no verdict before the comparison ended while traffic shifted" in result.reason
    assert len(updates(cloud)) == 1
    assert_ended_well(cloud, "wine-test-c1")


def test_an_update_whose_rollback_failed_is_repaired() -> None:
    cloud = cloud_of(behaviours=BROKEN, rollback_fails=True)
    result = release(cloud, staged(ROLLING))
    assert result.outcome == "rolled_back"
    assert "its rollback failed too" in result.reason
    assert [u.config for u in updates(cloud)] == ["wine-test-c2", "wine-test-c1"]
    assert_ended_well(cloud, "wine-test-c1")


def test_all_at_once_is_decided_by_limits_alone() -> None:
    gates = (ErrorGate(), LimitGate("errors", 0.05))
    cloud = cloud_of(behaviours=BROKEN)
    result = release(cloud, staged(AT_ONCE, gates=gates))
    assert result.outcome == "rolled_back", result.reason
    assert_ended_well(cloud, "wine-test-c1")
    assert release(cloud_of(), staged(AT_ONCE, gates=gates)).outcome == "promoted"


LIMITED = (ErrorGate(), LimitGate("errors", 0.05))


def after_the_swap(change: Callable[[FakeCloud], None]) -> FakeCloud:
    cloud = cloud_of()
    cloud.before_look = lambda seen: change(seen) if seen.serving == "wine-test-c2" else None
    return cloud


@pytest.mark.parametrize("strategy", [CANARY, BLUE_GREEN])
def test_a_post_bake_too_short_to_count_waits_for_what_its_limits_say(strategy: Strategy) -> None:
    worse = {"wine-test-m2": Behaviour(error_rate=0.15)}
    cloud = after_the_swap(lambda seen: setattr(seen, "behaviours", worse))
    made = staged(strategy, gates=LIMITED, post_bake_seconds=60.0)
    result = release(cloud, made)
    assert result.outcome == "rolled_back", result.reason
    assert "errors 15 % (limit 5 %)" in result.reason
    assert result.reason.endswith("after the swap")
    assert_ended_well(cloud, "wine-test-c1")
    assert release(cloud_of(), made).outcome == "promoted"


@pytest.mark.parametrize("on_inconclusive", ["rollback", "hold"])
def test_limits_without_metrics_after_the_swap_take_it_back(on_inconclusive: str) -> None:
    cloud = after_the_swap(lambda seen: setattr(seen, "has_metrics", False))
    made = staged(CANARY, gates=LIMITED, on_inconclusive=on_inconclusive)
    result = release(cloud, made)
    assert result.outcome == "inconclusive"
    silent = "limit of errors: no settled minute of the candidate yet"
    assert result.reason == f"no verdict on the new version after the swap: {silent}"
    assert result.seconds >= GATE_PATIENCE_SECONDS
    assert_ended_well(cloud, "wine-test-c1")
    dry = (ErrorGate(), LimitGate("errors", 0.05, dry_run=True))
    cloud = after_the_swap(lambda seen: setattr(seen, "has_metrics", False))
    assert release(cloud, staged(CANARY, gates=dry)).outcome == "promoted"


def test_a_version_near_its_limit_is_promoted_as_its_steps_were_passed() -> None:
    near = Behaviour(error_rate=0.049)
    cloud = cloud_of(behaviours={"wine-test-m1": near, "wine-test-m2": near})
    assert release(cloud, staged(CANARY, gates=LIMITED)).outcome == "promoted"


def test_a_target_configuration_that_is_deleted_meanwhile_moves_nothing() -> None:
    cloud = cloud_of()

    def delete(seen: FakeCloud) -> None:
        if seen.alarm_names:
            seen.configs.pop("wine-test-c2", None)

    cloud.before_look = delete
    result = release(cloud, staged(BLUE_GREEN))
    assert result.outcome == "inconclusive"
    assert "configuration wine-test-c2 of version 2 was deleted under the release" in result.reason
    assert cloud.serving == "wine-test-c1"


def test_landing_while_nobody_looked_is_not_promoted() -> None:
    cloud = cloud_of(tick=10_000.0)
    result = release(cloud, staged(BLUE_GREEN))
    assert result.outcome == "inconclusive"
    assert "all traffic shifted before any verdict was reached" in result.reason
    assert_ended_well(cloud, "wine-test-c1")


# --- shadow


def test_a_shadow_gets_a_copy_and_live_stays_as_it_is() -> None:
    cloud = cloud_of()
    release(cloud, staged(SHADOW))
    made = next(a for a in cloud.executed if isinstance(a, CreateConfig))
    (live,), (shadow,) = made.body["ProductionVariants"], made.body["ShadowProductionVariants"]
    assert (live["ModelName"], live["InitialVariantWeight"]) == ("wine-test-m1", 1.0)
    assert live["InitialInstanceCount"] == 4
    assert (shadow["VariantName"], shadow["ModelName"]) == ("shadow", "wine-test-m2")
    assert (shadow["InitialVariantWeight"], shadow["InitialInstanceCount"]) == (0.5, 2)
    assert not [a for a in cloud.executed if isinstance(a, SetWeights)]
    assert [u.config for u in updates(cloud)] == [made.name, "wine-test-c1"]


def test_a_canary_takes_the_place_of_its_shadow_directly() -> None:
    cloud = cloud_of()
    release(cloud, staged(STRATEGIES["shadow, canary"]))
    mirror, transition = (a.name for a in cloud.executed if isinstance(a, CreateConfig))
    assert [u.config for u in updates(cloud)] == [mirror, transition, "wine-test-c2"]


def test_a_shadow_leaves_before_guardrails() -> None:
    cloud = cloud_of()
    release(cloud, staged(STRATEGIES["shadow, blue/green"]))
    mirror = next(a.name for a in cloud.executed if isinstance(a, CreateConfig))
    assert [u.config for u in updates(cloud)] == [mirror, "wine-test-c1", "wine-test-c2"]
    assert [u.deployment is not None for u in updates(cloud)] == [False, False, True]


CAPTURE = {"EnableCapture": True, "InitialSamplingPercentage": 100}


def captured_pair(live: Any = CAPTURE, new: Any = CAPTURE) -> tuple[FakeCloud, Any]:
    cloud = cloud_of()
    config = config_of("1", 4)
    if live is not None:
        cloud.configs[config.name] = replace(config, body=config.body | {"DataCaptureConfig": live})
    made = replace(staged(SHADOW), target=replace(target("2"), data_capture=new))
    return cloud, made


@pytest.mark.parametrize(("live", "new"), [(CAPTURE, CAPTURE), (None, CAPTURE), (CAPTURE, None)])
@pytest.mark.parametrize(
    ("differ", "outcome", "text"),
    [(0, "compared", "nothing follows it"), (40, "rolled_back", "pairs of answers differ")],
)
def test_pairs_of_answers_decide_on_a_shadow_wherever_any_are_captured(
    live: Any, new: Any, differ: int, outcome: str, text: str
) -> None:
    cloud, made = captured_pair(live, new)
    asked: list[CaptureQuery] = []

    def read(_release: Release, query: CaptureQuery) -> Captured:
        asked.append(query)
        minutes = range(int(query.since), int(query.until) + 1, 60)
        pairs = {float(m): Pairs(100 - differ, differ) for m in minutes}
        return Captured({}, ["edges"], pairs)

    result = release(cloud, made, beside=Collaborators(read_captures=read))
    assert (result.outcome, text in result.reason) == (outcome, True), result.reason
    assert (asked[0].sources, asked[0].pairs) == ({"live": "live", "candidate": "shadow"}, True)
    assert asked[0].bins is None
    assert all(q.bins == ["edges"] for q in asked[1:])
    transition = next(a for a in cloud.executed if isinstance(a, CreateConfig))
    assert transition.body["DataCaptureConfig"] == CAPTURE
    assert_configs(cloud)


def test_pairs_share_the_false_alarms_with_the_gates() -> None:
    pairs = (PairMinute(0.0, Pairs(85, 15)),)
    assert judge_pairs(pairs, 0.05, 1).answer is Answer.FAIL, "e = 243"
    assert judge_pairs(pairs, 0.05, 3).answer is Answer.HOLD
    cloud, made = captured_pair(CAPTURE, CAPTURE)
    history = FakeHistory()

    def read(_release: Release, query: CaptureQuery) -> Captured:
        return Captured({}, ["edges"], {query.since: Pairs(1000, 0)})

    result = release(cloud, made, history, beside=Collaborators(read_captures=read))
    told = json.loads(history.evidence[result.id])["e_values"]
    assert told["fail_at"] == pytest.approx(math.log10(300)), "errors, latency and pairs"


def test_a_shadow_of_which_nothing_is_captured_compares_no_pairs() -> None:
    cloud, made = captured_pair(None, CAPTURE | {"EnableCapture": False})
    asked: list[CaptureQuery] = []
    read = Collaborators(read_captures=lambda _release, query: asked.append(query))
    assert release(cloud, made, beside=read).outcome == "compared"
    assert asked == []


def assert_configs(cloud: FakeCloud) -> None:
    assert (cloud.serving, set(cloud.configs)) == ("wine-test-c1", {"wine-test-c1", "wine-test-c2"})


NEW_CAPTURE = {"EnableCapture": True, "DestinationS3Uri": "s3://new/captures"}
OLD_CAPTURE = {"EnableCapture": True, "DestinationS3Uri": "s3://old/captures"}
OFF = NEW_CAPTURE | {"EnableCapture": False}


@pytest.mark.parametrize("strategy", [CANARY, SHADOW])
@pytest.mark.parametrize(
    ("live", "new", "during"),
    [
        (None, NEW_CAPTURE, NEW_CAPTURE),
        (OLD_CAPTURE, NEW_CAPTURE, NEW_CAPTURE),
        (OLD_CAPTURE, None, OLD_CAPTURE),
        (OLD_CAPTURE, OFF, OLD_CAPTURE),
    ],
)
def test_where_a_gate_reads_answers_both_variants_are_captured_as_the_new_version_has_it(
    strategy: Any, live: Any, new: Any, during: Any
) -> None:
    cloud = cloud_of()
    config = config_of("1", 4)
    if live is not None:
        cloud.configs[config.name] = replace(config, body=config.body | {"DataCaptureConfig": live})
    made = staged(strategy, gates=(ErrorGate(), PredictionGate(bins=(0.5,))))
    made = replace(made, target=replace(target("2"), data_capture=new))
    places: set[str | None] = set()

    def read(running: Release, query: CaptureQuery) -> Captured:
        places.add(destination(running))
        minutes = range(int(query.since), int(query.until) + 1, 60)
        same = {float(m): (500, 500) for m in minutes}
        pairs = {float(m): Pairs(100, 0) for m in minutes}
        return Captured({"live": same, "candidate": same}, ["edges"], pairs)

    result = release(cloud, made, beside=Collaborators(read_captures=read))

    assert result.outcome in ("promoted", "compared"), result.reason
    transition = next(a for a in cloud.executed if isinstance(a, CreateConfig))
    assert transition.body["DataCaptureConfig"] == during
    assert places == {during["DestinationS3Uri"]}


@pytest.mark.parametrize("live", [None, OLD_CAPTURE])
def test_without_such_a_gate_a_canary_captures_as_live_does(live: Any) -> None:
    cloud, made = captured_pair(live, NEW_CAPTURE)
    release(cloud, replace(made, release=staged(CANARY).release))
    transition = next(a for a in cloud.executed if isinstance(a, CreateConfig))
    assert transition.body.get("DataCaptureConfig") == live


def test_without_pairs_a_shadow_that_captures_holds() -> None:
    cloud, made = captured_pair()
    result = release(cloud, made)
    assert result.outcome == "inconclusive"
    assert "no pair of answers was captured yet" in result.reason


# --- hooks and announcements


@pytest.mark.parametrize(("answer", "outcome"), [("pass", "promoted"), ("", "inconclusive")])
def test_a_hook_is_asked_anew_after_the_swap_and_must_pass(answer: str, outcome: str) -> None:
    """What it said of the last step, an hour before it would be asked again, says nothing."""

    def ask(running: Release, hooks: tuple[HookGate, ...], now: float) -> dict[str, HookAnswer]:
        told = answer if running.stage == "post-bake" else "pass"
        return {h.name: HookAnswer(told or "not_enough_data", "by itself", now) for h in hooks}

    gates = (ErrorGate(), HookGate("smoke", ("true",), every_seconds=7200))
    result = release(
        cloud_of(rate=5.0), staged(CANARY, gates=gates), beside=Collaborators(ask_hooks=ask)
    )
    assert result.outcome == outcome
    if not answer:
        reason = "after the swap: hook smoke has not enough data: by itself"
        assert result.reason == f"no verdict on the new version {reason}"


def test_hooks_are_asked_as_often_as_they_say_and_decide() -> None:
    asked: list[tuple[str, float, str]] = []

    def ask(running: Release, hooks: tuple[HookGate, ...], now: float) -> dict[str, HookAnswer]:
        asked.extend((h.name, now, running.stage) for h in hooks)
        return {h.name: HookAnswer("pass", "smoke test passed", now) for h in hooks}

    gates = (ErrorGate(), HookGate("smoke", ("true",), every_seconds=120))
    cloud = cloud_of()
    result = release(cloud, staged(CANARY, gates=gates), beside=Collaborators(ask_hooks=ask))
    assert result.outcome == "promoted"
    assert {stage for _, _, stage in asked} <= {"bake", "post-bake"}
    times = [at for _, at, _ in asked]
    assert min(b - a for a, b in pairwise(times)) >= 60


def test_a_hook_that_fails_rolls_back_and_one_that_never_answers_is_no_pass() -> None:
    gates = (ErrorGate(), HookGate("smoke", ("true",)))

    def fail(_r: Release, hooks: tuple[HookGate, ...], now: float) -> dict[str, HookAnswer]:
        return {h.name: HookAnswer("fail", "3 of 5 orders wrong", now) for h in hooks}

    result = release(cloud_of(), staged(CANARY, gates=gates), beside=Collaborators(ask_hooks=fail))
    assert result.outcome == "rolled_back"
    assert "hook smoke failed: 3 of 5 orders wrong" in result.reason
    result = release(cloud_of(), staged(CANARY, gates=gates))
    assert result.outcome == "inconclusive"
    assert "hook smoke has not answered" in result.reason


def test_events_are_announced_once_each_in_their_order() -> None:
    told: list[tuple[int, str]] = []

    def announce(running: Release, count: int) -> Told:
        kinds = [e.kind for e in running.log if e.kind in ("started", "step", "ended")]
        told.extend(enumerate(kinds[count:], count))
        return Told(len(kinds))

    release(cloud_of(), staged(CANARY), beside=Collaborators(announce=announce))
    assert told == [(0, "started"), (1, "step"), (2, "step"), (3, "ended")]


def test_a_shadow_release_is_another_strategy_in_the_result() -> None:
    result = release(cloud_of(), staged(Shadow(100, LOOSE, 120, 3600, 0.05)))
    assert (result.strategy, result.steps[0].weight) == ("shadow", 100)

"""Every rule of the lint, with what it says and what to do about it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from contracts.release_manifest import (
    AlarmGate,
    AlarmSpec,
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    ErrorGate,
    HookGate,
    LatencyGate,
    LimitGate,
    LinearShift,
    PredictionGate,
    ReleaseManifest,
    ReleaseSettings,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)
from infra.reading import Layer, Node, Problems
from infra.release_config import read_release
from release.controller.start import Snapshot
from release.observation import Config, Endpoint, Variant
from release.planning.lint import ERROR, WARNING, Finding, find
from release.planning.lint.finding import setting
from release.planning.power import requests_needed
from release.planning.survey import AlarmSeen, Quota, Survey, Traffic
from tests.unit.fake_cloud import ENDPOINT, config_of, manifest, scaling_target

TURNOVER = 400.0
TOLERANCE = Tolerance(2, 1)
STEPS = Canary((Step(10, TOLERANCE, 180, 7200),))
SHADOW_THEN_CANARY = Shadow(100, TOLERANCE, 180, 7200, 0.05, STEPS)
FINE = BlueGreen(CanaryShift(10, 600), 300, TOLERANCE)


def snapshot(count: int = 10, live: Config | None = None, target: Config | None = None) -> Snapshot:
    endpoint = Endpoint(
        1_000_000.0, "InService", "wine-test-c1", 0.0, (Variant("live", 1, 1, count, count),)
    )
    live, target = live or config_of("1", count), target or config_of("2", count)
    return Snapshot(endpoint, live, target, scaling_target())


def staged(strategy: Strategy | None = None, **changes: Any) -> ReleaseManifest:
    settings: dict[str, Any] = {} if strategy is None else {"strategy": strategy}
    return replace(manifest(**settings), **changes)


def lint(
    strategy: Strategy | None = None,
    *,
    seen: Snapshot | None = None,
    survey: Survey | None = None,
    changes: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Finding, ...]:
    made = staged(strategy, **(changes or {}))
    made = replace(made, release=replace(made.release, **settings)) if settings else made
    return find(made, seen or snapshot(), survey or Survey(), TURNOVER)


def config_with(**variant: Any) -> Config:
    config = config_of("2")
    body = {"ProductionVariants": [config.production()[0] | variant]}
    return replace(config, body=body)


def test_a_sound_release_has_no_findings() -> None:
    assert lint() == ()
    assert lint(FINE) == ()
    assert lint(Rolling(25, 300, TOLERANCE)) == ()


STRATEGIES: list[tuple[Strategy, str, str, str, str]] = [
    (Canary(()), ERROR, "a canary without steps", "release.steps", "at least one step"),
    (
        Canary((Step(100, TOLERANCE, 180, 7200),)),
        ERROR,
        "weight is 100; it lies between 0 and 100",
        "release.steps[0].weight",
        "leave out a step of 100",
    ),
    (
        Canary((Step(25, TOLERANCE, 180, 7200), Step(5, TOLERANCE, 180, 7200))),
        ERROR,
        "weight is 5 after 25; weights must rise",
        "release.steps[1].weight",
        "from the smallest",
    ),
    (
        Canary((Step(25, TOLERANCE, 180, 200),)),
        ERROR,
        "the longest bake is 200 s, but the first whole minute counts after up to 240 s",
        "release.steps[0].bake.max",
        "write `bake: {min: 3m, max: 4m}`, or longer",
    ),
    (
        BlueGreen(CanaryShift(60, 600), 300, TOLERANCE),
        ERROR,
        "the size is 60 %; SageMaker takes 1 to 50 %",
        "release.blueGreen.size",
        "write `size: 50`",
    ),
    (
        BlueGreen(LinearShift(5, 600), 300, TOLERANCE),
        ERROR,
        "the size is 5 %; SageMaker takes 10 to 50 %",
        "release.blueGreen.size",
        "write `size: 10`",
    ),
    (
        Rolling(60, 300, TOLERANCE),
        ERROR,
        "the batch is 60 %; SageMaker takes 5 to 50 %",
        "release.rolling.batch",
        "write `batch: 50`",
    ),
    (
        BlueGreen(CanaryShift(10, 4000), 300, TOLERANCE),
        ERROR,
        "a wait of 4000 s; SageMaker takes 3600 s",
        "release.blueGreen",
        "write `wait: 1h`; a canary may bake for days",
    ),
    (
        BlueGreen(AllAtOnce(), 0, TOLERANCE),
        ERROR,
        "every bake is 0 s: alarms are watched only while it bakes",
        "release.blueGreen",
        "write `finalWait: 3m`, or longer",
    ),
    (
        BlueGreen(CanaryShift(10, 60), 300, TOLERANCE),
        WARNING,
        "a bake of 60 s ends before an alarm can ring (180 s",
        "release.blueGreen",
        "write `wait: 3m`, or longer",
    ),
    (
        BlueGreen(CanaryShift(10, 600), 300, TOLERANCE, 800),
        ERROR,
        "the timeout of 800 s does not exceed the waits of 900 s",
        "release.blueGreen.timeout",
        "write `timeout: 22m`, or leave it out",
    ),
    (
        BlueGreen(CanaryShift(10, 600), 300, TOLERANCE, 1000),
        WARNING,
        "the timeout of 1000 s leaves 100 s for the new instances",
        "release.blueGreen.timeout",
        "write `timeout: 22m`, or leave it out",
    ),
    (
        BlueGreen(CanaryShift(10, 600), 300, TOLERANCE, 30_000),
        ERROR,
        "the timeout is 30000 s; 600 to 28800 s are allowed",
        "release.blueGreen.timeout",
        "change it, or leave it out",
    ),
    (
        Rolling(5, 3600, TOLERANCE),
        ERROR,
        "it takes 40000 s; SageMaker ends a deployment after 28800 s",
        "release.rolling",
        "fewer or shorter waits",
    ),
    (
        Shadow(0, TOLERANCE, 180, 7200, 0.05),
        ERROR,
        "the sampling is 0 %; above 0",
        "release.shadow.sampling",
        "write `sampling: 100`",
    ),
    (
        Shadow(100, TOLERANCE, 60, 120, 0.05),
        ERROR,
        "the longest bake is 120 s; 240 s are needed",
        "release.shadow.bake.max",
        "write `bake: {min: 1m, max: 4m}`, or longer",
    ),
    (
        Shadow(100, TOLERANCE, 180, 7200, 0.05),
        WARNING,
        "without data capture both versions' predictions are not compared",
        "capture",
        "sampling: 100",
    ),
    (
        BlueGreen(AllAtOnce(), 600, TOLERANCE),
        WARNING,
        "all_at_once has no minutes of both versions: errors, latency cannot be compared",
        "release.blueGreen.traffic",
        "limits, alarms and hooks alone decide",
    ),
]


@pytest.mark.parametrize(("strategy", "severity", "rule", "where", "remedy"), STRATEGIES)
def test_a_strategy_that_aws_would_refuse_or_ignore_is_named(
    strategy: Strategy, severity: str, rule: str, where: str, remedy: str
) -> None:
    assert_found(lint(strategy), severity, rule, where, remedy)


def pasted(finding: Finding, fragment: str) -> ReleaseSettings:
    """What the stack's configuration reads where ``fragment`` is written at the finding's place."""
    value = yaml.safe_load(fragment)
    assert isinstance(value, dict), fragment
    kind = next((k for k in ("blueGreen", "rolling", "shadow") if f".{k}" in finding.where), "")
    if finding.where.startswith("release.steps"):
        step = {"weight": 50, "bake": {"min": "1m", "max": "2h"}}
        value = {"strategy": "canary", "steps": [step | value]}
    elif kind:
        chosen = {"blueGreen": "blue_green"}.get(kind, kind)
        value = value if "strategy" in value else {"strategy": chosen, kind: value}
    problems = Problems()
    settings = read_release(Node((Layer("release", value),), problems), (ErrorGate(),))
    assert problems.found == [], fragment
    return settings


@pytest.mark.parametrize(
    "strategy",
    [row[0] for row in STRATEGIES if row[3].startswith("release.")]
    + [Shadow(100, Tolerance(1.5, 0.5), 180, 7200, 1.0), Rolling(25, 300, TOLERANCE), FINE],
)
def test_what_is_to_be_written_can_be_pasted(strategy: Strategy) -> None:
    """Also where the traffic is too small, and the post-bake too short for limits."""
    gates = (ErrorGate(), LimitGate("errors", 0.1))
    found = lint(strategy, survey=traffic(120, 0.01), gates=gates, post_bake_seconds=1.0)
    told = [f for f in found if f.where.startswith("release.") and "write " in f.remedy]
    fragments = [(f, each) for f in told for each in re.findall("`([^`]+)`", f.remedy)]
    assert fragments
    for finding, fragment in fragments:
        pasted(finding, fragment)


def test_a_time_is_told_as_the_stacks_file_takes_it() -> None:
    told = [setting(s) for s in (0, 45, 45.2, 60, 90, 599, 780, 790, 3600, 8580, 7200, 90_000)]
    assert told == [
        "0s",
        "45s",
        "46s",
        "1m",
        "90s",
        "599s",
        "13m",
        "14m",
        "1h",
        "143m",
        "2h",
        "25h",
    ]


def assert_found(
    found: tuple[Finding, ...], severity: str, rule: str, where: str, remedy: str
) -> None:
    match = [f for f in found if rule in f.rule and f.where == where]
    assert match, [f"{f.where}: {f.rule}" for f in found]
    assert (match[0].severity, remedy in match[0].remedy) == (severity, True), match


@pytest.mark.parametrize(
    ("strategy", "where"),
    [(FINE, "release.blueGreen.size"), (Rolling(5, 300, TOLERANCE), "release.rolling.batch")],
)
def test_one_instance_cannot_be_shifted_in_parts(strategy: Strategy, where: str) -> None:
    found = lint(strategy, seen=snapshot(1))
    rule = "one instance cannot be shifted in parts"
    assert_found(found, ERROR, rule, "endpoint.instances.min", "run two instances or more")
    assert not [f for f in found if f.where == where]


@pytest.mark.parametrize(
    ("strategy", "count"),
    [
        (BlueGreen(CanaryShift(50, 600), 300, TOLERANCE), 3),
        (BlueGreen(LinearShift(50, 600), 300, TOLERANCE), 3),
        (Rolling(50, 600, TOLERANCE), 5),
    ],
)
def test_half_of_an_odd_fleet_is_rounded_down_and_taken(strategy: Strategy, count: int) -> None:
    assert lint(strategy, seen=snapshot(count)) == ()


@pytest.mark.parametrize(
    ("strategy", "count"),
    [
        (Rolling(5, 1800, TOLERANCE), 2),
        (BlueGreen(LinearShift(10, 3600), 300, TOLERANCE), 3),
    ],
)
def test_a_small_fleet_has_as_few_waits_as_instances(strategy: Strategy, count: int) -> None:
    busy = Survey(traffic=Traffic(3000.0, 0.01, 0.02, "last week"))
    assert lint(strategy, seen=snapshot(count), survey=busy) == ()


def test_rounding_can_make_more_steps_than_the_percentage_says() -> None:
    # 10 % of 14 is one instance.
    found = lint(BlueGreen(LinearShift(10, 3000), 300, TOLERANCE), seen=snapshot(14))
    assert_found(found, ERROR, "it takes 39700 s", "release.blueGreen", "fewer or shorter waits")


def test_traffic_is_held_against_the_share_that_whole_instances_make() -> None:
    quiet = Survey(traffic=Traffic(700.0, 0.01, 0.02, "last week"))
    strategy = BlueGreen(CanaryShift(5, 3000), 300, TOLERANCE)
    (many,) = {f.where for f in lint(strategy, seen=snapshot(20), survey=quiet)}
    assert many == "release.blueGreen"
    assert lint(strategy, seen=snapshot(2), survey=quiet) == ()


@pytest.mark.parametrize(
    ("variant", "rule", "where"),
    [
        ({"InstanceType": "ml.inf1.xlarge"}, "ml.inf1.xlarge has no guardrails", "instanceType"),
        ({"ServerlessConfig": {"MemorySizeInMB": 2048}}, "serverless", "release.strategy"),
        ({"VariantName": "AllTraffic"}, "guardrails need the same in both", "release.strategy"),
    ],
)
def test_what_guardrails_do_not_apply_to_is_an_error(
    variant: dict[str, Any], rule: str, where: str
) -> None:
    found = lint(FINE, seen=snapshot(target=config_with(**variant)))
    assert [f for f in found if f.severity == ERROR and rule in f.rule and f.where == where]


@pytest.mark.parametrize("strategy", [None, SHADOW_THEN_CANARY])
def test_a_serverless_endpoint_takes_no_second_variant(strategy: Strategy | None) -> None:
    serverless = config_with(ServerlessConfig={"MemorySizeInMB": 2048})
    found = lint(strategy, seen=snapshot(target=serverless))
    assert_found(found, ERROR, "one variant only", "release.strategy", "run it on instances")


def test_rolling_takes_one_variant_only() -> None:
    seen = snapshot()
    two = (*seen.endpoint.variants, Variant("other", 1, 1, 2, 2))
    seen = replace(seen, endpoint=replace(seen.endpoint, variants=two))
    found = lint(Rolling(25, 300, TOLERANCE), seen=seen)
    assert_found(found, ERROR, "2 variants (live, other)", "release.strategy", "blue_green")


@pytest.mark.parametrize(
    "strategy", [BlueGreen(CanaryShift(10, 299), 900, TOLERANCE), Rolling(50, 299, TOLERANCE)]
)
def test_a_shift_too_short_for_a_minute_to_count_is_an_error(strategy: Strategy) -> None:
    where = f"release.{'blueGreen' if isinstance(strategy, BlueGreen) else 'rolling'}"
    remedy = "write `wait: 5m`, or shorten"
    for gate in (ErrorGate(), LimitGate("errors", 0.1)):
        found = lint(strategy, gates=(gate,))
        assert_found(found, ERROR, "no bake that compares lasts 300 s", where, remedy)
    dry = (AlarmGate("orders"), LimitGate("errors", 0.1, dry_run=True))
    assert not [f for f in lint(strategy, gates=dry) if "compares" in f.rule]


def test_a_limit_needs_a_minute_of_the_final_bake_where_all_moves_at_once() -> None:
    gates = (LimitGate("errors", 0.05),)
    found = lint(BlueGreen(AllAtOnce(), 299, TOLERANCE), gates=gates)
    rule = (
        "no bake on all traffic lasts 300 s: with warm-up and settling no minute would count, and "
        "the release would end inconclusive"
    )
    assert_found(found, ERROR, rule, "release.blueGreen", "write `finalWait: 5m`, or shorten")
    for sound in ((300, gates), (299, (ErrorGate(),)), (299, (AlarmGate("orders"),))):
        found = lint(BlueGreen(AllAtOnce(), sound[0], TOLERANCE), gates=sound[1])
        assert not [f for f in found if "no minute would" in f.rule]


def test_a_guardrail_deployment_cannot_be_held() -> None:
    found = lint(FINE, on_inconclusive="hold")
    assert_found(found, ERROR, "blue_green cannot be held", "release.onInconclusive", "rollback")
    assert lint(on_inconclusive="hold") == ()


GATES: list[tuple[Any, Survey, str, str]] = [
    (PredictionGate(), Survey(), "nothing is captured", "capture"),
    (LimitGate("luck", 1), Survey(), "the limit is on 'luck'; errors, slow, p95", "one of them"),
    (LimitGate("slow", 0.1), Survey(), "what slow is", "over: 50ms"),
    (
        HookGate("smoke", ("./smoke",)),
        Survey(driver="lambda"),
        "the hook smoke is a command, and the stack's driver is a Lambda",
        "name a function",
    ),
    (
        HookGate("smoke", function_arn="arn:f", timeout_seconds=180.0),
        Survey(driver="lambda"),
        "the hook smoke may take 180 s; the Lambda that drives the release waits 120 s for hooks",
        (
            "write `timeout: 2m` and answer from a check that runs elsewhere, or set "
            "`slipway:controller: {driver: terminal}`"
        ),
    ),
    (
        AlarmGate("orders"),
        Survey(alarms={}),
        "the alarm orders does not exist in eu-west-1",
        "make it, or correct its name",
    ),
]


@pytest.mark.parametrize(("gate", "survey", "rule", "remedy"), GATES)
def test_a_gate_that_cannot_decide_is_named(
    gate: Any, survey: Survey, rule: str, remedy: str
) -> None:
    found = lint(gates=(ErrorGate(), gate), survey=survey)
    assert_found(found, ERROR, rule, "release.gates[1]", remedy)


def test_hooks_are_asked_together_so_only_the_longest_has_to_fit() -> None:
    hooks = tuple(HookGate(f"h{i}", function_arn="arn:f", timeout_seconds=120.0) for i in range(9))
    assert lint(gates=(ErrorGate(), *hooks), survey=Survey(driver="lambda")) == ()
    slow = replace(hooks[0], timeout_seconds=300.0)
    assert lint(gates=(ErrorGate(), slow), survey=Survey(driver="terminal")) == ()


CAPTURE = {"EnableCapture": True, "DestinationS3Uri": "s3://bucket/captures"}
CAPTURED = {"target": replace(manifest().target, data_capture=CAPTURE)}


def test_a_shadow_compares_pairs_in_the_release_that_turns_capture_on() -> None:
    shadow = Shadow(100, TOLERANCE, 180, 7200, 0.05)
    assert lint(shadow, changes=CAPTURED) == ()


def captured_live() -> Snapshot:
    config = config_of("1", 10)
    return snapshot(live=replace(config, body=config.body | {"DataCaptureConfig": CAPTURE}))


def test_a_canary_captures_both_versions_where_either_does() -> None:
    gates = (ErrorGate(), PredictionGate())
    assert lint(gates=gates, changes=CAPTURED) == ()
    assert lint(gates=gates, seen=captured_live()) == ()
    off = {"target": replace(manifest().target, data_capture=CAPTURE | {"EnableCapture": False})}
    found = lint(gates=gates, changes=off)
    assert_found(found, ERROR, "nothing is captured", "release.gates[1]", "capture")


@pytest.mark.parametrize("strategy", [FINE, Rolling(25, 300, TOLERANCE)])
def test_guardrails_compare_no_predictions(strategy: BlueGreen | Rolling) -> None:
    gates = (ErrorGate(), PredictionGate())
    found = lint(strategy, gates=gates, changes=CAPTURED)
    rule = f"live is not captured, and {strategy.kind} leaves the old fleet as it is"
    remedy = "release by canary or shadow, which capture both versions, or leave the gate out"
    assert_found(found, ERROR, rule, "release.gates[1]", remedy)

    found = lint(strategy, gates=gates, changes=CAPTURED, seen=captured_live())
    rule = "answers are captured by variant: the gate predictions cannot tell the old ones"
    assert_found(found, ERROR, rule, "release.gates[1]", remedy)

    dry = (ErrorGate(), PredictionGate(dry_run=True))
    assert [f.severity for f in lint(strategy, gates=dry, changes=CAPTURED)] == [WARNING]
    at_once = BlueGreen(AllAtOnce(), 600, TOLERANCE)
    assert not [f for f in lint(at_once, gates=gates, changes=CAPTURED) if "captured" in f.rule]


def test_without_anything_that_decides_the_release_is_refused() -> None:
    found = lint(gates=(ErrorGate(dry_run=True),), changes={"rollback_alarms": ()})
    assert_found(found, ERROR, "nothing tells whether", "release.gates", "metric: errors")


def seen_alarm(state: str = "OK", **dimensions: str) -> Survey:
    alarm = AlarmSeen("orders", "AWS/SageMaker", "ModelLatency", dimensions, state, 60.0)
    return Survey(alarms={"orders": alarm})


def test_a_composite_alarm_guards_a_canary_but_no_guardrails() -> None:
    composite = AlarmSeen.of({"AlarmName": "orders", "AlarmRule": "ALARM(a)", "StateValue": "OK"})
    survey = Survey(alarms={"orders": composite})
    gates = (ErrorGate(), AlarmGate("orders"))
    assert lint(gates=gates, survey=survey) == ()
    dry = (ErrorGate(), AlarmGate("orders", dry_run=True))
    assert lint(FINE, gates=dry, survey=survey) == ()
    for strategy in (FINE, Rolling(25, 300, TOLERANCE)):
        found = lint(strategy, gates=gates, survey=survey)
        rule = (
            f"the alarm orders is a composite one, and {strategy.kind} hands it to SageMaker, of "
            "which only metric alarms are known to be taken"
        )
        remedy = "name the metric alarms that it is made of, or release by canary"
        assert_found(found, ERROR, rule, "release.gates[1]", remedy)


@pytest.mark.parametrize(
    ("survey", "severity", "rule"),
    [
        (seen_alarm(EndpointName="other", VariantName="live"), ERROR, "watches endpoint other"),
        (seen_alarm(EndpointName=ENDPOINT), ERROR, "has no VariantName"),
        (seen_alarm(EndpointName=ENDPOINT, VariantName="live"), WARNING, "mixes the old and"),
        (
            seen_alarm("ALARM", EndpointName=ENDPOINT, VariantName="live"),
            ERROR,
            "is in ALARM now: the release would fail at once",
        ),
    ],
)
def test_an_alarm_with_the_wrong_dimensions_is_named(
    survey: Survey, severity: str, rule: str
) -> None:
    found = lint(gates=(ErrorGate(), AlarmGate("orders")), survey=survey)
    assert [f for f in found if f.severity == severity and rule in f.rule]


@pytest.mark.parametrize(
    ("strategy", "dimensions", "rule", "remedy"),
    [
        (
            None,
            {"VariantName": "nope", "EndpointConfigName": "wine-test-c1"},
            "watches variant nope; there will be live and candidate",
            "name an alarm on live or candidate",
        ),
        (
            FINE,
            {"VariantName": "candidate"},
            "watches variant candidate; there will be live",
            "name an alarm on live",
        ),
        (
            Shadow(100, TOLERANCE, 180, 7200, 0.05),
            {"VariantName": "nope"},
            "watches variant nope; there will be live and shadow",
            "name an alarm on live or shadow",
        ),
        (
            FINE,
            {"VariantName": "live", "EndpointConfigName": "wine-test-c1"},
            "watches configuration wine-test-c1, and wine-test-c2 is released",
            "let its EndpointConfigName be wine-test-c2",
        ),
    ],
)
def test_an_alarm_that_cannot_see_the_new_version_is_named(
    strategy: Strategy | None, dimensions: dict[str, str], rule: str, remedy: str
) -> None:
    gates = (ErrorGate(), AlarmGate("orders"))
    found = lint(strategy, gates=gates, survey=seen_alarm(EndpointName=ENDPOINT, **dimensions))
    assert_found(found, ERROR, f"the alarm orders {rule}", "release.gates[1]", remedy)


def test_an_alarm_on_the_new_version_alone_is_sound() -> None:
    gates = (ErrorGate(), AlarmGate("orders"))
    target = {"VariantName": "live", "EndpointConfigName": "wine-test-c2"}
    assert lint(FINE, gates=gates, survey=seen_alarm(EndpointName=ENDPOINT, **target)) == ()
    candidate = seen_alarm(EndpointName=ENDPOINT, VariantName="candidate")
    assert lint(gates=gates, survey=candidate) == ()
    found = lint(gates=gates, survey=seen_alarm(EndpointName=ENDPOINT, **target))
    rule = "the alarm orders watches configuration wine-test-c2, unused before the swap"
    remedy = "leave that dimension out, and name variant candidate"
    assert_found(found, WARNING, rule, "release.gates[1]", remedy)


SLOW_ALARM = Survey(alarms={"orders": AlarmSeen("orders", "Shop", "Orders", {}, "OK", 600.0)})


@pytest.mark.parametrize(
    ("strategy", "bake"),
    [
        (Canary((Step(10, TOLERANCE, 180, 300),)), "release.steps[0].bake.max lasts 300 s"),
        (Shadow(100, TOLERANCE, 180, 599, 0.05), "release.shadow.bake.max lasts 599 s"),
        (BlueGreen(CanaryShift(10, 600), 300, TOLERANCE), "release.blueGreen lasts 300 s"),
        (Rolling(25, 300, TOLERANCE), "release.rolling lasts 300 s"),
    ],
)
def test_an_alarm_slower_than_a_bake_is_a_warning(strategy: Strategy, bake: str) -> None:
    gates: dict[str, Any] = {"gates": (ErrorGate(), AlarmGate("orders"))}
    found = lint(strategy, survey=SLOW_ALARM, post_bake_seconds=600.0, **gates)
    rule = f"the alarm orders needs 600 s to ring, and {bake}"
    remedy = "let it last `10m` or longer, or shorten the alarm's periods"
    assert_found(found, WARNING, rule, "release.gates[1]", remedy)
    dry: dict[str, Any] = {"gates": (ErrorGate(), AlarmGate("orders", dry_run=True))}
    assert not [f for f in lint(strategy, survey=SLOW_ALARM, **dry) if "to ring" in f.rule]


def test_an_alarm_slower_than_the_post_bake_is_a_warning() -> None:
    gates = (ErrorGate(), AlarmGate("orders"))
    (found,) = lint(gates=gates, survey=SLOW_ALARM, post_bake_seconds=599.0)
    assert found.rule == "the alarm orders needs 600 s to ring, and release.postBake lasts 599 s"
    assert lint(gates=gates, survey=SLOW_ALARM, post_bake_seconds=600.0) == ()


def test_more_alarms_than_sagemaker_takes() -> None:
    gates = (ErrorGate(), *(AlarmGate(f"a{i}") for i in range(9)))
    found = lint(FINE, gates=gates)
    assert_found(found, ERROR, "11 alarms would guard", "release.gates", "name 1 fewer")


def test_the_role_must_be_allowed_to_read_the_alarms() -> None:
    found = lint(FINE, survey=Survey(may_describe_alarms=False))
    assert_found(found, ERROR, "may not call cloudwatch:DescribeAlarms", "execution role", "up")
    assert lint(FINE, survey=Survey(may_describe_alarms=None)) == ()
    assert lint(survey=Survey(may_describe_alarms=False)) == ()


def test_a_deleted_standing_alarm_is_a_warning() -> None:
    found = lint(survey=Survey(alarms={}), changes={"standing_alarms": ("wine-test-errors",)})
    assert_found(found, WARNING, "wine-test-errors was deleted", "alarms", "slipway up")


def test_a_post_bake_shorter_than_the_alarm_is_a_warning() -> None:
    slow = AlarmSpec("errors", "InvocationModelErrors", "Average", 0.2, 300, 3, 2)
    found = lint(changes={"rollback_alarms": (slow,)})
    assert_found(found, WARNING, "post-bake of 120 s", "alarms: errors", "write `postBake: 10m`")


def test_a_post_bake_too_short_for_the_limits_is_a_warning() -> None:
    gates = (ErrorGate(), LimitGate("errors", 0.05))
    found = lint(gates=gates, post_bake_seconds=239.0)
    rule = (
        "the post-bake is 239 s, but the first whole minute that the limits can look at has "
        "settled after up to 240 s: the release will wait for it"
    )
    assert_found(found, WARNING, rule, "release.postBake", "write `postBake: 4m`, or")
    assert lint(gates=gates, post_bake_seconds=240.0) == ()
    compared = lint(Shadow(100, TOLERANCE, 180, 7200, 0.05), gates=gates, post_bake_seconds=0.0)
    assert not [f for f in compared if f.where == "release.postBake"]


@pytest.mark.parametrize(
    ("strategy", "needed"),
    [
        (None, 15),  # ten anew, and five candidates of the last step
        (FINE, 10),
        (Rolling(25, 300, TOLERANCE), 3),
        (Shadow(50, TOLERANCE, 180, 7200, 0.05), 15),
    ],
)
def test_both_fleets_must_fit_into_the_quota(strategy: Strategy | None, needed: int) -> None:
    enough = lint(strategy, survey=Survey(quotas={"ml.c7i.large": Quota(10 + needed, 10)}))
    assert not [f for f in enough if f.where == "quota"]
    short = lint(strategy, survey=Survey(quotas={"ml.c7i.large": Quota(9 + needed, 10)}))
    assert_found(short, ERROR, f"need {needed} more ml.c7i.large", "quota", "Service Quotas")


@pytest.mark.parametrize(
    ("strategy", "old", "new"),
    [
        (None, 10, 15),  # live as it was is made anew beside the first candidates
        (FINE, 0, 10),
        (Rolling(25, 300, TOLERANCE), 0, 10),
        (Shadow(50, TOLERANCE, 180, 7200, 0.05), 10, 5),
    ],
)
def test_a_change_of_the_instance_type_needs_quota_of_both(
    strategy: Strategy | None, old: int, new: int
) -> None:
    seen = snapshot(live=config_with(InstanceType="ml.m5.large"))

    def short_of(old_free: int, new_free: int) -> list[str]:
        quotas = {"ml.m5.large": Quota(10 + old_free, 10), "ml.c7i.large": Quota(new_free, 0)}
        found = lint(strategy, seen=seen, survey=Survey(quotas=quotas))
        return [f.rule for f in found if f.where == "quota"]

    assert short_of(old, new) == []
    (rule,) = short_of(old, new - 1)
    assert f"need {new} more ml.c7i.large, and the account has {new - 1} left of" in rule
    if old:
        (rule,) = short_of(old - 1, new)
        assert f"need {old} more ml.m5.large, and the account has {old - 1} left of" in rule


def traffic(per_minute: float, errors: float, slow: float | None = None) -> Survey:
    return Survey(traffic=Traffic(per_minute, errors, slow, "the same hours last week"))


def test_a_first_weight_too_small_to_pass_names_what_would() -> None:
    canary = Canary((Step(1, Tolerance(10, 5), 180, 7200),))
    found = lint(canary, survey=traffic(60, 0.0))
    rule = (
        "at 60 requests a minute and 0 % errors (the same hours last week), 1 % may not pass "
        "within 120 min: 99 of 100 good versions pass only if it bakes for 143 min"
    )
    remedy = (
        "write `bake: {min: 3m, max: 143m}`, or `weight: 2`, or `tolerance: {ratio: 10, points: 6}`"
    )
    assert found == (Finding(WARNING, rule, "release.steps[0]", remedy),)
    assert lint(canary, survey=traffic(3000, 0.0)) == ()


DEFAULT_LAST = Canary((Step(50, Tolerance(1.5, 0.5), 180, 7200),))


def test_traffic_that_suffices_as_expected_but_not_with_bad_luck_is_a_warning() -> None:
    """At five requests a second and 1 % errors some good versions do not pass in two hours."""
    expected = requests_needed(Tolerance(1.5, 0.5), 0.5, 0.01)
    assert expected is not None
    assert expected / 5 < 7200, "the plan's expected time alone says nothing of it"

    (found,) = lint(DEFAULT_LAST, survey=traffic(300, 0.01))

    assert "50 % may not pass within 120 min: 99 of 100 good versions pass" in found.rule
    (minutes,) = re.findall(r"`bake: {min: 3m, max: (\d+)m}`", found.remedy)
    longer = Canary((Step(50, Tolerance(1.5, 0.5), 180, 60 * float(minutes)),))
    assert lint(longer, survey=traffic(300, 0.01)) == ()
    (points,) = re.findall(r"`tolerance: {ratio: 1\.5, points: ([\d.]+)}`", found.remedy)
    wider = Canary((Step(50, Tolerance(1.5, float(points)), 180, 7200),))
    assert lint(wider, survey=traffic(300, 0.01)) == ()


@pytest.mark.parametrize(
    ("before", "after", "proposed"),
    [(None, None, True), (None, 5, False), (None, 21, False), (None, 21.5, True), (0.5, 22, True)],
)
def test_no_weight_is_proposed_that_does_not_rise(
    before: float | None, after: float | None, *, proposed: bool
) -> None:
    weights = [w for w in (before, 1, after) if w is not None]
    steps = tuple(Step(float(w), TOLERANCE, 180, 7200) for w in weights)
    found = lint(Canary(steps), survey=traffic(300, 0.01))

    where = f"release.steps[{weights.index(1)}]"
    (remedy,) = [f.remedy for f in found if f.where == where]
    assert ("`weight: 21`" in remedy) is proposed
    assert ("weight" in remedy) is proposed


def test_much_traffic_is_told_in_plain_digits() -> None:
    (found,) = lint(Canary((Step(1, TOLERANCE, 180, 7200),)), survey=traffic(1234.5, 0.01))
    assert found.rule.startswith("at 1,234 requests a minute and")


def test_what_is_as_rare_as_another_is_told_once() -> None:
    (found,) = lint(DEFAULT_LAST, survey=traffic(10, 0.0, 0.0))
    assert "and 0 % errors and slow answers (the same hours last week)" in found.rule


def test_where_only_a_bake_of_weeks_would_do_more_traffic_is_the_remedy() -> None:
    hopeless = Canary((Step(20, Tolerance(1, 0.01), 180, 7200),))
    (found,) = lint(hopeless, survey=traffic(10, 0.0))
    told = re.fullmatch(
        r"(?:write .*; or )?release while ([\d,]+) requests a minute come", found.remedy
    )
    assert told is not None, found.remedy
    assert "bake" not in found.remedy
    enough = float(told[1].replace(",", ""))
    assert lint(hopeless, survey=traffic(enough, 0.0)) == ()
    assert lint(hopeless, survey=traffic(0.98 * enough, 0.0)) != ()


def test_every_gate_that_compares_is_asked_whether_the_traffic_suffices() -> None:
    found = lint(DEFAULT_LAST, survey=traffic(300, 0.0, 0.02))
    assert ["2 % slow answers" in f.rule for f in found] == [True]
    assert len(lint(DEFAULT_LAST, survey=traffic(300, 0.01, 0.02))) == 2
    gates = (ErrorGate(dry_run=True), LatencyGate(50_000, dry_run=True), LimitGate("errors", 0.1))
    limited: dict[str, Any] = {"gates": gates, "post_bake_seconds": 240.0}
    assert lint(DEFAULT_LAST, survey=traffic(300, 0.01, 0.02), **limited) == ()


@pytest.mark.parametrize(
    ("strategy", "name", "where", "remedy"),
    [
        (
            Shadow(100, Tolerance(1.5, 0.5), 180, 7200, 1.0),
            "the shadow may not pass within 120 min",
            "release.shadow",
            "write `bake: {min: 3m, max: ",
        ),
        (
            BlueGreen(LinearShift(25, 600), 300, Tolerance(5, 3)),
            "the shift may not pass within 30 min",
            "release.blueGreen",
            "write `wait: ",
        ),
        (
            Rolling(25, 600, Tolerance(1.5, 0.5)),
            "the shift may not pass within 30 min",
            "release.rolling",
            "write `strategy: canary`, which may bake for days",
        ),
    ],
)
def test_too_little_traffic_is_a_warning_for_every_strategy(
    strategy: Strategy, name: str, where: str, remedy: str
) -> None:
    found = lint(strategy, survey=traffic(120, 0.01))
    assert_found(found, WARNING, name, where, remedy)
    assert not [f for f in lint(strategy, survey=traffic(60_000, 0.01)) if "may not" in f.rule]


def test_where_no_number_of_requests_is_enough_it_says_so() -> None:
    canary = Canary((Step(50, Tolerance(2, 0), 180, 7200),))
    (found,) = lint(canary, survey=traffic(3000, 0.0))
    assert found.rule.endswith("99 of 100 good versions pass for no longer bake either")
    assert found.remedy.startswith("write `tolerance: {ratio: 2, points: 0.")
    (never,) = lint(canary, survey=traffic(0.001, 0.0))
    assert never.remedy == "release while there is more traffic"


def test_no_traffic_at_all_is_a_warning() -> None:
    found = lint(survey=Survey(traffic=Traffic(0, 0, None, "the last hour")))
    assert_found(found, WARNING, "no traffic in the last hour", "traffic", "while there is")


def test_errors_come_before_warnings() -> None:
    found = lint(
        BlueGreen(CanaryShift(60, 60), 300, TOLERANCE),
        gates=(ErrorGate(), LatencyGate(50_000)),
    )
    assert [f.severity for f in found] == [ERROR, ERROR, WARNING]


def test_step_scaling_loses_its_alarms_where_the_type_changes() -> None:
    stepped = {"PolicyName": "burst", "PolicyType": "StepScaling"}
    target = scaling_target(policies=(*scaling_target().policies, stepped))
    seen = snapshot(live=config_with(InstanceType="ml.m5.large"))
    assert lint(seen=replace(snapshot(), scaling=target)) == ()
    assert lint(seen=seen) == ()
    (found,) = lint(seen=replace(seen, scaling=target))
    assert (found.severity, found.where) == (WARNING, "scaling")
    assert "from ml.m5.large to ml.c7i.large: step scaling by burst gets another ARN" in found.rule
    assert found.remedy.startswith("after the release let the alarms' actions name the new ARN")

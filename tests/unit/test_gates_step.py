"""The verdict on a step, and every text that a person may read in it."""

from __future__ import annotations

import json

import pytest

from contracts.release_manifest import (
    AlarmGate,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    Step,
    Tolerance,
)
from release.gates import Answer, CountedMinute, HookAnswer, StepVerdict, judge_step
from tests.unit.gate_minutes import STEP, minute, variant

GOOD = tuple(minute(at, variant(3000, 3), variant(3000, 3)) for at in range(5))
BAD = tuple(minute(at, variant(3000, 3), variant(3000, 300)) for at in range(5))
HOOK = HookGate("smoke")


def judged(
    *gates: Gate,
    minutes: tuple[CountedMinute, ...] = GOOD,
    alarms: dict[str, str] | None = None,
    seconds: float = 4000.0,
    hooks: dict[str, HookAnswer] | None = None,
    step: Step = STEP,
) -> StepVerdict:
    return judge_step(0, step, gates, minutes, alarms or {}, seconds, hooks or {})


def test_a_good_candidate_passes_and_says_what_is_excluded() -> None:
    verdict = judged(ErrorGate())
    assert verdict.answer is Answer.PASS
    assert "errors 0.1 % against 0.1 %, 0.5 points excluded, e = " in verdict.text


def test_the_ratio_is_named_where_it_is_what_is_excluded() -> None:
    minutes = tuple(minute(at, variant(3000, 150), variant(3000, 150)) for at in range(5))
    assert (
        "errors 5 % against 5 %, ×1.5 excluded, e = " in judged(ErrorGate(), minutes=minutes).text
    )


def test_a_worse_candidate_fails_whatever_the_others_say() -> None:
    hooks = {"smoke": HookAnswer("pass")}
    verdict = judged(ErrorGate(), HOOK, minutes=BAD, hooks=hooks, seconds=0.0)
    assert verdict.answer is Answer.FAIL
    assert verdict.text.startswith("errors 10 % against 0.1 %, e = ")


def test_all_must_pass() -> None:
    assert judged(ErrorGate(), HOOK, hooks={"smoke": HookAnswer("pass")}).answer is Answer.PASS
    held = judged(ErrorGate(), HOOK)
    assert (held.answer, held.text) == (Answer.HOLD, "hook smoke has not answered")


def test_without_gates_only_the_shortest_bake_holds() -> None:
    assert judged().answer is Answer.PASS
    assert judged().text == "no gate is configured"
    held = judged(seconds=10.0)
    assert (held.answer, held.text) == (Answer.HOLD, "bakes 60 s at least")
    long = judged(seconds=10.0, step=Step(50, Tolerance(1.5, 0.5), 180, 7200))
    assert long.text == "bakes 3 min at least"


def test_a_dry_run_reports_and_decides_nothing() -> None:
    verdict = judged(
        ErrorGate(dry_run=True), HOOK, minutes=BAD, hooks={"smoke": HookAnswer("pass")}
    )
    assert verdict.answer is Answer.PASS
    assert verdict.gates[0].answer is Answer.FAIL
    assert verdict.gates[0].dry_run
    assert "hook smoke passed (dry run: fail by errors 10 % against 0.1 %, e = " in verdict.text
    failing_hook = judged(HookGate("smoke", dry_run=True), hooks={"smoke": HookAnswer("fail")})
    assert failing_hook.answer is Answer.PASS


def test_a_dry_run_takes_no_share_of_the_false_alarms() -> None:
    alone = judged(ErrorGate()).gates[0].evidence
    beside = judged(ErrorGate(), LatencyGate(1, dry_run=True)).gates[0].evidence
    shared = judged(ErrorGate(), LimitGate("errors", 0.5)).gates[0].evidence
    assert alone is not None
    assert beside is not None
    assert shared is not None
    assert alone.fail_at == beside.fail_at < shared.fail_at


@pytest.mark.parametrize("minutes", [(), (minute(0, variant(0), variant(0)),)])
def test_missing_metrics_never_count_as_healthy(minutes: tuple[CountedMinute, ...]) -> None:
    verdict = judged(ErrorGate(), LatencyGate(50_000), LimitGate("errors", 0.1), minutes=minutes)
    assert verdict.answer is Answer.HOLD
    assert verdict.text == (
        "errors: no settled minute of both variants yet; no latency measured yet; "
        "limit of errors: no settled minute of the candidate yet"
    )


@pytest.mark.parametrize(("live", "candidate"), [(0, 3000), (3000, 0)])
def test_a_minute_without_one_of_the_two_tells_nothing(live: int, candidate: int) -> None:
    minutes = tuple(minute(at, variant(live), variant(candidate)) for at in range(9))
    verdict = judged(ErrorGate(), minutes=minutes)
    assert verdict.answer is Answer.HOLD
    assert "errors: no settled minute of both variants yet" in verdict.text


def test_not_sure_yet() -> None:
    few = (minute(0, variant(30, 1), variant(30, 1)),)
    late, early = judged(ErrorGate(), minutes=few), judged(ErrorGate(), minutes=few, seconds=90.0)
    assert late.answer is Answer.HOLD
    assert late.text.startswith("errors 3.3 % against 3.3 %, not sure yet (e = ")
    assert late.text.endswith("of 20)")
    assert early.text.endswith("of 40)")


def test_a_suspect_candidate_gets_no_more_traffic_early() -> None:
    loose = Step(50, Tolerance(10, 20), 60, 7200)
    minutes = tuple(minute(at, variant(3000, 30), variant(3000, 55)) for at in range(1))
    early = judged(ErrorGate(), minutes=minutes, step=loose, seconds=70.0)
    assert early.answer is Answer.HOLD
    assert "errors 1.8 % against 1 %, looks worse so far (e = " in early.text
    assert judged(ErrorGate(), minutes=minutes, step=loose).answer is Answer.PASS


def test_sticky_clients_hold_the_step() -> None:
    minutes = tuple(minute(at, variant(3000, 3), variant(1500, 1)) for at in range(5))
    verdict = judged(ErrorGate(), minutes=minutes)
    assert verdict.answer is Answer.HOLD
    assert verdict.text == (
        "candidate got 33.3% of the requests, its weight says 50.0%: "
        "clients that pin a variant make the comparison unfair"
    )
    assert judged(LimitGate("errors", 0.05), minutes=minutes).answer is Answer.PASS


# --- alarms and hooks


@pytest.mark.parametrize(
    ("alarms", "answer", "text"),
    [
        ({"a": "OK", "b": "OK"}, Answer.PASS, "2 alarms OK"),
        ({"a": "OK", "b": "ALARM"}, Answer.FAIL, "alarm b"),
        ({"a": "INSUFFICIENT_DATA", "b": "OK"}, Answer.HOLD, "alarm a is INSUFFICIENT_DATA"),
        ({"a": "missing"}, Answer.HOLD, "alarm a is missing"),
    ],
)
def test_alarms(alarms: dict[str, str], answer: Answer, text: str) -> None:
    verdict = judged(alarms=alarms)
    assert (verdict.answer, verdict.text) == (answer, text)


@pytest.mark.parametrize(
    ("alarms", "answer", "text"),
    [
        ({"mine": "OK"}, Answer.PASS, "alarm mine OK"),
        ({"mine": "ALARM"}, Answer.FAIL, "alarm mine"),
        ({"mine": "INSUFFICIENT_DATA"}, Answer.HOLD, "alarm mine is INSUFFICIENT_DATA"),
        ({}, Answer.HOLD, "alarm mine is missing"),
    ],
)
def test_an_alarm_of_the_owners(alarms: dict[str, str], answer: Answer, text: str) -> None:
    verdict = judged(AlarmGate("mine"), alarms=alarms)
    assert (verdict.answer, verdict.text) == (answer, text)


def test_an_owners_alarm_in_dry_run_may_ring() -> None:
    verdict = judged(AlarmGate("mine", dry_run=True), alarms={"mine": "ALARM", "other": "OK"})
    assert verdict.answer is Answer.PASS
    assert verdict.text == "1 alarms OK (dry run: fail by alarm mine)"


@pytest.mark.parametrize(
    ("told", "answer", "text"),
    [
        (HookAnswer("pass", "12 of 12"), Answer.PASS, "hook smoke passed: 12 of 12"),
        (HookAnswer("fail", "3 of 12"), Answer.FAIL, "hook smoke failed: 3 of 12"),
        (HookAnswer("not_enough_data"), Answer.HOLD, "hook smoke has not enough data"),
        (
            HookAnswer("PASS!"),
            Answer.HOLD,
            "hook smoke answered 'PASS!'; pass, fail or not_enough_data is needed",
        ),
        (None, Answer.HOLD, "hook smoke has not answered"),
    ],
)
def test_hooks(told: HookAnswer | None, answer: Answer, text: str) -> None:
    verdict = judged(HOOK, hooks={} if told is None else {"smoke": told})
    assert (verdict.answer, verdict.text) == (answer, text)


# --- latency


def slow_minutes(candidate: int, live: int = 30) -> tuple[CountedMinute, ...]:
    return tuple(
        minute(at, variant(3000, slow=live), variant(3000, slow=candidate)) for at in range(20)
    )


def test_latency_is_judged_by_the_share_of_slow_answers() -> None:
    good = judged(LatencyGate(50_000), minutes=slow_minutes(30))
    assert good.answer is Answer.PASS
    assert "slower than 50 ms: 1 % against 1 %, " in good.text
    bad = judged(LatencyGate(50_000), minutes=slow_minutes(90))
    assert bad.answer is Answer.FAIL
    assert bad.text.startswith("slower than 50 ms: 3 % against 1 %, e = ")


def test_a_little_slower_is_allowed() -> None:
    assert judged(LatencyGate(50_000), minutes=slow_minutes(36)).answer is not Answer.FAIL


def test_p95_decides_where_nothing_counts_slow_answers_and_says_so() -> None:
    def p95(candidate: float, count: int) -> tuple[CountedMinute, ...]:
        return tuple(
            minute(at, variant(100, p95_us=6000.0), variant(100, p95_us=candidate))
            for at in range(count)
        )

    note = "; CloudWatch counts no answers over the limit, so p95 decides"
    good = judged(LatencyGate(50_000), minutes=p95(7000.0, 3))
    assert (good.answer, good.text) == (Answer.PASS, f"p95 7 ms against 6 ms{note}")
    bad = judged(LatencyGate(50_000), minutes=p95(90_000.0, 3))
    assert bad.answer is Answer.FAIL
    assert bad.text == (
        f"p95 90 ms against 6 ms, too slow in 3 of 3 minutes (limit 50 ms or ×1.25){note}"
    )
    few = judged(LatencyGate(50_000), minutes=p95(90_000.0, 2))
    assert few.answer is Answer.HOLD
    assert "too slow in 2 of 2 minutes (3 are needed)" in few.text


# --- limits


def test_limits_on_the_candidate_alone() -> None:
    passed = judged(LimitGate("errors", 0.02))
    assert (passed.answer, passed.text) == (Answer.PASS, "errors 0.1 % (limit 2 %)")
    failed = judged(LimitGate("errors", 0.02), minutes=BAD)
    assert failed.answer is Answer.FAIL
    assert failed.text.startswith("errors 10 % (limit 2 %), e = ")
    few = (minute(0, variant(30), variant(30, 1)),)
    held = judged(LimitGate("errors", 0.02), minutes=few)
    assert held.answer is Answer.HOLD
    assert held.text.startswith("errors 3.3 % (limit 2 %), not sure yet (e = ")
    slow = judged(LimitGate("slow", 0.005), minutes=slow_minutes(90))
    assert slow.text.startswith("slow 3 % (limit 0.5 %), e = ")


def test_a_limit_of_zero_and_one_of_all() -> None:
    assert judged(LimitGate("errors", 0.0)).answer is Answer.FAIL
    quiet = tuple(minute(at, variant(3000), variant(3000)) for at in range(5))
    assert judged(LimitGate("errors", 0.0), minutes=quiet).answer is Answer.PASS
    assert judged(LimitGate("errors", 1.0), minutes=BAD).answer is Answer.PASS


def test_a_limit_on_p95() -> None:
    gate = LimitGate("p95", 50_000)

    def at(value: float) -> tuple[CountedMinute, ...]:
        counts = variant(100), variant(100, p95_us=value)
        return tuple(minute(i, *counts) for i in range(3))

    assert judged(gate, minutes=at(20_000.0)).text == "p95 20 ms"
    failed = judged(gate, minutes=at(80_000.0))
    assert failed.answer is Answer.FAIL
    assert failed.text == "p95 80 ms, too slow in 3 of 3 minutes (limit 50 ms)"
    assert judged(gate).text == "limit of p95: no latency measured yet"


# --- numbers for the evidence


def test_a_verdict_carries_its_numbers() -> None:
    evidence = judged(ErrorGate(), minutes=BAD).gates[0].evidence
    assert evidence is not None
    told = evidence.to_dict()
    assert told["log10_e_fail"] > told["log10_fail_at"] == pytest.approx(2.0)
    assert told["candidate"]["bad"] == 1500
    assert told["candidate"]["low"] < 0.1 < told["candidate"]["high"]
    assert told["live"]["rate"] == pytest.approx(0.001)
    json.dumps(told, allow_nan=False)


def test_a_verdict_without_a_count_has_no_rate() -> None:
    evidence = judged(ErrorGate(), minutes=[]).gates[0].evidence
    assert evidence is not None
    nothing = {"bad": 0, "requests": 0, "rate": None, "low": None, "high": None}
    assert evidence.to_dict()["live"] == nothing


def test_a_certain_verdict_is_json_too() -> None:
    evidence = judged(LimitGate("errors", 0.0), minutes=BAD).gates[0].evidence
    assert evidence is not None
    assert evidence.to_dict()["log10_e_fail"] is None

"""Passes over all alarms: rhythm, errors, actions, composites."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.clock import Clock
from localcloud.cloudwatch import evaluation
from localcloud.cloudwatch.book import AlarmBook
from localcloud.cloudwatch.evaluation import Verdict
from localcloud.cloudwatch.store import MetricKey, MetricStore
from localcloud.cloudwatch.watch import Watch
from localcloud.service import AlarmAction, RequestContext, ServiceError

START = 1_790_000_040.0 // 60 * 60
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
POLICY = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:resource/x:policyName/p"


class Topic:
    """Takes all actions and remembers, or refuses."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.scaled: list[tuple[str, str, bool]] = []
        self.subjects: list[str] = []
        self.error: Exception | None = None
        self.events: list[tuple[str, dict[str, Any]]] = []

    def put_event(self, region: str, entry: dict[str, Any]) -> None:
        self.events.append((region, entry))

    def carry_out(self, action: AlarmAction) -> None:
        if self.error is not None:
            raise self.error
        if action.arn != TOPIC:
            self.scaled.append((action.alarm_name, action.state, action.is_repeated))
            return
        self.messages.append(json.loads(action.message))
        self.subjects.append(action.subject)


class Bench:
    """A watch whose passes the test calls for."""

    def __init__(self) -> None:
        self.store, self.book, self.topic = MetricStore(), AlarmBook(), Topic()
        clock = Clock(start=datetime.fromtimestamp(START, UTC))
        lock = threading.RLock()
        self.watch = Watch(clock, self.store, self.book, lock, self.topic)
        self.now = START

    @property
    def context(self) -> RequestContext:
        now = datetime.fromtimestamp(self.now, UTC)
        return RequestContext("123456789012", "us-east-1", "request", now)

    def alarm(self, name: str, **more: Any) -> None:
        params: dict[str, Any] = {
            "AlarmName": name,
            "Namespace": "N",
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": [TOPIC],
            **more,
        }
        self.book.put_metric_alarm({k: v for k, v in params.items() if v is not None}, self.context)

    def composite(self, name: str, rule: str, **more: Any) -> None:
        params = {"AlarmName": name, "AlarmRule": rule, **more}
        self.book.put_composite_alarm(params, self.context)

    def put(self, value: float, metric: str = "m", count: float = 1.0) -> None:
        key = MetricKey("us-east-1", "N", metric, ())
        self.store.put(key, self.now, "None", {value: count}, fine=True)

    def turn(self, seconds: float = 60.0) -> bool:
        self.now += seconds
        return self.watch.evaluate_all(self.now)

    def state(self, name: str) -> str:
        return self.book.get(name, "us-east-1").state

    def history(self, name: str, **more: Any) -> list[str]:
        params = {"AlarmName": name, "ScanBy": "TimestampAscending", **more}
        found = self.book.history.describe(params, "us-east-1")["AlarmHistoryItems"]
        return [item["HistorySummary"] for item in found]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_alarm_acts_once_for_a_change_of_state(bench: Bench) -> None:
    bench.alarm("a", AlarmDescription="what it is")
    for _ in range(3):
        bench.put(5.0)
        bench.turn()
    assert bench.state("a") == "ALARM"
    (message,) = bench.topic.messages
    assert bench.topic.subjects == ['ALARM: "a" in US East (N. Virginia)']
    assert message["AlarmDescription"] == "what it is"
    assert (message["OldStateValue"], message["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert message["Trigger"]["Statistic"] == "SUM"
    assert bench.history("a") == [
        'Alarm "a" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f"Successfully executed action {TOPIC}",
    ]


def test_a_scaling_action_is_repeated_every_minute_of_the_state(bench: Bench) -> None:
    bench.alarm("a", AlarmActions=[TOPIC, POLICY], Period=10)
    for _ in range(12):
        bench.put(5.0)
        bench.turn(10)
    assert bench.topic.scaled == [("a", "ALARM", False), ("a", "ALARM", True), ("a", "ALARM", True)]
    assert len(bench.topic.messages) == 1, "other actions are for the change alone"
    assert bench.history("a", HistoryItemType="Action") == [
        f"Successfully executed action {TOPIC}",
        f"Successfully executed action {POLICY}",
    ]
    bench.put(0.0)
    bench.turn(10)
    bench.turn(60)
    assert len(bench.topic.scaled) == 3, "only while it stays in ALARM"


def test_the_history_holds_both_states_with_their_reasons(bench: Bench) -> None:
    bench.alarm("a")
    bench.put(5.0)
    bench.turn()
    params = {"AlarmName": "a", "HistoryItemType": "StateUpdate"}
    (item,) = bench.book.history.describe(params, "us-east-1")["AlarmHistoryItems"]
    data = json.loads(item["HistoryData"])
    assert data["oldState"]["stateValue"] == "INSUFFICIENT_DATA"
    assert data["newState"]["stateReason"].startswith("Threshold Crossed: 1 out of the last 1")
    assert data["newState"]["stateReasonData"]["recentDatapoints"] == [5.0]


def test_the_history_stays_json_however_long_the_reasons_are(bench: Bench) -> None:
    bench.alarm("a")
    alarm = bench.book.get("a", "us-east-1")
    data = json.dumps({"recentDatapoints": [0.1] * 700})
    for state in ("ALARM", "OK"):
        bench.book.move(alarm, "us-east-1", Verdict(state, "x" * 1000, data), START)
    params = {"AlarmName": "a", "HistoryItemType": "StateUpdate"}
    for item in bench.book.history.describe(params, "us-east-1")["AlarmHistoryItems"]:
        assert len(item["HistoryData"]) <= 4095
        assert json.loads(item["HistoryData"])["newState"]["stateReason"] == "x" * 1000


def test_one_alarm_that_fails_does_not_keep_the_others_from_being_evaluated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "bad", "z"):
        bench.alarm(name)
    judge = evaluation._judge  # pyright: ignore[reportPrivateUsage]

    def failing(store: Any, alarm: Any, region: str, now: float) -> Verdict:
        if alarm.name == "bad":
            raise ZeroDivisionError("a defect")
        return judge(store, alarm, region, now)

    monkeypatch.setattr(evaluation, "_judge", failing)
    bench.put(5.0)
    bench.turn()
    assert (bench.state("a"), bench.state("z")) == ("ALARM", "ALARM")
    assert bench.state("bad") == "INSUFFICIENT_DATA", "it stays as it was"
    assert bench.book.get("bad", "us-east-1").evaluation_state == "EVALUATION_FAILURE"


def test_an_expression_that_cannot_be_computed_says_so(bench: Bench) -> None:
    bench.alarm("a")
    bench.put(5.0)
    bench.turn()
    bench.book.get("a", "us-east-1").params["Statistic"] = "p101"
    bench.turn()
    (found,) = bench.book.describe({}, bench.context)["MetricAlarms"]
    assert found["EvaluationState"] == "EVALUATION_ERROR"
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert "p101" in found["StateReason"]


@pytest.mark.parametrize("error", [ServiceError("NotFound", "no topic", 404), OSError("down")])
def test_an_action_that_fails_stands_in_the_history(bench: Bench, error: Exception) -> None:
    bench.topic.error = error
    bench.alarm("a")
    bench.alarm("b")
    bench.put(5.0)
    bench.turn()
    assert (bench.state("a"), bench.state("b")) == ("ALARM", "ALARM")
    assert bench.history("a", HistoryItemType="Action") == [f"Failed to execute action {TOPIC}"]


def test_disabled_actions_are_not_carried_out(bench: Bench) -> None:
    bench.alarm("a", ActionsEnabled=False)
    bench.put(5.0)
    bench.turn()
    assert bench.state("a") == "ALARM"
    assert bench.topic.messages == []


def test_points_before_the_alarm_was_made_count(bench: Bench) -> None:
    bench.put(5.0)
    bench.now += 59
    bench.alarm("a")
    bench.turn(1)
    assert bench.state("a") == "ALARM"


def test_one_bad_minute_is_no_premature_alarm_of_three(bench: Bench) -> None:
    bench.alarm("a", EvaluationPeriods=3)
    states: list[str] = []
    for value in (5.0, 5.0, 5.0):
        bench.put(value)
        bench.turn()
        states.append(bench.state("a"))
    assert states == ["OK", "OK", "ALARM"]


def test_a_ten_second_alarm_is_looked_at_every_ten_seconds(bench: Bench) -> None:
    bench.alarm("fast", Period=10)
    bench.alarm("slow")
    bench.put(5.0)
    bench.turn(10)
    assert bench.state("fast") == "ALARM"
    assert bench.state("slow") == "INSUFFICIENT_DATA", "its minute is not over"


def test_the_next_tick() -> None:
    lag = evaluation.LAG_SECONDS
    assert evaluation.next_tick(START + 5, has_fine_alarms=False) == START + 60 + lag
    assert evaluation.next_tick(START + 5, has_fine_alarms=True) == START + 10 + lag
    assert evaluation.next_tick(START + 60, has_fine_alarms=False) == START + 120 + lag


def test_a_percentile_of_few_samples_keeps_the_state(bench: Bench) -> None:
    more: dict[str, Any] = {"Statistic": None, "ExtendedStatistic": "p95"}
    bench.alarm("ignore", EvaluateLowSampleCountPercentile="ignore", **more)
    bench.alarm("evaluate", **more)
    bench.put(5.0, count=199)
    bench.turn()
    assert bench.state("ignore") == "INSUFFICIENT_DATA", "199 samples are too few for p95"
    assert bench.state("evaluate") == "ALARM"
    bench.put(5.0, count=200)
    bench.turn()
    assert bench.state("ignore") == "ALARM"


def test_an_alarm_on_an_error_rate_is_calm_without_errors(bench: Bench) -> None:
    queries = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {"Namespace": "N", "MetricName": name},
                "Period": 60,
                "Stat": "Sum",
            },
            "ReturnData": False,
        }
        for name in ("errors", "requests")
    ]
    queries.append({"Id": "rate", "Expression": "errors / requests", "ReturnData": True})
    single = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    bench.alarm("a", Metrics=queries, Threshold=0.1, **single)
    bench.put(10.0, "requests")
    bench.turn()
    assert bench.state("a") == "OK", "no error is a rate of zero"
    bench.put(10.0, "requests")
    bench.put(2.0, "errors")
    bench.turn()
    assert bench.state("a") == "ALARM"


def test_a_composite_follows_its_children_in_the_same_pass(bench: Bench) -> None:
    bench.alarm("a")
    bench.alarm("b", MetricName="other", TreatMissingData="notBreaching")
    bench.composite("both", "ALARM(a) AND ALARM(b)")
    bench.composite("any", 'ALARM(a) OR NOT (OK("b") OR INSUFFICIENT_DATA(b))')
    bench.composite("above", "ALARM(any) AND TRUE", AlarmActions=[TOPIC])
    bench.put(5.0)
    bench.turn()
    assert [bench.state(n) for n in ("both", "any", "above")] == ["OK", "ALARM", "ALARM"]
    assert "above" in [m["AlarmName"] for m in bench.topic.messages]


def test_a_suppressor_in_alarm_keeps_a_composite_quiet(bench: Bench) -> None:
    bench.alarm("a", AlarmActions=[])
    more = {
        "ActionsSuppressor": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a",
        "ActionsSuppressorWaitPeriod": 10,
        "ActionsSuppressorExtensionPeriod": 10,
    }
    bench.composite("quiet", "ALARM(a)", AlarmActions=[TOPIC], **more)
    bench.composite("loud", "ALARM(a)", AlarmActions=[TOPIC])
    bench.put(5.0)
    bench.turn()
    assert bench.state("quiet") == "ALARM"
    assert [m["AlarmName"] for m in bench.topic.messages] == ["loud"]


def test_the_history_is_kept_for_thirty_days(bench: Bench) -> None:
    bench.alarm("a")
    bench.turn(29 * 24 * 3600)
    assert bench.history("a", HistoryItemType="ConfigurationUpdate") == ['Alarm "a" created']
    bench.turn(2 * 24 * 3600)
    assert bench.history("a", HistoryItemType="ConfigurationUpdate") == []

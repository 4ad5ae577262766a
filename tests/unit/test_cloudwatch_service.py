"""Alarms, dashboards and tags through the service, and its state on disk."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.clock import Clock
from localcloud.cloudwatch.book import AlarmBook
from localcloud.cloudwatch.service import CloudWatch, StateFormatError
from localcloud.cloudwatch.store import MetricStore
from localcloud.sagemaker.deployments import check_alarms
from localcloud.sagemaker.neighbours import CloudWatchAlarms
from localcloud.service import AlarmAction, RequestContext, ServiceError

NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"


class NoTopics:
    def __init__(self) -> None:
        self.taken: list[AlarmAction] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def put_event(self, region: str, entry: dict[str, Any]) -> None:
        self.events.append((region, entry))

    def carry_out(self, action: AlarmAction) -> None:
        self.taken.append(action)
        raise ServiceError("NotFound", "no topic")


class Client:
    def __init__(self) -> None:
        self.store = MetricStore()
        self.service = CloudWatch(Clock(start=NOW), self.store, NoTopics(), lambda: None)
        self.now = NOW

    def call(self, operation: str, region: str = "us-east-1", **params: Any) -> dict[str, Any]:
        context = RequestContext("123456789012", region, "request", self.now)
        return self.service.handle(operation, params, context)

    def refused(self, operation: str, **params: Any) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            self.call(operation, **params)
        return caught.value

    def put_alarm(self, name: str, **more: Any) -> None:
        self.call("PutMetricAlarm", **alarm(name, **more))

    def names(self, **params: Any) -> list[str]:
        answer = self.call("DescribeAlarms", **params)
        return [a["AlarmName"] for key in ("MetricAlarms", "CompositeAlarms") for a in answer[key]]


@pytest.fixture
def client() -> Iterator[Client]:
    found = Client()
    yield found
    found.service.close()


def alarm(name: str = "a", **more: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "AlarmName": name,
        "Namespace": "N",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }
    return {k: v for k, v in params.items() if v is not None}


def metric(query_id: str, **more: Any) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    return {"Id": query_id, "MetricStat": stat, **more}


def math(*queries: dict[str, Any]) -> dict[str, Any]:
    none = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    return {"Metrics": list(queries), **none}


def expression(text: str) -> dict[str, Any]:
    return {"Id": "e", "Expression": text, "ReturnData": True}


QUIET = metric("m", ReturnData=False)
BAD_ALARMS = [
    ({"Period": 45}, "ValidationError", "Period must be 10, 20, 30 or a multiple of 60"),
    ({"Period": None}, "MissingParameter", "Period"),
    ({"MetricName": None}, "MissingParameter", "MetricName"),
    ({"Threshold": None}, "MissingParameter", "Threshold"),
    ({"ComparisonOperator": None}, "MissingParameter", "ComparisonOperator"),
    ({"EvaluationPeriods": None}, "MissingParameter", "EvaluationPeriods"),
    ({"ExtendedStatistic": "p90"}, "ValidationError", "Exactly one of Statistic"),
    ({"Statistic": None}, "ValidationError", "Exactly one of Statistic"),
    ({"Statistic": None, "ExtendedStatistic": "p101"}, "ValidationError", "not supported"),
    ({"Statistic": None, "ExtendedStatistic": "Sum"}, "ValidationError", "is a Statistic"),
    ({"DatapointsToAlarm": 2}, "ValidationError", "less than or equal to EvaluationPeriods"),
    ({"TreatMissingData": "bad"}, "ValidationError", "TreatMissingData must be one of"),
    ({"EvaluationPeriods": 1441}, "ValidationError", "across more than 86400 s"),
    ({"Period": 3600, "EvaluationPeriods": 169}, "ValidationError", "across more than 604800 s"),
    ({"Threshold": float("nan")}, "ValidationError", "finite"),
    ({"AlarmActions": ["topic"]}, "ValidationError", "Invalid arn syntax: topic"),
    ({"EvaluateLowSampleCountPercentile": "ignore"}, "ValidationError", "percentiles"),
    ({"ThresholdMetricId": "ad1"}, "ValidationError", "does not offer ThresholdMetricId"),
    (
        {"ComparisonOperator": "LessThanLowerThreshold"},
        "ValidationError",
        "no anomaly detection",
    ),
    ({"Metrics": [metric("m")]}, "ValidationError", "must not be specified together"),
    (math(metric("m"), expression("m")), "ValidationError", "Exactly one element"),
    (math(QUIET), "ValidationError", "Exactly one element"),
    (math(QUIET, expression("m +")), "ValidationError", "it ends too early"),
    (math(QUIET, expression("AVG(m)")), "ValidationError", "it gives a Scalar"),
    (math(QUIET, expression("METRICS() * 2")), "ValidationError", "a single time series"),
    (math(QUIET, expression("gone * 2")), "ValidationError", "'gone' is not defined"),
]


@pytest.mark.parametrize(("more", "code", "why"), BAD_ALARMS)
def test_an_alarm_that_makes_no_sense_is_refused_and_changes_nothing(
    client: Client, more: dict[str, Any], code: str, why: str
) -> None:
    client.put_alarm("a", Threshold=9.0)
    error = client.refused("PutMetricAlarm", **alarm("a", **more))
    assert error.code == code, error.message
    assert why in error.message
    (found,) = client.call("DescribeAlarms")["MetricAlarms"]
    assert found["Threshold"] == 9.0, "the alarm that stood still stands"


def test_limits_that_just_fit(client: Client) -> None:
    client.put_alarm("minutes", EvaluationPeriods=1440)
    client.put_alarm("hours", Period=3600, EvaluationPeriods=168)
    client.put_alarm("fast", Period=10)
    client.put_alarm("math", **math(QUIET, expression("m * 2")))
    assert client.names() == ["fast", "hours", "math", "minutes"]


def test_a_new_configuration_keeps_state_and_tags(client: Client) -> None:
    client.put_alarm("a", Tags=[{"Key": "k", "Value": "v"}])
    client.call("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="a test")
    client.put_alarm("a", Threshold=2.0, Tags=[{"Key": "k", "Value": "other"}])
    (found,) = client.call("DescribeAlarms")["MetricAlarms"]
    assert (found["Threshold"], found["StateValue"]) == (2.0, "ALARM")
    tags = client.call("ListTagsForResource", ResourceARN=f"{ARN}a")["Tags"]
    assert tags == [{"Key": "k", "Value": "v"}], "tags of an update are ignored, as AWS does"


def test_alarms_are_found_in_every_way(client: Client) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:t"
    client.put_alarm("a-1")
    client.put_alarm("a-2", AlarmActions=[topic])
    client.put_alarm("b-1", ActionsEnabled=False)
    client.call("PutCompositeAlarm", AlarmName="c", AlarmRule="ALARM(a-1) OR ALARM(b-1)")
    client.call("SetAlarmState", AlarmName="a-1", StateValue="ALARM", StateReason="x")
    assert client.names() == ["a-1", "a-2", "b-1"], "composites only when asked for"
    assert client.names(AlarmTypes=["CompositeAlarm"]) == ["c"]
    assert client.names(AlarmNamePrefix="a") == ["a-1", "a-2"]
    assert client.names(AlarmNames=["b-1", "gone"]) == ["b-1"]
    assert client.names(StateValue="ALARM") == ["a-1"]
    assert client.names(ActionPrefix="arn:aws:sns") == ["a-2"]
    assert client.names(ChildrenOfAlarmName="c") == ["a-1", "b-1"]
    assert client.names(ParentsOfAlarmName="a-1", AlarmTypes=["CompositeAlarm"]) == ["c"]
    assert client.names(region="eu-west-1") == []
    error = client.refused("DescribeAlarms", AlarmNames=["a-1"], AlarmNamePrefix="a")
    assert error.code == "ValidationError"


def test_alarms_come_in_pages(client: Client) -> None:
    for number in range(7):
        client.put_alarm(f"a{number}")
    names: list[str] = []
    token: dict[str, str] = {}
    for _ in range(4):
        page = client.call("DescribeAlarms", MaxRecords=3, **token)
        names += [a["AlarmName"] for a in page["MetricAlarms"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert names == [f"a{n}" for n in range(7)]
    assert client.refused("DescribeAlarms", NextToken="x").code == "InvalidNextToken"


def test_alarms_of_a_metric(client: Client) -> None:
    dimensions = [{"Name": "D", "Value": "v"}]
    client.put_alarm("plain")
    client.put_alarm("other", Dimensions=dimensions)
    client.put_alarm("p95", Statistic=None, ExtendedStatistic="p95")
    client.put_alarm("math", **math(QUIET, expression("m * 2")))

    def found(**more: Any) -> list[str]:
        answer = client.call("DescribeAlarmsForMetric", Namespace="N", MetricName="m", **more)
        return [a["AlarmName"] for a in answer["MetricAlarms"]]

    assert found() == ["p95", "plain"]
    assert found(Dimensions=dimensions) == ["other"]
    assert found(ExtendedStatistic="p95") == ["p95"]
    assert found(Statistic="Sum", Period=60) == ["plain"]


def test_known_alarms_are_deleted_even_beside_unknown_ones(client: Client) -> None:
    client.put_alarm("a")
    error = client.refused("DeleteAlarms", AlarmNames=["a", "gone"])
    assert (error.code, error.status) == ("ResourceNotFound", 404)
    assert "gone" in error.message
    assert client.names() == []
    history = client.call("DescribeAlarmHistory", AlarmName="a")["AlarmHistoryItems"]
    assert [h["HistorySummary"] for h in history] == ['Alarm "a" deleted', 'Alarm "a" created']


def test_an_alarm_that_a_composite_needs_cannot_be_deleted(client: Client) -> None:
    client.put_alarm("a")
    client.call("PutCompositeAlarm", AlarmName="c", AlarmRule="ALARM(a)")
    error = client.refused("DeleteAlarms", AlarmNames=["a"])
    assert (error.code, error.status) == ("ResourceConflict", 409)
    client.call("DeleteAlarms", AlarmNames=["a", "c"])
    assert client.names(AlarmTypes=["MetricAlarm", "CompositeAlarm"]) == []


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("ALARM(gone)", "must exist"),
        ("ALARM(c)", "must exist and be others"),
        ("ALARM(a", "unexpected text|alarm's state is needed"),
        ("ALARM(a) AND", "an alarm's state is needed"),
        ("ALARM()", "needs the name of an alarm"),
        ("WARN(a)", "an alarm's state is needed at position 0"),
        ("(ALARM(a)", r"'\)' is needed"),
        ("ALARM(a) ALARM(a)", "unexpected text"),
        ("(" * 200 + "TRUE" + ")" * 200, "nested too deeply"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(client: Client, rule: str, why: str) -> None:
    client.put_alarm("a")
    with pytest.raises(ServiceError, match=why) as caught:
        client.call("PutCompositeAlarm", AlarmName="c", AlarmRule=rule)
    assert caught.value.code == "ValidationError"


def test_a_composite_takes_names_in_quotes_and_arns(client: Client) -> None:
    client.put_alarm("a (one)")
    client.put_alarm("b")
    rule = f'NOT OK("a (one)") AND (TRUE OR ALARM({ARN}b))'
    client.call("PutCompositeAlarm", AlarmName="c", AlarmRule=rule)
    (found,) = client.call("DescribeAlarms", AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert (found["AlarmRule"], found["StateValue"]) == (rule, "ALARM")


def test_the_name_of_a_metric_alarm_is_taken_for_a_composite(client: Client) -> None:
    client.put_alarm("a")
    client.put_alarm("b")
    error = client.refused("PutCompositeAlarm", AlarmName="a", AlarmRule="ALARM(b)")
    assert "exists as a MetricAlarm" in error.message


def test_the_history_can_be_narrowed(client: Client) -> None:
    client.put_alarm("a")
    client.now = NOW + timedelta(hours=1)
    for state in ("OK", "ALARM", "ALARM", "OK"):
        client.call("SetAlarmState", AlarmName="a", StateValue=state, StateReason=f"set {state}")

    def summaries(**more: Any) -> list[str]:
        answer = client.call("DescribeAlarmHistory", AlarmName="a", **more)
        return [h["HistorySummary"] for h in answer["AlarmHistoryItems"]]

    assert summaries(HistoryItemType="StateUpdate") == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ], "newest first; a state set twice is no change"
    assert summaries(EndDate=NOW) == ['Alarm "a" created']
    assert summaries(StartDate=NOW + timedelta(hours=2)) == []
    assert len(summaries(MaxRecords=2)) == 2
    assert client.call("DescribeAlarmHistory", region="eu-west-1")["AlarmHistoryItems"] == []


def test_dashboards(client: Client) -> None:
    body = json.dumps({"widgets": []})
    for name in ("ops", "ops-eu", "sales"):
        client.call("PutDashboard", DashboardName=name, DashboardBody=body)
    entries = client.call("ListDashboards", DashboardNamePrefix="ops")["DashboardEntries"]
    assert [(e["DashboardName"], e["Size"]) for e in entries] == [
        ("ops", len(body)),
        ("ops-eu", len(body)),
    ]
    assert client.call("GetDashboard", DashboardName="ops")["DashboardBody"] == body
    error = client.refused("DeleteDashboards", DashboardNames=["ops", "gone"])
    assert (error.code, error.status) == ("ResourceNotFound", 404)
    client.call("DeleteDashboards", DashboardNames=["ops", "sales"])
    assert client.refused("GetDashboard", DashboardName="ops").status == 404


@pytest.mark.parametrize("body", ["{", "[]", "5"])
def test_a_dashboard_is_a_json_object(client: Client, body: str) -> None:
    error = client.refused("PutDashboard", DashboardName="d", DashboardBody=body)
    assert error.code == "InvalidParameterInput"


def test_an_operation_that_is_not_offered_is_told(client: Client) -> None:
    error = client.refused("PutAnomalyDetector")
    assert error.code == "UnknownOperationException"
    assert "does not offer PutAnomalyDetector" in error.message


def test_everything_stands_again_after_a_restart(client: Client) -> None:
    client.put_alarm("a", Tags=[{"Key": "k", "Value": "v"}])
    client.call("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="a test")
    client.call("PutCompositeAlarm", AlarmName="c", AlarmRule="ALARM(a)")
    client.call("PutDashboard", DashboardName="d", DashboardBody="{}")
    client.call("PutMetricData", Namespace="N", MetricData=[{"MetricName": "m", "Value": 5.0}])

    def everything(found: Client) -> list[Any]:
        return [
            found.call("DescribeAlarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"]),
            found.call("DescribeAlarmHistory"),
            found.call("ListDashboards"),
            found.call("ListMetrics"),
            found.call("ListTagsForResource", ResourceARN=f"{ARN}a"),
        ]

    other = Client()
    try:
        other.service.restore(client.service.snapshot())
        assert everything(other) == everything(client)
        other.service.reset()
        assert other.names(AlarmTypes=["MetricAlarm", "CompositeAlarm"]) == []
        assert other.call("ListMetrics")["Metrics"] == []
    finally:
        other.service.close()


def test_many_alarms_are_written_down_without_being_copied() -> None:
    book = AlarmBook()
    context = RequestContext("123456789012", "us-east-1", "request", NOW)
    book.put_metric_alarm(alarm("a"), context)
    found, _ = book.plain()
    assert found[0][1]["params"] is book.get("a", "us-east-1").params


def test_the_state_of_another_version_is_refused_whole(client: Client) -> None:
    client.put_alarm("a")
    with pytest.raises(StateFormatError):
        client.service.restore(pickle.dumps(((), [])))
    assert client.names() == ["a"], "nothing of it was taken over"


def test_guardrails_are_told_of_metric_alarms_only(client: Client) -> None:
    client.put_alarm("a")
    client.call("PutCompositeAlarm", AlarmName="c", AlarmRule="ALARM(a) OR NOT OK(a)")
    states = CloudWatchAlarms(client.service, Clock(start=NOW))("us-east-1", ["a", "c"])
    assert states == {"a": "INSUFFICIENT_DATA"}
    with pytest.raises(ServiceError) as caught:
        check_alarms(["a", "c"], states)
    assert caught.value.message == (
        'The alarm(s) "c" of AutoRollbackConfiguration could not be found in CloudWatch; '
        "only metric alarms of the same region can be used."
    )

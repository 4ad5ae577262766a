"""From SNS, EventBridge and alarms to functions, topics, queues and state machines."""

from __future__ import annotations

import json
from typing import Any

from localcloud import connect
from tests.functional.conftest import Cloud
from tests.functional.serverless import Recorder, machine, role, unique, until

EVENTS = "events.amazonaws.com"


def rule(cloud: Cloud, pattern: dict[str, Any], *targets: dict[str, Any]) -> str:
    events, name = cloud.client("events"), unique("rule")
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    put = [{"Id": str(i), **target} for i, target in enumerate(targets)]
    assert events.put_targets(Rule=name, Targets=put)["FailedEntryCount"] == 0
    return arn


def put(cloud: Cloud, source: str, **detail: Any) -> None:
    entry = {"Source": source, "DetailType": "test", "Detail": json.dumps(detail)}
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def log(cloud: Cloud) -> str:
    return "\n".join(connect.log_tail(cloud.home, 2000))


def policy(service: str, action: str, resource: str, source: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_topic_reaches_a_function_that_lets_it(cloud: Cloud) -> None:
    sns, recorder = cloud.client("sns"), Recorder(cloud)
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    recorder.allow("sns.amazonaws.com", topic)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=recorder.arn)
    sns.publish(TopicArn=topic, Message="hello", Subject="greeting")
    record = recorder.first()["Records"][0]
    assert record["EventSource"] == "aws:sns"
    assert record["Sns"]["Message"] == "hello"
    assert record["Sns"]["Subject"] == "greeting"
    assert record["Sns"]["TopicArn"] == topic


def test_without_permission_nothing_is_delivered_and_the_log_says_so(cloud: Cloud) -> None:
    sns, recorder = cloud.client("sns"), Recorder(cloud)
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    recorder.allow("sns.amazonaws.com", f"{topic}-other")
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=recorder.arn)
    sns.publish(TopicArn=topic, Message="hello")
    refused = f"sns.amazonaws.com may not invoke {recorder.arn} for {topic}"
    until(lambda: refused in log(cloud), "the refusal in the log")
    assert recorder.events() == []


def test_a_rule_reaches_every_kind_of_target(cloud: Cloud) -> None:
    sns, sqs, states = (cloud.client(n) for n in ("sns", "sqs", "stepfunctions"))
    recorder, source = Recorder(cloud), unique("source")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    through = sqs.create_queue(QueueName=unique("through"))["QueueUrl"]
    through_arn = sqs.get_queue_attributes(QueueUrl=through, AttributeNames=["QueueArn"])
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=through_arn["Attributes"]["QueueArn"])
    passing = machine(cloud, {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    arn = rule(
        cloud,
        {"source": [source], "detail": {"size": [{"numeric": [">", 2]}]}},
        {"Arn": recorder.arn},
        {"Arn": queue, "InputPath": "$.detail"},
        {
            "Arn": topic,
            "InputTransformer": {
                "InputPathsMap": {"size": "$.detail.size"},
                "InputTemplate": '"it is <size>"',
            },
        },
        {"Arn": passing, "RoleArn": role(cloud, "events"), "Input": '{"fixed": true}'},
    )
    recorder.allow(EVENTS, arn)
    sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=policy(EVENTS, "sns:Publish", topic, arn),
    )
    sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": policy(EVENTS, "sqs:SendMessage", queue, arn)}
    )
    put(cloud, source, size=1)
    put(cloud, source, size=3)

    event = recorder.first()
    assert event["source"] == source
    assert event["detail"] == {"size": 3}
    assert event["time"].endswith("Z")
    received = until(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "the queue"
    )
    assert [json.loads(m["Body"]) for m in received] == [{"size": 3}]
    (notice,) = until(
        lambda: sqs.receive_message(QueueUrl=through, WaitTimeSeconds=1).get("Messages"), "topic"
    )
    assert json.loads(notice["Body"])["Message"] == '"it is 3"'
    executions = until(
        lambda: states.list_executions(stateMachineArn=passing)["executions"], "an execution"
    )
    described = states.describe_execution(executionArn=executions[0]["executionArn"])
    assert json.loads(described["input"]) == {"fixed": True}
    assert len(recorder.events()) == 1


def test_a_disabled_rule_and_a_queue_without_policy_get_nothing(cloud: Cloud) -> None:
    sqs, source = cloud.client("sqs"), unique("source")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    arn = rule(cloud, {"source": [source]}, {"Arn": queue["QueueArn"]})
    put(cloud, source, a=1)
    until(lambda: f"may not sqs:SendMessage for {arn}" in log(cloud), "the refusal in the log")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    recorder = Recorder(cloud)
    recorder.allow(EVENTS, "arn:aws:events:us-east-1:123456789012:rule/*")
    off = rule(cloud, {"source": [source]}, {"Arn": recorder.arn})
    cloud.client("events").disable_rule(Name=off.rpartition("/")[2])
    on = rule(cloud, {"source": [source]}, {"Arn": recorder.arn, "Input": '{"on": 1}'})
    put(cloud, source, a=2)
    assert recorder.first() == {"on": 1}, on
    assert recorder.events() == [{"on": 1}]


def test_an_alarm_reaches_a_function_and_the_bus(cloud: Cloud) -> None:
    cloudwatch, direct, bus = cloud.client("cloudwatch"), Recorder(cloud), Recorder(cloud)
    name = unique("alarm")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [name], "state": {"value": ["ALARM"]}},
    }
    bus.allow(EVENTS, rule(cloud, pattern, {"Arn": bus.arn}))
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Slipway/Test",
        MetricName="errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        AlarmActions=[direct.arn],
    )
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    direct.allow("lambda.alarms.cloudwatch.amazonaws.com", alarm["AlarmArn"])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    event = direct.first()
    assert event["alarmArn"] == alarm["AlarmArn"]
    assert event["alarmData"]["state"]["value"] == "ALARM"
    told = bus.first()
    assert told["resources"] == [alarm["AlarmArn"]]
    assert told["detail"]["state"]["reason"] == "a test"
    assert told["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    metric = told["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]
    assert metric["name"] == "errors"

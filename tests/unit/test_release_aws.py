"""The edge to AWS: how answers are read, and what is sent, call by call."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from release.actions import (
    DeleteConfig,
    PublishVerdict,
    PutGateAlarm,
    RemoveScaling,
    RestoreScaling,
    SetScaling,
    UpdateEndpoint,
)
from release.aws import scaling as aws_scaling
from release.aws.call import call, client
from release.aws.cloud import AwsCloud, RefusedError, UnavailableError
from release.aws.describe import describe_endpoint
from release.aws.store import list_endpoints, remembered_endpoints
from release.aws.survey import survey, traffic
from release.controller.start import Snapshot
from release.driver.collect import Collection, remove
from release.errors import AwsError, NotFoundError
from release.observation import (
    Config,
    Deployment,
    Endpoint,
    MetricQuery,
    ScalingTarget,
    Variant,
    VariantMinute,
)
from release.planning.survey import Quota
from tests.unit.release_samples import NOT_SUSPENDED, config_of, manifest, target

NEW_TYPE = target("2").instance_type
AT = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/wine/variant/live",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


class Recorder:
    """A boto3 client that remembers its calls; ``answers`` by operation, errors are raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answer = self.answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def refused(code: str, message: str) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(response, "Operation")


def cloud_of(**clients: Any) -> AwsCloud:
    return AwsCloud("eu-west-1", lambda service, _region: clients[service.replace("-", "_")])


# --- what DescribeEndpoint tells


def described(message: str, status: str = "Baking", total: int = 4) -> Deployment | None:
    earlier = {"Status": "Creating", "StatusMessage": "Launching 4 instance(s).", "StartTime": AT}
    later = AT.replace(minute=5)
    now = {"Status": status, "StatusMessage": message, "StartTime": later}
    return describe_endpoint(
        {
            "EndpointStatus": "Updating",
            "LastModifiedTime": AT,
            "EndpointConfigName": "old",
            "PendingDeploymentSummary": {
                "EndpointConfigName": "new",
                "ProductionVariants": [
                    {
                        "VariantName": "live",
                        "DesiredInstanceCount": total,
                        "VariantStatus": [earlier, now],
                    }
                ],
            },
        },
        AT.timestamp(),
    ).deployment


@pytest.mark.parametrize(
    ("message", "status", "wanted"),
    [
        (
            (
                "Baking for 300 seconds (WaitIntervalInSeconds) with traffic enabled on canary "
                "capacity of 1 instance(s)."
            ),
            "Baking",
            (300.0, 1, False),
        ),
        (
            (
                "Baking for 600 seconds (TerminationWaitInSeconds) with traffic enabled on full "
                "capacity of 4 instance(s)."
            ),
            "Baking",
            (600.0, 4, True),
        ),
        (
            "Activating traffic on canary capacity of 2 instance(s).",
            "ActivatingTraffic",
            (0.0, 2, False),
        ),
        ("Launching 4 instance(s).", "Creating", (0.0, 0, False)),
        ("Something new.", "Baking", (0.0, 0, False)),
    ],
)
def test_how_far_a_deployment_is_follows_from_its_youngest_status(
    message: str, status: str, wanted: tuple[float, int, bool]
) -> None:
    found = described(message, status)
    assert found is not None
    since = AT.replace(minute=5).timestamp()
    seconds, active, is_full = wanted
    assert found == Deployment(status, since, seconds, active, 4, is_full)


def test_shadows_are_apart_from_production_variants() -> None:
    variant = {"CurrentWeight": 0.5, "DesiredWeight": 0.5, "CurrentInstanceCount": 2}
    found = describe_endpoint(
        {
            "EndpointStatus": "InService",
            "LastModifiedTime": AT,
            "EndpointConfigName": "c",
            "ProductionVariants": [{**variant, "VariantName": "live", "DesiredInstanceCount": 2}],
            "ShadowProductionVariants": [
                {**variant, "VariantName": "shadow", "DesiredInstanceCount": 3}
            ],
        },
        7.0,
    )
    assert found.variants == (Variant("live", 0.5, 0.5, 2, 2),)
    assert found.shadows == (Variant("shadow", 0.5, 0.5, 2, 3),)
    assert (found.deployment, found.pending_config) == (None, None)


# --- what is sent


def test_an_update_behind_guardrails_keeps_counts_and_excludes_weights() -> None:
    sagemaker = Recorder()
    deployment = {"RollingUpdatePolicy": {}}
    cloud_of(sagemaker=sagemaker).execute("wine", UpdateEndpoint("new", True, deployment))
    cloud_of(sagemaker=sagemaker).execute("wine", UpdateEndpoint("old", False))
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    common = {"EndpointName": "wine", "RetainAllVariantProperties": True}
    assert sagemaker.calls == [
        (
            "update_endpoint",
            {
                **common,
                "EndpointConfigName": "new",
                "ExcludeRetainedVariantProperties": excluded,
                "DeploymentConfig": deployment,
            },
        ),
        (
            "update_endpoint",
            {**common, "EndpointConfigName": "old", "ExcludeRetainedVariantProperties": []},
        ),
    ]


def test_the_verdict_is_a_metric_and_its_alarm_rings_within_seconds_for_minutes() -> None:
    cloudwatch = Recorder()
    cloud = cloud_of(cloudwatch=cloudwatch)
    cloud.execute("wine", PutGateAlarm("r1-gate", "r1", {"a": "b"}))
    cloud.execute("wine", PublishVerdict("r1", 1))
    (_, alarm), (_, data) = cloudwatch.calls
    dimensions = [{"Name": "Release", "Value": "r1"}]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Slipway/Releases", "GateFailed")
    assert alarm["Dimensions"] == dimensions
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (10, 30, 1)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert data["Namespace"] == "Slipway/Releases"
    (point,) = data["MetricData"]
    assert (point["MetricName"], point["Dimensions"]) == ("GateFailed", dimensions)
    assert (point["Value"], point["StorageResolution"]) == (1.0, 1)


# --- deletions under a condition on tags: what is no more has none


DENIED = refused("AccessDeniedException", "no identity-based policy allows it")
MISSING = refused("ValidationException", 'Could not find endpoint configuration "c".')
STANDS = {"EndpointConfigArn": "arn:c", "ProductionVariants": []}


@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_a_configuration_that_may_not_be_deleted_because_it_is_gone_is_deleted(code: str) -> None:
    denied = refused(code, "not allowed")
    gone = Recorder(delete_endpoint_config=denied, describe_endpoint_config=MISSING)
    cloud_of(sagemaker=gone).execute("wine", DeleteConfig("c"))
    remove(cloud_of(sagemaker=gone), Collection(("c",), (), ()))

    stands = Recorder(
        delete_endpoint_config=denied, describe_endpoint_config=STANDS, list_tags={"Tags": []}
    )
    with pytest.raises(RefusedError, match="not allowed"):
        cloud_of(sagemaker=stands).execute("wine", DeleteConfig("c"))
    with pytest.raises(RefusedError, match="not allowed"):
        remove(cloud_of(sagemaker=stands), Collection(("c",), (), ()))


def test_a_model_that_may_not_be_deleted_because_it_is_gone_is_deleted() -> None:
    missing = refused("ValidationException", 'Could not find model "m".')
    gone = Recorder(delete_model=DENIED, describe_model=missing)
    remove(cloud_of(sagemaker=gone), Collection((), ("m",), ()))
    with pytest.raises(RefusedError, match="no identity-based policy allows it"):
        remove(cloud_of(sagemaker=Recorder(delete_model=DENIED)), Collection((), ("m",), ()))


# --- alarms


def test_composite_alarms_are_read_beside_metric_alarms() -> None:
    cloudwatch = Recorder(
        describe_alarms={
            "MetricAlarms": [{"AlarmName": "a", "StateValue": "OK"}],
            "CompositeAlarms": [{"AlarmName": "c", "StateValue": "ALARM"}],
        }
    )
    assert cloud_of(cloudwatch=cloudwatch).alarms(("a", "c")) == {"a": "OK", "c": "ALARM"}
    # Without AlarmTypes only metric alarms are told, without MaxRecords fifty.
    types = ["MetricAlarm", "CompositeAlarm"]
    asked = {"AlarmNames": ["a", "c"], "AlarmTypes": types, "MaxRecords": 100}
    assert cloudwatch.calls == [("describe_alarms", asked)]


# --- metrics


def test_slow_answers_are_counted_where_cloudwatch_counts_them() -> None:
    def results(slow: list[float]) -> dict[str, Any]:
        values = {"requests0": [10.0], "errors0": [1.0], "p950": [900.0], "slow0": slow}
        return {
            "MetricDataResults": [
                {"Id": k, "Timestamps": [AT] * len(v), "Values": v} for k, v in values.items()
            ]
        }

    query = MetricQuery("c", ("live",), 0.0, 60.0, "candidate", 50_000.0)
    counted = Recorder(get_metric_data=results([4.0]))
    found = cloud_of(cloudwatch=counted).series("wine", query)
    assert found == {"candidate": {AT.timestamp(): VariantMinute(10, 1, 900.0, 4)}}
    asked = counted.calls[0][1]["MetricDataQueries"]
    assert asked[-1]["MetricStat"]["Stat"] == "TC(50000:)"
    uncounted = Recorder(get_metric_data=results([]))
    found = cloud_of(cloudwatch=uncounted).series("wine", query)
    assert found["candidate"][AT.timestamp()].slow is None


@pytest.mark.parametrize("latency", [{}, {60.0: math.nan}])
def test_a_minute_whose_latency_has_not_come_counts_no_fast_answers(
    latency: dict[float, float],
) -> None:
    values = {
        "requests0": {0.0: 10.0, 60.0: 10.0},
        "errors0": {0.0: 1.0, 60.0: 0.0},
        "p950": {0.0: 90_000.0, **latency},
        "slow0": {0.0: 4.0, **latency},
    }
    results = [
        {
            "Id": key,
            "Timestamps": [datetime.fromtimestamp(at, UTC) for at in found],
            "Values": list(found.values()),
        }
        for key, found in values.items()
    ]
    cloudwatch = Recorder(get_metric_data={"MetricDataResults": results})
    query = MetricQuery("c", ("live",), 0.0, 60.0, "candidate", 50_000.0)
    found = cloud_of(cloudwatch=cloudwatch).series("wine", query)["candidate"]
    assert found[0.0] == VariantMinute(10, 1, 90_000.0, 4)
    assert found[60.0] == VariantMinute(10, 0, None, None)


# --- scaling


TARGET = ScalingTarget(
    2,
    8,
    dict(NOT_SUSPENDED),
    ({"PolicyName": "p", "PolicyType": "TargetTrackingScaling"},),
    ({"ScheduledActionName": "s", "Schedule": "rate(1 day)", "StartTime": AT.timestamp()},),
    {"team": "wine"},
)


def registered() -> Recorder:
    return Recorder(
        describe_scalable_targets={
            "ScalableTargets": [
                {"MinCapacity": 2, "MaxCapacity": 8, "ScalableTargetARN": "arn:t", "RoleARN": "r"}
            ]
        },
        describe_scaling_policies={
            "ScalingPolicies": [
                {**TARGET.policies[0], "PolicyARN": "arn:p", "Alarms": [], "CreationTime": AT}
            ]
        },
        describe_scheduled_actions={
            "ScheduledActions": [
                {
                    "ScheduledActionName": "s",
                    "Schedule": "rate(1 day)",
                    "StartTime": AT,
                    "ScheduledActionARN": "arn:s",
                }
            ]
        },
        list_tags_for_resource={"Tags": {"team": "wine"}},
    )


def test_a_scalable_target_is_read_with_all_that_belongs_to_it() -> None:
    assert aws_scaling.read(registered(), "wine", "live") == TARGET
    nothing = Recorder(describe_scalable_targets={"ScalableTargets": []})
    assert aws_scaling.read(nothing, "wine", "live") is None


def test_it_is_registered_again_exactly() -> None:
    scaling = Recorder()
    aws_scaling.execute(scaling, "wine", RestoreScaling(TARGET))
    register = {"MinCapacity": 2, "MaxCapacity": 8, "SuspendedState": NOT_SUSPENDED}
    assert scaling.calls == [
        ("register_scalable_target", {**PLACE, **register, "Tags": {"team": "wine"}}),
        ("put_scaling_policy", {**PLACE, **TARGET.policies[0]}),
        ("put_scheduled_action", {**PLACE, **TARGET.scheduled[0]}),
    ]


BAD = refused("ValidationException", "the metric is unknown")


@pytest.mark.parametrize(
    ("policy", "scheduled", "error", "text"),
    [
        (BAD, {}, RefusedError, "policy p: ValidationException: the metric is unknown"),
        (
            BAD,
            refused("LimitExceededException", "too many"),
            RefusedError,
            (
                "policy p: ValidationException: the metric is unknown; "
                "scheduled action s: LimitExceededException: too many"
            ),
        ),
        (
            BAD,
            refused("ThrottlingException", "slow down"),
            UnavailableError,
            (
                "policy p: ValidationException: the metric is unknown; scheduled action s: "
                "aws did not answer Operation: ThrottlingException: slow down"
            ),
        ),
    ],
)
def test_what_cannot_be_put_back_keeps_nothing_else_away(
    policy: Any, scheduled: Any, error: type[AwsError], text: str
) -> None:
    scaling = Recorder(put_scaling_policy=policy, put_scheduled_action=scheduled)
    with pytest.raises(error) as raised:
        aws_scaling.execute(scaling, "wine", RestoreScaling(TARGET))
    assert str(raised.value) == text
    assert [name for name, _ in scaling.calls][1:] == ["put_scaling_policy", "put_scheduled_action"]


def test_it_is_removed_with_its_schedules_and_policies_first() -> None:
    scaling = registered()
    aws_scaling.execute(scaling, "wine", RemoveScaling("live"))
    assert [name for name, _ in scaling.calls if not name.startswith("describe")] == [
        "delete_scheduled_action",
        "delete_scaling_policy",
        "deregister_scalable_target",
    ]


def test_what_is_gone_already_is_removed() -> None:
    gone = refused("ObjectNotFoundException", "no scalable target")
    scaling = Recorder(
        describe_scaling_policies={"ScalingPolicies": []},
        describe_scheduled_actions={"ScheduledActions": []},
        deregister_scalable_target=gone,
    )
    aws_scaling.execute(scaling, "wine", RemoveScaling("candidate"))


def test_a_target_that_may_not_be_removed_because_it_is_gone_is_removed() -> None:
    gone = Recorder(
        describe_scaling_policies={"ScalingPolicies": []},
        describe_scheduled_actions={"ScheduledActions": []},
        describe_scalable_targets={"ScalableTargets": []},
        deregister_scalable_target=DENIED,
    )
    aws_scaling.execute(gone, "wine", RemoveScaling("live"))

    for operation in ("deregister_scalable_target", "delete_scaling_policy"):
        stands = registered()
        stands.answers[operation] = DENIED
        with pytest.raises(RefusedError, match="no identity-based policy allows it"):
            aws_scaling.execute(stands, "wine", RemoveScaling("live"))


def test_scale_in_is_suspended_only_where_there_is_a_target() -> None:
    scaling = registered()
    suspended = {**NOT_SUSPENDED, "DynamicScalingInSuspended": True}
    aws_scaling.execute(scaling, "wine", SetScaling(suspended))
    assert scaling.calls[-1] == (
        "register_scalable_target",
        {**PLACE, "SuspendedState": suspended},
    )
    nothing = Recorder(describe_scalable_targets={"ScalableTargets": []})
    aws_scaling.execute(nothing, "wine", SetScaling(suspended))
    assert [name for name, _ in nothing.calls] == ["describe_scalable_targets"]


# --- what a plan asks


def of_type(config: Config, kind: str) -> Config:
    variant = config.production()[0] | {"InstanceType": kind}
    return replace(config, body={"ProductionVariants": [variant]})


def test_a_survey_asks_the_quota_of_the_type_that_serves_and_of_the_targets() -> None:
    quota = "{} for endpoint usage".format
    own = {"Quotas": [{"QuotaName": quota("ml.m5.large"), "Value": 5.0}]}
    usual = {"Quotas": [{"QuotaName": quota(t), "Value": 2.0} for t in ("ml.m5.large", NEW_TYPE)]}
    variants = [{"VariantName": "live", "DesiredInstanceCount": 4}]
    live = of_type(config_of("1"), "ml.m5.large")
    cloud = cloud_of(
        service_quotas=Recorder(list_service_quotas=own, list_aws_default_service_quotas=usual),
        sagemaker=Recorder(
            list_endpoints={"Endpoints": [{"EndpointName": "a"}, {"EndpointName": "b"}]},
            describe_endpoint={"EndpointConfigName": live.name, "ProductionVariants": variants},
            describe_endpoint_config={"EndpointConfigArn": "arn:c", **live.body},
            list_tags={"Tags": []},
        ),
        cloudwatch=Recorder(get_metric_data={"MetricDataResults": []}),
        iam=Recorder(
            list_role_policies={"PolicyNames": []},
            list_attached_role_policies={"AttachedPolicies": []},
        ),
    )
    endpoint = Endpoint(1_000_000.0, "InService", live.name, 0.0)
    seen = survey(cloud, manifest(), Snapshot(endpoint, live, config_of("2"), None), 3600.0)
    assert seen.tells == ()
    assert seen.quotas == {"ml.m5.large": Quota(5, 8), NEW_TYPE: Quota(2, 0)}


@pytest.mark.parametrize(
    ("minutes_ago", "per_minute", "source"),
    [
        (range(0, 65, 5), 65 / 60 * 10, "the last hour"),
        ((5, 10, 15, 20), 10, "the last 20 minutes"),
        ((5,), 5, "the last 10 minutes"),
        ((5, 50), 100 / 60, "the last hour"),  # sparse: nothing says that it began just now
        ((), 0, "the last hour"),
    ],
    ids=["all the time", "began within the hour", "began just now", "sparse", "none"],
)
def test_traffic_that_began_within_the_hour_is_averaged_from_then_on(
    minutes_ago: Sequence[int], per_minute: float, source: str
) -> None:
    now = 1_000_000 // 60 * 60.0
    moments = [datetime.fromtimestamp(now - 60 * ago, UTC) for ago in minutes_ago]

    class CloudWatch:
        def get_metric_data(self, StartTime: float, **_: Any) -> dict[str, Any]:
            seen = moments if StartTime > now - 7200 else []
            values = {"requests": 50.0, "errors": 5.0}
            told = [
                {"Id": key, "Timestamps": seen, "Values": [value] * len(seen)}
                for key, value in values.items()
            ]
            return {"MetricDataResults": told}

    found = traffic(cloud_of(cloudwatch=CloudWatch()), manifest(), now, 3600.0)
    assert found.source == source
    assert found.requests_per_minute == pytest.approx(per_minute)
    assert found.error_rate == (0.1 if minutes_ago else 0.0)


@pytest.mark.parametrize(
    "code",
    ["ConcurrentUpdateException", "RequestLimitExceeded", "ThrottlingException", "SlowDown"],
)
def test_what_passes_is_no_refusal_though_it_comes_as_a_client_error(code: str) -> None:
    scaling = Recorder(describe_scalable_targets=refused(code, "another update is under way"))
    cloud = cloud_of(application_autoscaling=scaling)

    with pytest.raises(UnavailableError, match=f"{code}: another update is under way"):
        cloud.scaling("wine")


def test_a_quota_is_refused() -> None:
    limit = refused("LimitExceededException", "too many targets")
    cloud = cloud_of(application_autoscaling=Recorder(describe_scalable_targets=limit))

    with pytest.raises(RefusedError, match="too many targets"):
        cloud.scaling("wine")


def trailed(seconds: int, who: str, endpoint: str = "wine", **more: Any) -> dict[str, Any]:
    told = {
        "userIdentity": {"arn": who},
        "requestParameters": {"endpointName": endpoint, **more.pop("asked", {})},
        **more,
    }
    return {"EventTime": AT + timedelta(seconds=seconds), "CloudTrailEvent": json.dumps(told)}


def test_who_changed_an_endpoint_is_the_last_of_the_others_that_did() -> None:
    scaled = {"desiredWeightsAndCapacities": [{"variantName": "live", "desiredInstanceCount": 9}]}
    events = [
        trailed(0, "arn:eve"),
        trailed(5, "arn:bob"),
        trailed(6, "arn:us"),
        trailed(7, "arn:of-another-endpoint", "other"),
        trailed(8, "arn:scaling", asked=scaled),
        trailed(9, "arn:was-denied", errorCode="AccessDenied"),
    ]
    trail = Recorder(lookup_events={"Events": events})
    cloud = cloud_of(cloudtrail=trail, sts=Recorder(get_caller_identity={"Arn": "arn:us"}))

    found = cloud.changed_by("wine", AT.timestamp())

    assert found == "arn:bob (UpdateEndpointWeightsAndCapacities at 00:00:05 UTC)"
    (_, asked), *_ = trail.calls
    assert asked["EndTime"] - asked["StartTime"] == 900


def test_nobody_is_named_where_the_trail_has_nothing() -> None:
    cloud = cloud_of(cloudtrail=Recorder(), sts=Recorder(get_caller_identity={"Arn": "arn:us"}))

    assert cloud.changed_by("wine", AT.timestamp()) == ""


SIGN_IN = "name a profile of yours (AWS_PROFILE), sign in (`aws sso login`), or set AWS_ACCESS_KEY"


def test_who_is_not_signed_in_is_told_how() -> None:
    def nobody() -> None:
        raise NoCredentialsError

    with pytest.raises(UnavailableError, match="Unable to locate credentials; ") as refused:
        call(nobody)

    assert SIGN_IN in str(refused.value)


def test_a_profile_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nope")

    with pytest.raises(UnavailableError, match=r"profile \(nope\) could not be found; ") as refused:
        client("s3", "eu-west-1")

    assert SIGN_IN in str(refused.value)


def test_without_a_history_bucket_nothing_was_staged() -> None:
    def paginate(**_arguments: Any) -> Any:
        raise ClientError(
            {"Error": {"Code": "NoSuchBucket"}, "ResponseMetadata": {"HTTPStatusCode": 404}},
            "ListObjectsV2",
        )

    s3 = SimpleNamespace(get_paginator=lambda _name: SimpleNamespace(paginate=paginate))

    for listed in (list_endpoints, remembered_endpoints):
        with pytest.raises(NotFoundError, match="bucket b does not exist: nothing was staged"):
            listed(s3, "b")

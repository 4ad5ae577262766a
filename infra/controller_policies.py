"""What the controller's Lambda and state machine may do: only what a release needs (fact 12)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.release_manifest import TAG_STACK, HookGate
from infra.settings import ModelConfig

EVENT_SOURCE = "slipway"
RELEASE_ID = "????????T??????-????"
CAPTURES = "capture"
GATE_NAMESPACE = "Slipway/Releases"


@dataclass(frozen=True)
class Place:
    partition: str
    region: str
    account_id: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def trust(service: str, account_id: str) -> str:
    """Only ``service``, and only on behalf of this account, may take the role."""
    return _document(
        [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": service},
                "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
            }
        ]
    )


def function_policy(
    models: Sequence[ModelConfig],
    place: Place,
    stack: str,
    history_arn: str,
    artifact_arn: str,
    topic_arn: str,
    log_group_arn: str,
) -> str:
    """The controller's own calls: those of ``release.aws`` and ``release.driver.collect``."""
    statements = [
        *_sagemaker(place, stack),
        *_watching(place),
        *_scaling(place, stack),
        *_storage(history_arn, artifact_arn),
        allow("Announce", ["sns:Publish"], [topic_arn]),
        {
            **allow("AnnounceOnEventBus", ["events:PutEvents"], [place.arn("events", BUS)]),
            "Condition": {"StringEquals": {"events:source": EVENT_SOURCE}},
        },
        allow(
            "WriteLogs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"{log_group_arn}:*"],
        ),
        *_hooks(models),
    ]
    return _document(statements)


BUS = "event-bus/default"


def _sagemaker(place: Place, stack: str) -> list[dict[str, Any]]:
    """Of constant size, however many models: a role's inline policies have 10,240 characters.

    What changes something asks for the stack's tag; what only looks does not, or a thing that is
    gone would be forbidden and not missing.
    """
    endpoints, configs, models = (
        [place.arn("sagemaker", f"{kind}/*")] for kind in ("endpoint", "endpoint-config", "model")
    )
    ours = {"StringEquals": {f"aws:ResourceTag/{TAG_STACK}": stack}}
    made_ours = {"StringEquals": {f"aws:RequestTag/{TAG_STACK}": stack}}
    tagging = {"sagemaker:TaggingAction": "CreateEndpointConfig"}
    return [
        allow("LookAtEndpoints", ["sagemaker:DescribeEndpoint"], endpoints),
        allow(
            "LookAtConfigurations",
            ["sagemaker:DescribeEndpointConfig", "sagemaker:ListTags"],
            [*endpoints, *configs],
        ),
        # This action knows no resources.
        allow("ListConfigurations", ["sagemaker:ListEndpointConfigs"], ["*"]),
        allow("LookAtModels", ["sagemaker:DescribeModel"], models),
        {
            **allow(
                "MoveTraffic",
                ["sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
                endpoints,
            ),
            "Condition": ours,
        },
        # One made a second ago must be missing, not forbidden: its tags may not be seen yet.
        allow("MoveTrafficTo", ["sagemaker:UpdateEndpoint"], configs),
        {
            **allow("MakeTransition", ["sagemaker:CreateEndpointConfig"], configs),
            "Condition": made_ours,
        },
        {
            # Only while it is made: else anybody's could be tagged as ours, and then deleted.
            **allow("TagTransition", ["sagemaker:AddTags"], configs),
            "Condition": {"StringEquals": made_ours["StringEquals"] | tagging},
        },
        {
            **allow(
                "CollectVersions",
                ["sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"],
                [*configs, *models],
            ),
            "Condition": ours,
        },
    ]


def _watching(place: Place) -> list[dict[str, Any]]:
    # MODEL-20260102T030405-ab12-SUFFIX-PLACE: the form of a release's id, whoever's it is.
    own_alarms = [place.arn("cloudwatch", f"alarm:*-{RELEASE_ID}-*")]
    # Application Auto Scaling makes its alarms only for a caller that may.
    of_scaling = [place.arn("cloudwatch", "alarm:TargetTracking-endpoint/*")]
    return [
        # Metrics know no resources.
        allow("ReadMetrics", ["cloudwatch:GetMetricData"], ["*"]),
        # Who else moved its endpoint; CloudTrail's events know no resources.
        allow("ReadTrail", ["cloudtrail:LookupEvents"], ["*"]),
        allow("ReadAlarms", ["cloudwatch:DescribeAlarms"], [place.arn("cloudwatch", "alarm:*")]),
        allow(
            "MakeRollbackAlarms",
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"],
            own_alarms,
        ),
        allow(
            "LetScalingMakeItsAlarms",
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"],
            of_scaling,
        ),
        {
            **allow("PublishVerdict", ["cloudwatch:PutMetricData"], ["*"]),
            "Condition": {"StringEquals": {"cloudwatch:namespace": GATE_NAMESPACE}},
        },
    ]


def _scaling(place: Place, stack: str) -> list[dict[str, Any]]:
    targets = place.arn("application-autoscaling", "scalable-target/*")
    namespace = {"application-autoscaling:service-namespace": "sagemaker"}
    return [
        # These actions know no resources.
        allow("ReadScaling", _of_scaling(READ_SCALING), ["*"]),
        {
            **allow("MoveScaling", _of_scaling(MOVE_SCALING), [targets]),
            "Condition": {"StringEquals": namespace},
        },
        allow("ReadScalingTags", _of_scaling(("ListTagsForResource",)), [targets]),
        {
            # It is asked for where a target is registered with tags: only as the stack's own.
            **allow("TagScaling", _of_scaling(("TagResource",)), [targets]),
            "Condition": {"StringEquals": {f"aws:RequestTag/{TAG_STACK}": stack}},
        },
    ]


READ_SCALING = (
    "DescribeScalableTargets",
    "DescribeScalingPolicies",
    "DescribeScheduledActions",
)
# A variant that is a scalable target can neither leave nor change its type: it is taken out of
# scaling for that time, and put back as it was (fact 6).
MOVE_SCALING = (
    "DeleteScalingPolicy",
    "DeleteScheduledAction",
    "DeregisterScalableTarget",
    "PutScalingPolicy",
    "PutScheduledAction",
    "RegisterScalableTarget",
)


def _of_scaling(actions: tuple[str, ...]) -> list[str]:
    return [f"application-autoscaling:{action}" for action in actions]


def _storage(history_arn: str, artifact_arn: str) -> list[dict[str, Any]]:
    return [
        allow("ReadHistory", ["s3:GetObject"], [f"{history_arn}/*"]),
        allow(
            "WriteHistory",
            ["s3:PutObject"],
            [f"{history_arn}/endpoints/*", f"{history_arn}/releases/*"],
        ),
        # A person's word to a release, once it is heard.
        allow("ForgetRequests", ["s3:DeleteObject"], [f"{history_arn}/endpoints/*/request.json"]),
        # Without it a missing object is AccessDenied, not NoSuchKey.
        allow("TellMissingFromForbidden", ["s3:ListBucket"], [history_arn]),
        allow("CollectArtifacts", ["s3:DeleteObject"], [f"{artifact_arn}/artifacts/*"]),
        allow("ReadCaptures", ["s3:GetObject"], [f"{artifact_arn}/{CAPTURES}/*"]),
        {
            **allow("ListCaptures", ["s3:ListBucket"], [artifact_arn]),
            "Condition": {"StringLike": {"s3:prefix": [f"{CAPTURES}/*"]}},
        },
    ]


def _hooks(models: Sequence[ModelConfig]) -> list[dict[str, Any]]:
    gates = [gate for m in models for gate in m.release.gates if isinstance(gate, HookGate)]
    functions = sorted({gate.function_arn for gate in gates if gate.function_arn})
    return [allow("AskHooks", ["lambda:InvokeFunction"], functions)] if functions else []


# --- the state machine


def loop_policy(function_arn: str, topic_arn: str) -> str:
    """Invoke the function, tell people where it is stuck, and write its log."""
    return _document(
        [
            allow("TakeTurns", ["lambda:InvokeFunction"], [function_arn]),
            allow("SayItIsStuck", ["sns:Publish"], [topic_arn]),
            # Delivery of logs knows no resources (Step Functions guide, "Logging").
            allow("DeliverLogs", LOG_DELIVERY, ["*"]),
        ]
    )


LOG_DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
]


def succession_policy(state_machine_arn: str) -> str:
    """An execution starts its successor before its history is full."""
    return _document([allow("HandOver", ["states:StartExecution"], [state_machine_arn])])


def topic_policy(topic_arn: str) -> str:
    """Who may publish is said by their roles; nobody may without TLS."""
    return _document(
        [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
    )


def allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

"""Where moto would deliver by itself, with locks held or not at all, it hands over to us."""

# moto's own functions decide the arguments of what replaces them.
# ruff: noqa: ARG001

from __future__ import annotations

import json
import logging
from typing import Any

from localcloud import jsonpath
from localcloud.clock import Clock
from localcloud.deliveries import Deliveries, Delivery
from localcloud.event_input import envelope, target_input

log = logging.getLogger(__name__)
EVENTS, SNS, S3 = "events.amazonaws.com", "sns.amazonaws.com", "s3.amazonaws.com"


def install(deliveries: Deliveries, clock: Clock) -> None:
    """EventBridge's targets, SNS's Lambda subscriptions and S3's Lambda notifications are ours."""
    _take_rules(deliveries)
    _take_subscriptions(deliveries, clock)
    _take_notifications(deliveries)


def _take_rules(deliveries: Deliveries) -> None:
    from moto.events.models import Rule

    def send_to_targets(rule: Any, original_event: Any, transform_input: bool = True) -> None:
        # A rule on a schedule only has no pattern, and moto takes that for one that all match.
        if rule.state == "DISABLED" or not rule.event_pattern.dump():
            return
        event = envelope(original_event)
        if not rule.event_pattern.matches_event(event):
            return
        for target in list(rule.targets):
            _submit(deliveries, rule.arn, target, event)

    rule_type: Any = Rule
    rule_type.send_to_targets = send_to_targets


def _submit(
    deliveries: Deliveries, rule_arn: str, target: dict[str, Any], event: dict[str, Any]
) -> None:
    try:
        text = target_input(target, event, rule_arn)
    except jsonpath.PathError as error:
        log.warning("%s is not delivered to %s: %s", rule_arn, target["Arn"], error)
        return
    deliveries.submit(
        Delivery(
            target["Arn"],
            text,
            EVENTS,
            rule_arn,
            target.get("RoleArn", ""),
            (target.get("SqsParameters") or {}).get("MessageGroupId", ""),
            (target.get("DeadLetterConfig") or {}).get("Arn", ""),
        )
    )


def _take_subscriptions(deliveries: Deliveries, clock: Clock) -> None:
    from moto.sns.models import Subscription

    subscription_type: Any = Subscription
    original: Any = getattr(Subscription.publish, "original", Subscription.publish)

    def publish(subscription: Any, message: str, message_id: str, **options: Any) -> None:
        if subscription.protocol != "lambda":
            original(subscription, message, message_id, **options)
            return
        attributes = options.get("message_attributes") or {}
        matcher = subscription._filter_policy_matcher
        if matcher is not None and not matcher.matches(attributes, message):
            return
        if options.get("message_structure") == "json":
            message = subscription._parse_message_structure(message, "lambda")
        record = _sns_record(subscription, message, message_id, options.get("subject"), attributes)
        record["Timestamp"] = clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        event = {
            "Records": [
                {
                    "EventSource": "aws:sns",
                    "EventVersion": "1.0",
                    "EventSubscriptionArn": subscription.arn,
                    "Sns": record,
                }
            ]
        }
        topic = subscription.topic.arn
        deliveries.submit(Delivery(subscription.endpoint, json.dumps(event), SNS, topic))

    publish.original = original  # pyright: ignore[reportFunctionMemberAccess]
    subscription_type.publish = publish


def _sns_record(
    subscription: Any, message: str, message_id: str, subject: str | None, attributes: Any
) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic.arn,
        "Subject": subject,
        "Message": message,
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertUrl": "EXAMPLE",
        "UnsubscribeUrl": "EXAMPLE",
        "MessageAttributes": {
            name: {"Type": value["Type"], "Value": value["Value"]}
            for name, value in attributes.items()
        },
    }


def _take_notifications(deliveries: Deliveries) -> None:
    from moto.s3 import notifications

    def invoke(account_id: str, event_body: Any, fn_arn: str, region_name: str) -> None:
        bucket = event_body["Records"][0]["s3"]["bucket"]
        source = bucket.get("arn") or f"arn:aws:s3:::{bucket['name']}"
        deliveries.submit(Delivery(fn_arn, json.dumps(event_body, default=str), S3, source))

    module: Any = notifications
    module._invoke_awslambda = invoke

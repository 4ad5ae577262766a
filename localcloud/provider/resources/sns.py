"""aws.sns.Topic, TopicSubscription and TopicPolicy."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import json
from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import code_of
from localcloud.provider.naming import name_prefix, physical_name
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.schema import Property
from localcloud.provider.values import Properties

# Attributes that only the creation can set, or that are no attributes at all.
_AT_CREATION = frozenset({"name", "namePrefix", "fifoTopic", "tags", "tagsAll", "region"})
_SUBSCRIPTION = (
    "deliveryPolicy",
    "filterPolicyScope",
    "filterPolicy",
    "rawMessageDelivery",
    "redrivePolicy",
    "replayPolicy",
    "subscriptionRoleArn",
)


class Topic(Resource):
    """Every attribute is a call of its own."""

    token = "aws:sns/topic:Topic"
    gone = frozenset({"NotFound", "NotFoundException"})

    def create(self, call: Call) -> None:
        inputs, sns = call.inputs, call.client()
        request: dict[str, Any] = {"Name": physical_name(inputs)}
        if inputs.get("fifoTopic"):
            request["Attributes"] = {"FifoTopic": "true"}
            if inputs.get("fifoThroughputScope"):
                request["Attributes"]["FifoThroughputScope"] = inputs["fifoThroughputScope"]
        if call.tags:
            request["Tags"] = tags.to_list(call.tags)
        call.id = sns.create_topic(**request)["TopicArn"]
        for name, prop in self._attributes(call).items():
            if inputs.get(name) not in (None, False, ""):
                self._set(call, prop, inputs[name])

    def read(self, call: Call) -> Properties | None:
        sns = call.client()
        answer: dict[str, str] = sns.get_topic_attributes(TopicArn=call.id)["Attributes"]
        name = call.id.rsplit(":", 1)[-1]
        found = {
            prop.name: _typed(prop, answer[prop.api])
            for prop in [*self._attributes(call).values(), call.type.inputs["fifoTopic"]]
            if prop.api in answer
        }
        listed = sns.list_tags_for_resource(ResourceArn=call.id)
        return {
            **found,
            "arn": call.id,
            "name": name,
            "namePrefix": name_prefix(name),
            "owner": answer.get("Owner"),
            "beginningArchiveTime": answer.get("BeginningArchiveTime"),
            "tagsAll": tags.from_list(listed.get("Tags", [])),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        for name, prop in self._attributes(call).items():
            value = call.inputs.get(name)
            if name in changed and not (name == "policy" and not value):
                self._set(call, prop, "" if value is None else value)

    def delete(self, call: Call) -> None:
        call.client().delete_topic(TopicArn=call.id)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        sns = call.client()
        if removed:
            sns.untag_resource(ResourceArn=call.id, TagKeys=removed)
        if added:
            sns.tag_resource(ResourceArn=call.id, Tags=tags.to_list(added))

    @staticmethod
    def _attributes(call: Call) -> dict[str, Property]:
        return {n: p for n, p in call.type.inputs.items() if n not in _AT_CREATION}

    @staticmethod
    def _set(call: Call, prop: Property, value: Any) -> None:
        sns = call.client()
        retry(
            lambda: sns.set_topic_attributes(
                TopicArn=call.id, AttributeName=prop.api, AttributeValue=_text(value)
            ),
            lambda error: code_of(error) in ("InvalidParameter", "InvalidParameterException"),
        )


class TopicSubscription(Resource):
    """Confirmation is awaited only where the endpoint can confirm by itself; the cloud's do."""

    token = "aws:sns/topicSubscription:TopicSubscription"
    gone = frozenset({"NotFound", "NotFoundException"})

    def create(self, call: Call) -> None:
        inputs = call.inputs
        attributes = {
            call.type.inputs[name].api: _text(inputs[name])
            for name in _SUBSCRIPTION
            if inputs.get(name) not in (None, "", False)
        }
        answer = call.client().subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            ReturnSubscriptionArn=True,
            **({"Attributes": attributes} if attributes else {}),
        )
        call.id = answer["SubscriptionArn"]

    def read(self, call: Call) -> Properties | None:
        answer: dict[str, str] = call.client().get_subscription_attributes(SubscriptionArn=call.id)[
            "Attributes"
        ]
        fields = call.type.inputs
        found = {
            name: _typed(fields[name], answer[fields[name].api])
            for name in (*_SUBSCRIPTION, "topic", "protocol", "endpoint")
            if fields[name].api in answer
        }
        return {
            **found,
            "arn": call.id,
            "ownerId": answer.get("Owner"),
            "confirmationWasAuthenticated": answer.get("ConfirmationWasAuthenticated") == "true",
            "pendingConfirmation": answer.get("PendingConfirmation") == "true",
        }

    def update(self, call: Call, changed: set[str]) -> None:
        sns = call.client()
        for name in _SUBSCRIPTION:
            if name not in changed:
                continue
            value = call.inputs.get(name)
            if name == "filterPolicy" and not value:
                value = "{}"
            extra = {} if value is None else {"AttributeValue": _text(value)}
            sns.set_subscription_attributes(
                SubscriptionArn=call.id, AttributeName=call.type.inputs[name].api, **extra
            )

    def delete(self, call: Call) -> None:
        call.client().unsubscribe(SubscriptionArn=call.id)


class TopicPolicy(Resource):
    """It cannot be taken away: a deletion writes AWS's own default back."""

    token = "aws:sns/topicPolicy:TopicPolicy"
    gone = frozenset({"NotFound", "NotFoundException"})

    def create(self, call: Call) -> None:
        self._set(call, str(call.inputs["arn"]), call.inputs["policy"])
        call.id = str(call.inputs["arn"])

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_topic_attributes(TopicArn=call.id)["Attributes"]
        if not answer.get("Policy"):
            return None
        return {"arn": call.id, "owner": answer.get("Owner"), "policy": answer["Policy"]}

    def update(self, call: Call, changed: set[str]) -> None:
        self._set(call, call.id, call.inputs["policy"])

    def delete(self, call: Call) -> None:
        owner = call.state.get("owner") or call.session.account_id
        self._set(call, call.id, json.dumps(_default_policy(call.id, owner)))

    @staticmethod
    def _set(call: Call, arn: str, policy: str) -> None:
        call.client().set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=policy
        )


def _default_policy(arn: str, owner: str) -> dict[str, Any]:
    actions = (
        "GetTopicAttributes SetTopicAttributes AddPermission RemovePermission DeleteTopic Subscribe"
        " ListSubscriptionsByTopic Publish"
    )
    return {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{action}" for action in actions.split()],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": owner}},
            }
        ],
    }


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _typed(prop: Property, text: str) -> Any:
    if prop.element == "boolean":
        return str(text).lower() == "true"
    if prop.element == "integer":
        return int(text) if text else 0
    return text

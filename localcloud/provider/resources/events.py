"""aws.cloudwatch.EventRule and EventTarget."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import json
from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import ProviderError, message_of
from localcloud.provider.naming import name_prefix, physical_name, unique_id
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties

DEFAULT_BUS = "default"
_UNSENT = frozenset({"forceDestroy", "isEnabled", "eventPattern", "name"})


class EventRule(Resource):
    """Written whole each time, also over one that exists."""

    token = "aws:cloudwatch/eventRule:EventRule"
    gone = frozenset({"ResourceNotFoundException"})

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        self._put(call, name)
        call.id = _joined(_bus(call.inputs), name, "/")

    def read(self, call: Call) -> Properties | None:
        client = call.client()
        bus, name = _split(call.id)
        rule = client.describe_rule(Name=name, EventBusName=bus)
        found = call.properties({k: v for k, v in rule.items() if k != "EventBusName"})
        if "eventPattern" in found:
            found["eventPattern"] = json.dumps(
                json.loads(found["eventPattern"]), sort_keys=True, separators=(",", ":")
            )
        listed = client.list_tags_for_resource(ResourceARN=rule["Arn"])
        return {
            **found,
            "arn": rule["Arn"],
            "eventBusName": bus,
            "isEnabled": rule["State"] != "DISABLED",
            "namePrefix": name_prefix(name),
            "tagsAll": tags.from_list(listed.get("Tags", [])),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        if changed - {"forceDestroy"}:
            self._put(call, _split(call.id)[1])

    def delete(self, call: Call) -> None:
        client, (bus, name) = call.client(), _split(call.id)
        retry(
            lambda: client.delete_rule(Name=name, EventBusName=bus),
            lambda e: "Rule can't be deleted since it has targets" in message_of(e),
        )

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        client, arn = call.client(), call.state["arn"]
        if removed:
            client.untag_resource(ResourceARN=arn, TagKeys=removed)
        if added:
            client.tag_resource(ResourceARN=arn, Tags=tags.to_list(added))

    @staticmethod
    def _put(call: Call, name: str) -> None:
        inputs = call.inputs
        request = call.request([n for n in call.type.inputs if n not in _UNSENT])
        request["Name"] = name
        if inputs.get("eventPattern"):
            request["EventPattern"] = json.dumps(json.loads(inputs["eventPattern"]))
        if inputs.get("state") is None and inputs.get("isEnabled") is not None:
            request["State"] = "ENABLED" if inputs["isEnabled"] else "DISABLED"
        if call.tags:
            request["Tags"] = tags.to_list(call.tags)
        client = call.client()
        retry(
            lambda: client.put_rule(**request),
            lambda e: "cannot be assumed by principal" in message_of(e),
        )


class EventTarget(Resource):
    """What a rule sends its events to."""

    token = "aws:cloudwatch/eventTarget:EventTarget"
    gone = frozenset({"ResourceNotFoundException", "ValidationException"})

    def create(self, call: Call) -> None:
        target_id = call.inputs.get("targetId") or f"terraform-{unique_id()}"
        call.inputs = {**call.inputs, "targetId": target_id}
        self._put(call)
        rule = f"{call.inputs['rule']}-{target_id}"
        call.id = _joined(_bus(call.inputs), rule, "-")

    def read(self, call: Call) -> Properties | None:
        known = call.known
        bus, rule = _bus(known), str(known["rule"])
        target_id = known.get("targetId")
        answer = call.client().list_targets_by_rule(Rule=rule, EventBusName=bus)
        target = next((t for t in answer["Targets"] if t["Id"] == target_id), None)
        if target is None:
            return None
        return {
            **call.properties(target),
            "rule": rule,
            "eventBusName": bus,
        }

    def update(self, call: Call, changed: set[str]) -> None:
        if changed - {"forceDestroy"}:
            call.inputs = {**call.inputs, "targetId": call.state["targetId"]}
            self._put(call)

    def delete(self, call: Call) -> None:
        state = call.state
        answer = call.client().remove_targets(
            Rule=state["rule"], EventBusName=_bus(state), Ids=[state["targetId"]]
        )
        _check_entries(answer)

    def import_state(self, resource_id: str) -> Properties:
        parts = resource_id.split("/")
        if len(parts) == 2:
            return {"rule": parts[0], "targetId": parts[1], "eventBusName": DEFAULT_BUS}
        if len(parts) == 3:
            return {"eventBusName": parts[0], "rule": parts[1], "targetId": parts[2]}
        raise ProviderError(
            f"{resource_id!r} is not a target's id; write it as rule/target or bus/rule/target"
        )

    def imported_id(self, resource_id: str, found: Properties) -> str:
        return _joined(_bus(found), f"{found['rule']}-{found['targetId']}", "-")

    @staticmethod
    def _put(call: Call) -> None:
        inputs = call.inputs
        target: dict[str, Any] = call.request(
            [n for n in call.type.inputs if n not in ("rule", "eventBusName", "forceDestroy")]
        )
        if inputs.get("retryPolicy"):
            # Both are always sent: one that the program leaves out is sent as 0.
            policy = {"MaximumEventAgeInSeconds": 0, "MaximumRetryAttempts": 0}
            target["RetryPolicy"] = policy | target.get("RetryPolicy", {})
        answer = call.client().put_targets(
            Rule=inputs["rule"], EventBusName=_bus(inputs), Targets=[target]
        )
        _check_entries(answer)


def _check_entries(answer: dict[str, Any]) -> None:
    failed = answer.get("FailedEntries") or []
    if failed:
        texts = [f"{f.get('ErrorCode')}: {f.get('ErrorMessage')}" for f in failed]
        raise ProviderError("; ".join(texts))


def _bus(properties: Properties) -> str:
    return str(properties.get("eventBusName") or DEFAULT_BUS)


def _joined(bus: str, rest: str, separator: str) -> str:
    return rest if bus == DEFAULT_BUS else f"{bus}{separator}{rest}"


def _split(rule_id: str) -> tuple[str, str]:
    """Bus and name of a rule's id."""
    bus, _, name = rule_id.rpartition("/")
    return bus or DEFAULT_BUS, name

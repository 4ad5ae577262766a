"""aws.sfn.StateMachine."""

# The interface of a resource decides the arguments.

from __future__ import annotations

from typing import Any

from localcloud.provider.errors import code_of
from localcloud.provider.naming import name_prefix, physical_name
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties

_SETTINGS = ("encryptionConfiguration", "tracingConfiguration")


class StateMachine(Resource):
    """The definition is compared as text; Check has held it against the language before."""

    token = "aws:sfn/stateMachine:StateMachine"
    gone = frozenset({"StateMachineDoesNotExist"})

    def create(self, call: Call) -> None:
        client = call.client()
        request: dict[str, Any] = {
            **call.request(["definition", "roleArn", "type", *_SETTINGS]),
            **_logging(call),
            "name": physical_name(call.inputs),
        }
        if call.tags:
            request["tags"] = _tags(call.tags)
        again = ("StateMachineDeleting", "AccessDeniedException")
        answer = retry(
            lambda: client.create_state_machine(**request), lambda e: code_of(e) in again
        )
        call.id = answer["stateMachineArn"]

    def read(self, call: Call) -> Properties | None:
        client = call.client()
        found = client.describe_state_machine(stateMachineArn=call.id)
        listed = client.list_state_machine_versions(stateMachineArn=call.id)
        versions = listed["stateMachineVersions"]
        tags = client.list_tags_for_resource(resourceArn=call.id)["tags"]
        result = call.properties(found)
        logging = found.get("loggingConfiguration", {})
        result["loggingConfiguration"] = {
            "includeExecutionData": logging.get("includeExecutionData", False),
            "level": logging.get("level", "OFF"),
            "logDestination": _destination(logging),
        }
        return {
            **result,
            "arn": found["stateMachineArn"],
            "creationDate": found["creationDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "description": found.get("description", ""),
            "namePrefix": name_prefix(found["name"]),
            "revisionId": found.get("revisionId", ""),
            "stateMachineVersionArn": (versions[0]["stateMachineVersionArn"] if versions else None),
            "status": found["status"],
            "tagsAll": {t["key"]: t["value"] for t in tags},
        }

    def update(self, call: Call, changed: set[str]) -> None:
        if changed == {"publish"}:
            return
        request = {
            "stateMachineArn": call.id,
            **call.request(
                ["definition", "roleArn", *(name for name in _SETTINGS if name in changed)]
            ),
        }
        if "loggingConfiguration" in changed:
            request |= _logging(call)
        call.client().update_state_machine(**request)

    def delete(self, call: Call) -> None:
        call.client().delete_state_machine(stateMachineArn=call.id)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        client = call.client()
        if removed:
            client.untag_resource(resourceArn=call.id, tagKeys=removed)
        if added:
            client.tag_resource(resourceArn=call.id, tags=_tags(added))

    def unknown_after(self, changed: set[str]) -> set[str]:
        return {"revisionId"} if changed else set()


def _logging(call: Call) -> dict[str, Any]:
    """AWS nests the log group in a list of destinations."""
    given = call.inputs.get("loggingConfiguration")
    if not given:
        return {}
    made: dict[str, Any] = {
        "includeExecutionData": bool(given.get("includeExecutionData")),
        "level": given.get("level") or "OFF",
    }
    if given.get("logDestination"):
        group = {"logGroupArn": given["logDestination"]}
        made["destinations"] = [{"cloudWatchLogsLogGroup": group}]
    return {"loggingConfiguration": made}


def _destination(logging: dict[str, Any]) -> str:
    found = logging.get("destinations") or []
    return str(found[0]["cloudWatchLogsLogGroup"]["logGroupArn"]) if found else ""


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]

"""aws.cloudwatch.LogGroup."""

# The interface of a resource decides the arguments.

from __future__ import annotations

from typing import Any

from localcloud.provider.naming import name_prefix, physical_name
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.values import Properties

UNRETAINED_CLASS = "DELIVERY"


class LogGroup(Resource):
    """Retention is a call of its own after the creation."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    gone = frozenset({"ResourceNotFoundException"})

    def create(self, call: Call) -> None:
        logs, inputs, name = call.client(), call.inputs, physical_name(call.inputs)
        request: dict[str, Any] = {"logGroupName": name}
        for source in ("kmsKeyId", "logGroupClass", "deletionProtectionEnabled"):
            if inputs.get(source):
                request[source] = inputs[source]
        if call.tags:
            request["tags"] = call.tags
        logs.create_log_group(**request)
        call.id = name
        self._set_retention(call)

    def read(self, call: Call) -> Properties | None:
        logs = call.client()
        pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=call.id)
        group = next(
            (g for page in pages for g in page["logGroups"] if g["logGroupName"] == call.id), None
        )
        if group is None:
            return None
        arn = str(group["arn"]).removesuffix(":*")
        return {
            "arn": arn,
            "name": call.id,
            "namePrefix": name_prefix(call.id),
            "kmsKeyId": group.get("kmsKeyId", ""),
            "logGroupClass": group.get("logGroupClass", "STANDARD"),
            "retentionInDays": group.get("retentionInDays", 0),
            "deletionProtectionEnabled": group.get("deletionProtectionEnabled", False),
            "tagsAll": logs.list_tags_for_resource(resourceArn=arn).get("tags", {}),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        logs, inputs = call.client(), call.inputs
        if "retentionInDays" in changed:
            self._set_retention(call)
        if "deletionProtectionEnabled" in changed:
            logs.put_log_group_deletion_protection(
                logGroupIdentifier=call.id,
                deletionProtectionEnabled=bool(inputs.get("deletionProtectionEnabled")),
            )
        if "kmsKeyId" in changed:
            if inputs.get("kmsKeyId"):
                logs.associate_kms_key(logGroupName=call.id, kmsKeyId=inputs["kmsKeyId"])
            else:
                logs.disassociate_kms_key(logGroupName=call.id)

    def delete(self, call: Call) -> None:
        if not call.state.get("skipDestroy"):
            call.client().delete_log_group(logGroupName=call.id)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        logs, arn = call.client(), call.state["arn"]
        if removed:
            logs.untag_resource(resourceArn=arn, tagKeys=removed)
        if added:
            logs.tag_resource(resourceArn=arn, tags=added)

    @staticmethod
    def _set_retention(call: Call) -> None:
        logs, days = call.client(), call.inputs.get("retentionInDays") or 0
        if call.inputs.get("logGroupClass") == UNRETAINED_CLASS:
            return
        if days:
            logs.put_retention_policy(logGroupName=call.id, retentionInDays=days)
        elif call.state:
            logs.delete_retention_policy(logGroupName=call.id)

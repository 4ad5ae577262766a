"""aws.kms.Key and Alias."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

from localcloud.provider import tags
from localcloud.provider.naming import name_prefix, physical_name
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.values import Properties

PENDING = ("PendingDeletion", "PendingReplicaDeletion")
TAG_FIELDS = ("TagKey", "TagValue")


class Key(Resource):
    """Deletion is only scheduled; a key that waits for it counts as gone."""

    token = "aws:kms/key:Key"
    gone = frozenset({"NotFoundException"})

    def create(self, call: Call) -> None:
        inputs, kms = call.inputs, call.client()
        request: dict[str, Any] = call.request(["description", "keyUsage", "multiRegion", "policy"])
        request["KeySpec"] = inputs["customerMasterKeySpec"]
        if inputs.get("bypassPolicyLockoutSafetyCheck"):
            request["BypassPolicyLockoutSafetyCheck"] = True
        if call.tags:
            request["Tags"] = tags.to_list(call.tags, *TAG_FIELDS)
        call.id = kms.create_key(**request)["KeyMetadata"]["KeyId"]
        if inputs.get("enableKeyRotation"):
            self._set_rotation(call)
        if inputs.get("isEnabled") is False:
            kms.disable_key(KeyId=call.id)

    def read(self, call: Call) -> Properties | None:
        kms = call.client()
        data = kms.describe_key(KeyId=call.id)["KeyMetadata"]
        if data["KeyState"] in PENDING:
            return None
        found: Properties = {
            "arn": data["Arn"],
            "keyId": data["KeyId"],
            "customerMasterKeySpec": data.get("KeySpec") or data["CustomerMasterKeySpec"],
            "description": data.get("Description", ""),
            "isEnabled": data["Enabled"],
            "keyUsage": data["KeyUsage"],
            "multiRegion": data.get("MultiRegion", False),
            "policy": kms.get_key_policy(KeyId=call.id, PolicyName="default")["Policy"],
            "tagsAll": tags.from_list(
                kms.list_resource_tags(KeyId=call.id).get("Tags", []), *TAG_FIELDS
            ),
        }
        if data.get("Origin") == "AWS_KMS":
            rotation = kms.get_key_rotation_status(KeyId=call.id)
            found["enableKeyRotation"] = rotation["KeyRotationEnabled"]
            # moto forgets the period: on the local cloud the state alone has it.
            period = rotation.get("RotationPeriodInDays") or call.known.get("rotationPeriodInDays")
            if rotation["KeyRotationEnabled"] and period:
                found["rotationPeriodInDays"] = period
        return found

    def update(self, call: Call, changed: set[str]) -> None:
        kms, inputs, key = call.client(), call.inputs, call.id
        if "isEnabled" in changed and inputs["isEnabled"]:
            kms.enable_key(KeyId=key)
        if changed & {"enableKeyRotation", "rotationPeriodInDays"}:
            self._set_rotation(call)
        if "description" in changed:
            kms.update_key_description(KeyId=key, Description=inputs.get("description") or "")
        if "policy" in changed:
            kms.put_key_policy(KeyId=key, PolicyName="default", Policy=inputs["policy"])
        if "isEnabled" in changed and not inputs["isEnabled"]:
            kms.disable_key(KeyId=key)

    def delete(self, call: Call) -> None:
        days = call.state.get("deletionWindowInDays")
        window = {"PendingWindowInDays": int(days)} if days else {}
        call.client().schedule_key_deletion(KeyId=call.id, **window)

    def is_gone(self, error: Exception) -> bool:
        return super().is_gone(error) or "is pending deletion" in str(error)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        kms = call.client()
        if removed:
            kms.untag_resource(KeyId=call.id, TagKeys=removed)
        if added:
            kms.tag_resource(KeyId=call.id, Tags=tags.to_list(added, *TAG_FIELDS))

    @staticmethod
    def _set_rotation(call: Call) -> None:
        kms = call.client()
        if call.inputs.get("enableKeyRotation"):
            kms.enable_key_rotation(KeyId=call.id, **call.request(["rotationPeriodInDays"]))
        else:
            kms.disable_key_rotation(KeyId=call.id)


class Alias(Resource):
    """A name of a key; it reads back the bare key id, whatever was given."""

    token = "aws:kms/alias:Alias"
    gone = frozenset({"NotFoundException"})

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        call.client().create_alias(AliasName=name, TargetKeyId=_key_id(call))
        call.id = name

    def read(self, call: Call) -> Properties | None:
        pages = call.client().get_paginator("list_aliases").paginate()
        found = next(
            (a for page in pages for a in page["Aliases"] if a["AliasName"] == call.id), None
        )
        if found is None or "TargetKeyId" not in found:
            return None
        return {
            "arn": found["AliasArn"],
            "name": call.id,
            "namePrefix": name_prefix(call.id),
            "targetKeyArn": call.arn("kms", f"key/{found['TargetKeyId']}"),
            "targetKeyId": found["TargetKeyId"],
        }

    def update(self, call: Call, changed: set[str]) -> None:
        call.client().update_alias(AliasName=call.id, TargetKeyId=_key_id(call))

    def delete(self, call: Call) -> None:
        call.client().delete_alias(AliasName=call.id)


def _key_id(call: Call) -> str:
    return str(call.inputs["targetKeyId"]).rsplit("key/", 1)[-1]

"""aws.iam.Role, RolePolicy and RolePolicyAttachment."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import json
from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import ProviderError, code_of, message_of
from localcloud.provider.naming import name_prefix, physical_name
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties


def _new_principal(error: Exception) -> bool:
    malformed = code_of(error) == "MalformedPolicyDocument"
    return (malformed and "Invalid principal in policy" in message_of(error)) or (
        code_of(error) == "ConcurrentModification"
    )


class Role(Resource):
    """Policies attached elsewhere are read into its state, and are no change of it."""

    token = "aws:iam/role:Role"
    gone = frozenset({"NoSuchEntity"})

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        request: dict[str, Any] = {
            **call.request(["description", "maxSessionDuration", "path", "permissionsBoundary"]),
            "RoleName": name,
            "AssumeRolePolicyDocument": call.inputs["assumeRolePolicy"],
        }
        if call.tags:
            request["Tags"] = tags.to_list(call.tags)
        iam = call.client()
        retry(lambda: iam.create_role(**request), _new_principal)
        call.id = name

    def read(self, call: Call) -> Properties | None:
        iam = call.client()
        role = iam.get_role(RoleName=call.id)["Role"]
        return {
            "arn": role["Arn"],
            "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
            "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "description": role.get("Description", ""),
            "inlinePolicies": _inline(iam, call.id),
            "managedPolicyArns": sorted(_attached(iam, call.id)),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "name": role["RoleName"],
            "namePrefix": name_prefix(role["RoleName"]),
            "path": role["Path"],
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get(
                "PermissionsBoundaryArn"
            ),
            "uniqueId": role["RoleId"],
            "tagsAll": tags.from_list(role.get("Tags", [])),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        iam, inputs, name = call.client(), call.inputs, call.id
        if "assumeRolePolicy" in changed:
            policy = inputs["assumeRolePolicy"]
            retry(
                lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy),
                _new_principal,
            )
        if changed & {"description", "maxSessionDuration"}:
            # Both in one: moto clears what an UpdateRole leaves out.
            iam.update_role(
                RoleName=name,
                Description=inputs.get("description") or "",
                **call.request(["maxSessionDuration"]),
            )
        if "permissionsBoundary" in changed:
            boundary = inputs.get("permissionsBoundary")
            if boundary:
                iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
            else:
                iam.delete_role_permissions_boundary(RoleName=name)

    def delete(self, call: Call) -> None:
        iam, name, state = call.client(), call.id, call.state
        force = bool(state.get("forceDetachPolicies"))
        for profile in iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]:
            iam.remove_role_from_instance_profile(
                InstanceProfileName=profile["InstanceProfileName"], RoleName=name
            )
        if force or state.get("managedPolicyArns"):
            for arn in _attached(iam, name):
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        if force or state.get("inlinePolicies"):
            for policy in _inline(iam, name):
                iam.delete_role_policy(RoleName=name, PolicyName=policy["name"])
        retry(
            lambda: iam.delete_role(RoleName=name), lambda error: code_of(error) == "DeleteConflict"
        )

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        iam = call.client()
        if removed:
            iam.untag_role(RoleName=call.id, TagKeys=removed)
        if added:
            iam.tag_role(RoleName=call.id, Tags=tags.to_list(added))


class RolePolicy(Resource):
    """An inline policy; writing over one of the same name is no error."""

    token = "aws:iam/rolePolicy:RolePolicy"
    gone = frozenset({"NoSuchEntity"})

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        self._put(call, name)
        call.id = f"{call.inputs['role']}:{name}"

    def read(self, call: Call) -> Properties | None:
        role, name = self._names(call)
        answer = call.client().get_role_policy(RoleName=role, PolicyName=name)
        return {
            "name": name,
            "namePrefix": name_prefix(name),
            "role": role,
            "policy": _text(answer["PolicyDocument"]),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        self._put(call, self._names(call)[1])

    def delete(self, call: Call) -> None:
        role, name = self._names(call)
        call.client().delete_role_policy(RoleName=role, PolicyName=name)

    @staticmethod
    def _names(call: Call) -> tuple[str, str]:
        role, separator, name = call.id.partition(":")
        if not separator:
            raise ProviderError(f"{call.id!r} is not a role policy's id; write it as role:policy")
        return role, name

    @staticmethod
    def _put(call: Call, name: str) -> None:
        call.client().put_role_policy(
            RoleName=call.inputs["role"], PolicyName=name, PolicyDocument=call.inputs["policy"]
        )


class RolePolicyAttachment(Resource):
    """A managed policy on a role."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    gone = frozenset({"NoSuchEntity"})

    def create(self, call: Call) -> None:
        role, arn = call.inputs["role"], call.inputs["policyArn"]
        call.client().attach_role_policy(RoleName=role, PolicyArn=arn)
        call.id = f"{role}/{arn}"

    def read(self, call: Call) -> Properties | None:
        role, arn = self._names(call)
        if arn not in _attached(call.client(), role):
            return None
        return {"role": role, "policyArn": arn}

    def delete(self, call: Call) -> None:
        role, arn = self._names(call)
        call.client().detach_role_policy(RoleName=role, PolicyArn=arn)

    @staticmethod
    def _names(call: Call) -> tuple[str, str]:
        role, separator, arn = call.id.partition("/")
        if not separator:
            raise ProviderError(
                f"{call.id!r} is not a role policy attachment's id; write it as role/policy-arn"
            )
        return role, arn


def _attached(iam: Any, role: str) -> list[str]:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _inline(iam: Any, role: str) -> list[dict[str, str]]:
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=role)
    names = [name for page in pages for name in page["PolicyNames"]]
    return [
        {
            "name": name,
            "policy": _text(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]),
        }
        for name in sorted(names)
    ]


def _text(document: Any) -> str:
    """botocore parses policy documents; the state has text."""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))

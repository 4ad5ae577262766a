"""The state machines that there are; the caller holds the lock."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.service import ACCOUNT_ID, RequestContext, ServiceError
from localcloud.stepfunctions import definition

Params = dict[str, Any]
PAGE = 100
MAX_PAGE = 1000
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")


@dataclass
class Machine:
    """A state machine as it is described, with its executions in the order of their start."""

    arn: str
    name: str
    definition: str
    role: str
    created: datetime
    revision: str
    logging: Params
    tracing: Params
    encryption: Params
    tags: dict[str, str]
    executions: list[str] = field(default_factory=list[str])


class Catalog:
    """Makes, changes, describes and tags state machines; ``on_delete`` ends their executions."""

    def __init__(self, on_delete: Callable[[Machine, datetime], None]) -> None:
        self.machines: dict[str, Machine] = {}
        self._on_delete = on_delete

    @property
    def operations(self) -> dict[str, Callable[[Params, RequestContext], Params]]:
        return {
            "CreateStateMachine": self._create,
            "UpdateStateMachine": self._update,
            "DescribeStateMachine": self.describe,
            "DeleteStateMachine": self._delete,
            "ListStateMachines": self._list,
            "ListStateMachineVersions": self._list_versions,
            "ValidateStateMachineDefinition": self._validate,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def get(self, arn: str) -> Machine:
        """Raises ``StateMachineDoesNotExist``."""
        found = self.machines.get(arn)
        if found is None:
            raise invalid("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return found

    def _create(self, params: Params, context: RequestContext) -> Params:
        if params.get("type", "STANDARD") != "STANDARD":
            raise ServiceError(
                "StateMachineTypeNotSupported", "the local cloud runs STANDARD state machines only"
            )
        if params.get("publish"):
            raise invalid("ValidationException", "the local cloud keeps no versions (publish)")
        name = params["name"]
        check_name(name)
        _check_definition(params["definition"])
        arn = f"arn:aws:states:{context.region}:{ACCOUNT_ID}:stateMachine:{name}"
        found = self.machines.get(arn)
        if found is not None:
            if (found.definition, found.role) != (params["definition"], params["roleArn"]):
                raise invalid("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
            return {"stateMachineArn": arn, "creationDate": found.created}
        self.machines[arn] = Machine(
            arn,
            name,
            params["definition"],
            params["roleArn"],
            context.now,
            str(uuid.uuid4()),
            _logging(params.get("loggingConfiguration")),
            params.get("tracingConfiguration") or {"enabled": False},
            params.get("encryptionConfiguration") or {"type": "AWS_OWNED_KEY"},
            {t["key"]: t["value"] for t in params.get("tags", [])},
        )
        return {"stateMachineArn": arn, "creationDate": context.now}

    def _update(self, params: Params, context: RequestContext) -> Params:
        machine = self.get(params["stateMachineArn"])
        if params.get("publish"):
            raise invalid("ValidationException", "the local cloud keeps no versions (publish)")
        if "definition" in params:
            _check_definition(params["definition"])
            machine.definition = params["definition"]
        machine.role = params.get("roleArn", machine.role)
        if "loggingConfiguration" in params:
            machine.logging = _logging(params["loggingConfiguration"])
        machine.tracing = params.get("tracingConfiguration", machine.tracing)
        machine.encryption = params.get("encryptionConfiguration", machine.encryption)
        machine.revision = str(uuid.uuid4())
        return {"updateDate": context.now, "revisionId": machine.revision}

    def describe(self, params: Params, _context: RequestContext) -> Params:
        machine = self.get(params["stateMachineArn"])
        return {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition,
            "roleArn": machine.role,
            "type": "STANDARD",
            "creationDate": machine.created,
            "revisionId": machine.revision,
            "loggingConfiguration": machine.logging,
            "tracingConfiguration": machine.tracing,
            "encryptionConfiguration": machine.encryption,
        }

    def _delete(self, params: Params, context: RequestContext) -> Params:
        """Its running executions end with it."""
        machine = self.machines.pop(params["stateMachineArn"], None)
        if machine is not None:
            self._on_delete(machine, context.now)
        return {}

    def _list(self, params: Params, context: RequestContext) -> Params:
        found = [
            {
                "stateMachineArn": m.arn,
                "name": m.name,
                "type": "STANDARD",
                "creationDate": m.created,
            }
            for m in self.machines.values()
            if m.arn.split(":")[3] == context.region
        ]
        return page(found, "stateMachines", params)

    def _list_versions(self, params: Params, _context: RequestContext) -> Params:
        self.get(params["stateMachineArn"])
        return {"stateMachineVersions": []}

    def _validate(self, params: Params, _context: RequestContext) -> Params:
        found = definition.problems(params["definition"])
        return {
            "result": "FAIL" if found else "OK",
            "diagnostics": [
                {
                    "severity": "ERROR",
                    "code": p.code,
                    "message": p.message,
                    "location": p.location,
                }
                for p in found
            ],
            "truncated": False,
        }

    def _tag(self, params: Params, _context: RequestContext) -> Params:
        tags = self.get(params["resourceArn"]).tags
        tags.update({t["key"]: t["value"] for t in params["tags"]})
        return {}

    def _untag(self, params: Params, _context: RequestContext) -> Params:
        tags = self.get(params["resourceArn"]).tags
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _list_tags(self, params: Params, _context: RequestContext) -> Params:
        tags = self.get(params["resourceArn"]).tags
        return {"tags": [{"key": k, "value": v} for k, v in tags.items()]}


def invalid(code: str, message: str) -> ServiceError:
    return ServiceError(code, message)


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid("InvalidName", f"Invalid Name: '{name}'")


def _check_definition(text: str) -> None:
    found = definition.problems(text)
    if found:
        shown = ", ".join(f"{p.code}: {p.message} at {p.location}" for p in found)
        raise invalid("InvalidDefinition", f"Invalid State Machine Definition: '{shown}'")


def _logging(given: Params | None) -> Params:
    return {"level": "OFF", "includeExecutionData": False, **(given or {})}


def page(found: list[Any], key: str, params: Params) -> Params:
    start = _start_of(params.get("nextToken"))
    size = min(int(params.get("maxResults") or PAGE), MAX_PAGE)
    answer: Params = {key: found[start : start + size]}
    if start + size < len(found):
        answer["nextToken"] = str(start + size)
    return answer


def _start_of(token: str | None) -> int:
    if token is not None and not token.isdecimal():
        raise invalid("InvalidToken", f"Invalid Token: '{token}'")
    return int(token or 0)

"""aws.codebuild.Project."""

# The interface of a resource decides the arguments.

from __future__ import annotations

from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import code_of, message_of
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties

# What CreateProject does not take, or not by this way.
_NOT_SENT = ("badgeEnabled", "encryptionKey", "projectVisibility")
# What is taken away is sent empty.
_EMPTY: dict[str, Any] = {"sourceVersion": "", "vpcConfig": {}}
LOGS = {
    "cloudWatchLogs": {"status": "ENABLED"},
    "s3Logs": {"status": "DISABLED", "encryptionDisabled": False},
}


class Project(Resource):
    """Its tags ride in UpdateProject; its deletion names the ARN."""

    token = "aws:codebuild/project:Project"

    def create(self, call: Call) -> None:
        names = [name for name in call.type.inputs if name not in _NOT_SENT]
        request = {"logsConfig": LOGS, **call.request(names), "tags": _tags(call)}
        answer = _sent(call.client().create_project, request)
        call.id = answer["project"]["arn"]

    def read(self, call: Call) -> Properties | None:
        found = call.client().batch_get_projects(names=[call.id])["projects"]
        if not found:
            return None
        project: dict[str, Any] = found[0]
        return {
            **call.properties(project),
            "arn": project["arn"],
            "badgeEnabled": bool(project.get("badge", {}).get("badgeEnabled")),
            "badgeUrl": project.get("badge", {}).get("badgeRequestUrl", ""),
            "projectVisibility": project.get("projectVisibility", "PRIVATE"),
            "publicProjectAlias": project.get("publicProjectAlias", ""),
            "tagsAll": tags.from_list(project.get("tags", []), "key", "value"),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        taken = {n: e for n, e in _EMPTY.items() if n in changed and n not in call.inputs}
        self._update(call, {**call.request(sorted(changed)), **taken})

    def delete(self, call: Call) -> None:
        call.client().delete_project(name=call.id)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:  # noqa: ARG002
        self._update(call, {})

    def imported_id(self, resource_id: str, found: Properties) -> str:  # noqa: ARG002
        return found["arn"]

    @staticmethod
    def _update(call: Call, request: dict[str, Any]) -> None:
        request |= {"name": call.state["name"], "tags": _tags(call)}
        _sent(call.client().update_project, request)


def _sent(operation: Any, request: dict[str, Any]) -> dict[str, Any]:
    def is_not_yet_known(error: Exception) -> bool:
        """IAM has not told CodeBuild of the role."""
        denied = "ot authorized to perform" in message_of(error)
        return code_of(error) == "InvalidInputException" and denied

    return retry(lambda: operation(**request), is_not_yet_known)


def _tags(call: Call) -> list[dict[str, str]]:
    return tags.to_list(call.tags, "key", "value")

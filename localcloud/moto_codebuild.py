"""What moto's CodeBuild lacks, or is too kind about: installed once, at start.

moto has no UpdateProject and deletes no project by its ARN, and every build that is looked at has
succeeded. A build needs a container engine, and the local cloud has no registry for its image: here
every build fails, and says so.
"""

from __future__ import annotations

from typing import Any

from moto.codebuild.exceptions import InvalidInputException, ResourceNotFoundException
from moto.codebuild.models import CodeBuildBackend
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import iso_8601_datetime_with_milliseconds, unix_time

SERVICE = "codebuild.amazonaws.com"
NO_BUILDS = (
    "the local cloud runs no builds: it has no container engine and no registry; build with "
    "docker, podman or buildah (slipway image build), or in AWS"
)
# Members of a project that UpdateProject takes as they are.
_CHANGED = (
    "description",
    "source",
    "sourceVersion",
    "artifacts",
    "cache",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "queuedTimeoutInMinutes",
    "tags",
    "logsConfig",
    "vpcConfig",
)


def install() -> None:
    backend: Any = CodeBuildBackend
    response: Any = CodeBuildResponse
    create = response.create_project

    def create_project(self: Any) -> ActionResult:
        _check_role(self)
        return create(self)

    response.create_project = create_project
    response.update_project = _update_project
    response.delete_project = _delete_project
    backend.start_build = _started(backend.start_build)
    backend.batch_get_builds = _builds
    backend.stop_build = _stopped


def _check_role(response: Any) -> None:
    """CodeBuild tries the role when a project is made or changed."""
    from moto.iam.models import iam_backends

    arn = response._get_param("serviceRole")
    if arn is None:
        return
    # IAM's lock is another: walk through a copy.
    roles: list[Any] = list(iam_backends[response.current_account]["aws"].roles.values())
    role = next((role for role in roles if role.arn == arn), None)
    if role is None or SERVICE not in role.assume_role_policy_document:
        raise InvalidInputException(
            f"CodeBuild is not authorized to perform: sts:AssumeRole on {arn}. Please verify that: "
            "1) The provided service role exists in your account, 2) The provided service role has "
            "an attached trust policy that allows CodeBuild to assume it."
        )


def _update_project(response: Any) -> ActionResult:
    name = response._get_param("name")
    project = response.codebuild_backend.codebuild_projects.get(name)
    if project is None:
        raise ResourceNotFoundException(f"Project cannot be found: {name}")
    _check_role(response)
    known: dict[str, Any] = project.project_metadata
    for member in _CHANGED:
        value = response._get_param(member)
        if value is not None:
            known[member] = value
    known["lastModified"] = unix_time()
    project.service_role, project.tags = known["serviceRole"], known["tags"]
    return ActionResult({"project": known})


def _delete_project(response: Any) -> EmptyResult:
    name = response._get_param("name").rpartition(":project/")[2]
    response.codebuild_backend.delete_project(name)
    return EmptyResult()


def _started(start: Any) -> Any:
    def start_build(backend: Any, name: str, *more: Any) -> dict[str, Any]:
        build: dict[str, Any] = start(backend, name, *more)
        project = backend.codebuild_projects[name].project_metadata
        build |= {member: project[member] for member in ("source", "environment", "artifacts")}
        now = iso_8601_datetime_with_milliseconds()
        ended = {"startTime": now, "endTime": now, "durationInSeconds": 0}
        reason = {"statusCode": "LOCAL_CLOUD", "message": NO_BUILDS}
        build["phases"] = [
            {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED", **ended},
            {"phaseType": "QUEUED", "phaseStatus": "SUCCEEDED", **ended},
            {"phaseType": "PROVISIONING", "phaseStatus": "FAILED", **ended, "contexts": [reason]},
            {"phaseType": "COMPLETED", "startTime": now},
        ]
        build |= {"currentPhase": "COMPLETED", "buildStatus": "FAILED", "buildComplete": True}
        build["endTime"] = now
        # It wrote none.
        build.pop("logs", None)
        return build

    return start_build


def _builds(backend: Any, ids: list[str]) -> list[dict[str, Any]]:
    known = backend.build_metadata_history.values()
    return [build for builds in known for build in builds if build["id"] in ids]


def _stopped(backend: Any, build_id: str) -> dict[str, Any]:
    """It has ended already."""
    return _builds(backend, [build_id])[0]

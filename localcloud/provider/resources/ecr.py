"""aws.ecr.Repository."""

# The interface of a resource decides the arguments.

from __future__ import annotations

import time
from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import ProviderError
from localcloud.provider.naming import physical_name
from localcloud.provider.resources.base import POLL_SECONDS, Call, Resource
from localcloud.provider.values import Properties

DELETE_SECONDS = 1200.0


class Repository(Resource):
    """A repository with images goes only when ``forceDelete`` was applied before."""

    token = "aws:ecr/repository:Repository"
    gone = frozenset({"RepositoryNotFoundException"})

    def create(self, call: Call) -> None:
        name, request = physical_name(call.inputs), _settings(call)
        encryption = call.request(["encryptionConfigurations"]).get("EncryptionConfigurations")
        if encryption:
            request["encryptionConfiguration"] = _lowered(encryption[0])
        if call.tags:
            request["tags"] = tags.to_list(call.tags)
        call.client().create_repository(repositoryName=name, **request)
        call.id = name

    def read(self, call: Call) -> Properties | None:
        ecr = call.client()
        found = ecr.describe_repositories(repositoryNames=[call.id])["repositories"][0]
        listed = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])
        encryption = found.get("encryptionConfiguration") or {"encryptionType": "AES256"}
        scanning = found.get("imageScanningConfiguration") or {}
        return {
            "arn": found["repositoryArn"],
            "name": found["repositoryName"],
            "registryId": found["registryId"],
            "repositoryUrl": found["repositoryUri"],
            "encryptionConfigurations": [encryption],
            "imageScanningConfiguration": {"scanOnPush": bool(scanning.get("scanOnPush"))},
            "imageTagMutability": found["imageTagMutability"],
            "imageTagMutabilityExclusionFilters": found.get("imageTagMutabilityExclusionFilters"),
            "tagsAll": tags.from_list(listed.get("tags", [])),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        ecr, settings = call.client(), _settings(call)
        if "imageScanningConfiguration" in changed:
            ecr.put_image_scanning_configuration(
                repositoryName=call.id,
                imageScanningConfiguration=settings["imageScanningConfiguration"],
            )
        if changed & {"imageTagMutability", "imageTagMutabilityExclusionFilters"}:
            settings.pop("imageScanningConfiguration", None)
            ecr.put_image_tag_mutability(repositoryName=call.id, **settings)

    def delete(self, call: Call) -> None:
        from botocore.exceptions import ClientError

        ecr, limit = call.client(), call.timeout_seconds or DELETE_SECONDS
        ecr.delete_repository(repositoryName=call.id, force=bool(call.state.get("forceDelete")))
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                ecr.describe_repositories(repositoryNames=[call.id])
            except ClientError as error:
                if self.is_gone(error):
                    return
                raise
            time.sleep(POLL_SECONDS)
        raise ProviderError(f"waiting for ECR Repository ({call.id}) delete: timeout")

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        ecr, arn = call.client(), call.state["arn"]
        if removed:
            ecr.untag_resource(resourceArn=arn, tagKeys=removed)
        if added:
            ecr.tag_resource(resourceArn=arn, tags=tags.to_list(added))


def _settings(call: Call) -> dict[str, Any]:
    names = (
        "imageScanningConfiguration",
        "imageTagMutability",
        "imageTagMutabilityExclusionFilters",
    )
    return _lowered(call.request(names))


def _lowered(value: Any) -> Any:
    """ECR writes its members with a small first letter."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lowered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lowered(item) for item in value]
    return value

"""Amazon ECR: where an image is pushed to, who may, and whether it is there already."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

from contracts.errors import SlipwayError

REPOSITORY = re.compile(
    r"(?P<registry>\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)"
    r"/(?P<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
)

# What SageMaker takes of an image's manifest (aws/amazon-sagemaker-feedback#180).
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class RegistryError(SlipwayError):
    """The repository cannot take the image."""


@dataclass(frozen=True)
class Repository:
    """One repository of ECR: ``ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME``."""

    registry: str
    region: str
    name: str

    @property
    def uri(self) -> str:
        return f"{self.registry}/{self.name}"

    @staticmethod
    def parse(text: str) -> Repository:
        """Raises RegistryError where ``text`` is none; a tag or digest is no part of it."""
        found = REPOSITORY.fullmatch(text)
        if found is None:
            raise RegistryError(
                f"the repository is {text[:128]!r}; SageMaker takes images from Amazon ECR alone: "
                "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME is needed, without tag or digest"
            )
        return Repository(found["registry"], found["region"], found["name"])

    def client(self) -> Any:
        import boto3

        return boto3.client("ecr", region_name=self.region)

    def digest_of(self, tag: str) -> str | None:
        """The digest of what is tagged ``tag`` there; None where nothing is.

        Raises:
            RegistryError: SageMaker would not take it.
        """
        answer = self._asked(
            "describe_images", repositoryName=self.name, imageIds=[{"imageTag": tag}]
        )
        if answer is None:
            return None
        found = answer["imageDetails"][0]
        digest = str(found["imageDigest"])
        kind = str(found.get("imageManifestMediaType", MANIFEST))
        if kind != MANIFEST:
            raise RegistryError(
                f"{self.uri}:{tag} has a manifest of type {kind}, and SageMaker takes {MANIFEST} "
                f"alone; delete it (aws ecr batch-delete-image --region {self.region} "
                f"--repository-name {self.name} --image-ids imageDigest={digest}), and push by "
                "another --builder (podman, buildah or codebuild)"
            )
        return digest

    def credentials(self) -> tuple[str, str]:
        """User and password for twelve hours."""
        answer = self._asked("get_authorization_token") or {}
        token = answer["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        return user, password

    def _asked(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self.client(), operation)(**arguments)
        except ClientError as error:
            details = error.response.get("Error", {})
            code = details.get("Code", "unknown")
            if code == "ImageNotFoundException":
                return None
            remedy = "look at your credentials and permissions"
            if code == "RepositoryNotFoundException":
                remedy = (
                    f"make it: aws ecr create-repository --region {self.region} "
                    f"--repository-name {self.name}"
                )
            raise RegistryError(
                f"{self.uri}: ECR refused ({code}: {details.get('Message', '')}); {remedy}"
            ) from error
        except BotoCoreError as error:
            raise RegistryError(
                f"{self.uri}: ECR was not asked ({error}); look at your credentials and network"
            ) from error

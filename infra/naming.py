"""Names and tags of what the stack makes, and the identity of what a release puts in place."""

from __future__ import annotations

from contracts.canonical import content_hash, sha256_text
from contracts.release_manifest import TAG_HASH, TAG_MODEL, TAG_STACK, TAG_VERSION
from infra.settings import ModelConfig

HASH_LENGTH = 8
MAX_ROLE_NAME = 64


def target_hash(model: ModelConfig, role: str) -> str:
    """The identity of a target: it changes with everything that only a release may change.

    Instance counts are not part of it: they are bounds of the scaling, which take effect at once.
    """
    manifest = model.package.manifest
    lock = {"lock": manifest.lock_sha256} if manifest.lock_sha256 else {}
    return content_hash(
        {
            **lock,
            "version": manifest.version,
            "package": manifest.sha256,
            "index": manifest.index_sha256,
            "image": model.image,
            "environment": model.environment,
            "instance_type": model.instance_type,
            "capture_percent": model.capture_percent,
            "role": role,
        }
    )


def hashed(name: str, digest: str) -> str:
    return f"{name}-{digest[:HASH_LENGTH]}"


def role_name(endpoint_name: str, region: str) -> str:
    """IAM is global: the region keeps two of the same endpoint apart."""
    name = f"slipway-{endpoint_name}-{region}"
    if len(name) <= MAX_ROLE_NAME:
        return name
    return hashed(name[: MAX_ROLE_NAME - HASH_LENGTH - 1], sha256_text(name))


def partition_of(arn: str) -> str:
    """``aws``, or that of China or GovCloud: an ARN of another partition names nothing."""
    return arn.split(":")[1]


def artifact_key(digest: str) -> str:
    return f"artifacts/{digest}/model.tar.gz"


def capture_prefix(endpoint_name: str) -> str:
    return f"capture/{endpoint_name}"


def stack_tags(stack: str) -> dict[str, str]:
    return {TAG_STACK: stack}


def model_tags(stack: str, model: ModelConfig) -> dict[str, str]:
    """For what outlives versions: a version in them would be wrong until it is released."""
    return {TAG_STACK: stack, TAG_MODEL: model.name}


def version_tags(stack: str, model: ModelConfig, digest: str) -> dict[str, str]:
    version = model.package.manifest.version
    return {**model_tags(stack, model), TAG_VERSION: version, TAG_HASH: digest}

"""MLflow follows: a promotion moves the alias `champion`, a rollback moves it back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from contracts.errors import SlipwayError
from contracts.history import evidence_key

if TYPE_CHECKING:
    from release.evidence.document import ReleaseResult

TAG_EVIDENCE = "slipway.evidence"
TAG_OUTCOME = "slipway.outcome"
VERSION = re.compile(r"models:/([^/@]+)/(\d+)")


def tag_followed(endpoint: str) -> str:
    """On a version: the release of ``endpoint`` that the alias followed last."""
    return f"slipway.followed.{endpoint}"


def follow(tracking_uri: str, result: ReleaseResult, history_bucket: str) -> str | None:
    """Point `champion` at what serves now and link the evidence; None, or why it did not work."""
    from model_code import registry

    match = VERSION.fullmatch(result.registry_uri)
    if match is None:
        return f"{result.registry_uri or 'no registry URI'} names no version; no alias was moved"
    if not registry.stands(tracking_uri):
        return (
            f"there is no registry at {tracking_uri}: no alias was moved; is MLFLOW_TRACKING_URI "
            "the right one?"
        )
    model, version = match.groups()
    tags = {
        TAG_EVIDENCE: f"s3://{history_bucket}/{evidence_key(result.id)}",
        TAG_OUTCOME: result.outcome,
    }
    done = {tag_followed(result.endpoint): result.id}
    try:
        registry.set_version_tags(tracking_uri, model, version, tags)
        if serves_now(result):
            registry.set_alias(tracking_uri, model, version, registry.CHAMPION)
            # Last of all: while it is missing, the next command does all of it again.
            registry.set_version_tags(tracking_uri, model, version, done)
    except SlipwayError as error:
        return f"the registry was not updated: {error}"
    return None


def is_followed(tracking_uri: str, result: ReleaseResult) -> bool | None:
    """Whether the alias has followed this release; None where it never can: no such version here.

    What moved the alias later (a person, another stack) is so left as it is.

    Raises:
        RegistryError: the registry does not answer.
    """
    from model_code import registry

    match = VERSION.fullmatch(result.registry_uri)
    tags = None if match is None else registry.version_tags(tracking_uri, *match.groups())
    return None if tags is None else tags.get(tag_followed(result.endpoint)) == result.id


def serves_now(result: ReleaseResult) -> bool:
    """Whether the release ended with its destination serving."""
    wanted = "rolled_back" if result.purpose == "rollback" else "promoted"
    return result.outcome == wanted

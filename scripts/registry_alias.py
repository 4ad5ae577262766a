"""MLflow follows: a promotion moves the alias `champion`, a rollback moves it back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from contracts.errors import SlipwayError
from contracts.history import evidence_key

if TYPE_CHECKING:
    from release.evidence import ReleaseResult

TAG_EVIDENCE = "slipway.evidence"
TAG_OUTCOME = "slipway.outcome"


def follow(tracking_uri: str, result: ReleaseResult, history_bucket: str) -> str | None:
    """Point `champion` at what serves now and link the evidence; None, or why it did not work."""
    from model_code import registry

    match = re.fullmatch(r"models:/([^/@]+)/(\d+)", result.registry_uri)
    if match is None:
        return f"{result.registry_uri or 'no registry URI'} names no version; no alias was moved"
    model, version = match.groups()
    tags = {
        TAG_EVIDENCE: f"s3://{history_bucket}/{evidence_key(result.id)}",
        TAG_OUTCOME: result.outcome,
    }
    try:
        registry.set_version_tags(tracking_uri, model, version, tags)
        if serves_now(result):
            registry.set_alias(tracking_uri, model, version, registry.CHAMPION)
    except SlipwayError as error:
        return f"the registry was not updated: {error}"
    return None


def serves_now(result: ReleaseResult) -> bool:
    """Whether the release ended with its destination serving."""
    wanted = "rolled_back" if result.purpose == "rollback" else "promoted"
    return result.outcome == wanted

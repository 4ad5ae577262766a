"""The part ``slipway:imageBuild``: whether images are built in AWS, and where they go."""

from __future__ import annotations

import re

from infra.reading import Node
from infra.settings import ImageBuildConfig

# Amazon ECR's own rule (CreateRepository, repositoryName).
_PART = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
REPOSITORY_NAME = rf"(?=.{{2,256}}$)(?:{_PART}/)*{_PART}"
ALLOWED = (
    "lower-case letters and digits, with single . _ - or / between them, at most 256 in all, are "
    "allowed"
)
DEFAULT_TIMEOUT_SECONDS = 1800.0
# CodeBuild's own limits (StartBuild, timeoutInMinutesOverride).
SHORTEST_MINUTES, LONGEST_MINUTES = 5, 2160


def read_image_build(node: Node, stack: str) -> ImageBuildConfig | None:
    """What builds the stack's images in AWS; None where nothing does."""
    node.only("codebuild", "repository", "timeout")
    enabled = node.flag("codebuild", default=False)
    default = f"slipway-{stack.lower()}"
    repository = node.text(
        "repository", default, REPOSITORY_NAME, ALLOWED, "write the name alone, without registry"
    )
    minutes = _minutes(node)
    if not enabled:
        return None
    if re.fullmatch(REPOSITORY_NAME, repository) is None:
        node.problems.add(
            f"{node.path}.repository",
            None,
            f"without it the name would be {default!r}, and only {ALLOWED}",
            "write a name",
        )
    return ImageBuildConfig(repository, minutes)


def _minutes(node: Node) -> int:
    minutes = node.seconds("timeout", DEFAULT_TIMEOUT_SECONDS) / 60
    if SHORTEST_MINUTES <= minutes <= LONGEST_MINUTES and minutes == int(minutes):
        return int(minutes)
    path, value = node.find("timeout")
    allowed = "whole minutes from 5m to 36h are allowed, which are CodeBuild's limits"
    node.problems.add(path, value, allowed, "change it, or leave it out")
    return SHORTEST_MINUTES

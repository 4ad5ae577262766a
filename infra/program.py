"""What ``pulumi up`` runs: read the configuration, look around, declare the stack, export."""

from __future__ import annotations

import os
from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra import config
from infra.model_config import LOCAL_IMAGE_VARIABLE
from infra.stack import build
from infra.surroundings import look
from release.aws.cloud import AwsCloud

RECREATE_VARIABLE = "SLIPWAY_RECREATE_ENDPOINT"


def run(project_root: Path) -> None:
    """Declare the selected stack.

    Raises:
        ConfigError: its configuration has problems.
    """
    settings = config.load(
        pulumi.Config(config.NAMESPACE),
        pulumi.get_stack(),
        project_root,
        os.environ.get(LOCAL_IMAGE_VARIABLE, ""),
    )
    account_id = aws.get_caller_identity().account_id
    region = aws.get_region().region
    recreate = os.environ.get(RECREATE_VARIABLE) == "1"
    around = look(settings, AwsCloud(region), account_id, recreate)
    for name, value in build(settings, around).items():
        pulumi.export(name, value)

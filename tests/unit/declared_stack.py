"""The stack of the sample model as the program declares it, and its names."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from infra.naming import target_hash
from infra.settings import ModelConfig, StackConfig
from infra.surroundings import Surroundings
from release.state import EndpointState, Entry, GoodVersion
from tests.unit.infra_recording import (
    ACCOUNT,
    REGION,
    Declared,
    declare,
)
from tests.unit.infra_samples import model_config

ENDPOINT = "wine-prod"
ROLE = "slipway-wine-prod-eu-west-1"
HISTORY_BUCKET = f"slipway-history-prod-{ACCOUNT}-{REGION}"
ARTIFACT_BUCKET = "slipway-prod-artifacts-bucket-1234567"
HASH = target_hash(model_config(), ROLE)
TARGET = f"wine-{HASH[:8]}"
CONFIG_NAME = f"{TARGET}-1234567"
EMPTY = Surroundings(ACCOUNT, REGION)
STACK_TAGS = {"slipway:stack": "prod"}
MODEL_TAGS = {**STACK_TAGS, "slipway:model": "wine"}
VERSION_TAGS = {**MODEL_TAGS, "slipway:version": "3", "slipway:hash": HASH}


def stack_of(*models: ModelConfig) -> StackConfig:
    return StackConfig("prod", models)


@cache
def declared(preview: bool = False) -> Declared:
    """The stack of the sample model, where nothing stands yet."""
    return declare(stack_of(model_config()), EMPTY, preview)


def with_history(good: bool = True, closed: bool = False) -> dict[str, EndpointState]:
    version = GoodVersion("2", "22" * 32, "wine-22222222-abc", "wine-22222222-abc", "p", "r", 0.0)
    older = replace(version, version="1", endpoint_config_name="wine-11111111-abc")
    return {
        ENDPOINT: EndpointState(
            ENDPOINT,
            good=(version, older) if good else (),
            releases=("r-1", "r-2"),
            closed=Entry(0.0, "closed", "destroyed", {}) if closed else None,
        )
    }


both_modes = pytest.mark.parametrize("preview", [False, True], ids=["up", "preview"])

"""Every configuration in the guide of releases is one that is accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.config import parse
from tests.unit.infra_samples import IMAGE, LOCAL_IMAGE, ROOT, package_of

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "releases.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
MODEL = "flight-delay"


def stack(block: str) -> dict[str, Any]:
    """The block where the first one has its ``release``; with the values that it leaves out."""
    whole = (
        block if block is BLOCKS[0] else BLOCKS[0].partition("release:")[0] + "release:\n" + block
    )
    values = yaml.safe_load(whole)["slipway:models"]
    values[MODEL] |= {"image": IMAGE, "capture": {"sampling": 100}}
    return {"models": values}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_configuration_of_the_guide_is_accepted(block: str) -> None:
    config = parse(stack(block), "prod", ROOT, LOCAL_IMAGE, package_of)
    assert config.models[0].release.gates


def test_the_guide_shows_every_strategy() -> None:
    kinds = [
        parse(stack(block), "prod", ROOT, LOCAL_IMAGE, package_of).models[0].release.strategy.kind
        for block in BLOCKS
    ]
    assert set(kinds) == {"canary", "blue_green", "rolling", "shadow"}

"""What an e-value must reach: 1/e bounds how often a gate is wrong, however often it looks."""

from __future__ import annotations

import math
from typing import NamedTuple

from contracts.release_manifest import Step

FAIL_AT = 100.0  # For each gate: all gates together cry wolf in at most 1 % of releases.
PASS_AT = 20.0
# Where traffic is so heavy that a step passes early, twice the evidence costs little.
EARLY_PASS_AT = 40.0
EARLY = 1 / 8  # of the longest bake


class Bars(NamedTuple):
    """Natural logarithms of the e-values that fail a release and pass a step."""

    failing: float
    passing: float

    @property
    def needed(self) -> float:
        """The e-value to pass, as people read it."""
        return round(math.exp(self.passing), 6)


def bars(gate_count: int, step: Step, seconds: float) -> Bars:
    """``gate_count`` gates can fail by chance; the step has baked for ``seconds``."""
    is_early = seconds < EARLY * step.bake_max_seconds
    failing = math.log(FAIL_AT * max(1, gate_count))
    return Bars(failing, math.log(EARLY_PASS_AT if is_early else PASS_AT))

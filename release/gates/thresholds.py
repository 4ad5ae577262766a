"""What an e-value must reach: 1/e bounds how often a gate is wrong, however often it looks."""

from __future__ import annotations

import math
from typing import NamedTuple

from contracts.release_manifest import Step

FAIL_AT = 100.0  # For each gate: all gates together cry wolf in at most 1 % of releases.
PASS_AT = 20.0
# Where traffic is so heavy that a step passes early, twice the evidence costs little, and so does
# waiting while the candidate looks worse: the next step is a multiple of the harm.
EARLY_PASS_AT = 40.0
SUSPECT_AT = 2.0
EARLY = 1 / 8  # of the longest bake


class Bars(NamedTuple):
    """Natural logarithms of the e-values that fail a release, pass a step, and forbid to pass."""

    failing: float
    passing: float
    suspect: float

    @property
    def needed(self) -> float:
        """The e-value to pass, as people read it."""
        return round(math.exp(self.passing), 6)


def bars(gate_count: int, step: Step, seconds: float) -> Bars:
    """``gate_count`` gates can fail by chance; the step has baked for ``seconds``."""
    # A shift has no longest bake of ours: SageMaker's own waits end it.
    is_early = math.isfinite(step.bake_max_seconds) and seconds < EARLY * step.bake_max_seconds
    failing = math.log(FAIL_AT * max(1, gate_count))
    if is_early:
        return Bars(failing, math.log(EARLY_PASS_AT), math.log(SUSPECT_AT))
    return Bars(failing, math.log(PASS_AT), failing)

"""Whether a step passes, fails or holds: pure functions of the minutes counted so far.

The statistical gates decide by e-processes (anytime-valid: looking after every minute costs
nothing; Howard et al. 2021; Lindon, Sanden and Shirikian, KDD 2022; Ramdas et al. 2023). SageMaker
draws the variant of each request at random by weight, so the label of each bad request is itself a
randomization test. `docs/release-quality.md` derives the tests and shows their measured errors.
"""

from __future__ import annotations

from release.gates.power import requests_to_pass
from release.gates.quantile import judge_latency
from release.gates.step import count_by_chance, judge_step
from release.gates.thresholds import FAIL_AT, PASS_AT
from release.gates.verdicts import (
    Answer,
    CountedMinute,
    Estimate,
    Evidence,
    GateVerdict,
    HookAnswer,
    StepVerdict,
)

__all__ = [
    "FAIL_AT",
    "PASS_AT",
    "Answer",
    "CountedMinute",
    "Estimate",
    "Evidence",
    "GateVerdict",
    "HookAnswer",
    "StepVerdict",
    "count_by_chance",
    "judge_latency",
    "judge_step",
    "requests_to_pass",
]

"""The phases of a release: which one runs, what it compares, and what comes after it."""

from __future__ import annotations

import math

from contracts.release_manifest import (
    CANDIDATE_VARIANT,
    SHADOW_VARIANT,
    AllAtOnce,
    BlueGreen,
    Canary,
    Rolling,
    Shadow,
    Step,
    Strategy,
)
from release.state import Release


def phase_of(release: Release) -> Strategy:
    return release.manifest.release.phases[release.phase]


def next_phase(release: Release) -> Strategy | None:
    phases = release.manifest.release.phases
    return phases[release.phase + 1] if release.phase + 1 < len(phases) else None


def first_step(release: Release) -> int:
    """The number of the phase's first step: steps are counted through all phases.

    Only a shadow comes before another phase, and it is one step.
    """
    return release.phase


def step_of(release: Release) -> Step:
    """The step that is compared now; a shadow and a shift are one each."""
    match phase_of(release):
        case Canary(steps=steps):
            return steps[release.step - first_step(release)]
        case Shadow() as shadow:
            longest = shadow.bake_max_seconds
            weight = 100 * mirrored_share(shadow)
            return Step(weight, shadow.tolerance, shadow.bake_min_seconds, longest)
        case BlueGreen(tolerance=tolerance) | Rolling(tolerance=tolerance):
            return Step(100.0, tolerance, 0.0, math.inf)


def weight_shown(release: Release) -> float:
    """The step's weight in percent as people call it.

    A shadow's is the share that is mirrored, a shift's what it was last seen to have reached.
    """
    match phase_of(release):
        case Shadow(sampling_percent=sampling):
            return sampling
        case BlueGreen() | Rolling():
            return release.shifted
        case Canary():
            return step_of(release).weight


def mirrored_share(shadow: Shadow) -> float:
    """The shadow's share of all requests that either variant gets."""
    sample = shadow.sampling_percent / 100
    return sample / (1 + sample)


def candidate_variant(strategy: Strategy) -> str:
    """The variant that runs the new version beside ``live`` while this phase compares."""
    return SHADOW_VARIANT if isinstance(strategy, Shadow) else CANDIDATE_VARIANT


def compares(strategy: Strategy) -> bool:
    """Whether both versions answer in the same minutes at some time of this phase."""
    return not (isinstance(strategy, BlueGreen) and isinstance(strategy.shift, AllAtOnce))


def has_config(strategy: Strategy) -> bool:
    """Whether the phase serves by a configuration that the controller makes itself."""
    return isinstance(strategy, Canary | Shadow)

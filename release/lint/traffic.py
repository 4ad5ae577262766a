"""Whether the traffic lets each step pass within its longest bake."""

from __future__ import annotations

from contracts.release_manifest import Canary, ErrorGate, ReleaseManifest, Step
from release.counting import MINUTE
from release.lint.finding import Finding, warning
from release.power import SURE_SIGMAS, passes
from release.survey import Survey, Traffic


def lint(manifest: ReleaseManifest, survey: Survey) -> list[Finding]:
    settings, seen = manifest.release, survey.traffic
    if seen is None or not any(isinstance(g, ErrorGate) for g in settings.gates):
        return []
    if seen.requests_per_minute <= 0:
        rule = f"no traffic in {seen.source}: no gate can pass without requests"
        return [warning(rule, "traffic", "release while there is traffic")]
    found: list[Finding] = []
    for phase in settings.phases:
        if isinstance(phase, Canary):
            for i, step in enumerate(phase.steps):
                found += _step(manifest, i, step, seen)
    return found


def counting_seconds(manifest: ReleaseManifest, index: int) -> float:
    """How much of a step's bake cannot count: the warm-up of a new fleet, and settling."""
    settings = manifest.release
    warm_up = settings.warm_up_seconds if index == 0 else 0.0
    return settings.settle_seconds + warm_up + MINUTE


def _step(manifest: ReleaseManifest, index: int, step: Step, seen: Traffic) -> list[Finding]:
    if not 0 < step.weight < 100:
        return []
    left = max(0.0, step.bake_max_seconds - counting_seconds(manifest, index))
    budget = seen.requests_per_minute * left / MINUTE
    if passes(step.tolerance, step.weight / 100, budget, seen.error_rate, SURE_SIGMAS):
        return []
    rule = (
        f"at {seen.requests_per_minute:.3g} requests a minute and {seen.error_rate:.2%} errors "
        f"({seen.source}), {step.weight:g} % may not pass within {step.bake_max_seconds / 60:g} min"
    )
    enough = [
        weight
        for weight in range(1, 51)
        if passes(step.tolerance, weight / 100, budget, seen.error_rate, SURE_SIGMAS)
    ]
    others = "let it bake longer or tolerate more points"
    remedy = f"{enough[0]} % would; or {others}" if enough else others
    return [warning(rule, f"release.steps[{index}]", remedy)]

"""The canary's steps: weights, bakes, and what AWS does with them."""

from __future__ import annotations

from contracts.release_manifest import Canary, ReleaseManifest, Step
from release.controller.capacity import adds_instances
from release.controller.counting import MINUTE
from release.controller.start import Snapshot
from release.planning.lint.finding import Finding, error, setting


def lint(manifest: ReleaseManifest, snapshot: Snapshot, count: int) -> list[Finding]:
    phases = [p for p in manifest.release.phases if isinstance(p, Canary)]
    found = [finding for phase in phases for finding in _steps(manifest, phase, count)]
    variants = [v for c in (snapshot.live, snapshot.target) if c for v in c.production()]
    if phases and any("ServerlessConfig" in variant for variant in variants):
        rule = "a serverless endpoint takes one variant only, and a canary has two"
        found.append(error(rule, "release.strategy", "run it on instances"))
    return found


def _steps(manifest: ReleaseManifest, canary: Canary, count: int) -> list[Finding]:
    found: list[Finding] = []
    if not canary.steps:
        rule = "a canary without steps would move all traffic unseen"
        found.append(error(rule, "release.steps", "give at least one step"))
    before, weights = 0.0, [step.weight for step in canary.steps]
    for i, step in enumerate(canary.steps):
        where = f"release.steps[{i}]"
        if not 0 < step.weight < 100:
            rule = f"weight is {step.weight:g}; it lies between 0 and 100, both excluded"
            remedy = "the swap takes the last share: leave out a step of 100"
            found.append(error(rule, f"{where}.weight", remedy))
        elif step.weight <= before:
            rule = f"weight is {step.weight:g} after {before:g}; weights must rise"
            remedy = "write the steps from the smallest weight to the largest"
            found.append(error(rule, f"{where}.weight", remedy))
        before = max(before, step.weight)
        found += _bake(manifest, step, where, is_cold=adds_instances(weights, i, count))
    return found


def _bake(manifest: ReleaseManifest, step: Step, where: str, *, is_cold: bool) -> list[Finding]:
    settings = manifest.release
    if step.bake_min_seconds > step.bake_max_seconds:
        rule = f"the shortest bake ({step.bake_min_seconds:g} s) exceeds the longest"
        least, most = setting(step.bake_max_seconds), setting(step.bake_min_seconds)
        remedy = f"write `bake: {{min: {least}, max: {most}}}`"
        return [error(rule, f"{where}.bake", remedy)]
    warm_up = settings.warm_up_seconds if is_cold else 0.0
    needed = settings.settle_seconds + warm_up + 2 * MINUTE
    if step.bake_max_seconds < needed:
        rule = (
            f"the longest bake is {step.bake_max_seconds:g} s, but the first whole minute counts "
            f"after up to {needed:g} s (warm-up, settling)"
        )
        least = setting(step.bake_min_seconds)
        remedy = f"write `bake: {{min: {least}, max: {setting(needed)}}}`, or longer"
        return [error(rule, f"{where}.bake.max", remedy)]
    return []

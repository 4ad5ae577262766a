"""What a shadow variant needs (facts 2)."""

from __future__ import annotations

from contracts.release_manifest import PredictionGate, ReleaseManifest, Shadow
from release.controller.capturing import is_capturing
from release.controller.counting import MINUTE
from release.controller.start import Snapshot
from release.planning.lint.finding import Finding, error, setting, warning


def lint(manifest: ReleaseManifest, snapshot: Snapshot) -> list[Finding]:
    shadow = manifest.release.strategy
    if not isinstance(shadow, Shadow):
        return []
    found: list[Finding] = []
    if not 0 < shadow.sampling_percent <= 100:
        rule = f"the sampling is {shadow.sampling_percent:g} %; above 0 and at most 100 is allowed"
        remedy = "write `sampling: 100` to mirror every request"
        found.append(error(rule, "release.shadow.sampling", remedy))
    needed = manifest.release.settle_seconds + manifest.release.warm_up_seconds + 2 * MINUTE
    if shadow.bake_max_seconds < max(needed, shadow.bake_min_seconds):
        rule = f"the longest bake is {shadow.bake_max_seconds:g} s; {needed:g} s are needed"
        least, most = shadow.bake_min_seconds, max(needed, shadow.bake_min_seconds)
        remedy = f"write `bake: {{min: {setting(least)}, max: {setting(most)}}}`, or longer"
        found.append(error(rule, "release.shadow.bake.max", remedy))
    variants = [v for c in (snapshot.live, snapshot.target) if c for v in c.production()]
    if any("ServerlessConfig" in v for v in variants):
        rule = "a serverless endpoint takes no shadow variant"
        found.append(error(rule, "release.strategy", "run it on instances, or release by canary"))
    live = None if snapshot.live is None else snapshot.live.body.get("DataCaptureConfig")
    is_compared = any(isinstance(g, PredictionGate) for g in manifest.release.gates)
    if not (is_capturing(live) or is_capturing(manifest.target.data_capture) or is_compared):
        rule = "without data capture both versions' predictions are not compared"
        found.append(warning(rule, "capture", "set `capture: {sampling: 100}`, and `slipway up`"))
    return found

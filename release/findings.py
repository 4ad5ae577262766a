"""The lint of a release: what AWS would refuse or ignore, and where a gate would be blind."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.release_manifest import Canary, ErrorGate, ReleaseManifest, Step
from release.counting import MINUTE
from release.gates import requests_to_pass
from release.start import Snapshot

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    severity: str
    rule: str
    where: str
    remedy: str


def find(
    manifest: ReleaseManifest, snapshot: Snapshot, requests_per_minute: float | None
) -> tuple[Finding, ...]:
    """Everything that is wrong or doubtful, errors first."""
    found = [
        *_settings(manifest),
        *_steps(manifest),
        *_alarms(manifest),
        *_scaling(snapshot),
        *_traffic(manifest, requests_per_minute),
    ]
    return tuple(sorted(found, key=lambda f: f.severity != ERROR))


def _settings(manifest: ReleaseManifest) -> list[Finding]:
    settings = manifest.release
    found: list[Finding] = []
    if not isinstance(settings.strategy, Canary):
        rule = f"strategy is {settings.strategy.kind!r}; this version of Slipway releases by canary"
        found.append(Finding(ERROR, rule, "release.strategy", "set it to canary"))
    if not settings.steps:
        rule = "a canary without steps would move all traffic unseen"
        found.append(Finding(ERROR, rule, "release.steps", "give at least one step"))
    if not settings.gates and not manifest.rollback_alarms:
        rule = "without gates and alarms nothing decides whether a step passes"
        found.append(Finding(ERROR, rule, "release.gates", "add the metric errors"))
    if settings.on_inconclusive != "rollback":
        rule = f"on_inconclusive is {settings.on_inconclusive!r}; rollback is all there is yet"
        found.append(Finding(ERROR, rule, "release.onInconclusive", "set it to rollback"))
    return found


def _steps(manifest: ReleaseManifest) -> list[Finding]:
    settings = manifest.release
    found: list[Finding] = []
    before = 0.0
    for i, step in enumerate(settings.steps):
        where = f"release.steps[{i}]"
        if not 0 < step.weight < 100:
            rule = f"weight is {step.weight:g}; it lies between 0 and 100, both excluded"
            remedy = "the swap takes the last share: leave out a step of 100"
            found.append(Finding(ERROR, rule, f"{where}.weight", remedy))
        elif step.weight <= before:
            rule = f"weight is {step.weight:g} after {before:g}; weights must rise"
            remedy = "write the steps from the smallest weight to the largest"
            found.append(Finding(ERROR, rule, f"{where}.weight", remedy))
        before = max(before, step.weight)
        found += _bake(manifest, i, step, where)
    return found


def _bake(manifest: ReleaseManifest, index: int, step: Step, where: str) -> list[Finding]:
    settings = manifest.release
    if step.bake_min_seconds > step.bake_max_seconds:
        rule = f"the shortest bake ({step.bake_min_seconds:g} s) exceeds the longest"
        return [Finding(ERROR, rule, f"{where}.bake", "let min be at most max")]
    warm_up = settings.warm_up_seconds if index == 0 else 0.0
    needed = settings.settle_seconds + warm_up + 2 * MINUTE
    if step.bake_max_seconds < needed:
        rule = (
            f"the longest bake is {step.bake_max_seconds:g} s, but the first whole minute counts "
            f"after up to {needed:g} s (warm-up, settling)"
        )
        remedy = f"let it bake {needed:g} s or more"
        return [Finding(ERROR, rule, f"{where}.bake.max", remedy)]
    return []


def _alarms(manifest: ReleaseManifest) -> list[Finding]:
    if not manifest.rollback_alarms:
        rule = "no rollback alarm: after the swap only latency can take the new version back"
        return [Finding(WARNING, rule, "alarms", "let the stack define rollback alarms")]
    found: list[Finding] = []
    post = manifest.release.post_bake_seconds
    for alarm in manifest.rollback_alarms:
        window = alarm.period_seconds * alarm.datapoints_to_alarm
        if post < window:
            rule = f"the post-bake of {post:g} s is shorter than the {window:g} s the alarm needs"
            remedy = f"let the post-bake last {window:g} s or more"
            found.append(Finding(WARNING, rule, f"alarms: {alarm.suffix}", remedy))
    return found


def _scaling(snapshot: Snapshot) -> list[Finding]:
    """UpdateEndpoint refuses to change the instance type of a scaled variant (facts 6)."""
    if snapshot.live is None or snapshot.target is None or snapshot.suspended is None:
        return []
    old, new = (
        {str(v.get("InstanceType")) for v in config.production()}
        for config in (snapshot.live, snapshot.target)
    )
    if old == new:
        return []
    rule = (
        f"the swap changes the instance type from {', '.join(sorted(old))} to "
        f"{', '.join(sorted(new))}, which SageMaker refuses while the variant is scaled"
    )
    remedy = "remove the scaling, `slipway up`, release, then add the scaling again"
    return [Finding(ERROR, rule, "endpoint.scaling", remedy)]


def _traffic(manifest: ReleaseManifest, rate: float | None) -> list[Finding]:
    settings = manifest.release
    if rate is None or not any(isinstance(g, ErrorGate) for g in settings.gates):
        return []
    if rate <= 0:
        rule = "no traffic in the last 15 minutes: no gate can pass without requests"
        return [Finding(WARNING, rule, "traffic", "release while there is traffic")]
    found: list[Finding] = []
    for i, step in enumerate(settings.steps):
        if not 0 < step.weight < 100:
            continue
        overhead = settings.settle_seconds + (settings.warm_up_seconds if i == 0 else 0.0)
        budget = rate * max(0.0, step.bake_max_seconds - overhead) / MINUTE
        needed = requests_to_pass(step.weight / 100, step)
        if needed is not None and needed > budget:
            rule = (
                f"at {rate:.3g} requests a minute, {step.weight:g} % cannot pass within its "
                f"longest bake of {step.bake_max_seconds:g} s"
            )
            found.append(Finding(WARNING, rule, f"release.steps[{i}]", _remedy(step, budget)))
    return found


def _remedy(step: Step, budget: float) -> str:
    enough = [w for w in range(1, 51) if (requests_to_pass(w / 100, step) or 0) <= budget]
    if enough:
        return f"{enough[0]} % could; or let it bake longer or tolerate more points"
    return "let it bake longer or tolerate more points"

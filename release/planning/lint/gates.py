"""Whether the gates can decide at all."""

from __future__ import annotations

from contracts.release_manifest import (
    AllAtOnce,
    BlueGreen,
    ErrorGate,
    HookGate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    ReleaseManifest,
    Rolling,
)
from contracts.release_settings import LIMIT_METRICS
from release.hooks.questions import LAMBDA, LAMBDA_SECONDS
from release.planning.lint.finding import Finding, error, setting, warning
from release.planning.survey import Survey

RELATIVE = (ErrorGate, LatencyGate, PredictionGate)


def lint(manifest: ReleaseManifest, survey: Survey) -> list[Finding]:
    settings = manifest.release
    found: list[Finding] = []
    deciding = [gate for gate in settings.gates if not gate.dry_run]
    if not deciding and not manifest.rollback_alarms:
        rule = "without deciding gates and alarms nothing tells whether a step passes"
        found.append(error(rule, "release.gates", "add `- {metric: errors}`"))
    if settings.on_inconclusive not in ("rollback", "hold"):
        rule = f"onInconclusive is {settings.on_inconclusive!r}; rollback or hold is allowed"
        found.append(
            error(
                rule, "release.onInconclusive", "write `onInconclusive: rollback`, or leave it out"
            )
        )
    for i, gate in enumerate(settings.gates):
        where = f"release.gates[{i}]"
        match gate:
            case LimitGate(metric=metric) if metric not in LIMIT_METRICS:
                rule = f"the limit is on {metric!r}; {', '.join(LIMIT_METRICS)} are known"
                found.append(error(rule, where, "name one of them"))
            case LimitGate(metric="slow", over_us=None):
                rule = "a limit on slow answers needs to know what slow is"
                found.append(error(rule, where, "write `over: 50ms` beside it"))
            case HookGate() if survey.driver == LAMBDA:
                found += _asked_by_a_lambda(gate, where)
            case _:
                pass
    found += _blind_all_at_once(manifest)
    found += _hold(manifest)
    return found


def _asked_by_a_lambda(hook: HookGate, where: str) -> list[Finding]:
    instead = "set `slipway:controller: {driver: terminal}`"
    if hook.command:
        rule = f"the hook {hook.name} is a command, and the stack's driver is a Lambda"
        return [error(rule, where, f"name a function instead, or {instead}")]
    if hook.timeout_seconds <= LAMBDA_SECONDS:
        return []
    most = f"{LAMBDA_SECONDS:g} s"
    rule = (
        f"the hook {hook.name} may take {hook.timeout_seconds:g} s; the Lambda that drives the "
        f"release waits {most} for hooks"
    )
    remedy = (
        f"write `timeout: {setting(LAMBDA_SECONDS)}` and answer from a check that runs elsewhere"
    )
    return [error(rule, where, f"{remedy}, or {instead}")]


def _blind_all_at_once(manifest: ReleaseManifest) -> list[Finding]:
    strategy = manifest.release.strategy
    if not isinstance(strategy, BlueGreen) or not isinstance(strategy.shift, AllAtOnce):
        return []
    relative = [g.kind for g in manifest.release.gates if isinstance(g, RELATIVE)]
    if not relative:
        return []
    names = ", ".join(dict.fromkeys(relative))
    rule = f"all_at_once has no minutes of both versions: {names} cannot be compared"
    remedy = "shift by canary or linear; here limits, alarms and hooks alone decide"
    return [warning(rule, "release.blueGreen.traffic", remedy)]


def _hold(manifest: ReleaseManifest) -> list[Finding]:
    settings = manifest.release
    guarded = [p.kind for p in settings.phases if isinstance(p, BlueGreen | Rolling)]
    if settings.on_inconclusive != "hold" or not guarded:
        return []
    rule = f"{guarded[0]} cannot be held: SageMaker's own timers run on"
    return [
        error(
            rule,
            "release.onInconclusive",
            "write `onInconclusive: rollback`, or `strategy: canary`",
        )
    ]

"""Whether the alarms that decide exist, mean this endpoint, and have the time to ring."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.release_manifest import (
    LIVE_VARIANT,
    AlarmGate,
    BlueGreen,
    Canary,
    LimitGate,
    ReleaseManifest,
    Rolling,
    Shadow,
)
from release.controller.counting import MINUTE
from release.controller.guardrails import bakes_of
from release.controller.phases import candidate_variant, has_config
from release.planning.lint.finding import Finding, error, setting, warning
from release.planning.lint.guardrails import key_of
from release.planning.survey import AlarmSeen, Survey


def lint(manifest: ReleaseManifest, survey: Survey, count: int) -> list[Finding]:
    """``count``: the instances of the fleet that serves."""
    return [
        *_post_bake(manifest),
        *_uncounted(manifest),
        *_named(manifest, survey, count),
        *_standing(manifest, survey),
        *_permission(manifest, survey),
    ]


def _post_bake(manifest: ReleaseManifest) -> list[Finding]:
    if not manifest.rollback_alarms:
        rule = "no rollback alarm: after the swap only latency can take the new version back"
        return [warning(rule, "alarms", "let the stack define rollback alarms")]
    found: list[Finding] = []
    post = manifest.release.post_bake_seconds
    for alarm in manifest.rollback_alarms:
        window = alarm.period_seconds * alarm.datapoints_to_alarm
        if post < window:
            rule = f"the post-bake of {post:g} s is shorter than the {window:g} s the alarm needs"
            remedy = f"write `postBake: {setting(window)}`, or longer"
            found.append(warning(rule, f"alarms: {alarm.suffix}", remedy))
    return found


def _uncounted(manifest: ReleaseManifest) -> list[Finding]:
    """Limits are asked after the swap too, and nothing is promoted without their answer."""
    settings = manifest.release
    is_limited = any(isinstance(g, LimitGate) and not g.dry_run for g in settings.gates)
    needed = settings.settle_seconds + settings.warm_up_seconds + 2 * MINUTE
    promotes = not isinstance(settings.phases[-1], Shadow)
    if not (is_limited and promotes) or settings.post_bake_seconds >= needed:
        return []
    rule = (
        f"the post-bake is {settings.post_bake_seconds:g} s, but the first whole minute that the "
        f"limits can look at has settled after up to {needed:g} s: the release will wait for it"
    )
    remedy = f"write `postBake: {setting(needed)}`, or shorten warmUp and settle"
    return [warning(rule, "release.postBake", remedy)]


def _named(manifest: ReleaseManifest, survey: Survey, count: int) -> list[Finding]:
    """The owner's alarms among the gates."""
    if survey.alarms is None:
        return []
    found: list[Finding] = []
    for i, gate in enumerate(manifest.release.gates):
        if not isinstance(gate, AlarmGate):
            continue
        where = f"release.gates[{i}]"
        seen = survey.alarms.get(gate.alarm)
        if seen is None:
            rule = f"the alarm {gate.alarm} does not exist in {manifest.region}"
            found.append(error(rule, where, "make it, or correct its name"))
            continue
        found += _dimensions(manifest, seen, where)
        found += _composite(manifest, seen, gate, where)
        if not gate.dry_run:
            found += _window(manifest, seen, where, count)
        if seen.state == "ALARM" and not gate.dry_run:
            rule = f"the alarm {gate.alarm} is in ALARM now: the release would fail at once"
            found.append(error(rule, where, "look into it first"))
    return found


def _composite(
    manifest: ReleaseManifest, seen: AlarmSeen, gate: AlarmGate, where: str
) -> list[Finding]:
    """SageMaker is not known to take one (facts 5); a canary's gate is ours and reads both."""
    guarded = [p for p in manifest.release.phases if isinstance(p, BlueGreen | Rolling)]
    if not guarded or not seen.is_composite or gate.dry_run:
        return []
    rule = (
        f"the alarm {seen.name} is a composite one, and {guarded[0].kind} hands it to SageMaker, "
        "of which only metric alarms are known to be taken"
    )
    return [error(rule, where, "name the metric alarms that it is made of, or release by canary")]


def _dimensions(manifest: ReleaseManifest, seen: AlarmSeen, where: str) -> list[Finding]:
    if seen.namespace != "AWS/SageMaker":
        return []
    endpoint = seen.dimensions.get("EndpointName")
    if endpoint != manifest.endpoint_name:
        rule = f"the alarm {seen.name} watches endpoint {endpoint}, not {manifest.endpoint_name}"
        return [error(rule, where, "name an alarm on this endpoint")]
    if "VariantName" not in seen.dimensions:
        rule = f"the alarm {seen.name} has no VariantName: SageMaker publishes no such metric"
        return [error(rule, where, "give it the dimensions EndpointName and VariantName")]
    phases = manifest.release.phases
    own = [candidate_variant(p) for p in phases if has_config(p)]
    variants = tuple(dict.fromkeys((LIVE_VARIANT, *own)))
    variant, config = seen.dimensions["VariantName"], seen.dimensions.get("EndpointConfigName")
    if variant not in variants:
        rule = f"the alarm {seen.name} watches variant {variant}; there will be {_all(variants)}"
        return [error(rule, where, f"name an alarm on {' or '.join(variants)}")]
    if config is None and variant == LIVE_VARIANT:
        rule = f"the alarm {seen.name} mixes the old and the new fleet: it sees errors diluted"
        return [warning(rule, where, "rollback alarms of the stack tell the fleets apart")]
    target = manifest.target.endpoint_config_name
    if config not in (None, target):
        rule = f"the alarm {seen.name} watches configuration {config}, and {target} is released"
        return [error(rule, where, f"let its EndpointConfigName be {target}, or leave that out")]
    if config == target and own:
        rule = f"the alarm {seen.name} watches configuration {config}, unused before the swap"
        return [warning(rule, where, f"leave that dimension out, and name variant {own[0]}")]
    return []


def _all(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _window(manifest: ReleaseManifest, seen: AlarmSeen, where: str, count: int) -> list[Finding]:
    """Whether it can ring within each bake of what it sees from its beginning on."""
    window = seen.window_seconds
    short = [
        f"{key} lasts {longest:g} s" for key, longest in _bakes(manifest, count) if longest < window
    ]
    if not short:
        return []
    rule = f"the alarm {seen.name} needs {window:g} s to ring, and {', '.join(short)}"
    remedy = f"let it last `{setting(window)}` or longer, or shorten the alarm's periods"
    return [warning(rule, where, remedy)]


def _bakes(manifest: ReleaseManifest, count: int) -> Iterator[tuple[str, float]]:
    """Each bake by its key in the stack's file, and how many seconds it lasts at most."""
    settings = manifest.release
    for phase in settings.phases:
        match phase:
            case Canary(steps=steps):
                for i, step in enumerate(steps):
                    yield f"release.steps[{i}].bake.max", step.bake_max_seconds
            case Shadow(bake_max_seconds=longest):
                yield "release.shadow.bake.max", longest
            case BlueGreen() | Rolling():
                waits = [bake.seconds for bake in bakes_of(phase, count) if bake.seconds]
                yield key_of(phase), min(waits, default=0)
    if not isinstance(settings.phases[-1], Shadow):
        yield "release.postBake", settings.post_bake_seconds


def _standing(manifest: ReleaseManifest, survey: Survey) -> list[Finding]:
    if survey.alarms is None:
        return []
    gone = [name for name in manifest.standing_alarms if name not in survey.alarms]
    if not gone:
        return []
    rule = f"the alarm {', '.join(gone)} was deleted"
    return [warning(rule, "alarms", "`slipway refresh`, then `slipway up` makes it again")]


def _permission(manifest: ReleaseManifest, survey: Survey) -> list[Finding]:
    """SageMaker reads the rollback alarms as the model's role (facts 3.3)."""
    guarded = any(isinstance(p, BlueGreen | Rolling) for p in manifest.release.phases)
    if not guarded or survey.may_describe_alarms is not False:
        return []
    rule = f"{manifest.execution_role_arn} may not call cloudwatch:DescribeAlarms"
    remedy = "`slipway up` grants it; without it no alarm can stop the deployment"
    return [error(rule, "execution role", remedy)]

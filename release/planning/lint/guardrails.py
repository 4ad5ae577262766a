"""What SageMaker's deployment guardrails refuse, or silently leave out (facts 3.1 to 3.3)."""

from __future__ import annotations

from contracts.release_manifest import (
    LIVE_VARIANT,
    AlarmGate,
    AllAtOnce,
    BlueGreen,
    CanaryShift,
    LimitGate,
    LinearShift,
    ReleaseManifest,
    Rolling,
)
from release.controller.counting import MINUTE
from release.controller.guardrails import LONGEST_TIMEOUT, SHORTEST_TIMEOUT, bakes_of, turnovers_of
from release.controller.phases import compares
from release.controller.start import Snapshot
from release.planning.lint.finding import Finding, error, setting, warning
from release.planning.lint.gates import RELATIVE

LONGEST_WAIT = 3600
MAX_ALARMS = 10
# CloudWatch's own lag on top of an alarm's periods.
ALARM_LAG_SECONDS = 60.0
UNGUARDED_TYPES = ("ml.inf1.", "ml.eia")


def lint(
    manifest: ReleaseManifest, snapshot: Snapshot, count: int, turnover_seconds: float
) -> list[Finding]:
    found: list[Finding] = []
    for phase in manifest.release.phases:
        match phase:
            case BlueGreen():
                found += _sizes(phase, count)
            case Rolling():
                found += _batches(phase, snapshot, count)
            case _:
                continue
        found += _excluded(snapshot)
        found += _waits(manifest, phase, count, turnover_seconds)
        found += _alarm_count(manifest)
    return found


def key_of(strategy: BlueGreen | Rolling) -> str:
    return "release.blueGreen" if isinstance(strategy, BlueGreen) else "release.rolling"


def _sizes(strategy: BlueGreen, count: int) -> list[Finding]:
    where = "release.blueGreen"
    match strategy.shift:
        case CanaryShift(percent=percent):
            low = 1
        case LinearShift(percent=percent):
            low = 10
        case AllAtOnce():
            return []
    if not low <= percent <= 50:
        rule = f"the size is {percent} %; SageMaker takes {low} to 50 % of the instances"
        return [error(rule, f"{where}.size", f"write `size: {min(50, max(low, percent))}`")]
    return _one_instance(count)


def _batches(strategy: Rolling, snapshot: Snapshot, count: int) -> list[Finding]:
    found: list[Finding] = []
    for key, percent, low, high in (
        ("batch", strategy.batch_percent, 5, 50),
        ("rollbackBatch", strategy.rollback_batch_percent, 5, 100),
    ):
        if percent is not None and not low <= percent <= high:
            rule = f"the batch is {percent} %; SageMaker takes {low} to {high} % of the instances"
            remedy = f"write `{key}: {min(high, max(low, percent))}`"
            found.append(error(rule, f"release.rolling.{key}", remedy))
    names = [v.name for v in snapshot.endpoint.variants]
    if len(names) > 1:
        rule = f"the endpoint has {len(names)} variants ({', '.join(names)}); rolling takes one"
        found.append(
            error(rule, "release.strategy", "write `strategy: blue_green` or `strategy: canary`")
        )
    return found + _one_instance(count)


def _one_instance(count: int) -> list[Finding]:
    if count > 1:
        return []
    rule = "one instance cannot be shifted in parts: one is more than 50 % of one"
    return [error(rule, "endpoint.instances.min", "run two instances or more")]


def _excluded(snapshot: Snapshot) -> list[Finding]:
    """Where guardrails do not apply, SageMaker moves everything at once without a word."""
    found: list[Finding] = []
    configs = [c for c in (snapshot.live, snapshot.target) if c is not None]
    for config in configs:
        variants = config.production()
        kinds = {str(v.get("InstanceType", "")) for v in variants}
        for kind in sorted(kinds):
            if kind.startswith(UNGUARDED_TYPES):
                rule = f"{kind} has no guardrails: SageMaker would move all at once, without a bake"
                found.append(error(rule, "instanceType", "write `strategy: canary`"))
        if any("ServerlessConfig" in v for v in variants):
            rule = "serverless endpoints have no guardrails and one variant only"
            found.append(error(rule, "release.strategy", "run it on instances"))
    names = {v["VariantName"] for c in configs for v in c.production()}
    if configs and names != {LIVE_VARIANT}:
        rule = f"the variants are {', '.join(sorted(names))}; guardrails need the same in both"
        found.append(error(rule, "release.strategy", f"let both have one, named {LIVE_VARIANT}"))
    return list(dict.fromkeys(found))


def _waits(
    manifest: ReleaseManifest, strategy: BlueGreen | Rolling, count: int, turnover: float
) -> list[Finding]:
    where = key_of(strategy)
    waits = [bake.seconds for bake in bakes_of(strategy, count)]
    found: list[Finding] = []
    if max(waits) > LONGEST_WAIT:
        rule = f"a wait of {max(waits)} s; SageMaker takes {LONGEST_WAIT} s at most"
        key = _wait_key(strategy, waits, waits.index(max(waits)))
        remedy = f"write `{key}: {setting(LONGEST_WAIT)}`; a canary may bake for days"
        found.append(error(rule, where, remedy))
    windows = [a.period_seconds * a.datapoints_to_alarm for a in manifest.rollback_alarms]
    window = max(windows, default=0) + ALARM_LAG_SECONDS
    if windows and max(waits) == 0:
        rule = "every bake is 0 s: alarms are watched only while it bakes, so none can stop it"
        remedy = f"write `{_wait_key(strategy, waits, 0)}: {setting(window)}`, or longer"
        found.append(error(rule, where, remedy))
    elif windows and min(w for w in waits if w) < window:
        rule = (
            f"a bake of {min(w for w in waits if w)} s ends before an alarm can ring "
            f"({window:g} s with CloudWatch's lag)"
        )
        key = _wait_key(strategy, waits, waits.index(min(w for w in waits if w)))
        remedy = f"write `{key}: {setting(window)}`, or longer"
        found.append(warning(rule, where, remedy))
    found += _uncounted(manifest, strategy, waits, where)
    work = turnovers_of(strategy, count) * turnover
    return found + _timeout(strategy.timeout_seconds, sum(waits), work, where)


def _wait_key(strategy: BlueGreen | Rolling, waits: list[int], index: int) -> str:
    """The key that sets the bake of this index: the last one of a new fleet has its own."""
    is_final = isinstance(strategy, BlueGreen) and index == len(waits) - 1
    return "finalWait" if is_final else "wait"


def shift_overhead(manifest: ReleaseManifest) -> float:
    """Seconds of a bake in which no minute counts: cold, not settled, cut, or too late to act."""
    settings = manifest.release
    return settings.warm_up_seconds + settings.settle_seconds + 2 * MINUTE


def _uncounted(
    manifest: ReleaseManifest, strategy: BlueGreen | Rolling, waits: list[int], where: str
) -> list[Finding]:
    """Whether the gates that count requests will have a single minute to look at."""
    bakes, counting, what, key = waits[:-1], (*RELATIVE, LimitGate), "that compares", "wait"
    if not compares(strategy):
        bakes, counting, what, key = waits, (LimitGate,), "on all traffic", "finalWait"
    deciding = [g for g in manifest.release.gates if not g.dry_run]
    needed = shift_overhead(manifest) + MINUTE
    longest = max(bakes, default=0)
    if longest >= needed or not any(isinstance(g, counting) for g in deciding):
        return []
    rule = (
        f"no bake {what} lasts {needed:g} s: with warm-up and settling no minute would "
        "count, and the release would end inconclusive"
    )
    remedy = f"write `{key}: {setting(needed)}`, or shorten warmUp and settle"
    return [error(rule, where, remedy)]


def _timeout(timeout: int | None, waits: int, work: float, where: str) -> list[Finding]:
    """``work``: seconds in which instances are provisioned, beside the ``waits``."""
    needed = waits + work
    if timeout is None:
        if needed <= LONGEST_TIMEOUT:
            return []
        rule = f"it takes {needed:g} s; SageMaker ends a deployment after {LONGEST_TIMEOUT} s"
        return [error(rule, where, "use fewer or shorter waits, or write `strategy: canary`")]
    if not SHORTEST_TIMEOUT <= timeout <= LONGEST_TIMEOUT:
        rule = f"the timeout is {timeout} s; {SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT} s are allowed"
        return [error(rule, f"{where}.timeout", "change it, or leave it out")]
    if timeout <= waits:
        rule = f"the timeout of {timeout} s does not exceed the waits of {waits} s"
        return [
            error(rule, f"{where}.timeout", f"write `timeout: {setting(needed)}`, or leave it out")
        ]
    if timeout < needed:
        rule = f"the timeout of {timeout} s leaves {timeout - waits} s for the new instances"
        remedy = f"write `timeout: {setting(needed)}`, or leave it out"
        return [warning(rule, f"{where}.timeout", remedy)]
    return []


def _alarm_count(manifest: ReleaseManifest) -> list[Finding]:
    owners = [g for g in manifest.release.gates if isinstance(g, AlarmGate) and not g.dry_run]
    # One more carries the gates' own verdict.
    total = len(manifest.rollback_alarms) + len(owners) + 1
    if total <= MAX_ALARMS:
        return []
    rule = f"{total} alarms would guard the deployment; SageMaker takes {MAX_ALARMS}"
    return [error(rule, "release.gates", f"name {total - MAX_ALARMS} fewer")]

"""What a release leaves behind: one JSON document, and the result that a caller gets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from contracts.canonical import pretty_json
from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, SHADOW_VARIANT
from release.evidence.details import details, weights
from release.observation import Config, Series, VariantMinute
from release.records import encode
from release.state import COMPARED, HELD, INCONCLUSIVE, PROMOTED, ROLLED_BACK, Release

SCHEMA_VERSION = 1
EXIT_CODES = {PROMOTED: 0, COMPARED: 0, ROLLED_BACK: 2, INCONCLUSIVE: 3, HELD: 3}


@dataclass(frozen=True)
class StepSummary:
    weight: float
    verdict: str
    seconds: float


@dataclass(frozen=True)
class ReleaseResult:
    """How a release ended. Seconds are those of the release clock (AWS's time).

    ``registry_uri`` is where the version that was released, or gone back to, is registered.

    ``candidate_requests`` are those that the new version answered to callers, also alone after the
    swap; ``mirrored_requests`` are copies, whose answers nobody got.

    ``seconds_from_first_error_to_zero_weight`` counts from the start of the first minute in which
    the new version failed a caller: CloudWatch tells no more than the minute.
    """

    id: str
    model: str
    endpoint: str
    purpose: str
    strategy: str
    from_version: str
    to_version: str
    registry_uri: str
    outcome: str
    reason: str
    steps: tuple[StepSummary, ...]
    candidate_requests: int
    candidate_errors: int
    seconds_from_first_error_to_zero_weight: float | None
    seconds: float
    mirrored_requests: int = 0
    mirrored_errors: int = 0

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def result_of(told: dict[str, Any]) -> ReleaseResult:
    """The result as the evidence tells it."""
    names = {f.name for f in fields(ReleaseResult)} - {"steps"}
    steps = tuple(
        StepSummary(float(s["weight"]), str(s["verdict"]), float(s["seconds"]))
        for s in told["steps"]
    )
    # Evidence of before copies were counted apart has no count of them.
    known = {name: told[name] for name in names if name in told or not name.startswith("mirrored")}
    return ReleaseResult(steps=steps, **known)


def summarize(release: Release, series: Series) -> ReleaseResult:
    """The result; ``series`` has every minute of the transition, counted by gates or not."""
    candidate, shadow = (series.get(n, {}).values() for n in (CANDIDATE_VARIANT, SHADOW_VARIANT))
    return ReleaseResult(
        id=release.id,
        model=release.manifest.model,
        endpoint=release.manifest.endpoint_name,
        purpose=release.purpose,
        strategy=release.manifest.release.strategy.kind,
        from_version=release.before.good.version,
        to_version=release.destination.version,
        registry_uri=release.destination.registry_uri,
        outcome=release.outcome or "running",
        reason=release.reason,
        steps=tuple(StepSummary(s.weight, s.verdict, s.seconds) for s in release.steps),
        candidate_requests=sum(m.requests for m in candidate),
        candidate_errors=sum(m.errors for m in candidate),
        seconds_from_first_error_to_zero_weight=_seconds_to_zero(release, series),
        seconds=release.stage_since - release.started_at,
        mirrored_requests=sum(m.requests for m in shadow),
        mirrored_errors=sum(m.errors for m in shadow),
    )


def _seconds_to_zero(release: Release, series: Series) -> float | None:
    bad = [at for at, m in series.get(CANDIDATE_VARIANT, {}).items() if m.errors]
    if not bad or release.zero_weight_at is None:
        return None
    first = max(min(bad), release.first_traffic_at or min(bad))
    return max(0.0, release.zero_weight_at - first)


def together(series: Series, more: Series) -> Series:
    """Both; a minute in which a variant answered under two configurations is the sum of them."""
    found = {name: dict(minutes) for name, minutes in series.items()}
    for name, minutes in more.items():
        mine = found.setdefault(name, {})
        for at, minute in minutes.items():
            mine[at] = _sum(mine[at], minute) if at in mine else minute
    return found


def _sum(one: VariantMinute, other: VariantMinute) -> VariantMinute:
    return replace(
        one,
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        p95_us=max((p for p in (one.p95_us, other.p95_us) if p is not None), default=None),
        slow=None if one.slow is None or other.slow is None else one.slow + other.slow,
    )


def evidence(
    release: Release, series: Series, config_after: str, after: Config | None = None
) -> str:
    """The evidence as JSON text: who, what, every minute, every verdict, and the end.

    ``after`` is the configuration named ``config_after``, where it was read.
    """
    return pretty_json(
        {
            "schema_version": SCHEMA_VERSION,
            **summarize(release, series).to_dict(),
            "started_at": release.started_at,
            "ended_at": release.stage_since,
            "started_by": release.started_by,
            "turnover_seconds": release.turnover_seconds,
            "config_before": release.before.config.name,
            "config_after": config_after,
            "live_before": encode(release.before),
            "destination": encode(release.destination),
            "verdicts": [encode(step) for step in release.steps],
            "counted_minutes": [encode(minute) for minute in release.minutes],
            "timeline": timeline(release, series),
            **details(release, after),
            "log": [encode(entry) for entry in release.log],
            "manifest": release.manifest.to_dict(),
        }
    )


def timeline(release: Release, series: Series) -> list[dict[str, Any]]:
    """One row a minute: the share that was set in it, and what each variant did."""
    variants = {n: series.get(n, {}) for n in (LIVE_VARIANT, CANDIDATE_VARIANT, SHADOW_VARIANT)}
    changes = [w for w in weights(release) if not w["mirrored"]]
    rows: list[dict[str, Any]] = []
    for start in sorted(set().union(*variants.values())):
        set_before = [w["weight"] for w in changes if w["at"] < start + 60]
        row: dict[str, Any] = {"start": start, "weight": set_before[-1] if set_before else 0.0}
        for name, minutes in variants.items():
            row[name] = asdict(minutes[start]) if start in minutes else None
        rows.append(row)
    return rows

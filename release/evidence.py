"""What a release leaves behind: one JSON document, and the result that a caller gets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from contracts.canonical import pretty_json
from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT
from release.details import details
from release.observation import Config, Series
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

    ``seconds_from_first_error_to_zero_weight`` counts from the start of the first minute in which
    the candidate failed: CloudWatch tells no more than the minute.
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
    return ReleaseResult(steps=steps, **{name: told[name] for name in names})


def summarize(release: Release, series: Series) -> ReleaseResult:
    """The result; ``series`` has every minute of the transition, counted by gates or not."""
    candidate = series.get(CANDIDATE_VARIANT, {})
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
        candidate_requests=sum(m.requests for m in candidate.values()),
        candidate_errors=sum(m.errors for m in candidate.values()),
        seconds_from_first_error_to_zero_weight=_seconds_to_zero(release, series),
        seconds=release.stage_since - release.started_at,
    )


def _seconds_to_zero(release: Release, series: Series) -> float | None:
    bad = [at for at, m in series.get(CANDIDATE_VARIANT, {}).items() if m.errors]
    if not bad or release.zero_weight_at is None:
        return None
    first = max(min(bad), release.first_traffic_at or min(bad))
    return max(0.0, release.zero_weight_at - first)


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
    live, candidate = series.get(LIVE_VARIANT, {}), series.get(CANDIDATE_VARIANT, {})
    weights = [(e.at, float(e.data["weight"])) for e in release.log if e.kind == "weight"]
    weights += [(e.at, 0.0) for e in release.log if e.kind in ("zero", "back")]
    rows: list[dict[str, Any]] = []
    for start in sorted(live.keys() | candidate.keys()):
        set_before = [w for at, w in sorted(weights) if at < start + 60]
        rows.append(
            {
                "start": start,
                "weight": set_before[-1] if set_before else 0.0,
                "live": asdict(live[start]) if start in live else None,
                "candidate": asdict(candidate[start]) if start in candidate else None,
            }
        )
    return rows

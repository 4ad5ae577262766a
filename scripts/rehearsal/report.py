"""A rehearsal's ``report.json``, and the verdict on whether all went as it must."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.rehearsal.tally import TrafficTally


@dataclass(frozen=True)
class Operation:
    """One run of the Pulumi engine; ``changes`` counts resources by operation."""

    operation: str
    changes: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class StepOutcome:
    weight: float
    verdict: str
    seconds: float


@dataclass(frozen=True)
class Release:
    """One release as its evidence tells it; seconds are wall time."""

    id: str
    model: str
    from_version: str
    to_version: str
    strategy: str
    outcome: str
    steps: tuple[StepOutcome, ...]
    candidate_requests: int
    candidate_errors: int
    seconds_from_first_error_to_zero_weight: float | None


@dataclass(frozen=True)
class Check:
    """One thing that must have happened, whether it did, and what was seen."""

    name: str
    ok: bool
    seen: str


@dataclass
class Report:
    """Filled while the rehearsal runs; ``finish`` draws the conclusion."""

    pulumi_version: str = ""
    operations: list[Operation] = field(default_factory=list[Operation])
    releases: list[Release] = field(default_factory=list[Release])
    traffic: TrafficTally | None = None
    checks: list[Check] = field(default_factory=list[Check])
    stages: dict[str, float] = field(default_factory=dict[str, float])

    def check(self, name: str, ok: bool, seen: str) -> bool:
        self.checks.append(Check(name, ok, seen))
        return ok

    @property
    def ok(self) -> bool:
        """True only if something was checked and every check held."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def to_dict(self, duration_seconds: float) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "duration_seconds": round(duration_seconds, 3),
            "pulumi_version": self.pulumi_version,
            "operations": [asdict(operation) for operation in self.operations],
            "releases": [asdict(release) for release in self.releases],
            "traffic": None if self.traffic is None else asdict(self.traffic),
            "checks": [asdict(check) for check in self.checks],
            "stage_seconds": self.stages,
        }


def check_traffic(report: Report, traffic: TrafficTally, bad: str, share: float) -> None:
    """What live traffic must have seen; ``share`` (0 to 1) is the most that ``bad`` may get."""
    report.traffic = traffic
    good_failed = {v: t.failed for v, t in traffic.by_version.items() if v != bad and t.failed}
    report.check("traffic flowed", traffic.requests > 0, f"{traffic.requests} requests")
    report.check("no answer was wrong", traffic.wrong == 0, f"{traffic.wrong} wrong")
    report.check(
        "good versions lost nothing", not good_failed, f"failed by version: {good_failed or 'none'}"
    )
    bad_tally = traffic.by_version.get(bad)
    failed_elsewhere = traffic.failed - sum(t.failed for t in traffic.by_version.values())
    report.check(
        "every failure has its version", failed_elsewhere == 0, f"{failed_elsewhere} unexplained"
    )
    report.check(
        f"version {bad} met traffic and failed on some of it",
        bad_tally is not None and bad_tally.failed > 0,
        "never met" if bad_tally is None else f"{bad_tally.failed} of {bad_tally.requests} failed",
    )
    met = 0 if bad_tally is None else bad_tally.requests
    report.check(
        f"version {bad} got at most its share",
        met <= share * traffic.requests,
        f"{met} of {traffic.requests} requests, at most {share:.0%} allowed",
    )

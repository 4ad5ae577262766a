"""The lint of a release: what AWS would refuse or ignore, and where a gate would be blind."""

from __future__ import annotations

from contracts.release_manifest import ReleaseManifest
from release.controller.start import Snapshot
from release.planning.lint import (
    alarms,
    canary,
    capacity,
    capture,
    gates,
    guardrails,
    shadow,
    traffic,
)
from release.planning.lint.finding import ERROR, WARNING, Finding
from release.planning.survey import Survey

__all__ = ["ERROR", "WARNING", "Finding", "find"]


def find(
    manifest: ReleaseManifest, snapshot: Snapshot, survey: Survey, turnover_seconds: float
) -> tuple[Finding, ...]:
    """Everything that is wrong or doubtful, errors first; what was not asked is not judged."""
    count = capacity.live_count(manifest, snapshot)
    found = [
        *gates.lint(manifest, survey),
        *capture.lint(manifest, snapshot),
        *canary.lint(manifest, snapshot, count),
        *guardrails.lint(manifest, snapshot, count, turnover_seconds),
        *shadow.lint(manifest, snapshot),
        *alarms.lint(manifest, survey, count),
        *capacity.lint(manifest, snapshot, survey),
        *traffic.lint(manifest, survey, count),
    ]
    return tuple(sorted(found, key=lambda f: f.severity != ERROR))

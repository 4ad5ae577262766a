"""Whether a gate on predictions finds the answers of both versions (facts 8)."""

from __future__ import annotations

from contracts.release_manifest import (
    AllAtOnce,
    BlueGreen,
    PredictionGate,
    ReleaseManifest,
    Rolling,
    Strategy,
)
from release.controller.capturing import is_capturing
from release.controller.start import Snapshot
from release.planning.lint.finding import ERROR, WARNING, Finding


def lint(manifest: ReleaseManifest, snapshot: Snapshot) -> list[Finding]:
    live = None if snapshot.live is None else snapshot.live.body.get("DataCaptureConfig")
    is_live_captured = is_capturing(live)
    is_captured = is_live_captured or is_capturing(manifest.target.data_capture)
    guarded = [p for p in manifest.release.phases if _is_shifted(p)]
    found: list[Finding] = []
    for i, gate in enumerate(manifest.release.gates):
        where = f"release.gates[{i}]"
        if not isinstance(gate, PredictionGate):
            continue
        severity = WARNING if gate.dry_run else ERROR
        if not is_captured:
            rule = "the gate predictions reads captured answers, and nothing is captured"
            remedy = "set `capture: {sampling: 100}`, and `slipway up`"
            found.append(Finding(severity, rule, where, remedy))
        elif guarded:
            rule, remedy = _in_a_shift(guarded[0], is_live_captured=is_live_captured)
            found.append(Finding(severity, rule, where, remedy))
    return found


def _is_shifted(phase: Strategy) -> bool:
    """All traffic at once has no minutes of both versions; another rule says that."""
    at_once = isinstance(phase, BlueGreen) and isinstance(phase.shift, AllAtOnce)
    return isinstance(phase, BlueGreen | Rolling) and not at_once


def _in_a_shift(phase: Strategy, *, is_live_captured: bool) -> tuple[str, str]:
    if not is_live_captured:
        rule = (
            f"live is not captured, and {phase.kind} leaves the old fleet as it is: the gate "
            "predictions has nothing to compare with"
        )
    else:
        rule = (
            f"{phase.kind} gives both fleets the variant live, and answers are captured by variant:"
            " the gate predictions cannot tell the old ones from the new"
        )
    return rule, "release by canary or shadow, which capture both versions, or leave the gate out"

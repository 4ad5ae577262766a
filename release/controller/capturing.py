"""Which data capture a release runs with: a gate that reads answers needs both versions'."""

from __future__ import annotations

from typing import Any

from contracts.release_manifest import PredictionGate, Shadow
from release.controller.phases import phase_of
from release.state import Release

Capture = dict[str, Any]


def is_capturing(config: Capture | None) -> bool:
    """Whether a DataCaptureConfig captures anything; the API's own default is to do so."""
    return bool(config) and bool(config.get("EnableCapture", True))


def capture_of(release: Release) -> Capture | None:
    """Where gates read answers: as the new version has it, else as live had it before."""
    new, live = release.manifest.target.data_capture, _of_live(release)
    return next((c for c in (new, live) if is_capturing(c)), None)


def own_capture(release: Release) -> Capture | None:
    """What a configuration made by the release itself captures: as live does, or as a gate needs.

    Live may not capture at all, or elsewhere: where a gate reads answers, both variants are
    captured as the new version has it.
    """
    return capture_of(release) if _reads_answers(release) else _of_live(release)


def compares_pairs(release: Release) -> bool:
    """Whether a shadow's answers are held against live's one by one: wherever any are captured.

    The shadow's own configuration captures both variants, whatever live did before.
    """
    return isinstance(phase_of(release), Shadow) and capture_of(release) is not None


def _reads_answers(release: Release) -> bool:
    gates = release.manifest.release.gates
    return any(isinstance(g, PredictionGate) for g in gates) or compares_pairs(release)


def _of_live(release: Release) -> Capture | None:
    return release.before.config.body.get("DataCaptureConfig")

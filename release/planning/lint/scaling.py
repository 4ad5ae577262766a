"""Scaling that an earlier release could not put back."""

from __future__ import annotations

from release.controller.start import Snapshot
from release.owed import due
from release.planning.lint.finding import Finding, warning
from release.state import EndpointState


def lint(state: EndpointState, snapshot: Snapshot) -> list[Finding]:
    owed = state.owed_scaling
    if owed is None or due(owed, snapshot.scaling) is None:
        return []
    rule = f"{owed.text}, so the release begins without it"
    remedy = "correct what AWS refuses; `slipway status` and every release try it again"
    return [warning(rule, "endpoint.scaling", remedy)]

"""The finer parts of the evidence: what was predicted, how sure each number is, what changed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, Shadow
from release.evidence.evalues import e_values
from release.gates.bands import band
from release.observation import Config, VariantMinute
from release.state import Entry, Release

# Kinds of log entries that the evidence lists by themselves; who writes them, writes these keys.
PLANNED = "planned"  # data: seconds [least, expected or null, most], turnover_seconds
HOOK = "hook"  # data: name, answer
REVISED = "revised"  # data: start of the minute, before, after
WEIGHTS = ("weight", "mirror", "shift", "zero", "back", "landed")


def details(release: Release, after: Config | None) -> dict[str, Any]:
    """What the evidence has beside the result, the log and the minutes."""
    return {
        "predicted": predicted(release),
        "steps_in_detail": steps_in_detail(release),
        "weights": weights(release),
        "e_values": asdict(e_values(release)),
        "hooks": hooks(release),
        "pairs": pairs(release),
        "revisions": [_told(entry) for entry in release.log if entry.kind == REVISED],
        "drivers": [_told(e) for e in release.log if e.kind in ("started", "continued")],
        "configuration": {
            "before": _config(release.before.config),
            "after": None if after is None else _config(after),
        },
    }


def predicted(release: Release) -> dict[str, Any] | None:
    """What the plan promised when the release began; None where nothing was noted."""
    for entry in release.log:
        if entry.kind == PLANNED:
            return dict(entry.data)
    return None


def steps_in_detail(release: Release) -> list[dict[str, Any]]:
    """Each step with the share of errors (and slow answers) of both variants and their bands."""
    rows: list[dict[str, Any]] = []
    for index, step in enumerate(release.steps):
        minutes = [m for m in release.minutes if m.step == index]
        rows.append(
            {
                "step": index,
                "weight": step.weight,
                "verdict": step.verdict,
                "text": step.text,
                "seconds": step.seconds,
                "minutes": len(minutes),
                LIVE_VARIANT: _totals([m.live for m in minutes]),
                CANDIDATE_VARIANT: _totals([m.candidate for m in minutes]),
            }
        )
    return rows


def _totals(counts: list[VariantMinute]) -> dict[str, Any]:
    requests = sum(c.requests for c in counts)
    errors = sum(c.errors for c in counts)
    timed = [c for c in counts if c.slow is not None]
    slow = sum(c.slow or 0 for c in timed)
    timed_requests = sum(c.requests for c in timed)
    return {
        "requests": requests,
        "errors": errors,
        "error_share": asdict(band(errors, requests)),
        "slow": slow if timed else None,
        "slow_share": asdict(band(slow, timed_requests)),
    }


def hooks(release: Release) -> list[dict[str, Any]]:
    """Each change of an answer where the log has them, else the last answer of each hook."""
    noted = [_told(entry) for entry in release.log if entry.kind == HOOK]
    if noted:
        return noted
    last: dict[str, Any] = getattr(release, "hooks", {})
    return [{"at": a.at, "text": a.text, "name": n, "answer": a.answer} for n, a in last.items()]


def pairs(release: Release) -> list[dict[str, Any]]:
    """Answers of a shadow and of live that agree or differ, by minute."""
    found: tuple[Any, ...] = getattr(release, "pairs", ())
    return [{"start": p.start, "agree": p.pairs.agree, "differ": p.pairs.differ} for p in found]


def weights(release: Release) -> list[dict[str, Any]]:
    """The new version's share of the traffic in percent, from each of these moments on.

    ``mirrored``: it is the share of live's requests of which a shadow got copies.
    """
    found: list[dict[str, Any]] = [{"at": release.started_at, "weight": 0.0, "mirrored": False}]
    phases = iter(release.manifest.release.phases)
    phase = next(phases)
    for entry in release.log:
        if entry.kind == "phase":
            phase = next(phases, phase)
        weight = _weight(entry)
        if entry.kind == "entered":
            # A shadow takes its copies from the start; a candidate enters with none.
            weight = phase.sampling_percent if isinstance(phase, Shadow) else 0.0
        if weight is None:
            continue
        is_copy = weight > 0 and isinstance(phase, Shadow) and entry.kind != "landed"
        if (weight, is_copy) != (found[-1]["weight"], found[-1]["mirrored"]):
            found.append({"at": entry.at, "weight": weight, "mirrored": is_copy})
    return found


def _weight(entry: Entry) -> float | None:
    match entry.kind:
        case "zero" | "back" | "left":
            return 0.0
        case "landed":
            return 100.0
        case kind if kind in WEIGHTS:
            value = entry.data.get("weight")
            return float(value) if isinstance(value, int | float) else None
        case _:
            return None


def _told(entry: Entry) -> dict[str, Any]:
    return {"at": entry.at, "text": entry.text, **entry.data}


def _config(config: Config) -> dict[str, Any]:
    return {"name": config.name, "body": config.body, "tags": config.tags}

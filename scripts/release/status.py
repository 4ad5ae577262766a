"""What `slipway status` and `slipway history` tell of an endpoint."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from contracts.history import page_key
from contracts.release_manifest import ReleaseManifest
from release.aws.store import read_evidence, read_freeze
from release.controller.versions import good_of_config
from release.driver.lock import holder, this_process, where
from release.observation import Config, Endpoint
from release.state import HELD, EndpointState, Release
from scripts.release.owed import settled_state
from scripts.release.stack import ReleaseStack

TOLD = (
    "id",
    "purpose",
    "from_version",
    "to_version",
    "outcome",
    "reason",
    "seconds",
    "started_at",
    "started_by",
)


def status_row(place: ReleaseStack, manifest: ReleaseManifest) -> dict[str, Any]:
    cloud, name = place.cloud, manifest.endpoint_name
    endpoint = cloud.endpoint(name)
    state = settled_state(place, name)
    config = cloud.config(endpoint.config_name) if endpoint.config_name else None
    live = _live_row(state, endpoint, config)
    live_hash, target, owed = live["hash"] or None, manifest.target, state.owed_scaling
    return {
        "model": manifest.model,
        "endpoint": name,
        "status": endpoint.status,
        "live": live if endpoint.config_name else None,
        "variants": _variant_rows(endpoint),
        "shadows": [
            {"name": v.name, "sampled": 100 * v.current_weight, "instances": v.current_count}
            for v in endpoint.shadows
        ],
        "deployment": None if endpoint.deployment is None else asdict(endpoint.deployment),
        "release": None
        if state.current is None
        else _release_row(state, state.current, endpoint.now),
        "owed_scaling": None if owed is None else {**asdict(owed), "text": owed.text},
        "freeze": _freeze_row(place, manifest, endpoint.now),
        "target": {"version": target.version, "hash": target.content_hash},
        "is_pending": live_hash != target.content_hash,
        "is_rejected": target.content_hash in state.rejected,
        "good": [g.version for g in state.good],
        "ways_back": [
            {"version": g.version, "hash": g.content_hash}
            for g in state.good
            if g.content_hash != live_hash
        ],
        "driver": "terminal" if manifest.controller.state_machine_arn is None else "lambda",
        "topic": manifest.controller.topic_arn,
        "alarms": cloud.alarms(manifest.standing_alarms) if manifest.standing_alarms else {},
    }


def _live_row(state: EndpointState, endpoint: Endpoint, config: Config | None) -> dict[str, Any]:
    version, live_hash = (None, None) if config is None else (config.version, config.content_hash)
    if live_hash is None and state.current is not None:
        known = state.current.before.good
    else:  # also while it serves by a configuration that was deleted
        known = good_of_config(state, endpoint.config_name) if config is None else None
    if known is not None:
        version, live_hash = known.version, known.content_hash
    return {
        "version": version or "unknown",
        "hash": live_hash or "",
        "config": endpoint.config_name,
        "is_deleted": config is None,
    }


def _variant_rows(endpoint: Endpoint) -> list[dict[str, Any]]:
    total = sum(v.current_weight for v in endpoint.variants)
    return [
        {
            "name": v.name,
            "weight": v.current_weight,
            "share": 100 * v.current_weight / total if total else 0.0,
            "instances": v.current_count,
            "wanted_instances": v.desired_count,
        }
        for v in endpoint.variants
    ]


def _release_row(state: EndpointState, running: Release, now: float) -> dict[str, Any]:
    lock = holder(state, time.time(), this_process("", "", frozenset()))
    return {
        "id": running.id,
        "purpose": running.purpose,
        "strategy": running.manifest.release.strategy.kind,
        "phase": running.manifest.release.phases[running.phase].kind,
        "phases": [p.kind for p in running.manifest.release.phases],
        "stage": running.stage,
        "step": running.step,
        "paused": running.paused_at is not None,
        "paused_by": running.paused_by,
        "is_held": running.stage == HELD,
        "reason": running.reason,
        "promote_now": running.promote_now,
        "from_version": running.before.good.version,
        "to_version": running.destination.version,
        "to_hash": running.destination.content_hash,
        "started_at": running.started_at,
        "seconds": max(0.0, now - running.started_at),
        "stage_seconds": max(0.0, now - running.stage_since),
        "counts": _counts(running),
        "held_by": None if lock is None else f"{lock.owner} on {where(lock)}",
    }


def _counts(running: Release) -> dict[str, dict[str, int]] | None:
    """What counts in the step that the release is in; None before its first minute."""
    minutes = [m for m in running.minutes if m.step == running.step]
    if not minutes:
        return None
    sides = {"live": [m.live for m in minutes], "candidate": [m.candidate for m in minutes]}
    return {
        name: {"requests": sum(m.requests for m in side), "errors": sum(m.errors for m in side)}
        for name, side in sides.items()
    }


def _freeze_row(
    place: ReleaseStack, manifest: ReleaseManifest, now: float
) -> dict[str, Any] | None:
    freeze = read_freeze(place.s3, place.bucket)
    if freeze is None or not freeze.holds(manifest.model, now):
        return None
    return {**asdict(freeze), "text": freeze.text}


def history_rows(place: ReleaseStack, state: EndpointState, limit: int) -> list[dict[str, Any]]:
    """The newest ``limit`` releases that are remembered, the newest first."""
    rows: list[dict[str, Any]] = []
    for release_id in reversed(state.releases[-limit:]):
        text = read_evidence(place.s3, place.bucket, release_id)
        if text is not None:
            told: dict[str, Any] = json.loads(text)
            page = f"s3://{place.bucket}/{page_key(release_id)}"
            rows.append({**{k: told[k] for k in TOLD}, "page": page})
        elif state.current is not None and state.current.id == release_id:
            rows.append(_running_row(state.current))
    return rows


def _running_row(running: Release) -> dict[str, Any]:
    return {
        "id": running.id,
        "purpose": running.purpose,
        "from_version": running.before.good.version,
        "to_version": running.destination.version,
        "outcome": f"running ({running.stage})",
        "reason": running.reason,
        "seconds": running.stage_since - running.started_at,
        "started_at": running.started_at,
        "started_by": running.started_by,
    }

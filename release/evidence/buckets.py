"""The minutes of a release in few enough buckets for a chart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from contracts.release_manifest import CANDIDATE_VARIANT as CANDIDATE
from contracts.release_manifest import LIVE_VARIANT as LIVE
from contracts.release_manifest import SHADOW_VARIANT

VARIANTS = (LIVE, SHADOW_VARIANT, CANDIDATE)
MAX_POINTS, MIN_POINTS = 96, 12
FEW = 30
BUCKETS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
MINUTE = 60.0


@dataclass(frozen=True)
class Bucket:
    """Some minutes in one: ``at`` is their middle in seconds since the release began."""

    at: float
    start: float
    counts: dict[str, dict[str, int]]
    p95: dict[str, float | None]


def in_buckets(told: dict[str, Any]) -> tuple[list[Bucket], int]:
    """The timeline in at most 96 buckets, and how many minutes each has."""
    rows: list[dict[str, Any]] = told.get("timeline") or []
    if not rows:
        return [], 1
    began = float(told["started_at"])
    span = (float(rows[-1]["start"]) - float(rows[0]["start"])) / MINUTE + 1
    new = (row.get(name) for row in rows for name in (CANDIDATE, SHADOW_VARIANT))
    requests = sum(int(counts["requests"]) for counts in new if counts)
    size = _size(span, requests)
    grouped: dict[float, list[dict[str, Any]]] = {}
    for row in rows:
        start = float(row["start"])
        grouped.setdefault(start // (size * MINUTE) * size * MINUTE, []).append(row)
    return [_bucket(start, group, began) for start, group in sorted(grouped.items())], size


def _size(span: float, requests: int) -> int:
    """Minutes in a bucket: few enough points, and some dozens of requests in each if it can be."""
    for size in BUCKETS:
        points = span / size
        if points <= MAX_POINTS and (requests / points >= FEW or points <= MIN_POINTS):
            return size
    return math.ceil(span / MAX_POINTS)


def variants_in(buckets: list[Bucket]) -> list[str]:
    """Live, and what it was compared with: a shadow, a candidate, or one after the other."""
    return [v for v in VARIANTS if v == LIVE or any(b.counts[v]["requests"] for b in buckets)]


def _bucket(start: float, rows: list[dict[str, Any]], began: float) -> Bucket:
    counts: dict[str, dict[str, int]] = {}
    p95: dict[str, float | None] = {}
    for variant in VARIANTS:
        seen = [told for row in rows if (told := row.get(variant))]
        timed = [s for s in seen if s.get("slow") is not None]
        counts[variant] = {
            "requests": sum(int(s["requests"]) for s in seen),
            "errors": sum(int(s["errors"]) for s in seen),
            "timed": sum(int(s["requests"]) for s in timed),
            "slow": sum(int(s["slow"]) for s in timed),
        }
        latencies = [float(s["p95_us"]) for s in seen if s.get("p95_us") is not None]
        p95[variant] = max(latencies) / 1000 if latencies else None
    first, last = float(rows[0]["start"]), float(rows[-1]["start"]) + MINUTE
    return Bucket(max(0.0, (first + last) / 2 - began), start, counts, p95)

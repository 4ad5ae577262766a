"""Which minutes of traffic count: wholly at one weight, settled, after the warm-up, each once."""

from __future__ import annotations

import math
from dataclasses import replace

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, ReleaseManifest
from release.gates import CountedMinute
from release.observation import Endpoint, MetricQuery, Observation
from release.stages import transition_config
from release.state import Release

MINUTE = 60.0


def last_settled(manifest: ReleaseManifest, now: float) -> float:
    """The start of the youngest minute whose metrics have settled."""
    return math.floor((now - manifest.release.settle_seconds) / MINUTE) * MINUTE - MINUTE


def first_counting(release: Release) -> float | None:
    """The start of the first minute that counts at this weight."""
    if release.clean_since is None or release.first_traffic_at is None:
        return None
    warm = release.first_traffic_at + release.manifest.release.warm_up_seconds
    return math.ceil(max(release.clean_since, warm) / MINUTE) * MINUTE


def unseen_minutes(release: Release, endpoint: Endpoint) -> MetricQuery | None:
    """The minutes to ask for: those that count and were not answered yet."""
    first = first_counting(release)
    last = last_settled(release.manifest, endpoint.now)
    if first is None or last < first:
        return None
    seen = {m.start for m in release.minutes}
    wanted = int((last - first) / MINUTE) + 1
    unseen = [s for i in range(wanted) if (s := first + i * MINUTE) not in seen]
    if not unseen:
        return None
    variants = (LIVE_VARIANT, CANDIDATE_VARIANT)
    return MetricQuery(transition_config(release), variants, unseen[0], last)


def with_minutes(release: Release, observation: Observation) -> Release:
    """Add the minutes that count and in which both variants answered; each once."""
    first = first_counting(release)
    if first is None:
        return release
    last = last_settled(release.manifest, observation.endpoint.now)
    live = observation.series.get(LIVE_VARIANT, {})
    candidate = observation.series.get(CANDIDATE_VARIANT, {})
    seen = {m.start for m in release.minutes}
    share = release.manifest.release.steps[release.step].weight / 100
    new = tuple(
        CountedMinute(start, release.step, share, live[start], candidate[start])
        for start in sorted(live.keys() & candidate.keys())
        if first <= start <= last
        and start not in seen
        and live[start].requests
        and candidate[start].requests
    )
    return replace(release, minutes=release.minutes + new) if new else release

"""Which minutes of traffic count: wholly at one share, settled, after the warm-up, each once.

A minute may come late, and what was read may be revised: the youngest ones are read again whenever
a new one is due.
"""

from __future__ import annotations

import math
from dataclasses import replace

from contracts.release_manifest import (
    LIVE_VARIANT,
    BlueGreen,
    LatencyGate,
    LimitGate,
    ReleaseManifest,
    Rolling,
)
from release.controller.phases import candidate_variant, phase_of, step_of
from release.controller.stages import Stage, transition_config
from release.gates import CountedMinute
from release.observation import (
    CaptureQuery,
    Endpoint,
    MetricQuery,
    Observation,
    VariantMinute,
)
from release.state import PairMinute, Release, Stretch

MINUTE = 60.0
# The Date of an answer has whole seconds, so what it dates may be up to one second younger.
DATE_RESOLUTION_SECONDS = 1.0
# How far back a revision is looked for.
REVISED_SECONDS = 15 * MINUTE
CANDIDATE = "candidate"


def last_settled(manifest: ReleaseManifest, now: float) -> float:
    """The start of the youngest minute whose metrics have settled."""
    return math.floor((now - manifest.release.settle_seconds) / MINUTE) * MINUTE - MINUTE


def first_counting(release: Release) -> float | None:
    """The start of the first minute that counts at this weight."""
    if release.clean_since is None or release.first_traffic_at is None:
        return None
    cold = max(release.first_traffic_at, release.grown_at or 0.0)
    warm = cold + release.manifest.release.warm_up_seconds
    return math.ceil(max(release.clean_since, warm) / MINUTE) * MINUTE


def stretches(release: Release) -> tuple[Stretch, ...]:
    """The times whose minutes count, warm-up left out."""
    if release.stage == Stage.SHIFT:
        warm_up = release.manifest.release.warm_up_seconds
        # Every share brings instances that are cold.
        return tuple(replace(s, start=s.start + warm_up) for s in release.stretches)
    first = first_counting(release)
    if first is None:
        return ()
    return (Stretch(first, None, step_of(release).weight / 100, 0),)


def minutes_of(stretch: Stretch, last: float) -> tuple[float, float] | None:
    """The starts of its first and last whole settled minute."""
    first = math.ceil(stretch.start / MINUTE) * MINUTE
    if stretch.end is not None:
        last = min(last, math.floor(stretch.end / MINUTE) * MINUTE - MINUTE)
    return None if last < first else (first, last)


def wanted(release: Release, endpoint: Endpoint) -> tuple[float, float] | None:
    """First and last minute to ask for; None until there is one that was not asked for yet.

    With it the youngest ones are asked for again: they may have come late, or be revised.
    """
    settled = last_settled(release.manifest, endpoint.now)
    spans = [s for s in (minutes_of(t, settled) for t in stretches(release)) if s is not None]
    if not spans:
        return None
    begin, end = min(s[0] for s in spans), max(s[1] for s in spans)
    if end <= release.asked_until:
        return None
    return max(begin, min(release.asked_until, end) - REVISED_SECONDS), end


def queries(release: Release, endpoint: Endpoint) -> tuple[MetricQuery, ...]:
    """What to ask CloudWatch in a stage that compares."""
    span = wanted(release, endpoint)
    if span is None:
        return ()
    over = slow_limit(release)
    phase = phase_of(release)
    if isinstance(phase, BlueGreen | Rolling):
        target = release.destination.endpoint_config_name
        return (
            MetricQuery(release.before.config.name, (LIVE_VARIANT,), *span, "", over),
            MetricQuery(target, (LIVE_VARIANT,), *span, CANDIDATE, over),
        )
    config = transition_config(release)
    return (
        MetricQuery(config, (LIVE_VARIANT,), *span, "", over),
        MetricQuery(config, (candidate_variant(phase),), *span, CANDIDATE, over),
    )


def capture_query(
    release: Release, asked: tuple[MetricQuery, ...], *, pairs: bool
) -> CaptureQuery | None:
    """The captured answers of the same minutes as ``asked``."""
    if not asked:
        return None
    sources = {q.alias or q.variants[0]: q.variants[0] for q in asked}
    return CaptureQuery(sources, asked[0].since, asked[0].until, release.bins, pairs)


def slow_limit(release: Release) -> float | None:
    """Microseconds above which an answer counts as slow; all gates have the same."""
    for gate in release.manifest.release.gates:
        if isinstance(gate, LatencyGate) or (isinstance(gate, LimitGate) and gate.metric == "slow"):
            return gate.over_us
    return None


def with_minutes(release: Release, observation: Observation) -> Release:
    """Add the minutes that count and in which both variants answered; revise those that changed."""
    live = observation.series.get(LIVE_VARIANT)
    candidate = observation.series.get(CANDIDATE)
    span = wanted(release, observation.endpoint)
    asked_until = release.asked_until if span is None else span[1]
    if observation.pairs:
        release = _with_pairs(release, observation)
    changed: dict[float, CountedMinute] = {}
    known: dict[float, CountedMinute] = {}
    if live and candidate:
        starts = sorted(live.keys() & candidate.keys())
        known = _known_from(release.minutes, starts[0] if starts else math.inf)
        changed = _changed(release, observation, starts, known)
    if not changed:
        is_same = asked_until == release.asked_until
        return release if is_same else replace(release, asked_until=asked_until)
    revised = sorted(changed.keys() & known.keys())
    if not revised and (not known or max(known) < min(changed)):
        minutes = release.minutes + tuple(changed[s] for s in sorted(changed))
    else:
        merged = known | changed
        earlier = release.minutes[: len(release.minutes) - len(known)]
        minutes = (*earlier, *(merged[s] for s in sorted(merged)))
    release = replace(release, asked_until=asked_until, minutes=minutes)
    if not revised:
        return release
    text = f"{len(revised)} counted minute{'s' if len(revised) > 1 else ''} revised"
    data = {f"{s:.0f}": [_counts(known[s]), _counts(changed[s])] for s in revised}
    return release.noted(observation.endpoint.now, "revised", text, minutes=data)


def _changed(
    release: Release,
    observation: Observation,
    starts: list[float],
    known: dict[float, CountedMinute],
) -> dict[float, CountedMinute]:
    """The minutes that count and are new, or are not as they were read before."""
    live, candidate = observation.series[LIVE_VARIANT], observation.series[CANDIDATE]
    settled = last_settled(release.manifest, observation.endpoint.now)
    changed: dict[float, CountedMinute] = {}
    for stretch in stretches(release):
        within = minutes_of(stretch, settled)
        if within is None:
            continue
        for start in starts:
            if not within[0] <= start <= within[1]:
                continue
            before = known.get(start)
            if before is not None and (
                before.step != release.step
                or (before.live == live[start] and before.candidate == candidate[start])
            ):
                continue
            if not live[start].requests or not candidate[start].requests:
                continue
            minute = CountedMinute(
                start, release.step, stretch.share, live[start], candidate[start]
            )
            if before is not None:
                minute = keeping_predictions(minute, before)
            if minute != before:
                changed[start] = minute
    return changed


def keeping_predictions(minute: CountedMinute, before: CountedMinute) -> CountedMinute:
    """What was captured stays captured: a reading of the bucket that failed takes nothing away."""
    live = _keeping(minute.live, before.live)
    candidate = _keeping(minute.candidate, before.candidate)
    if live is minute.live and candidate is minute.candidate:
        return minute
    return replace(minute, live=live, candidate=candidate)


def _keeping(read: VariantMinute, before: VariantMinute) -> VariantMinute:
    if read.predictions is not None or before.predictions is None:
        return read
    return replace(read, predictions=before.predictions)


def _known_from(minutes: tuple[CountedMinute, ...], since: float) -> dict[float, CountedMinute]:
    """The counted minutes from ``since`` on; they are in the order of their starts."""
    known: dict[float, CountedMinute] = {}
    for minute in reversed(minutes):
        if minute.start < since:
            break
        known[minute.start] = minute
    return known


def _counts(minute: CountedMinute) -> list[int]:
    live, candidate = minute.live, minute.candidate
    return [live.requests, live.errors, candidate.requests, candidate.errors]


def _with_pairs(release: Release, observation: Observation) -> Release:
    known = {p.start: p for p in release.pairs}
    merged = known | {s: PairMinute(s, p) for s, p in observation.pairs.items()}
    if merged == known:
        return release
    return replace(release, pairs=tuple(merged[s] for s in sorted(merged)))

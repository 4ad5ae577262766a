"""Which charts a release's page has: from the evidence's minutes to lines, bands and tables."""

from __future__ import annotations

import math
from typing import Any

from contracts.release_manifest import SHADOW_VARIANT
from release.evidence.buckets import (
    CANDIDATE,
    MAX_POINTS,
    MINUTE,
    Bucket,
    in_buckets,
    variants_in,
)
from release.gates.bands import band
from release.page.drawing import Chart, Limit, Line, linear_ticks
from release.page.figure import Figure, Table, legend_of, marks_of, seconds_of
from release.page.text import duration, interval, milliseconds, power, tick_power

# Requests from which on an interval is narrow enough to decide the scale of a chart.
ENOUGH = 150
SPLIT = {
    SHADOW_VARIANT: "Percent of live's traffic that is copied to the shadow, at most {:g} %.",
    CANDIDATE: "Percent of all traffic to the candidate, at most {:g} %, the rest is live's.",
}


def figures(told: dict[str, Any]) -> list[Figure]:
    """The charts that this evidence has numbers for."""
    buckets, minutes = in_buckets(told)
    each = "minute" if minutes == 1 else f"{minutes} minutes"
    found = [
        _traffic(told),
        _shares(told, buckets, "errors", "requests", "Share of errors", each),
        _shares(told, buckets, "slow", "timed", "Share of slow answers", each),
        _latency(told, buckets, each),
        _differing(told, each),
        _e_values(told),
    ]
    return [figure for figure in found if figure is not None]


# --- traffic


def _traffic(told: dict[str, Any]) -> Figure | None:
    weights: list[dict[str, Any]] = told.get("weights") or []
    if not weights:
        return None
    began, seconds = float(told["started_at"]), seconds_of(told)
    shares = {
        SHADOW_VARIANT: [float(w["weight"]) if w.get("mirrored") else 0.0 for w in weights],
        CANDIDATE: [0.0 if w.get("mirrored") else float(w["weight"]) for w in weights],
    }
    names = [name for name, values in shares.items() if any(values)] or [CANDIDATE]
    ats = [max(0.0, float(w["at"]) - began) for w in weights]
    peaks = {name: max(shares[name]) for name in names}
    peak = max(peaks.values())
    ticks = (0.0, 25.0, 50.0, 75.0, 100.0) if peak > 50 else tuple(linear_ticks(max(peak, 1.0)))
    changes = [
        f"{float(w['weight']):g} %{' copied to the shadow' if w.get('mirrored') else ''} after "
        f"{duration(at)}"
        for at, w in zip(ats[1:], weights[1:], strict=True)
    ]
    chart = Chart(
        "traffic",
        "Traffic split over time",
        "The new version's share: 0 % at first"
        + (", then " + ", ".join(changes) if changes else "")
        + ".",
        seconds,
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:g} %",
        [
            Line(
                name,
                name,
                [*zip(ats, shares[name], strict=True), (seconds, shares[name][-1])],
                is_stepped=True,
                is_filled=True,
            )
            for name in names
        ],
    )
    rows = tuple(
        (duration(at), *(f"{shares[name][i]:g} %" for name in names)) for i, at in enumerate(ats)
    )
    caption = " ".join(SPLIT[name].format(peaks[name]) for name in names)
    return Figure(chart, caption, legend_of(names), Table(("after", *names), rows))


# --- shares with bands


def _shares(
    told: dict[str, Any], buckets: list[Bucket], what: str, of: str, title: str, each: str
) -> Figure | None:
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    top = 0.0
    seen = 0
    names = variants_in(buckets)
    for variant in names:
        points: list[tuple[float, float | None]] = []
        bands: list[tuple[float, float, float]] = []
        for bucket in buckets:
            counts = bucket.counts[variant]
            told_band = band(counts[what], counts[of])
            points.append((bucket.at, _percent(told_band.share)))
            if told_band.low is not None and told_band.high is not None:
                bands.append((bucket.at, 100 * told_band.low, 100 * told_band.high))
                # Intervals of few requests would squeeze all others: they are cut at the top.
                is_wide = counts[of] < ENOUGH
                top = max(top, 1.5 * (points[-1][1] or 0.0) if is_wide else 100 * told_band.high)
                seen += counts[of]
        if bands:
            # One of them is shown whole, also where all are of few requests.
            top = max(top, min(high for _, _, high in bands))
        lines.append(Line(variant, variant, points, bands))
    if not seen:
        return None
    for bucket in buckets:
        cells = (_share_cells(bucket.counts[variant], what, of) for variant in names)
        rows.append((duration(bucket.at), *(cell for each_of in cells for cell in each_of)))
    ticks = linear_ticks(min(100.0, max(top, 0.1)))
    totals = ", ".join(f"{variant} {_total(buckets, variant, what, of)}" for variant in names)
    chart = Chart(
        what,
        title,
        f"{totals} over the whole release.",
        seconds_of(told),
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:.3g} %",
        lines,
        marks=marks_of(told),
    )
    caption = f"Percent of requests, one point for each {each}; shaded: 95 % intervals (Wilson)."
    columns = ("after", *(column for name in names for column in (name, "of", "95 %")))
    return Figure(chart, caption, legend_of(names), Table(columns, tuple(rows)))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _share_cells(counts: dict[str, int], what: str, of: str) -> tuple[str, str, str]:
    told = band(counts[what], counts[of])
    return f"{counts[what]:,}", f"{counts[of]:,}", interval(told.low, told.high)


def _total(buckets: list[Bucket], variant: str, what: str, of: str) -> str:
    count = sum(b.counts[variant][what] for b in buckets)
    total = sum(b.counts[variant][of] for b in buckets)
    return f"{count:,} of {total:,}"


# --- latency, where nobody counted slow answers


def _latency(told: dict[str, Any], buckets: list[Bucket], each: str) -> Figure | None:
    values = [p for b in buckets for p in b.p95.values() if p is not None]
    if not values:
        return None
    ticks = linear_ticks(max(values))
    names = variants_in(buckets)
    lines = [Line(variant, variant, [(b.at, b.p95[variant]) for b in buckets]) for variant in names]
    chart = Chart(
        "latency",
        "p95 latency",
        f"The slowest {each} had {max(values):.3g} ms.",
        seconds_of(told),
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:,g} ms",
        lines,
        marks=marks_of(told),
    )
    rows = tuple((duration(b.at), *(milliseconds(b.p95[v]) for v in names)) for b in buckets)
    caption = f"The model's p95 latency in milliseconds, the worst of each {each}."
    return Figure(chart, caption, legend_of(names), Table(("after", *names), rows))


# --- pairs of a shadow


def _differing(told: dict[str, Any], each: str) -> Figure | None:
    pairs: list[dict[str, Any]] = told.get("pairs") or []
    if not pairs:
        return None
    began = float(told["started_at"])
    size = max(1, math.ceil(len(pairs) / MAX_POINTS))
    rows: list[tuple[str, ...]] = []
    points: list[tuple[float, float | None]] = []
    bands: list[tuple[float, float, float]] = []
    for i in range(0, len(pairs), size):
        group = pairs[i : i + size]
        differ = sum(int(p["differ"]) for p in group)
        total = differ + sum(int(p["agree"]) for p in group)
        at = max(0.0, (float(group[0]["start"]) + float(group[-1]["start"]) + MINUTE) / 2 - began)
        told_band = band(differ, total)
        points.append((at, _percent(told_band.share)))
        if told_band.low is not None and told_band.high is not None:
            bands.append((at, 100 * told_band.low, 100 * told_band.high))
        rows.append(
            (duration(at), f"{differ:,}", f"{total:,}", interval(told_band.low, told_band.high))
        )
    ticks = linear_ticks(max([high for _, _, high in bands] or [0.1]))
    chart = Chart(
        "pairs",
        "Pairs that differ",
        f"{sum(int(p['differ']) for p in pairs):,} pairs of answers differ.",
        seconds_of(told),
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:.3g} %",
        (Line(CANDIDATE, CANDIDATE, points, bands),),
    )
    caption = f"Percent of paired answers in which shadow and live differ, each {each}."
    columns = ("after", "differ", "of", "95 %")
    return Figure(chart, caption, ((CANDIDATE, "differ"),), Table(columns, tuple(rows)))


# --- e-values


def _e_values(told: dict[str, Any]) -> Figure | None:
    values: dict[str, Any] = told.get("e_values") or {}
    points: list[dict[str, Any]] = values.get("points") or []
    if not points:
        return None
    began = float(told["started_at"])
    fail_at, pass_at = float(values["fail_at"]), float(values["pass_at"])
    seen = [float(p[key]) for p in points for key in ("fail", "passing")]
    high = min(max(fail_at + 1, *seen), fail_at + 6)
    low = max(min(-1.0, *seen), -6.0)
    step = max(1, math.ceil((high - low) / 6))
    low = math.floor(low / step) * step
    high = math.ceil(high / step) * step
    failing = Line(
        "fail", CANDIDATE, [(float(p["start"]) + MINUTE - began, float(p["fail"])) for p in points]
    )
    chart = Chart(
        "evidence",
        "Strength of the evidence (e-values)",
        f"Fail ended at {power(points[-1]['fail'])} of {power(fail_at)}, pass at "
        f"{power(points[-1]['passing'])} of {power(pass_at)}.",
        seconds_of(told),
        float(low),
        float(high),
        [float(v) for v in range(low, high + 1, step)],
        tick_power,
        (failing, Line("pass", "good", _by_step(points, began))),
        (
            Limit(fail_at, f"fail at {power(fail_at)}", "bad"),
            Limit(pass_at, f"pass at {power(pass_at)}", "good", is_right=True),
        ),
        marks_of(told),
    )
    rows = tuple(
        (
            duration(float(p["start"]) + MINUTE - began),
            str(int(p["step"]) + 1),
            power(p["fail"]),
            power(p["passing"]),
        )
        for p in points
    )
    caption = (
        "Gate errors, on a logarithmic scale. Worse than live: over the whole release; within "
        "the tolerance: anew at each step. Crossing its line decides."
    )
    legend = ((CANDIDATE, "worse than live (fail)"), ("good", "within the tolerance (pass)"))
    return Figure(chart, caption, legend, Table(("after", "step", "fail", "pass"), rows))


def _by_step(points: list[dict[str, Any]], began: float) -> list[tuple[float, float | None]]:
    """A gap between steps: the pass is decided anew."""
    found: list[tuple[float, float | None]] = []
    for i, point in enumerate(points):
        at = float(point["start"]) + MINUTE - began
        if i and point["step"] != points[i - 1]["step"]:
            found.append((at, None))
        found.append((at, float(point["passing"])))
    return found

"""Which charts a release's page has: from the evidence's minutes to lines, bands and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from contracts.release_manifest import SHADOW_VARIANT
from release.bands import band
from release.buckets import CANDIDATE, LIVE, MAX_POINTS, MINUTE, Bucket, in_buckets
from release.charts import Chart, Limit, Line, linear_ticks
from release.page_text import duration, interval, milliseconds, power, tick_power

# Requests from which on an interval is narrow enough to decide the scale of a chart.
ENOUGH = 150


@dataclass(frozen=True)
class Table:
    """The numbers of a chart, for those who cannot see it or want to know exactly."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """``caption`` says what to see; ``legend``: (style, name) of each line."""

    chart: Chart
    caption: str
    legend: tuple[tuple[str, str], ...]
    table: Table


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
    began, seconds = float(told["started_at"]), _seconds(told)
    is_mirrored = _newcomer(told) != CANDIDATE
    what = "of live's traffic is copied to the shadow" if is_mirrored else "of all traffic"
    points = [(max(0.0, float(w["at"]) - began), float(w["weight"])) for w in weights]
    points.append((seconds, points[-1][1]))
    peak = max(weight for _, weight in points)
    ticks = (0.0, 25.0, 50.0, 75.0, 100.0) if peak > 50 else tuple(linear_ticks(max(peak, 1.0)))
    changes = [f"{w:g} % after {duration(at)}" for at, w in points[1:-1]]
    chart = Chart(
        "traffic",
        "Traffic split over time",
        "The candidate's share: 0 % at first"
        + (", then " + ", ".join(changes) if changes else "")
        + ".",
        seconds,
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:g} %",
        (Line(CANDIDATE, CANDIDATE, points, is_stepped=True, is_filled=True),),
    )
    rows = tuple((duration(at), f"{weight:g} %") for at, weight in points[:-1])
    rest = "" if is_mirrored else ", the rest is live's"
    caption = f"Percent {what} over time, at most {peak:g} %{rest}."
    return Figure(chart, caption, ((CANDIDATE, _newcomer(told)),), Table(("after", "share"), rows))


# --- shares with bands


def _shares(
    told: dict[str, Any], buckets: list[Bucket], what: str, of: str, title: str, each: str
) -> Figure | None:
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    top = 0.0
    seen = 0
    for variant in (LIVE, CANDIDATE):
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
        lines.append(Line(variant, variant, points, bands))
    if not seen:
        return None
    for bucket in buckets:
        cells = [_share_cells(bucket.counts[variant], what, of) for variant in (LIVE, CANDIDATE)]
        rows.append((duration(bucket.at), *cells[0], *cells[1]))
    ticks = linear_ticks(min(100.0, max(top, 0.1)))
    totals = [_total(buckets, variant, what, of) for variant in (LIVE, CANDIDATE)]
    chart = Chart(
        what,
        title,
        f"live {totals[0]}, {_newcomer(told)} {totals[1]} over the whole release.",
        _seconds(told),
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:.3g} %",
        lines,
        marks=_marks(told),
    )
    caption = f"Percent of requests, one point for each {each}; shaded: 95 % intervals (Wilson)."
    columns = ("after", LIVE, "of", "95 %", _newcomer(told), "of", "95 %")
    legend = ((LIVE, LIVE), (CANDIDATE, _newcomer(told)))
    return Figure(chart, caption, legend, Table(columns, tuple(rows)))


def _newcomer(told: dict[str, Any]) -> str:
    is_shadow = told.get("outcome") == "compared" or told.get("strategy") == SHADOW_VARIANT
    return SHADOW_VARIANT if is_shadow else CANDIDATE


def _marks(told: dict[str, Any]) -> list[tuple[float, str]]:
    """The moments at which the candidate's share changed."""
    began = float(told["started_at"])
    weights: list[dict[str, Any]] = told.get("weights") or []
    return [(max(0.0, float(w["at"]) - began), f"{float(w['weight']):g} %") for w in weights[1:]]


def _seconds(told: dict[str, Any]) -> float:
    return max(1.0, float(told.get("seconds") or 0.0))


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
    lines = [
        Line(variant, variant, [(b.at, b.p95[variant]) for b in buckets])
        for variant in (LIVE, CANDIDATE)
    ]
    chart = Chart(
        "latency",
        "p95 latency",
        f"The slowest {each} had {max(values):.3g} ms.",
        _seconds(told),
        0.0,
        ticks[-1],
        ticks,
        lambda v: f"{v:.4g} ms",
        lines,
        marks=_marks(told),
    )
    rows = tuple(
        (duration(b.at), *(milliseconds(b.p95[v]) for v in (LIVE, CANDIDATE))) for b in buckets
    )
    caption = f"The model's p95 latency in milliseconds, the worst of each {each}."
    legend = ((LIVE, LIVE), (CANDIDATE, _newcomer(told)))
    return Figure(chart, caption, legend, Table(("after", LIVE, _newcomer(told)), rows))


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
        _seconds(told),
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
        _seconds(told),
        float(low),
        float(high),
        [float(v) for v in range(low, high + 1, step)],
        tick_power,
        (failing, Line("pass", "good", _by_step(points, began))),
        (
            Limit(fail_at, f"fail at {power(fail_at)}", "bad"),
            Limit(pass_at, f"pass at {power(pass_at)}", "good", is_right=True),
        ),
        _marks(told),
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

"""Charts as inline SVG: steps, lines with bands, a logarithmic scale; no script, no network.

Colours are classes, so that the page's style sheet decides them for light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
TIME_STEPS = (
    (1.0, "s"), (5.0, "s"), (10.0, "s"), (30.0, "s"),
    (MINUTE, "min"), (2 * MINUTE, "min"), (5 * MINUTE, "min"), (10 * MINUTE, "min"),
    (15 * MINUTE, "min"), (30 * MINUTE, "min"),
    (HOUR, "h"), (2 * HOUR, "h"), (3 * HOUR, "h"), (6 * HOUR, "h"), (12 * HOUR, "h"),
    (DAY, "d"), (2 * DAY, "d"), (7 * DAY, "d"), (14 * DAY, "d"), (30 * DAY, "d"),
)  # fmt: skip
UNITS = {"s": 1.0, "min": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True)
class Size:
    """A drawing in CSS pixels: shown as it is, so that its text stays readable on a phone."""

    name: str
    width: int
    height: int
    ticks: int


WIDE = Size("wide", 720, 240, 8)
NARROW = Size("narrow", 340, 220, 4)
SIZES = (WIDE, NARROW)
LEFT, RIGHT, TOP, BOTTOM = 68, 12, 12, 36


@dataclass(frozen=True)
class Line:
    """``points``: (seconds, value), a None value leaves a gap; ``band``: (seconds, low, high)."""

    name: str
    style: str
    points: Sequence[tuple[float, float | None]]
    band: Sequence[tuple[float, float, float]] = ()
    is_stepped: bool = False
    is_filled: bool = False


@dataclass(frozen=True)
class Limit:
    """A horizontal line at ``value``, with its meaning at its left or right end."""

    value: float
    text: str
    style: str
    is_right: bool = False


@dataclass(frozen=True)
class Chart:
    """``y_text`` writes a value at the axis; ``y_ticks`` where its lines are.

    ``marks``: (seconds, text) of moments that explain what follows them.
    """

    slug: str
    title: str
    description: str
    seconds: float
    y_low: float
    y_high: float
    y_ticks: Sequence[float]
    y_text: Callable[[float], str]
    lines: Sequence[Line]
    limits: Sequence[Limit] = ()
    marks: Sequence[tuple[float, str]] = ()


def svg(chart: Chart, size: Size) -> str:
    """One drawing of ``chart``; title and description are read out in its place."""
    ids = f"{chart.slug}-{size.name}"
    parts = [
        (
            f'<svg class="{size.name}" viewBox="0 0 {size.width} {size.height}" role="img" '
            f'aria-labelledby="{ids}-t {ids}-d">'
        ),
        f'<title id="{ids}-t">{escape(chart.title)}</title>',
        f'<desc id="{ids}-d">{escape(chart.description)}</desc>',
        *_grid(chart, size),
        *_marks(chart, size),
        *(_band(chart, size, line) for line in chart.lines if line.band),
        *(_line(chart, size, line) for line in chart.lines),
        *_limits(chart, size),
        "</svg>",
    ]
    return "".join(parts)


def time_ticks(seconds: float, wanted: int) -> list[float]:
    """Round moments from 0 to ``seconds``, about ``wanted`` of them."""
    step = next((s for s, _ in TIME_STEPS if seconds / s <= wanted), TIME_STEPS[-1][0])
    while seconds / step > 2 * wanted:
        step *= 2
    return [i * step for i in range(math.floor(seconds / step + 1e-9) + 1)]


def time_text(at: float, step: float) -> str:
    unit = next((u for s, u in reversed(TIME_STEPS) if s <= step), "s")
    return f"{at / UNITS[unit]:g} {unit}" if at else "0"


def linear_ticks(high: float, wanted: int = 4) -> list[float]:
    """Round values from 0 to at least ``high``."""
    raw = max(high, 1e-9) / wanted
    size = 10 ** math.floor(math.log10(raw))
    step = next((m * size for m in (1, 2, 2.5, 5) if m * size >= raw), 10 * size)
    return [i * step for i in range(math.ceil(high / step - 1e-9) + 1)]


def _x(chart: Chart, size: Size, at: float) -> float:
    share = at / chart.seconds if chart.seconds > 0 else 0.0
    return LEFT + min(1.0, max(0.0, share)) * (size.width - LEFT - RIGHT)


def _y(chart: Chart, size: Size, value: float) -> float:
    span = chart.y_high - chart.y_low or 1.0
    share = min(1.0, max(0.0, (value - chart.y_low) / span))
    return size.height - BOTTOM - share * (size.height - TOP - BOTTOM)


def _grid(chart: Chart, size: Size) -> list[str]:
    parts: list[str] = []
    right, bottom = size.width - RIGHT, size.height - BOTTOM
    for value in chart.y_ticks:
        y = _y(chart, size, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = escape(chart.y_text(value))
        parts.append(f'<text class="y" x="{LEFT - 8}" y="{y + 4:.1f}">{text}</text>')
    ticks = time_ticks(chart.seconds, size.ticks)
    step = ticks[1] if len(ticks) > 1 else 1.0
    for at in ticks:
        x = _x(chart, size, at)
        parts.append(
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        )
        kind = "x last" if x > right - 16 else "x"
        text = escape(time_text(at, step))
        parts.append(f'<text class="{kind}" x="{x:.1f}" y="{bottom + 20}">{text}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    return parts


def _marks(chart: Chart, size: Size) -> list[str]:
    """A text is left out where it would run into the one before."""
    parts: list[str] = []
    free = 0.0
    for at, text in chart.marks:
        x = _x(chart, size, at)
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{size.height - BOTTOM}"/>'
        )
        long = 7 * len(text) + 6
        is_last = x + long > size.width - RIGHT
        if (x - long if is_last else x) >= free:
            kind, dx = ("mark-text last", -3) if is_last else ("mark-text", 3)
            shown = escape(text)
            parts.append(f'<text class="{kind}" x="{x + dx:.1f}" y="{TOP + 6}">{shown}</text>')
            free = x + long
    return parts


def _line(chart: Chart, size: Size, line: Line) -> str:
    parts: list[str] = []
    for run in _runs(line.points):
        dots = [(_x(chart, size, at), _y(chart, size, value)) for at, value in run]
        if line.is_stepped:
            dots = _stepped(dots)
        if len(dots) == 1:
            x, y = dots[0]
            parts.append(f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
            continue
        path = _path(dots)
        if line.is_filled:
            base = size.height - BOTTOM
            area = f"{path}L{dots[-1][0]:.1f} {base}L{dots[0][0]:.1f} {base}Z"
            parts.append(f'<path class="{line.style} area" d="{area}"/>')
        parts.append(f'<path class="{line.style} line" d="{path}"/>')
    return "".join(parts)


def _band(chart: Chart, size: Size, line: Line) -> str:
    up = [(_x(chart, size, at), _y(chart, size, high)) for at, _, high in line.band]
    down = [(_x(chart, size, at), _y(chart, size, low)) for at, low, _ in reversed(line.band)]
    if len(up) == 1:
        (x, top), (_, bottom) = up[0], down[0]
        return f'<path class="{line.style} whisker" d="M{x:.1f} {top:.1f}L{x:.1f} {bottom:.1f}"/>'
    return f'<path class="{line.style} band" d="{_path([*up, *down])}Z"/>'


def _limits(chart: Chart, size: Size) -> list[str]:
    parts: list[str] = []
    right = size.width - RIGHT
    for limit in chart.limits:
        y = _y(chart, size, limit.value)
        parts.append(
            f'<line class="limit {limit.style}" x1="{LEFT}" x2="{right}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="limit-text{" last" if limit.is_right else ""}" '
            f'x="{right - 4 if limit.is_right else LEFT + 6}" y="{y - 5:.1f}">'
            f"{escape(limit.text)}</text>"
        )
    return parts


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if run]


def _stepped(dots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found = dots[:1]
    for x, y in dots[1:]:
        found += [(x, found[-1][1]), (x, y)]
    return found


def _path(dots: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)

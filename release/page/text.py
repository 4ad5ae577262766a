"""Numbers as people read them on a release's page."""

from __future__ import annotations


def milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g} ms"


def interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{100 * low:.2g}–{100 * high:.2g} %"


def power(exponent: float) -> str:
    """A number by its log10, as people write it."""
    if 2 <= exponent < 5:
        return f"{round(10**exponent):,}"
    if -2 <= exponent < 2:
        return f"{10**exponent:.3g}"
    return f"10^{exponent:.1f}"


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def tick_power(exponent: float) -> str:
    if -1 <= exponent <= 3:
        return f"{10**exponent:g}"
    return f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 12 min, 3 h 5 min, 2 d 4 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, left = divmod(hours, 24)
    return f"{days} d {left} h" if left else f"{days} d"

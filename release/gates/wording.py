"""Numbers as people read them."""

from __future__ import annotations

import math

from contracts.release_manifest import Tolerance


def percent(share: float) -> str:
    value = 100 * share
    return f"{value:.2g} %" if value < 99.5 else f"{value:.0f} %"


def rate(bad: int, requests: int) -> str:
    return percent(bad / requests if requests else 0.0)


def power(log_e: float) -> str:
    """An e-value from its natural logarithm, however large."""
    if math.isinf(log_e):
        return "0" if log_e < 0 else "∞"
    exponent = log_e / math.log(10)
    if -3 < exponent < 3:
        return _significant(math.exp(log_e), 2)
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.1f}e{whole}"


def milliseconds(microseconds: float) -> str:
    return f"{_significant(microseconds / 1000, 3)} ms"


def _significant(value: float, digits: int) -> str:
    """So many digits at least, never an exponent where plain digits do."""
    return f"{value:.{digits}g}" if value < 10**digits else f"{value:,.0f}"


def duration(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def excluded(tolerance: Tolerance, *, by_ratio: bool) -> str:
    if by_ratio:
        return f"×{tolerance.ratio:g}"
    return f"{tolerance.points:g} point{'' if tolerance.points == 1 else 's'}"

"""Shares with their uncertainty, as evidence and pages show them."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Two-sided 95 %.
Z = 1.959963984540054


@dataclass(frozen=True)
class Band:
    """A share and its 95 % interval, all fractions; None where there was nothing to count."""

    share: float | None
    low: float | None
    high: float | None


def band(count: int, total: int) -> Band:
    """Wilson's score interval (Wilson 1927): sensible also at 0 of n and for few requests.

    It is for people to read. The verdicts are the gates': theirs hold however often one looks.
    """
    if total <= 0:
        return Band(None, None, None)
    share = min(1.0, max(0.0, count / total))
    middle = share + Z * Z / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    low = max(0.0, (middle - spread) / scale)
    high = min(1.0, (middle + spread) / scale)
    return Band(share, min(low, share), max(high, share))

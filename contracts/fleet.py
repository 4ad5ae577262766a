"""How a share of a fleet becomes whole instances."""

from __future__ import annotations


def instances_of(percent: int, count: int) -> int:
    """Whole instances that CAPACITY_PERCENT ``percent`` of ``count`` instances takes, 1 at least.

    AWS takes 33 % of 3 as 1 (fact sheet 3.1); its rule for other fractions is not known. Here
    halves are rounded up, but up to 50 % is never more than half of the fleet.
    """
    rounded = (percent * count + 50) // 100
    half = count // 2 if percent <= 50 else count
    return max(1, min(rounded, half))

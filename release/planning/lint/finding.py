"""One thing that is wrong or doubtful about a release."""

from __future__ import annotations

import math
from dataclasses import dataclass

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """``error``: AWS would refuse it, or the release could not decide; ``warning``: a blind spot.

    ``rule`` says what is so, ``where`` names the key of the stack's file, ``remedy`` what to do.
    """

    severity: str
    rule: str
    where: str
    remedy: str


def error(rule: str, where: str, remedy: str) -> Finding:
    return Finding(ERROR, rule, where, remedy)


def warning(rule: str, where: str, remedy: str) -> Finding:
    return Finding(WARNING, rule, where, remedy)


def setting(seconds: float) -> str:
    """A time as the stack's file takes it: 45s, 3m, 2h; a long one in whole minutes or hours."""
    whole = math.ceil(seconds - 1e-9)
    for long, unit in ((600, 60), (36_000, 3600)):
        if whole > long:
            whole = math.ceil(whole / unit) * unit
    if whole and whole % 3600 == 0:
        return f"{whole // 3600}h"
    return f"{whole // 60}m" if whole and whole % 60 == 0 else f"{whole}s"

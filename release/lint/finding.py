"""One thing that is wrong or doubtful about a release."""

from __future__ import annotations

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

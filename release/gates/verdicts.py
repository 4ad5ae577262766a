"""What a gate is shown and what it answers: plain data, with the numbers behind each answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from release.gates.bands import band
from release.observation import HookAnswer, VariantMinute

__all__ = [
    "Answer",
    "CountedMinute",
    "Estimate",
    "Evidence",
    "GateVerdict",
    "HookAnswer",
    "StepVerdict",
]


class Answer(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    HOLD = "hold"


@dataclass(frozen=True)
class CountedMinute:
    """A minute that counts: wholly at one weight, settled, after the warm-up."""

    start: float
    step: int
    share: float
    live: VariantMinute
    candidate: VariantMinute


@dataclass(frozen=True)
class Estimate:
    """A share of requests as people read it; no gate decides by it."""

    bad: int
    requests: int

    @property
    def rate(self) -> float:
        return min(1.0, self.bad / self.requests) if self.requests else 0.0


@dataclass(frozen=True)
class Evidence:
    """Natural logarithms of both e-values, what they must reach, and both variants' rates."""

    log_e_fail: float
    log_e_pass: float
    fail_at: float
    pass_at: float
    live: Estimate | None = None
    candidate: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: e-values as powers of ten, rates with their bands."""
        return {
            "log10_e_fail": _log10(self.log_e_fail),
            "log10_e_pass": _log10(self.log_e_pass),
            "log10_fail_at": _log10(self.fail_at),
            "log10_pass_at": _log10(self.pass_at),
            "live": None if self.live is None else _band(self.live),
            "candidate": None if self.candidate is None else _band(self.candidate),
        }


def _log10(natural: float) -> float | None:
    """None for an infinite one, which JSON cannot say: certain by a count alone."""
    return natural / math.log(10) if math.isfinite(natural) else None


def _band(estimate: Estimate) -> dict[str, float | None]:
    """No rate where nothing was counted."""
    counts = {"bad": estimate.bad, "requests": estimate.requests}
    shown = band(estimate.bad, estimate.requests)
    return {**counts, "rate": shown.share, "low": shown.low, "high": shown.high}


@dataclass(frozen=True)
class GateVerdict:
    """One gate's answer; a dry run reports it and decides nothing."""

    gate: str
    answer: Answer
    text: str
    dry_run: bool = False
    evidence: Evidence | None = None


@dataclass(frozen=True)
class StepVerdict:
    """Any fail wins, all must pass; ``text`` is the reason that a person reads first."""

    answer: Answer
    gates: tuple[GateVerdict, ...]

    @property
    def text(self) -> str:
        """The reasons of the gates that decide, then what dry runs would have said."""
        chosen = [g.text for g in self.gates if g.answer == self.answer and not g.dry_run]
        decided = "; ".join(chosen) or "no gate is configured"
        trials = "; ".join(f"{g.answer} by {g.text}" for g in self.gates if g.dry_run)
        return f"{decided} (dry run: {trials})" if trials else decided

"""What a gate is shown and what it answers: plain data, with the numbers behind each answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from release.observation import VariantMinute


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
class HookAnswer:
    """What a user's hook said: ``pass``, ``fail`` or ``not_enough_data``, and why."""

    answer: str
    text: str = ""


@dataclass(frozen=True)
class Estimate:
    """A share of requests with its 95 % Wilson band; for people, no gate decides by it."""

    bad: int
    requests: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """Natural logarithms of both e-values, what they must reach, and both variants' rates."""

    log_e_fail: float
    log_e_pass: float
    fail_at: float
    pass_at: float
    live: Estimate | None = None
    candidate: Estimate | None = None


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

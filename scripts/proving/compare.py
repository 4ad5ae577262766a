"""Whether two answers are the same, and how near a difference comes to what is allowed. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PROBABILITY = 1e-5
RELATIVE = 5e-5
FLOOR = 1e-6
TIE = 1e-5
TOLERANCE = {"probability": PROBABILITY, "relative": RELATIVE, "floor": FLOOR, "tie": TIE}
NAMED_RATIOS = (1e-6, 1e-3, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Failed:
    """Stands for an answer: the model raised."""

    error: str


@dataclass(frozen=True)
class Scale:
    """``is_probability``: numbers are between 0 and 1; ``extent``: the range of the answers."""

    is_probability: bool
    extent: float = 0.0


def ratio(native: Any, converted: Any, scale: Scale) -> float:
    """How much of the tolerance the difference takes: 0 is equal, above 1 is wrong.

    Labels (text, whole numbers, true and false) are equal in value and type, or wrong.
    """
    if isinstance(native, Failed) or isinstance(converted, Failed):
        return 0.0 if isinstance(native, Failed) and isinstance(converted, Failed) else math.inf
    if isinstance(native, list) and isinstance(converted, list):
        if len(native) != len(converted):
            return math.inf
        pairs = zip(native, converted, strict=True)
        return max((ratio(one, other, scale) for one, other in pairs), default=0.0)
    if isinstance(native, float) and isinstance(converted, float):
        return _number(native, converted, scale)
    return 0.0 if type(native) is type(converted) and native == converted else math.inf


def _number(native: float, converted: float, scale: Scale) -> float:
    difference = abs(native - converted)
    if difference == 0:
        return 0.0
    allowed = PROBABILITY
    if not scale.is_probability:
        allowed = max(RELATIVE * abs(native), FLOOR * scale.extent)
    return difference / allowed if allowed > 0 else math.inf


def is_tie(shares: Any, threshold: tuple[int, float] | None) -> bool:
    """Whether the model itself could hardly decide: its label may be the other one.

    ``threshold``: the class and the probability from which on it is chosen, None for the largest.
    """
    if not isinstance(shares, list) or len(shares) < 2:
        return False
    if threshold is not None:
        return abs(shares[threshold[0]] - threshold[1]) <= TIE
    first, second = sorted(shares, reverse=True)[:2]
    return first - second <= TIE


def extent(answers: Sequence[Any]) -> float:
    """The range of what is a number among the answers."""
    numbers = [value for answer in answers for value in _numbers(answer)]
    return max(numbers) - min(numbers) if numbers else 0.0


def _numbers(answer: Any) -> list[float]:
    if isinstance(answer, list):
        return [number for item in answer for number in _numbers(item)]
    return [answer] if isinstance(answer, float) else []


def named(found: float) -> float:
    """A ratio as the manifest says it: a bound, without the machine's last digits."""
    return 0.0 if found == 0 else next((bound for bound in NAMED_RATIOS if found <= bound), found)

"""Minutes for tests of the gates: written down, or drawn."""

from __future__ import annotations

import random
from typing import Any

from contracts.release_manifest import Step, Tolerance
from release.gates import CountedMinute
from release.observation import VariantMinute

STEP = Step(50, Tolerance(1.5, 0.5), 60, 7200)


def variant(requests: int, errors: int = 0, **more: Any) -> VariantMinute:
    values: dict[str, Any] = {"p95_us": None, **more}
    return VariantMinute(requests, errors, **values)


def minute(
    at: int,
    live: VariantMinute,
    candidate: VariantMinute,
    step: int = 0,
    share: float = 0.5,
) -> CountedMinute:
    return CountedMinute(at * 60.0, step, share, live, candidate)


def drawn(
    rng: random.Random,
    count: int,
    *,
    requests: int = 200,
    share: float = 0.5,
    live: float = 0.02,
    candidate: float = 0.02,
    bursts: float = 0.0,
) -> tuple[CountedMinute, ...]:
    """Minutes at these error rates; ``bursts`` of them fail at 30 % on both sides."""
    made: list[CountedMinute] = []
    for at in range(count):
        shared = 0.3 if rng.random() < bursts else 0.0
        of_candidate = sum(rng.random() < share for _ in range(requests))
        counts = []
        for n, rate in ((requests - of_candidate, live), (of_candidate, candidate)):
            bad = sum(rng.random() < max(rate, shared) for _ in range(n))
            counts.append(variant(n, bad, slow=bad))
        made.append(minute(at, *counts, share=share))
    return tuple(made)

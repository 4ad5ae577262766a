"""What the live traffic saw, counted: pure functions over its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.rehearsal.traffic import Answer

# Two ways to the same probability may differ in the last bits, never more.
ABSOLUTE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Window:
    """From ``start`` (epoch seconds) on: ``live`` serves, in a release ``candidate`` may too."""

    start: float
    live: str
    candidate: str | None = None


@dataclass(frozen=True)
class VersionTally:
    requests: int
    failed: int


@dataclass(frozen=True)
class TrafficTally:
    """``failed``: no answer or an error; ``wrong``: what no version then serving answers."""

    requests: int
    failed: int
    wrong: int
    by_version: dict[str, VersionTally]


def read_answers(path: Path) -> list[Answer]:
    """The answers in the file; a last line that was cut short by a kill is left out."""
    answers: list[Answer] = []
    for line in path.read_text().splitlines():
        try:
            answers.append(Answer(**json.loads(line)))
        except ValueError:
            break
    return answers


def tally(
    answers: Iterable[Answer],
    expected: Mapping[str, Sequence[Any]],
    windows: Sequence[Window],
) -> TrafficTally:
    """Count; ``expected[version][row]`` is the model's own answer, None where it has none."""
    counts: dict[str, list[int]] = {}
    requests = failed = wrong = 0
    for answer in answers:
        requests += 1
        window = window_at(windows, answer.at)
        version = version_of(answer, expected, window)
        is_failed = answer.status != 200
        failed += is_failed
        wrong += not is_failed and version is None
        if version is not None:
            count = counts.setdefault(version, [0, 0])
            count[0] += 1
            count[1] += is_failed
    by_version = {v: VersionTally(*counts[v]) for v in sorted(counts)}
    return TrafficTally(requests, failed, wrong, by_version)


def window_at(windows: Sequence[Window], at: float) -> Window:
    current = windows[0]
    for window in windows:
        if window.start <= at:
            current = window
    return current


def version_of(answer: Answer, expected: Mapping[str, Sequence[Any]], window: Window) -> str | None:
    """The version that answered, told by its variant if it failed, else by its prediction."""
    by_variant = window.candidate if answer.variant == "candidate" else window.live
    if answer.status != 200:
        return by_variant if answer.variant is not None else None
    allowed = [by_variant, window.live, window.candidate]
    for version in allowed:
        if version is not None and same(answer.prediction, expected[version][answer.row]):
            return version
    return None


def same(got: Any, wanted: Any) -> bool:
    """Equal labels, or numbers (also lists of them) equal to the last bits."""
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(got, int | float) and isinstance(wanted, int | float):
        return math.isclose(got, wanted, rel_tol=0, abs_tol=ABSOLUTE_TOLERANCE)
    return got is not None and got == wanted

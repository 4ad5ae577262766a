"""The goals, each with what was measured and whether it is met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.serving_peers import FASTAPI, MLFLOW, NOOP, OURS

if TYPE_CHECKING:
    from benchmarks.serving_report import Row, StartRow

CONVERTED = ("linear", "forest", "onnx")


@dataclass(frozen=True)
class Goal:
    """``bound`` is the least where ``is_least``, else the most."""

    what: str
    server: str
    figure: str
    bound: float
    where: dict[str, object]
    is_least: bool = True


def _row_goals() -> Iterator[Goal]:
    one: dict[str, object] = {"model": "logreg", "format": "json", "rows": 1}
    for connections, mlflow, floor in ((1, 60, 5), (16, 350, 4), (64, 450, 4)):
        where = one | {"connections": connections}
        name = f"logreg, c={connections}"
        yield Goal(f"{name}: MLflow to ours", OURS, "ratio_to_mlflow", mlflow, where)
        yield Goal(f"{name}: ours to the floor", OURS, "ratio_to_floor", floor, where, False)
        yield Goal(f"{name}: the no-op to the floor", NOOP, "ratio_to_floor", 2.2, where, False)
        if connections > 1:
            yield Goal(f"{name}: FastAPI to ours", FASTAPI, "ratio_to_ours", 20, where)
            noop = 0.5 if connections == 16 else 0.6
            yield Goal(f"{name}: the no-op to ours", OURS, "ratio_to_noop", noop, where)
    forest = {"model": "forest", "format": "json", "rows": 1, "connections": 16}
    yield Goal("forest, c=16: MLflow to ours", OURS, "ratio_to_mlflow", 300, forest)
    for form, least in (("csv", 15), ("json", 50)):
        many: dict[str, object] = {"model": "logreg", "format": form, "rows": 1000}
        many |= {"connections": 1}
        name = f"logreg, 1,000 rows of {form}: MLflow to ours"
        yield Goal(name, OURS, "ratio_to_mlflow", least, many)


GOALS = tuple(_row_goals())
COLD, MEMORY = 15.0, 7.0


def goals(rows: Sequence[Row], starts: Sequence[StartRow]) -> list[str]:
    """A line for each goal whose case was measured."""
    lines: list[str] = []
    for goal in GOALS:
        for row in rows:
            if row.server == goal.server and all(
                getattr(row, k) == v for k, v in goal.where.items()
            ):
                value: float | None = getattr(row, goal.figure)
                if value is not None:
                    lines.append(_line(goal.what, value, goal.bound, is_least=goal.is_least))
    for ours in starts:
        theirs = next((s for s in starts if (s.server, s.model) == (MLFLOW, ours.model)), None)
        if ours.server != OURS or theirs is None or ours.engine not in CONVERTED:
            continue
        cold = theirs.cold_seconds / ours.cold_seconds
        lines.append(_line(f"{ours.model}: cold start, MLflow to ours", cold, COLD))
        memory = theirs.memory_mb / ours.memory_mb
        lines.append(_line(f"{ours.model}: memory, MLflow to ours", memory, MEMORY))
    return lines


def _line(what: str, value: float, bound: float, *, is_least: bool = True) -> str:
    is_met = value >= bound if is_least else value <= bound
    word = "at least" if is_least else "at most"
    return f"{'met   ' if is_met else 'MISSED'}  {what}: {value:.3g} ({word} {bound:g})"

"""What a chart on a release's page consists of beside its drawing: words, a legend, a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from release.page.drawing import Chart


@dataclass(frozen=True)
class Table:
    """The numbers of a chart, for those who cannot see it or want to know exactly."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """``caption`` says what to see; ``legend``: (style, name) of each line."""

    chart: Chart
    caption: str
    legend: tuple[tuple[str, str], ...]
    table: Table


def legend_of(names: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


def marks_of(told: dict[str, Any]) -> list[tuple[float, str]]:
    """The moments at which the new version's share changed."""
    began = float(told["started_at"])
    weights: list[dict[str, Any]] = told.get("weights") or []
    return [
        (
            max(0.0, float(w["at"]) - began),
            f"{float(w['weight']):g} %{' copied' if w.get('mirrored') else ''}",
        )
        for w in weights[1:]
    ]


def seconds_of(told: dict[str, Any]) -> float:
    return max(1.0, float(told.get("seconds") or 0.0))

"""The table, the goals and the plot of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.serving import Row, Start

Found = float | None
OURS = "slipway"


def report(rows: list[Row], starts: list[Start], path: Path) -> None:
    console = Console(width=140)
    console.print(_table(rows))
    console.print(_starts(starts))
    for line in goals(rows, starts):
        console.print(line, markup=False)
    _plot(rows, path)


def _table(rows: list[Row]) -> Table:
    table = Table(
        "case", "server", "CPU µs", "ratio", "p50 µs", "p99 µs", "req/s", "batch", "others", ""
    )
    for row in rows:
        case = f"{row.model}, {row.format}, {row.rows} × c{row.connections}"
        ratio = row.ratio_to_ours
        figures = (row.cpu_us, ratio, row.p50_us, row.p99_us, row.rps, row.batch_mean, row.foreign)
        shown = ["" if f is None else f"{f:,.4g}" for f in figures]
        table.add_row(case, row.server, *shown, row.reason or row.engine)
    return table


def _starts(starts: list[Start]) -> Table:
    table = Table("model", "server", "first answer after, s", "memory then (PSS), MB")
    for start in starts:
        table.add_row(
            start.model, start.server, f"{start.cold_seconds:.2f}", f"{start.memory_mb:.0f}"
        )
    return table


def goals(rows: list[Row], starts: list[Start]) -> list[str]:
    """Each goal with what was measured, where it was."""
    lines: list[str] = []

    def one(what: str, value: Found, least: float | None = None, most: float | None = None) -> None:
        if value is None:
            return
        is_met = (least is None or value >= least) and (most is None or value <= most)
        bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
        lines.append(f"{'met   ' if is_met else 'MISSED'}  {what}: {value:.3g} ({bound})")

    def find(server: str, **wanted: object) -> Row | None:
        return next(
            (
                r
                for r in rows
                if r.server == server and all(getattr(r, k) == v for k, v in wanted.items())
            ),
            None,
        )

    def of(row: Row | None, name: str) -> Found:
        return None if row is None else getattr(row, name)

    logreg = {"model": "logreg", "format": "json", "rows": 1}
    for connections, least_mlflow, most_floor in ((1, 60, 5), (16, 350, 4), (64, 450, 4)):
        row = find(OURS, **logreg, connections=connections)
        one(f"c={connections}: MLflow's CPU to ours", of(row, "ratio_to_mlflow"), least_mlflow)
        one(f"c={connections}: ours to the floor's", of(row, "ratio_to_floor"), None, most_floor)
    for connections in (16, 64):
        row = find("fastapi+onnxruntime", **logreg, connections=connections)
        one(f"c={connections}: FastAPI's CPU to ours", of(row, "ratio_to_ours"), 20)
        share = {16: 0.5, 64: 0.6}[connections]
        row = find(OURS, **logreg, connections=connections)
        one(f"c={connections}: the no-op's CPU to ours", of(row, "ratio_to_noop"), share)
        noop, floor = (find(s, **logreg, connections=connections) for s in ("noop", "floor"))
        if noop is not None and floor is not None and noop.cpu_us and floor.cpu_us:
            one(f"c={connections}: the no-op to the floor", noop.cpu_us / floor.cpu_us, None, 2.2)
    forest = find(OURS, model="forest", format="json", rows=1)
    one("200 trees: MLflow's CPU to ours", of(forest, "ratio_to_mlflow"), 300)
    for form, least in (("csv", 15), ("json", 50)):
        many = find(OURS, model="logreg", format=form, rows=1000)
        one(f"1000 rows of {form}: MLflow's CPU to ours", of(many, "ratio_to_mlflow"), least)
    lines += _start_goals(starts, one)
    return lines


def _start_goals(
    starts: Iterable[Start], one: Callable[[str, Found, float | None, float | None], None]
) -> list[str]:
    by = {(s.model, s.server): s for s in starts}
    for (model, server), theirs in by.items():
        ours = by.get((model, OURS))
        if server != "mlflow" or ours is None:
            continue
        one(
            f"{model}: cold start, MLflow's to ours",
            theirs.cold_seconds / ours.cold_seconds,
            15,
            None,
        )
        one(f"{model}: memory, MLflow's to ours", theirs.memory_mb / ours.memory_mb, 7, None)
    return []


def _plot(rows: list[Row], path: Path) -> None:
    """CPU for each request, by server, for one row of JSON of the first model."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "slipway"
    shown = [r for r in rows if r.cpu_us is not None and r.rows == 1 and r.format == "json"]
    if not shown:
        return
    figure, axes = pyplot.subplots(figsize=(8, 0.3 * len(shown) + 1.2))
    labels = [f"{r.model}, c={r.connections}: {r.server}" for r in reversed(shown)]
    values = [r.cpu_us or 0.0 for r in reversed(shown)]
    colors = ["#0b6bcb" if r.server == OURS else "#9aa0a6" for r in reversed(shown)]
    axes.barh(labels, values, color=colors)
    axes.set_xscale("log")
    axes.set_xlabel("CPU for one request of one row, microseconds (log)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

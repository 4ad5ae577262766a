"""The table, the goals and the plot of what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import serving_stats as stats
from benchmarks.serving_cases import FOREIGN_SHARE, Case, Measured
from benchmarks.serving_goals import goals
from benchmarks.serving_peers import FLOOR, MLFLOW, NOOP, OURS


@dataclass
class Row:
    """One server in one case. Ratios are of CPU time for a request, measured in adjacent pairs.

    Of a 90 % interval the end counts that is worse for the server: ``ratio_to_mlflow``,
    ``ratio_to_noop`` (theirs to the server's, the lower end), ``ratio_to_floor`` (the server's to
    the floor's, the upper end), ``ratio_to_ours`` (a peer's to ours, the lower end). ``foreign``:
    the share of a core that others used meanwhile. ``reason``: why there are no figures.
    """

    server: str
    model: str
    format: str
    rows: int
    connections: int
    workers: int = 1
    engine: str = ""
    cpu_us: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    rps: float | None = None
    batch_mean: float | None = None
    ratio_to_mlflow: float | None = None
    ratio_to_floor: float | None = None
    ratio_to_noop: float | None = None
    ratio_to_ours: float | None = None
    requests: int | None = None
    pairs: int = 0
    foreign: float | None = None
    reason: str = ""


@dataclass
class StartRow:
    """From a process's start to its first right answer, and its memory then (PSS); medians."""

    server: str
    model: str
    engine: str
    cold_seconds: float
    memory_mb: float
    starts: int


def row(name: str, engine: str, case: Case, found: Measured, reason: str) -> Row:
    made = Row(name, case.model, case.format, case.rows, case.connections, engine=engine)
    made.reason = found.reasons.get(name, reason)
    rounds = found.rounds.get(name, [])
    if made.reason or not rounds:
        return made
    made.cpu_us = round(median(r.cpu_us for r in rounds), 2)
    made.p50_us = round(median(r.p50_us for r in rounds), 1)
    made.p99_us = round(median(r.p99_us for r in rounds), 1)
    made.rps = round(median(r.rps for r in rounds), 1)
    batches = [r.batch_mean for r in rounds if r.batch_mean is not None]
    made.batch_mean = round(median(batches), 2) if batches else None
    made.requests = round(median(r.requests for r in rounds))
    made.foreign = round(median(r.foreign for r in rounds), 3)
    made.pairs = min(len(pairs) for pair, pairs in found.pairs.items() if name in pair)
    if name == OURS:
        made.ratio_to_mlflow = _lower(found, (MLFLOW, OURS))
        made.ratio_to_noop = _lower(found, (NOOP, OURS))
    else:
        made.ratio_to_ours = _lower(found, (name, OURS))
    made.ratio_to_floor = _to_floor(name, found)
    return made


def _lower(found: Measured, pair: tuple[str, str]) -> float | None:
    pairs = found.pairs.get(pair)
    return None if not pairs else round(stats.ratio(pairs).lower, 3)


def _to_floor(name: str, found: Measured) -> float | None:
    pairs = found.pairs.get((name, FLOOR)) or [
        (own, floor) for floor, own in found.pairs.get((FLOOR, name), [])
    ]
    return None if not pairs else round(stats.ratio(pairs).upper, 3)


def report(rows: list[Row], starts: list[StartRow], path: Path) -> None:
    console = Console(width=150)
    console.print(_table(rows))
    console.print(_starts(starts))
    for line in goals(rows, starts):
        console.print(line, markup=False, highlight=False)
    disturbed = [r for r in rows if r.foreign is not None and r.foreign > FOREIGN_SHARE]
    if disturbed:
        console.print(
            f"The machine was not quiet: others used more than {FOREIGN_SHARE:.0%} of a core in "
            f"the median round of {len(disturbed)} of {len(rows)} rows; measure again.",
            highlight=False,
        )
    plot(rows, path)


def _table(rows: list[Row]) -> Table:
    table = Table("case", "server", title="one worker; CPU of the server for each request")
    for name in ("CPU µs", "to ours", "to floor", "p50 µs", "p99 µs", "req/s", "batch", "others"):
        table.add_column(name, justify="right")
    table.add_column("engine, or why not", overflow="fold")
    before = ""
    for one in rows:
        case = str(Case(one.model, one.format, one.rows, one.connections))
        if before and case != before:
            table.add_section()
        figures = (one.cpu_us, one.ratio_to_ours, one.ratio_to_floor, one.p50_us, one.p99_us)
        shown = [_short(f) for f in (*figures, one.rps, one.batch_mean)]
        others = "" if one.foreign is None else f"{one.foreign:.0%}"
        name = "" if case == before else case
        table.add_row(name, one.server, *shown, others, one.reason or one.engine)
        before = case
    return table


def _short(value: float | None) -> str:
    """Three digits, and no exponent."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _starts(starts: list[StartRow]) -> Table:
    table = Table("model", "server", "engine", title="start")
    for name in ("first right answer, s", "memory then (PSS), MB", "starts"):
        table.add_column(name, justify="right")
    for start in starts:
        cold, memory = f"{start.cold_seconds:.2f}", f"{start.memory_mb:.1f}"
        table.add_row(start.model, start.server, start.engine, cold, memory, str(start.starts))
    return table


def plot(rows: list[Row], path: Path) -> None:
    """CPU for each request of one row of JSON, a bar for each server."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "slipway"
    shown = [r for r in rows if r.cpu_us is not None and r.rows == 1 and r.format == "json"]
    if not shown:
        return
    labels = [f"{r.model}, c={r.connections}: {r.server}" for r in reversed(shown)]
    colors = ["#0b6bcb" if r.server == OURS else "#9aa0a6" for r in reversed(shown)]
    figure, axes = pyplot.subplots(figsize=(8, 0.28 * len(shown) + 1.2))
    bars = axes.barh(labels, [r.cpu_us or 0.0 for r in reversed(shown)], color=colors)
    axes.bar_label(bars, labels=[_short(r.cpu_us) for r in reversed(shown)], padding=3, fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("CPU for one request of one row of JSON, µs (logarithmic)")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

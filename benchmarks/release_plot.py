"""The plot: bad requests and false rollbacks of each rule, as one SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MUCH_WORSE, GOOD = "is_much_worse", "good"


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Good candidates rolled back, and bad requests of candidates twice as bad or worse."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "slipway"
    names = list(dict.fromkeys(_label(c) for c in found))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 0.5 * len(names) + 1.6), sharey=True)
    for at, name in enumerate(reversed(names)):
        cells = [c for c in found if _label(c) == name]
        good = [100 * c["rolled_back"] for c in cells if c["truth"] == GOOD]
        bad = [max(c["bad_requests_mean"], 0.5) for c in cells if c[MUCH_WORSE]]
        color = "#0b6bcb" if name.startswith("Slipway") else "#7a7f87"
        left.scatter(good, [at] * len(good), color=color, alpha=0.5, s=18)
        right.scatter(bad, [at] * len(bad), color=color, alpha=0.5, s=18)
    left.set_yticks(range(len(names)), list(reversed(names)))
    left.set_xscale("symlog", linthresh=1)
    left.axvline(1, color="#c0392b", linewidth=0.8)
    left.set_xlabel("good candidates rolled back, % (a dot is a scenario; line: 1 %)")
    right.set_xscale("log")
    right.set_xlabel("bad requests of candidates ×2 and worse, at 50/s and more")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _label(cell: dict[str, Any]) -> str:
    return f"{cell['rule']}, {cell['plan']}"

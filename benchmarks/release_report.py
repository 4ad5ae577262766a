"""The cells as a table, and which goals they miss."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.release_cells import OURS

MOST_FALSE_ROLLBACKS = 0.01
MOST_PROMOTED = {"tolerance": 0.05, "worse": 0.01}
LEAST_PROMOTED = 0.99
FEWER_BAD = 5.0
TUNED = "Flagger tuned"
Row = dict[str, Any]


def table(found: list[Row]) -> str:
    """Slipway and the others, cell by cell; then the goals."""
    width = max((len(c["scenario"]) for c in found), default=10)
    head = f"{'scenario':{width}} {'rule':20} {'plan':13} {'back':>7}{'prom.':>7}{'inc.':>7}"
    lines = [f"{head}{'bad':>10}{'minutes':>9}"]
    for cell in found:
        shares = "".join(
            f"{100 * cell[k]:7.1f}" for k in ("rolled_back", "promoted", "inconclusive")
        )
        lines.append(
            f"{cell['scenario']:{width}} {cell['rule']:20} {cell['plan']:13} {shares}"
            f"{cell['bad_requests_mean']:10.1f}{cell['decision_minutes_median']:9.1f}"
        )
    return "\n".join([*lines, "", *goals(found)])


def goals(found: list[Row]) -> list[str]:
    """Each goal, and the cells that miss it."""
    ours = [c for c in found if c["rule"] == OURS]
    lines = _goal(
        f"false rollbacks at most {MOST_FALSE_ROLLBACKS:.0%}",
        [c for c in ours if c["truth"] in ("good", "allowed")],
        lambda c: c["rolled_back"] <= MOST_FALSE_ROLLBACKS,
        "rolled_back",
    )
    for truth, most in MOST_PROMOTED.items():
        what = "candidates at the tolerance" if truth == "tolerance" else "worse candidates"
        lines += _goal(
            f"{what} promoted at most {most:.0%}",
            [c for c in ours if c["truth"] == truth],
            lambda c, most=most: c["promoted"] <= most,
            "promoted",
        )
    lines += _goal(
        f"good ones promoted at least {LEAST_PROMOTED:.0%} where the plan allows",
        [c for c in ours if c["truth"] == "good" and c["traffic_allows"]],
        lambda c: c["promoted"] >= LEAST_PROMOTED,
        "promoted",
    )
    return [*lines, *_fewer_bad(found)]


def _goal(name: str, of: list[Row], holds: Any, shown: str) -> list[str]:
    missed = [c for c in of if not holds(c)]
    lines = [f"{name}: {len(of) - len(missed)} of {len(of)} cells"]
    lines += [f"  missed: {c['scenario']} ({c['plan']}): {100 * c[shown]:.2f} %" for c in missed]
    return lines


def _fewer_bad(found: list[Row]) -> list[str]:
    """Bad requests of tuned Flagger over ours, where the candidate is much worse."""
    tuned = {(c["scenario"], c["plan"]): c for c in found if c["rule"] == TUNED}
    lines: list[str] = []
    for plan in dict.fromkeys(c["plan"] for c in found if c["rule"] == OURS):
        ratios = [
            tuned[c["scenario"], plan]["bad_requests_mean"] / max(c["bad_requests_mean"], 0.01)
            for c in found
            if c["rule"] == OURS and c["plan"] == plan and c["is_much_worse"]
            if (c["scenario"], plan) in tuned
        ]
        if ratios:
            lines.append(
                f"bad requests, ×2 and worse at 50/s and more, {plan} plan: {median(ratios):.1f} "
                f"times fewer than tuned Flagger in the median of {len(ratios)} cells "
                f"({FEWER_BAD:g} wanted; {min(ratios):.2g} to {max(ratios):.2g})"
            )
    return lines
